#!/usr/bin/python3
"""No set of clients takes the memory from the others, and memory stays bounded.

    tests/fault/memory.py --way sqlite|pg [--only TEXT] [--full]

Crowds of uploads, fast, slow, still or gone, in little memory: all that are whole are stored and
read back, others are served meanwhile, and afterwards nothing is held. Then bodies that are
collected and answers that nobody takes: what is resident stays near --memory-size.
--full: the crowds in the sizes that once stopped a gateway. The last line is "N passed, N failed".
"""

import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind, sigv4
from harness.runner import at_once, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.tls import Certificate
from harness.workspace import wait_for

BUCKET = "memory"
KIB, MIB = 1024, 1024 * 1024
NOISE = random.Random(8).randbytes(9 * MIB)
BIG = NOISE[:8 * MIB]


class Crowd:
    """Many connections, each with one request whose body comes as it is told to. Sockets send by
    threads, which is slow enough for a gateway and works for TLS, too."""

    def __init__(self, s3, count, body, method="PUT", key="crowd{}", query=(), timeout=100):
        self.s3, self.count, self._body, self._timeout = s3, count, body, timeout
        self.method, self.key, self.query = method, key, query
        self.sent, self.socks = [0] * count, [None] * count

    def body(self, number):
        """The same bytes for all, but for the beginning."""
        return number.to_bytes(8, "big") + self._body[8:]

    def _open(self, number):
        key = self.key.format(number)
        path = self.s3.path(BUCKET, key)
        headers = self.s3.signer.headers(self.method, path, self.query, {
            "host": self.s3.host, "content-length": str(len(self._body))}, sigv4.UNSIGNED)
        sock = self.s3.socket(self._timeout)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * KIB)
        self.socks[number] = sock
        sock.sendall(f"{self.method} {self.s3.target(path, self.query)} HTTP/1.1\r\n".encode() +
                     "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode() + b"\r\n")

    def _share(self, work, numbers=None):
        """work(number) for each, by 64 threads."""
        waiting = list(range(self.count) if numbers is None else numbers)[::-1]

        def run(_):
            while waiting:
                try:
                    number = waiting.pop()
                except IndexError:
                    return
                work(number)

        at_once(run, range(64))

    def send(self, upto, numbers=None):
        """Each connection is opened and has sent so many bytes of its body."""
        def work(number):
            if self.socks[number] is None:
                self._open(number)
            self.socks[number].sendall(self.body(number)[self.sent[number]:upto])
            self.sent[number] = upto

        self._share(work, numbers)

    def finish(self, numbers=None):
        """Sends what is left, each in a thread of its own; the statuses of the answers."""
        statuses = {}

        def work(number):
            try:
                self.send_rest(number)
            except OSError:
                pass  # it may be answered all the same
            statuses[number] = self.status(number)

        at_once(work, range(self.count) if numbers is None else numbers)
        return statuses

    def send_rest(self, number):
        self.socks[number].sendall(self.body(number)[self.sent[number]:])

    def status(self, number):
        try:
            line = self.socks[number].recv(64)
            return int(line.split()[1]) if line else None
        except OSError as err:
            return repr(err)

    def close(self):
        for sock in self.socks:
            if sock is not None:
                sock.close()


class Drip:
    """Goes on sending for some connections of a crowd, so many bytes a second, till the end."""

    def __init__(self, crowd, rate):
        self.crowd, self.rate = crowd, rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(0.5):  # the pause is the slowness itself
            for number in range(self.crowd.count):
                at = self.crowd.sent[number]
                try:
                    sock = self.crowd.socks[number]
                    sock.settimeout(0.01)
                    self.crowd.sent[number] += sock.send(
                        self.crowd.body(number)[at:at + self.rate // 2])
                except OSError:
                    pass  # its turn has not come, or it was refused


class Memory:
    def __init__(self, ws, args):
        self.full, self.rng = args.full, random.Random(args.seed)
        self.volume = Volume(ws, args.way, "memory")
        self.cert = Certificate(ws)
        self.gateway = self.s3 = None
        self.settings = None
        self.use("16M")
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        equal(self.s3.put(BUCKET, "big", BIG).status, 200, "PUT")

    def use(self, memory, tls=False, **env):
        """The gateway with so much memory; the one that runs, if it is the same."""
        settings = (memory, tls, tuple(env.items()))
        if settings == self.settings:
            return
        if self.gateway:
            self.s3.close()
            self.gateway.stop()
        self.settings = settings
        env = {"KISEKI_" + name: value for name, value in env.items()}
        self.gateway = self.volume.gateway(self.cert if tls else None, env={
            **({"KISEKI_MEMORY_SIZE": memory} if memory else {}), **env})
        self.s3 = self.client()

    def client(self):
        return S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key,
                  ca=self.cert.cert if self.gateway.cert else None, timeout=100)

    def held(self):
        """Bytes that uploads, reads and requests hold."""
        return sum(sum(self.gateway.metric(f"kiseki_memory_{use}_bytes").values())
                   for use in ("uploads", "reads", "requests"))

    def nothing_held(self):
        wait_for("nothing is held any more", lambda: self.held() == 0, 10)
        equal(sum(self.gateway.metric("kiseki_uploads_waiting").values()), 0, "uploads that wait")

    def others_are_served(self, seconds=10):
        begun = time.monotonic()
        for key, body in (("other", NOISE[:200000]), ("other-small", b"small")):
            answer = self.s3.put(BUCKET, key, body)
            equal(answer.status, 200, f"another's PUT: {answer!r}")
            check(self.s3.get(BUCKET, key).body == body, "another's GET")
        begun = time.monotonic()
        answer = self.s3.get(BUCKET, "big")
        equal(answer.status, 200, f"another's GET of 8 MiB: {answer!r}")
        check(answer.body == BIG, "its bytes")
        took = time.monotonic() - begun
        check(took < seconds, f"others were served after {took:.1f} s")

    def whole(self, crowd, first):
        """All send `first` bytes, then the rest; all are stored."""
        try:
            crowd.send(first)
            self.others_are_served()
            statuses = list(crowd.finish().values())
            equal({s: statuses.count(s) for s in set(statuses)}, {200: crowd.count}, "answers")
        finally:
            crowd.close()
        for number in self.rng.sample(range(crowd.count), 20):
            check(self.s3.get(BUCKET, crowd.key.format(number)).body == crowd.body(number),
                  f"object {number} has other bytes")
        self.nothing_held()

    # Uploads

    def a_page_each(self):
        self.use("16M")
        self.whole(Crowd(self.s3, 260, NOISE[:200000]), 65536)

    def a_part_of_a_page_each(self):
        self.use("16M")
        self.whole(Crowd(self.s3, 300, NOISE[:60000]), 20000)

    def over_https(self):
        self.use("16M", tls=True)
        self.whole(Crowd(self.s3, 260, NOISE[:200000]), 65536)

    def small_ones_of_many_pages(self):
        count = 80 if self.full else 24
        self.use("64M" if self.full else "16M", INLINE_SIZE="1M")
        self.whole(Crowd(self.s3, count, NOISE[:1500000]), 1000000)

    def thousands(self):
        """At default settings, as people run it."""
        self.use(None)
        self.whole(Crowd(self.s3, 2100, NOISE[:200000]), 65536)

    def slow(self, memory, count, rate):
        self.use(memory)
        crowd = Crowd(self.s3, count, NOISE[:200000])
        try:
            crowd.send(20000)
            with Drip(crowd, rate):
                for _ in range(3):
                    self.others_are_served()
            statuses = crowd.finish(range(10))
            equal(set(statuses.values()), {200}, "slow ones that became fast")
        finally:
            crowd.close()
        self.nothing_held()

    def slow_ones(self):
        self.slow("16M", 300, 1100)

    def many_slow_ones(self):
        self.slow("64M", 1100, 1100)

    def still_ones_and_gone_ones(self):
        """Clients that say nothing more, and then leave."""
        self.use("16M")
        crowd = Crowd(self.s3, 400, NOISE[:200000])
        try:
            crowd.send(65536)
            for _ in range(3):
                self.others_are_served()
        finally:
            crowd.close()
        self.nothing_held()
        self.others_are_served()


TESTS = ("a_page_each", "a_part_of_a_page_each", "slow_ones", "still_ones_and_gone_ones",
         "over_https", "small_ones_of_many_pages")
FULL = TESTS + ("thousands", "many_slow_ones")


def main():
    suite = Suite(__doc__, "memory")
    suite.add("--full", action="store_true", help="crowds of thousands")
    return suite.run(lambda s: s.methods(Memory(s.ws, s.args),
                                         FULL if s.args.full else TESTS))


if __name__ == "__main__":
    sys.exit(main())
