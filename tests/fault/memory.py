#!/usr/bin/python3
"""No set of clients takes the memory from the others, and memory stays bounded.

    tests/fault/memory.py --way sqlite|pg [--only TEXT] [--full]

Crowds of uploads, fast, slow, still or gone, in little memory: all that are whole are stored and
read back, others are served meanwhile, and afterwards nothing is held. Then bodies that are
collected and answers that nobody takes: what is resident stays near --memory-size.
--full: the crowds in the sizes that once stopped a gateway. The last line is "N passed, N failed".
"""

import base64
import contextlib
import hashlib
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind, sigv4
from harness.crowd import Crowd, Pause, Receive, Send
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.tls import Certificate
from harness.workspace import wait_for

BUCKET = "memory"
KIB, MIB = 1024, 1024 * 1024
PIECE = 256 * KIB  # of a body, as one call sends it
NOISE = random.Random(8).randbytes(9 * MIB)
BIG = NOISE[:8 * MIB]


class Requests:
    """Many clients with one request each, whose body comes as far as it is allowed to, and whose
    answer is left alone until finish(). They stand still but for what is called here."""

    def __init__(self, s3, count, body, method="PUT", key="crowd{}", query=(), headers=None):
        self.s3, self.count, self._body = s3, count, body
        self.method, self.key, self.query, self._headers = method, key, query, headers or {}
        self.same = method != "PUT"  # else each body begins with its number
        self.statuses = {}
        self._sent, self._allowed = [-1] * count, [0] * count
        self._taking, self._rate = set(), 0
        self._crowd = Crowd(s3.address, s3.context, receive_buffer=8 * KIB)
        self._crowd.add(self._script, count)

    def body(self, number):
        return self._piece(number, 0, len(self._body))

    def _piece(self, number, begin, end):
        if self.same:
            return self._body[begin:end]
        return number.to_bytes(8, "big")[begin:end] + self._body[max(begin, 8):end]

    def _head(self, number):
        path = self.s3.path(BUCKET, self.key.format(number))
        headers = self.s3.signer.headers(self.method, path, self.query, {
            "host": self.s3.host, "content-length": str(len(self._body)), **self._headers},
            sigv4.UNSIGNED)
        return (f"{self.method} {self.s3.target(path, self.query)} HTTP/1.1\r\n" +
                "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()

    def _script(self, number):
        yield Send(self._head(number))
        at = self._sent[number] = 0
        while at < len(self._body):
            if self._rate:
                yield Pause(0.5)  # the slowness itself
                end = min(at + self._rate // 2, len(self._body))
            else:
                end = min(self._allowed[number], at + PIECE)
            if end <= at:
                yield Pause(0.05)
                continue
            yield Send(self._piece(number, at, end))
            at = self._sent[number] = end
        while number not in self._taking:
            yield Pause(0.05)
        line = yield Receive(64)
        self.statuses[number] = int(line.split()[1])

    def _allow(self, end, numbers):
        for number in numbers:
            self._allowed[number] = end

    def send(self, end):
        """Each is connected and has sent its head and so many bytes of its body."""
        self._allow(end, range(self.count))
        check(self._crowd.run(100, lambda: min(self._sent) >= end),
              f"{sum(n < end for n in self._sent)} of {self.count} could not send {end} bytes")

    def push(self, end, seconds):
        """As send(), but only what is taken within that time."""
        self._allow(end, range(self.count))
        self._crowd.run(seconds)

    @contextlib.contextmanager
    def dripping(self, rate):
        """Meanwhile all go on sending, so many bytes a second."""
        self._rate, stop = rate, threading.Event()
        thread = threading.Thread(target=self._crowd.run, args=(600, stop.is_set), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self._rate = 0

    def finish(self, numbers=None):
        """These send what is left; the statuses of the answers, None without one."""
        numbers = range(self.count) if numbers is None else numbers
        self._allow(len(self._body), numbers)
        self._taking.update(numbers)
        self._crowd.run(100, lambda: (all(n in self.statuses for n in numbers)
                                      or self._crowd.open() == 0))
        return [self.statuses.get(n) for n in numbers]

    def close(self, reset=False):
        self._crowd.leave(reset)


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
        wait_for("nothing is held any more", lambda: self.held() == 0, 20)
        equal(sum(self.gateway.metric("kiseki_uploads_waiting").values()), 0, "uploads that wait")

    def bounded(self, what, most):
        peak = behind.peak_mib(self.gateway)
        print(f"     {what}: at most {peak:.0f} MiB resident", flush=True)
        if os.environ.get("FLAVOUR", "release") != "release":
            return  # a sanitizer's own memory is beyond that (tests/check)
        check(peak < most, f"{what}: {peak:.0f} MiB resident, less than {most} allowed")

    def delete_some(self, count):
        """DeleteObjects of so many keys, none of which is there."""
        body = ("<Delete>" + "".join(f"<Object><Key>no/{i:060}</Key></Object>"
                                     for i in range(count)) + "</Delete>").encode()
        answer = self.s3.request("POST", BUCKET, query=[("delete", "")], body=body, headers={
            "content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()})
        equal(answer.status, 200, f"DeleteObjects of {count}: {answer!r}")
        equal(len(answer.texts("Deleted")), count, "keys deleted")

    def others_are_served(self, seconds=10, size=200000):
        for key, body in (("other", NOISE[:size]), ("other-small", b"small")):
            answer = self.s3.put(BUCKET, key, body)
            equal(answer.status, 200, f"another's PUT: {answer!r}")
            answer = self.s3.get(BUCKET, key)
            check(answer.body == body, f"another's GET: {answer!r}")
        begun = time.monotonic()
        answer = self.s3.get(BUCKET, "big")
        equal(answer.status, 200, f"another's GET of 8 MiB: {answer!r}")
        check(answer.body == BIG, "its bytes")
        took = time.monotonic() - begun
        check(took < seconds, f"others were served after {took:.1f} s")

    def whole(self, crowd, first, size=200000):
        """All send `first` bytes, then the rest; all are stored. Others use objects of `size`."""
        try:
            crowd.send(first)
            self.others_are_served(size=size)
            statuses = crowd.finish()
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
        self.whole(Requests(self.s3, 260, NOISE[:200000]), 65536)

    def a_part_of_a_page_each(self):
        self.use("16M")
        self.whole(Requests(self.s3, 300, NOISE[:60000]), 20000)

    def over_https(self):
        self.use("16M", tls=True)
        self.whole(Requests(self.s3, 260, NOISE[:200000]), 65536)

    def small_ones_of_many_pages(self):
        count = 80 if self.full else 24
        self.use("64M" if self.full else "16M", INLINE_SIZE="1M")
        # An inline answer finds room up to RESERVATION_ANSWER_BYTES, whatever uploads hold.
        self.whole(Requests(self.s3, count, NOISE[:1500000]), 1000000, size=120000)

    def thousands(self):
        """At default settings, as people run it."""
        self.use(None)
        self.whole(Requests(self.s3, 2100, NOISE[:200000]), 65536)

    def slow(self, memory, count, rate):
        self.use(memory)
        crowd = Requests(self.s3, count, NOISE[:200000])
        try:
            crowd.send(20000)
            with crowd.dripping(rate):
                for _ in range(3):
                    self.others_are_served()
            statuses = crowd.finish(range(10))
            equal(set(statuses), {200}, "slow ones that became fast")
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
        crowd = Requests(self.s3, 400, NOISE[:200000])
        try:
            crowd.send(65536)
            for _ in range(3):
                self.others_are_served()
        finally:
            crowd.close()
        self.nothing_held()
        self.others_are_served()

    # What is not in pages

    def bodies(self):
        """Collected bodies that stand still: others wait for a few seconds at most."""
        memory, count = ("64M", 200) if self.full else ("16M", 40)
        self.use(memory)
        behind.reset_peak(self.gateway)
        crowd = Requests(self.s3, count, NOISE[:8 * MIB], "POST", "", [("delete", "")], {
            "content-md5": base64.b64encode(b"0" * 16).decode()})
        try:
            crowd.push(8 * MIB - 1, 8 if self.full else 1.5)
            self.others_are_served()
            for keys in (1, 1000):
                begun = time.monotonic()
                self.delete_some(keys)
                took = time.monotonic() - begun
                print(f"     DeleteObjects of {keys}: {took:.1f} s", flush=True)
                check(took < 20, f"DeleteObjects of {keys} keys took {took:.1f} s")
        finally:
            crowd.close(reset=not self.full)  # in order, the end waits behind what is not read
        self.nothing_held()
        self.bounded(f"{count} bodies that stand still", 120 if self.full else 72)

    def bodies_of_the_quick(self):
        """More at once than there is memory for, and all are whole: they take turns."""
        self.use("16M")
        behind.reset_peak(self.gateway)
        body = b"<Delete>" + b" " * (5 * MIB) + b"<Object><Key>no</Key></Object></Delete>"
        crowd = Requests(self.s3, 20, body, "POST", "", [("delete", "")], {
            "content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()})
        try:
            crowd.send(0)
            statuses = crowd.finish()
        finally:
            crowd.close()
        equal(set(statuses), {200}, "answers")
        self.nothing_held()
        self.bounded("20 bodies of 5 MiB", 100)

    def answers(self):
        """Small objects that are large, and listings: answers in memory that nobody takes."""
        self.use("16M", INLINE_SIZE="1M")
        equal(self.s3.put(BUCKET, "inline", NOISE[:MIB]).status, 200, "PUT")
        behind.reset_peak(self.gateway)
        crowd = Requests(self.s3, 200, b"", "GET", "inline")
        try:
            crowd.send(0)
            wait_for("they are answered", lambda: sum(self.gateway.metric(
                "kiseki_requests_total").values()) >= crowd.count - 20)
            self.others_are_served(size=120000)  # see small_ones_of_many_pages
            wait_for("another's GET", lambda: self.s3.get(BUCKET, "inline").status == 200, 30)
        finally:
            crowd.close()
        self.nothing_held()
        self.bounded("200 answers of 1 MiB", 120)

    def writers_that_wait(self):
        """Small writes into one large small object: they wait for their turns, without it."""
        self.use("16M", INLINE_SIZE="1M")
        equal(self.s3.put(BUCKET, "inline", NOISE[:MIB]).status, 200, "PUT")
        behind.reset_peak(self.gateway)
        crowd = Requests(self.s3, 400, b"ab", "PATCH", "inline", headers={
            "content-range": "bytes 0-1/*"})
        try:
            crowd.send(2)
            wait_for("they wait", lambda: sum(self.gateway.metric(
                "kiseki_requests_in_flight").values()) > 100)
            self.others_are_served()
        finally:
            crowd.close(reset=True)
        self.nothing_held()
        self.bounded("400 writers of one key", 180)

    def downloads(self):
        """Answers that nobody takes."""
        self.use("16M")
        self.others_are_served()
        behind.reset_peak(self.gateway)
        crowd = Requests(self.s3, 300, b"", "GET", "big")
        try:
            crowd.send(0)
            wait_for("they are answered", lambda: sum(
                self.gateway.metric("kiseki_requests_in_flight").values()) >= 300)
            for _ in range(3):
                self.others_are_served()
        finally:
            crowd.close()
        self.nothing_held()
        self.bounded("300 downloads that stand still", 72)


TESTS = ("a_page_each", "a_part_of_a_page_each", "slow_ones", "still_ones_and_gone_ones",
         "over_https", "small_ones_of_many_pages", "bodies", "bodies_of_the_quick", "answers",
         "writers_that_wait", "downloads")
FULL = TESTS + ("thousands", "many_slow_ones")


def main():
    suite = Suite(__doc__, "memory")
    suite.add("--full", action="store_true", help="crowds of thousands")
    return suite.run(lambda s: s.methods(Memory(s.ws, s.args),
                                         FULL if s.args.full else TESTS))


if __name__ == "__main__":
    sys.exit(main())
