#!/usr/bin/python3
"""What must not grow: memory with the size of an object, threads with idle connections.

    tests/fault/limits.py --way sqlite|pg [--only TEXT] [--full]

A big upload and download in each of three ways, an object of 10,000 parts, uploaders slower than
memory is small, a thousand idle connections, a crowd at one cold object, SIGTERM in the middle.
--full: 5 GiB within 256 MiB of memory instead of 1 GiB with a small budget. The last line is
"N passed, N failed".
"""

import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind, sigv4
from harness.runner import Skip, at_once, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import wait_for

BUCKET = "limits"
MIB = 1024 * 1024
BLOCK = random.Random(5).randbytes(MIB)
PART = 5 * MIB
PEAK_MIB = 256


class Stream:
    """A body that is made while it is sent: block n is BLOCK behind its number."""

    def __init__(self, blocks, first=0):
        self.blocks, self.first = blocks, first

    @staticmethod
    def block(number):
        return number.to_bytes(8, "big") + BLOCK[8:]

    def __iter__(self):
        return (self.block(n) for n in range(self.first, self.first + self.blocks))

    def __len__(self):
        return self.blocks * MIB


class Limits:
    def __init__(self, ws, way, full):
        self.ws, self.way, self.full = ws, way, full
        self.volume = Volume(ws, way, "limits")
        memory = "128M" if full else "64M"
        self.gateway = self.volume.gateway(env={"KISEKI_MEMORY_SIZE": memory})
        self.s3 = self.client()
        self.blocks = 5 * 1024 if full else 1024
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")

    def client(self):
        return S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key,
                  timeout=300)

    def bounded(self, what, limit=PEAK_MIB):
        peak = behind.peak_mib(self.gateway)
        print(f"     {what}: at most {peak:.0f} MiB resident", flush=True)
        check(peak < limit, f"{what}: {peak:.0f} MiB resident, less than {limit} allowed")
        behind.reset_peak(self.gateway)

    # Big objects

    def upload(self, key, stream, query=(), framed=False):
        """A PUT that never is in memory as a whole, at either end."""
        s3 = self.client()
        path, headers, total = s3.path(BUCKET, key), {"host": s3.host}, len(stream)
        payload = sigv4.UNSIGNED
        if framed:
            payload = sigv4.STREAMING_UNSIGNED_TRAILER
            headers |= {"content-encoding": "aws-chunked",
                        "x-amz-decoded-content-length": str(total)}
            total += stream.blocks * len(f"{MIB:x}\r\n\r\n") + len("0\r\n\r\n")
        headers = s3.signer.headers("PUT", path, query, headers, payload)
        conn = s3.connection()
        conn.putrequest("PUT", s3.target(path, query), skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, "content-length": str(total)}.items():
            conn.putheader(name, value)
        conn.endheaders()
        for block in stream:
            conn.send(b"%x\r\n%b\r\n" % (MIB, block) if framed else block)
        if framed:
            conn.send(b"0\r\n\r\n")
        answer = conn.getresponse()
        body = answer.read()
        equal(answer.status, 200, f"PUT {key}: {body[:300]!r}")
        conn.close()
        return answer.headers["ETag"]

    def download(self, key, stream):
        s3 = self.client()
        path = s3.path(BUCKET, key)
        conn = s3.connection()
        conn.request("GET", path, headers=s3.signer.headers(
            "GET", path, (), {"host": s3.host}, sigv4.UNSIGNED))
        answer = conn.getresponse()
        equal((answer.status, answer.length), (200, len(stream)), f"GET {key}")
        for number, block in enumerate(stream):
            check(answer.read(MIB) == block, f"{key}: MiB {number} is another")
        conn.close()

    def big(self, key, upload, blocks=0):
        blocks = blocks or self.blocks
        stream = Stream(blocks)
        behind.reset_peak(self.gateway)
        begun = time.monotonic()
        upload(key, stream)
        self.bounded(f"upload of {blocks} MiB ({time.monotonic() - begun:.1f} s)")
        begun = time.monotonic()
        self.download(key, stream)
        self.bounded(f"download ({time.monotonic() - begun:.1f} s)")
        equal(self.s3.delete(BUCKET, key).status, 204, "delete")

    def big_put(self):
        self.big("put", self.upload)

    def big_chunked(self):
        self.big("chunked", lambda key, stream: self.upload(key, stream, framed=True),
                 self.blocks if self.full else self.blocks // 2)

    def big_multipart(self):
        def upload(key, stream):
            upload_id = self.begin(key)
            share = stream.blocks // 8
            etags = [self.upload(key, Stream(share, n * share),
                                 [("partNumber", str(n + 1)), ("uploadId", upload_id)])
                     for n in range(8)]
            equal(self.s3.complete(BUCKET, key, upload_id, etags).status, 200, "complete")

        self.big("multipart", upload, self.blocks if self.full else self.blocks // 2)

    def begin(self, key):
        return self.s3.request("POST", BUCKET, key, query=[("uploads", "")]).text("UploadId")

    # 10,000 parts

    def ten_thousand_parts(self):
        part = random.Random(7).randbytes(PART)
        equal(self.s3.put(BUCKET, "part", part).status, 200, "PUT of the part")
        upload_id = self.begin("many")
        first = self.s3.put(BUCKET, "many", part, query=[("partNumber", "1"),
                                                         ("uploadId", upload_id)])
        etags = {1: first.headers["ETag"]}
        behind.reset_peak(self.gateway)
        begun = time.monotonic()
        self.copy_parts(upload_id, etags)
        print(f"     9,999 copied parts: {time.monotonic() - begun:.1f} s", flush=True)
        self.list_parts(upload_id, etags)
        begun = time.monotonic()
        done = self.s3.complete(BUCKET, "many", upload_id, [etags[n] for n in range(1, 10001)])
        took = time.monotonic() - begun
        print(f"     complete: {took:.1f} s", flush=True)
        equal(done.status, 200, f"complete: {done!r}")
        check(took < 30, f"Complete took {took:.1f} s")
        self.bounded("10,000 parts")
        self.read_parts("many", part)
        equal(self.s3.put(BUCKET, "copy", b"", headers={
            "x-amz-copy-source": f"/{BUCKET}/many"}).status, 200, "copy")
        equal(self.s3.delete(BUCKET, "many").status, 204, "delete")
        self.read_parts("copy", part)
        for key in ("copy", "part"):
            equal(self.s3.delete(BUCKET, key).status, 204, "delete")
        behind.no_trace(self.volume, 120)
        self.bounded("reading and deleting them")

    def copy_parts(self, upload_id, etags):
        waiting, failures = list(range(2, 10001)), []

        def work(_):
            s3 = self.client()
            while waiting and not failures:
                try:
                    number = waiting.pop()
                except IndexError:
                    break
                answer = s3.put(BUCKET, "many", b"", query=[
                    ("partNumber", str(number)), ("uploadId", upload_id)],
                    headers={"x-amz-copy-source": f"/{BUCKET}/part"})
                etags[number] = answer.text("ETag")
                if answer.status != 200:
                    failures.append(repr(answer))
            s3.close()

        at_once(work, range(8))
        equal(failures, [], "copied parts that failed")

    def list_parts(self, upload_id, etags):
        marker, numbers = "0", []
        for _ in range(11):
            page = self.s3.request("GET", BUCKET, "many", query=[
                ("uploadId", upload_id), ("part-number-marker", marker)])
            found = page.texts("PartNumber")
            check(len(found) <= 1000, "a page of more than 1,000 parts")
            numbers += map(int, found)
            marker = page.text("NextPartNumberMarker")
            if page.text("IsTruncated") != "true":
                break
        equal(numbers, sorted(etags), "the parts listed")

    def read_parts(self, key, part):
        rng, total = random.Random(11), 10000 * PART
        head = self.s3.head(BUCKET, key)
        equal(head.headers["Content-Length"], str(total), "the length")
        check(head.headers["ETag"].endswith('-10000"'), head.headers["ETag"])
        starts = [rng.randrange(1, 10000) * PART - rng.randrange(1, 100000) for _ in range(40)]
        for start in starts + [0, total - 1]:
            end = min(start + 200000, total) - 1
            got = self.s3.get(BUCKET, key, headers={"range": f"bytes={start}-{end}"})
            equal((got.status, got.headers["Content-Range"]),
                  (206, f"bytes {start}-{end}/{total}"), "the range")
            twice, at = part + part, start % PART
            check(got.body == twice[at:at + end - start + 1], f"{start}: other bytes")
        for number in (1, 5000, 10000):
            got = self.s3.get(BUCKET, key, query=[("partNumber", str(number))])
            equal((got.status, got.headers["x-amz-mp-parts-count"]), (206, "10000"), "one part")
            check(got.body == part, f"part {number} has other bytes")

    def huge(self):
        """Sizes beyond what is stored, by rows alone: copies of copies, until a part is too big."""
        size = 51  # times 100 it is nearly 5 GiB, the largest part
        self.upload("huge0", Stream(size))
        sizes, key = size * MIB, "huge0"
        for level, count in ((1, 100), (2, 10000 if self.full else 100), (3, 1)):
            upload_id, target, etags = self.begin(f"huge{level}"), f"huge{level}", []
            for number in range(1, count + 1):
                answer = self.s3.put(BUCKET, target, b"", query=[
                    ("partNumber", str(number)), ("uploadId", upload_id)],
                    headers={"x-amz-copy-source": f"/{BUCKET}/{key}"})
                if level == 3:
                    equal((answer.status, answer.code), (400, "InvalidRequest"),
                          "a part beyond 5 GiB")
                    return
                equal(answer.status, 200, f"a part: {answer!r}")
                etags.append(answer.text("ETag"))
            done = self.s3.complete(BUCKET, target, upload_id, etags)
            equal(done.status, 200, f"complete: {done!r}")
            sizes *= count
            key = target
            equal(int(self.s3.head(BUCKET, key).headers["Content-Length"]), sizes, "the length")
            listed = self.s3.request("GET", BUCKET, query=[("prefix", key)])
            equal(int(listed.text("Size")), sizes, "the length in the listing")
            last = self.s3.get(BUCKET, key, headers={"range": "bytes=-1048576"})
            check(last.body == Stream.block(size - 1), "the last MiB is another")

    # Many clients

    def idle_connections(self):
        before = behind.threads(self.gateway), behind.rss_mib(self.gateway)
        crowd = []
        try:
            for _ in range(1000):
                conn = self.s3.connection()
                conn.request("GET", "/")
                equal(conn.getresponse().read()[:5], b"<?xml", "an answer")
                crowd.append(conn)
            after = behind.threads(self.gateway), behind.rss_mib(self.gateway)
            equal(after[0], before[0], "threads with 1,000 idle connections")
            print(f"     1,000 idle connections: {after[1] - before[1]:.0f} MiB", flush=True)
            check(after[1] - before[1] < 33, f"{after[1] - before[1]:.0f} MiB for them")
        finally:
            for conn in crowd:
                conn.close()

    def crowd_at_a_cold_object(self):
        stream = Stream(64)
        self.upload("cold", stream)
        self.s3.close()
        self.gateway.stop()
        self.gateway.start()  # with an empty cache
        behind.reset_peak(self.gateway)
        at_once(lambda _: self.download("cold", stream), range(64))
        fetched = sum(self.gateway.metric("kiseki_store_get_bytes_total").values()) / MIB
        print(f"     64 downloads of 64 MiB: {fetched:.0f} MiB fetched", flush=True)
        self.bounded("the crowd")

    def slow_uploaders(self):
        """More of them than memory for a slice each: short slices go out, and all finish."""
        gateway = self.gateway
        self.s3.close()
        gateway.stop()
        small = self.volume.gateway(env={"KISEKI_MEMORY_SIZE": "16M"})
        self.gateway = small

        def put(number):
            self.upload(f"slow{number}", SlowStream(8, number * 100))
            self.download(f"slow{number}", Stream(8, number * 100))

        try:
            at_once(put, range(32))
            self.bounded("32 slow uploaders")
        finally:
            small.stop()
            self.gateway = gateway
            gateway.start()

    # The end

    def sigterm(self):
        """What runs is finished; then the session's row is gone and the exit code is 0."""
        failures = []

        def transfer(number):
            try:
                self.upload(f"term{number}", SlowStream(8, number * 100))
            except Exception as err:  # pylint: disable=broad-except
                failures.append(repr(err))

        self.s3.close()
        crowd = [threading.Thread(target=transfer, args=(n,), daemon=True) for n in range(8)]
        for thread in crowd:
            thread.start()
        wait_for("they run", lambda: sum(
            self.gateway.metric("kiseki_requests_in_flight").values()) == 8)
        self.gateway.stop()
        for thread in crowd:
            thread.join()
        equal(failures, [], "transfers that were cut")
        equal(behind.value(self.volume, "SELECT count(*) FROM sessions"), 0, "sessions")
        self.gateway.start()
        for number in range(8):
            self.download(f"term{number}", Stream(8, number * 100))

    def plans(self):
        """A request reads no more of a fuller bucket: no plan that was made while the tables were
        empty goes through an index from end to end. PostgreSQL counts the blocks."""
        if self.way != "pg":
            raise Skip("SQLite plans by its indexes alone")
        volume = Volume(self.ws, self.way, "plans", self.volume.postgres, self.volume.minio)
        gateway = volume.gateway()
        s3 = S3(gateway.endpoint, gateway.access_key, gateway.secret_key)
        equal(s3.make_bucket("plans").status, 200, "making the bucket")
        s3.close()

        def work(number):
            client = S3(gateway.endpoint, gateway.access_key, gateway.secret_key)
            for i in range(1500):
                equal(client.put("plans", f"{number}/{i}", b"x").status, 200, "PUT")
                equal(client.get("plans", f"{number}/{i}").status, 200, "GET")
            client.close()

        at_once(work, range(4))
        gateway.stop()  # its connections hand in their counts
        counts = behind.sql(volume, "SELECT indexrelname, idx_blks_hit + idx_blks_read"
                                    " FROM pg_statio_user_indexes ORDER BY 2 DESC")
        print(f"     {counts[:3]}", flush=True)
        for index, blocks in counts:
            check(blocks < 12 * 6000, f"{index}: {blocks} blocks for 6,000 PUTs and as many GETs")


class SlowStream(Stream):
    """The pause is the slowness itself, not a wait for something."""

    def __iter__(self):
        for block in super().__iter__():
            for at in range(0, MIB, MIB // 4):
                yield block[at:at + MIB // 4]
                time.sleep(0.05)


TESTS = ("big_put", "big_chunked", "big_multipart", "ten_thousand_parts", "huge",
         "idle_connections", "crowd_at_a_cold_object", "slow_uploaders", "sigterm",
         "plans")


def main():
    suite = Suite(__doc__, "limits", seeded=False)
    suite.add("--full", action="store_true", help="objects of 5 GiB")
    return suite.run(lambda s: s.methods(Limits(s.ws, s.args.way, s.args.full), TESTS))


if __name__ == "__main__":
    sys.exit(main())
