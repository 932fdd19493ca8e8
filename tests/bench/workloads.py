"""The workloads: which requests they send, and what must be there before.

A request is (method, path, query, extra signed headers, body bytes, extra unsigned headers).
"""

from harness.sigv4 import encode

KIB, MIB = 1 << 10, 1 << 20
BUCKET, LIST_BUCKET = "bench", "bench-list"
BODY_BYTES = 16 * MIB
RANGE_BYTES = 128 * KIB
# Keys of each size to read: enough to be different ones, few enough for every server's caches.
READ_KEYS = {4 * KIB: 1000, 64 * KIB: 500, MIB: 48, 16 * MIB: 4}
LIST_KEYS = [f"prefix-{p:02}/key-{k:04}" for p in range(40) for k in range(50)]
DELETE_KEYS_PER_SECOND = 1000


def request(method, key, query="", headers=None, length=0, unsigned=None, bucket=BUCKET):
    return method, f"/{bucket}/{encode(key, '/')}", query, headers or {}, length, unsigned or {}


def size_name(size):
    return f"{size // MIB}M" if size >= MIB else f"{size // KIB}K"


def read_key(size, number):
    return f"read/{size_name(size)}/{number:05}"


class Workload:
    """once: the requests must not be repeated. size: bytes of an answer or an upload, 0 where
    requests are counted. needs: what setup_requests() has to make before."""

    def __init__(self, name, title, size=0, once=False, most_per_second=0, needs=()):
        self.name, self.title, self.size, self.once = name, title, size, once
        self.most_per_second, self.needs = most_per_second, needs

    def fresh_keys(self, turn, seconds):
        count = max(16, int(self.most_per_second * seconds))
        return [f"{self.name.lower()}/{turn}/{n:06}" for n in range(count)]

    def requests(self, turn, seconds):
        raise NotImplementedError

    def prepare(self, _turn, _seconds):
        """Requests to send, unmeasured, before each run."""
        return []

    def tidy(self, _turn, _seconds):
        """Requests to send, unmeasured, after each run: the nth undoes the nth of requests()."""
        return []


class Put(Workload):
    def requests(self, turn, seconds):
        return [request("PUT", key, length=self.size) for key in self.fresh_keys(turn, seconds)]

    def tidy(self, turn, seconds):
        if self.size in (4 * KIB, 64 * KIB):
            return []
        return [request("DELETE", key) for key in self.fresh_keys(turn, seconds)]


class Get(Workload):
    def requests(self, turn, seconds):
        return [request("GET", read_key(self.size, n)) for n in range(READ_KEYS[self.size])]


class Range(Workload):
    def requests(self, turn, seconds):
        made, size = [], 16 * MIB
        for n in range(1021):  # a prime: neighbours are neither neighbours in time nor in place
            start = n * 7919 % (size // RANGE_BYTES) * RANGE_BYTES
            made.append(request("GET", read_key(size, n % READ_KEYS[size]),
                                unsigned={"range": f"bytes={start}-{start + RANGE_BYTES - 1}"}))
        return made


class List(Workload):
    def __init__(self, name, title, query):
        super().__init__(name, title, needs=("list",))
        self._query = query

    def requests(self, turn, seconds):
        return [request("GET", "", self._query, bucket=LIST_BUCKET)]


class Copy(Put):
    def requests(self, turn, seconds):
        source = f"/{BUCKET}/{read_key(16 * MIB, 0)}"
        return [request("PUT", key, headers={"x-amz-copy-source": source})
                for key in self.fresh_keys(turn, seconds)]


class Delete(Workload):
    def prepare(self, turn, seconds):
        return [request("PUT", key, length=4 * KIB) for key in self.fresh_keys(turn, seconds)]

    def requests(self, turn, seconds):
        return [request("DELETE", key) for key in self.fresh_keys(turn, seconds)]


def setup_requests(need):
    """What must be there for a workload that needs this: "list", or a size."""
    if need == "list":
        return [request("PUT", key, length=100, bucket=LIST_BUCKET) for key in LIST_KEYS]
    return [request("PUT", read_key(need, n), length=need) for n in range(READ_KEYS[need])]


WORKLOADS = [
    Put("PUT4K", "PUT 4 KiB", 4 * KIB, True, 15000),
    Put("PUT64K", "PUT 64 KiB", 64 * KIB, True, 5000),
    Put("PUT1M", "PUT 1 MiB", MIB, True, 1200),
    Put("PUT16M", "PUT 16 MiB", 16 * MIB, True, 80),
    Get("GET4K", "GET 4 KiB", 4 * KIB, needs=(4 * KIB,)),
    Get("GET64K", "GET 64 KiB", 64 * KIB, needs=(64 * KIB,)),
    Get("GET1M", "GET 1 MiB", MIB, needs=(MIB,)),
    Get("GET16M", "GET 16 MiB", 16 * MIB, needs=(16 * MIB,)),
    Range("RANGE", "GET 128 KiB of 16 MiB", RANGE_BYTES, needs=(16 * MIB,)),
    List("LIST", "LIST 1,000 of 2,000 keys in 40 prefixes", "list-type=2&max-keys=1000"),
    List("LISTDELIM", "LIST with delimiter, 40 prefixes", "delimiter=%2F&list-type=2"),
    Copy("COPY", "copy of 16 MiB", 0, True, 8000, needs=(16 * MIB,)),
    Delete("DELETE", "DELETE", 0, True, DELETE_KEYS_PER_SECOND),
]
