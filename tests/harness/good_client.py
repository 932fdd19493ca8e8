"""A client that behaves: it puts, gets and lists in a process of its own, and times each request.

    with GoodClient(endpoint) as good:
        ...                  # whatever else happens meanwhile
        seen = good.stop()   # seen.worst, seen.failures, seen.rounds

No request is tried again. Every round has a new connection, as a new user would.
"""

import multiprocessing
import time
from dataclasses import dataclass, field

from harness.s3 import S3

TIMEOUT = 60
SMALL, LARGE, OBJECT = 4096, 300_000, 1 << 20
_fork = multiprocessing.get_context("fork")


@dataclass
class Seen:
    rounds: int = 0
    worst: dict = field(default_factory=dict)  # operation: seconds
    failures: list = field(default_factory=list)

    @property
    def slowest(self):
        return max(self.worst.values(), default=0)

    def __str__(self):
        return ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in self.worst.items())


def _operations(s3, bucket, number):
    body = bytes([number % 251]) * LARGE
    yield "PUT small", lambda: s3.put(bucket, f"small{number % 10}", body[:SMALL])
    yield "PUT", lambda: s3.put(bucket, f"large{number % 10}", body, payload="unsigned")
    yield "GET small", lambda: s3.get(bucket, "small")
    yield "GET", lambda: s3.get(bucket, "object")
    yield "LIST", lambda: s3.request("GET", bucket, query=[("list-type", "2")])


def _round(endpoint, bucket, number, seen):
    s3 = S3(*endpoint[:2], endpoint[2], ca=endpoint[3], timeout=TIMEOUT)
    for name, operation in _operations(s3, bucket, number):
        begun = time.monotonic()
        try:
            answer = operation()
            problem = None if answer.status == 200 else repr(answer)
        except Exception as err:  # pylint: disable=broad-except
            problem = f"{type(err).__name__}: {err}"
        took = time.monotonic() - begun
        seen.worst[name] = max(seen.worst.get(name, 0), took)
        if problem:
            seen.failures.append(f"{name} after {took:.1f} s: {problem}")
            break
    s3.close()
    seen.rounds += 1


def _main(endpoint, bucket, pipe):
    seen = Seen()
    while not pipe.poll(0.01):
        _round(endpoint, bucket, seen.rounds, seen)
    pipe.send(seen)


class GoodClient:
    """Works in `bucket`, which it fills."""

    def __init__(self, gateway, bucket, ca=None):
        self._endpoint = (gateway.endpoint, gateway.access_key, gateway.secret_key, ca)
        self._bucket = bucket
        self._process = self._pipe = None

    def fill(self):
        """Its bucket and what it reads; before the first start."""
        s3 = S3(*self._endpoint[:3], ca=self._endpoint[3])
        for answer in (s3.make_bucket(self._bucket),
                       s3.put(self._bucket, "small", bytes(SMALL)),
                       s3.put(self._bucket, "object", bytes(OBJECT))):
            if answer.status != 200:
                raise OSError(f"the good client cannot begin: {answer!r}")
        s3.close()

    def __enter__(self):
        self._pipe, other = _fork.Pipe()
        self._process = _fork.Process(target=_main, args=(self._endpoint, self._bucket, other),
                                      daemon=True)
        self._process.start()
        return self

    def stop(self):
        """What it has seen; the request under way is waited for."""
        self._pipe.send("stop")
        if not self._pipe.poll(2 * TIMEOUT):
            raise OSError("the good client does not end")
        seen = self._pipe.recv()
        self._process.join()
        self._process = None
        return seen

    def __exit__(self, *_):
        if self._process is not None:
            self._process.kill()
            self._process.join()
