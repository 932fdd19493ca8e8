#!/usr/bin/python3
"""No set of clients stops the service for others.

    tests/fault/abuse.py --way sqlite|pg [--https] [--only WORDS] [--full] [--seconds N]

Beside each attack a client that behaves puts, gets and lists. None of its requests may fail; its
worst latency stays under 2 s, or 20 times what it is alone, whichever is more. Memory stays within
--memory-size and a bound for each connection. Ten seconds after the attackers have gone, memory,
requests and connections are back at their idle values. --full: more attackers, for longer, on
default settings. A table is printed at the end. The last line is "N passed, N failed".
"""

import os
import random
import resource
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind
from harness.crowd import Crowd, Hold, Pause, Receive, Send
from harness.good_client import GoodClient
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.tls import Certificate
from harness.workspace import Failed, wait_for

BUCKET, GOOD = "abuse", "good"
KIB, MIB, GIB, TIB = 1024, 1 << 20, 1 << 30, 1 << 40
WORST_SECONDS, WORST_RATIO = 2, 20
RECOVERY_SECONDS = 10
# Resident memory beyond --memory-size, as README has it: of the program, of a connection with a
# request in flight, and of TLS.
FIXED_MIB, CONNECTION_KIB, TLS_KIB = 64, 32 + 160, 64
DRIP_SECONDS = 0.5
RATE = 1100  # bytes a second: a little above the minimum
SIZES = (1, 60 * KIB, 65 * KIB, 200_000, 1_500_000, 6 * MIB)


class Abuse:
    def __init__(self, ws, args):
        self.full, self.args = args.full, args
        self.seconds = args.seconds or (40 if args.full else 4)
        self.cert = Certificate(ws) if args.https else None
        self.ca = self.cert.cert if self.cert else None
        self.memory = 128 if self.full else 16
        self.sizes = SIZES if self.full else SIZES[:4]
        self.connections = 10000 if self.full else 1000
        volume = Volume(ws, args.way, "abuse")
        self.gateway = volume.gateway(self.cert, env={
            "KISEKI_MEMORY_SIZE": f"{self.memory}M",
            "KISEKI_CONNECTIONS": str(self.connections),
            "KISEKI_LOG_LEVEL": "warn"})
        self.s3 = S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key,
                     ca=self.ca, timeout=120)
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        self.good = GoodClient(self.gateway, GOOD, self.ca)
        self.good.fill()
        self.s3.put(BUCKET, "unread", random.Random(3).randbytes(24 * MIB), payload="unsigned")
        self.crowd = None
        self.most = 0  # attackers so far
        self.table = []
        self.alone = self.watch_good_client("alone", lambda: time.sleep(2)).slowest

    # What a bad client sends

    def head(self, method, key="", query=(), headers=None, presigned=True):
        """A request's head by a presigned URL, so that one signature does for many."""
        path, more = self.s3.path(BUCKET, key), dict(headers or {})
        if presigned:
            signed = {k: str(v) for k, v in more.items() if k.startswith("x-amz-")}
            query = self.s3.signer.presign(method, path, query, self.s3.host, headers=signed)
        lines = [f"{method} {self.s3.target(path, query)} HTTP/1.1", f"Host: {self.s3.host}"]
        lines += [f"{name}: {value}" for name, value in more.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def put_head(self, key, size, **headers):
        return self.head("PUT", key, headers={"Content-Length": size, **headers})

    def chunked_head(self, key):
        return self.head("PUT", key, headers={"Transfer-Encoding": "chunked"})

    # The frame of an attack

    def idle(self):
        """What is held now: (connections, requests, suspended, uploads that wait, MiB)."""
        def one(name):
            return sum(self.gateway.metric(name).values())

        held = one("kiseki_memory_used_bytes") - one("kiseki_cache_bytes")
        return (one("kiseki_connections"), one("kiseki_requests_in_flight"),
                one("kiseki_requests_suspended"), one("kiseki_uploads_waiting"), held / MIB)

    def is_idle(self):
        connections, requests, suspended, waiting, held = self.idle()
        return connections <= 2 and requests == suspended == waiting == 0 and held <= 1

    def watch_good_client(self, name, attack):
        behind.reset_peak(self.gateway)
        with self.good as good:
            attack()
            seen = good.stop()
        check(not seen.failures, f"beside {name}: {len(seen.failures)} requests of {seen.rounds} "
                                 f"rounds failed: {seen.failures[:2]}")
        return seen

    def attack(self, name, scripts, seconds=None, again=True, until=None, reset=False):
        """scripts: [(script, count)]. The attackers go when the time is over."""
        crowd = self.crowd = Crowd(("127.0.0.1", self.gateway.port),
                                   self.cert.context() if self.cert else None)
        for script, count in scripts:
            crowd.add(script, count, again)
        attackers = sum(count for _, count in scripts)
        try:
            seen = self.watch_good_client(
                name, lambda: crowd.run(seconds or self.seconds, until))
            print(f"     {name}: at the end {crowd.open()} are connected, {crowd.ended} were "
                  f"ended, {crowd.finished} had their answer", flush=True)
        finally:
            crowd.leave(reset)
        begun = time.monotonic()
        try:
            wait_for(f"idle after {name}", self.is_idle, RECOVERY_SECONDS)
        except Failed as err:
            raise Failed(f"{err}: connections, requests, suspended, uploads waiting, MiB held: "
                         f"{self.idle()}") from None
        recovery = time.monotonic() - begun
        self.note(name, attackers, seen, recovery)

    def note(self, name, attackers, seen, recovery):
        limit = max(WORST_SECONDS, WORST_RATIO * self.alone)
        peak = behind.peak_mib(self.gateway)
        # What the C library keeps of an attack before is resident still.
        self.most = max(self.most, attackers)
        bound = self.memory + FIXED_MIB + self.most * (
            CONNECTION_KIB + (TLS_KIB if self.cert else 0)) / KIB
        print(f"     {attackers} attackers: {seen}; at most {peak:.0f} of {bound:.0f} MiB "
              f"resident, idle after {recovery:.1f} s", flush=True)
        self.table.append((name, attackers, self.alone, seen.slowest, peak, bound, recovery))
        check(seen.slowest < limit, f"beside {name} the good client waited {seen.slowest:.1f} s: "
                                    f"{seen}; {self.alone:.3f} s alone")
        if os.environ.get("FLAVOUR", "release") != "release":
            return  # a sanitizer's own memory is beyond that (tests/check)
        check(peak < bound, f"{name}: {peak:.0f} MiB resident, at most {bound:.0f} allowed")

    # Uploads

    def upload(self, number, size, sent, rate=None, **headers):
        """PUT of `size` bytes of which `sent` come, at once or at a rate; then nothing."""
        yield Send(self.put_head(f"upload{number}", size, **headers))
        yield from self.body(sent, rate)
        if sent < size:
            yield Hold()
        yield Receive()

    @staticmethod
    def body(size, rate=None):
        if rate is None:
            yield Send(bytes(size))
            return
        for at in range(0, size, int(rate * DRIP_SECONDS)):
            yield Send(bytes(min(int(rate * DRIP_SECONDS), size - at)))
            yield Pause(DRIP_SECONDS)

    def pages(self):
        return self.memory * 16

    def more_uploads_than_pages_at_full_speed(self):
        count = self.pages() // len(self.sizes) + 10
        self.attack("uploads at full speed", [
            (lambda n, s=size: self.upload(n, s, s), count) for size in self.sizes])

    def more_uploads_than_pages_at_the_minimum_rate(self):
        count = self.pages() // 4 + 10
        self.attack("uploads at the minimum rate", [
            (lambda n, s=size: self.upload(n, s, s, RATE), count) for size in SIZES[-4:]])

    def more_uploads_than_pages_stalled(self):
        stages = (0, 1, 60 * KIB, 64 * KIB, 64 * KIB + 1, 190_000, 4 * MIB)
        count = self.pages() // len(stages) + 10
        self.attack("stalled uploads", [
            (lambda n, s=stage: self.upload(n, 6 * MIB, s), count) for stage in stages])

    def all_first_pages_then_the_rest(self):
        """Each sends its first 65,536 bytes; when all have, all send the rest."""
        count = self.pages() + 100
        first, begun = [0], time.monotonic()

        def script(number):
            yield Send(self.put_head(f"page{number}", 200_000))
            yield Send(bytes(65536))
            first[0] += 1
            while first[0] < count and time.monotonic() < begun + self.seconds:
                yield Pause(0.1)
            yield Send(bytes(200_000 - 65536))
            answer = yield Receive()
            check(answer.startswith(b"HTTP/1.1 200 "), answer[:200])

        crowd = lambda: self.crowd  # made by attack()
        self.attack("all first pages, then the rest", [(script, count)], seconds=60, again=False,
                    until=lambda: crowd().finished + crowd().ended == count)
        equal((self.crowd.finished, self.crowd.ended), (count, 0), "uploads that were answered")

    def uploads_that_are_gone(self):
        """Each goes in the middle, by a reset."""
        def script(number, size):
            yield Send(self.put_head(f"gone{number}", 6 * MIB))
            yield from self.body(size)
            yield Pause(0.3)

        count = self.pages() // 4
        self.attack("uploads whose clients leave", [
            (lambda n, s=size: script(n, s), count) for size in self.sizes[1:]], reset=True)

    # Drip

    def drip(self, head, byte=b"x"):
        yield Send(head)
        while True:
            yield Send(byte)
            yield Pause(DRIP_SECONDS)

    def drips(self):
        """A byte now and then, wherever a server waits for more."""
        chunk = self.chunked_head("drip")
        count = 60
        self.attack("drips", [
            (lambda n: self.drip(b"GET /" + BUCKET.encode()), count),
            (lambda n: self.drip(b"GET / HTTP/1.1\r\nHost: a\r\nX-Header: "), count),
            (lambda n: self.drip(self.put_head("drip", 100_000)), count),
            (lambda n: self.drip(chunk, b"0"), count),
            (lambda n: self.drip(chunk + b"10;"), count),
            (lambda n: self.drip(chunk + b"1\r\nx\r\n0\r\nx-amz-trailer: "), count),
            (lambda n: self.drip(self.framed("drip") + b"10000;chunk-"), count),
        ])

    def framed(self, key):
        return self.put_head(key, 100_000, **{
            "Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": 65536,
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-trailer": "x-amz-checksum-crc32"})

    # Answers

    def unread(self, head, times=1):
        yield Send(head * times)
        yield Hold()

    def unread_answers(self):
        for number in range(60):
            self.s3.put(BUCKET, f"list/{'k' * 900}{number}", b"")
        get, listing = self.head("GET", "unread"), self.head("GET", query=[("list-type", "2")])
        self.attack("unread answers", [
            (lambda n: self.unread(get), 300), (lambda n: self.unread(listing, 40), 60)])

    def slowly_read_answers(self):
        get = self.head("GET", "unread")

        def script(_number):
            yield Send(get)
            while True:
                yield Receive(2048)
                yield Pause(DRIP_SECONDS)

        self.attack("slowly read answers", [(script, 300)])

    # XML

    def stalled_xml(self):
        """8 MB bodies of which the last bytes do not come; 1 MB ones at the minimum rate."""
        def script(_number, size, sent, rate=None):
            yield Send(self.head("POST", query=[("delete", "")], headers={
                "Content-Length": size, "x-amz-checksum-crc32": "AAAAAA=="}))
            yield from self.body(sent, rate)
            yield Hold()

        size = 7 * MIB
        self.attack("stalled XML", [
            (lambda n: script(n, size, size - 10), 100),
            (lambda n: script(n, MIB, 1), 100),
            (lambda n: script(n, MIB, MIB, RATE), 50)])

    # Connections

    def silent(self):
        yield Hold()

    def kept(self):
        """One small answer, then an idle connection."""
        yield Send(self.head("GET", "kept"))
        yield Receive()
        yield Hold()

    def idle_connections(self):
        self.s3.put(BUCKET, "kept", b"kept")
        half = self.connections // 2 + 50  # together more than are allowed
        self.attack("idle connections", [
            (lambda n: self.silent(), half), (lambda n: self.kept(), half)])

    def idle_connections_of_the_metrics_listener(self):
        crowd = Crowd(("127.0.0.1", self.gateway.metrics_port))
        crowd.add(lambda n: self.silent(), 300, again=True)
        crowd.add(lambda n: self.drip(b"GET /liv"), 100, again=True)
        asked = []

        def attack():
            end = time.monotonic() + self.seconds
            while time.monotonic() < end:
                crowd.run(0.3)
                begun = time.monotonic()
                for path in ("/live", "/ready", "/metrics"):
                    equal(self.gateway.ask(path)[0], 200, path)
                asked.append(time.monotonic() - begun)

        try:
            seen = self.watch_good_client("idle connections of the metrics listener", attack)
        finally:
            crowd.leave()
        print(f"     /live, /ready and /metrics within {max(asked):.2f} s", flush=True)
        check(max(asked) < WORST_SECONDS, f"/live, /ready and /metrics took {max(asked):.1f} s")
        self.note("idle connections of the metrics listener", 400, seen, 0)

    def stalled_handshakes(self):
        """https: a handshake that does not go on, at whose first byte and in whose middle."""
        crowd = Crowd(("127.0.0.1", self.gateway.port))
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40)
        crowd.add(lambda n: self.unread(hello[:1]), 200, again=True)
        crowd.add(lambda n: self.unread(hello), 200, again=True)
        crowd.add(lambda n: self.drip(hello, b"\0"), 100, again=True)
        try:
            seen = self.watch_good_client("stalled handshakes", lambda: crowd.run(self.seconds))
        finally:
            crowd.leave()
        wait_for("idle after stalled handshakes", self.is_idle, RECOVERY_SECONDS)
        self.note("stalled handshakes", 500, seen, 0)

    # Work

    def refusals(self):
        """Signatures that are wrong at the highest cost, as fast as they are answered."""
        padding = "a" * 700
        headers = {f"x-amz-meta-{n}": padding for n in range(20)}
        now = self.s3.signer.now()
        scope = f"{self.gateway.access_key}/{now[:8]}/us-east-1/s3/aws4_request"
        query = [("prefix", "a+b+c"), ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
                 ("X-Amz-Credential", scope),
                 ("X-Amz-Date", now), ("X-Amz-Expires", "300"),
                 ("X-Amz-SignedHeaders", "accept-encoding;host;" + ";".join(sorted(headers))),
                 ("X-Amz-Signature", "0" * 64)]
        head = self.head("GET", "x", query, {"Accept-Encoding": "gzip, br", **headers}, False)
        head = head.replace(b"%2B", b"+")

        def script(_number):
            while True:
                yield Send(head)
                yield Receive()

        self.attack("expensive refusals", [(script, 32)])

    def long_work_of_clients_that_leave(self):
        """Copies that have to read a file of holes, asked for by clients that do not wait."""
        for key, size in (("holes", 4 * GIB), ("tib", TIB)):
            self.s3.put(BUCKET, key, b"x")
            patch = self.s3.request("PATCH", BUCKET, key, body=b"xx", headers={
                "content-range": f"bytes {size}-{size + 1}/*"})
            equal(patch.status, 200, f"PATCH at {size}")

        def script(number, source):
            path = self.s3.path(BUCKET, f"copy{number}")
            algorithm = ("SHA256", "SHA1", "CRC32C", "CRC64NVME")[number % 4]
            headers = self.s3.signer.headers("PUT", path, (), {
                "host": self.s3.host, "x-amz-copy-source": f"{BUCKET}/{source}",
                "x-amz-checksum-algorithm": algorithm}, "UNSIGNED-PAYLOAD")
            lines = [f"PUT {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()),
                     "Content-Length: 0", "", ""]
            yield Send("\r\n".join(lines).encode())
            yield Pause(0.2)

        self.attack("long work whose clients leave", [
            (lambda n: script(n, "holes"), 40), (lambda n: script(n, "tib"), 40)], again=False)

    def queues_for_a_range(self):
        """150 writers of one byte range, most of which have to wait."""
        self.s3.put(BUCKET, "range", bytes(100_000), payload="unsigned")

        def script(number):
            path, query = self.s3.path(BUCKET, "range"), ()
            while True:
                headers = self.s3.signer.headers("PATCH", path, query, {
                    "host": self.s3.host, "content-range": f"bytes {number}-70000/*"},
                    "UNSIGNED-PAYLOAD")
                size = 70001 - number
                lines = [f"PATCH {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()),
                         f"Content-Length: {size}", "", ""]
                yield Send("\r\n".join(lines).encode() + bytes(size))
                yield Receive()

        self.attack("queues for one range", [(script, 150)])

    def print_table(self):
        print("attack | attackers | alone | beside | peak of bound, MiB | idle after")
        for name, count, alone, beside, peak, bound, recovery in self.table:
            print(f"{name} | {count} | {alone * 1000:.0f} ms | {beside * 1000:.0f} ms | "
                  f"{peak:.0f} of {bound:.0f} | {recovery:.1f} s")


ATTACKS = ("more_uploads_than_pages_at_full_speed", "more_uploads_than_pages_at_the_minimum_rate",
           "more_uploads_than_pages_stalled", "all_first_pages_then_the_rest",
           "uploads_that_are_gone", "drips", "unread_answers", "slowly_read_answers", "stalled_xml",
           "idle_connections", "idle_connections_of_the_metrics_listener", "refusals",
           "long_work_of_clients_that_leave", "queues_for_a_range")


def main():
    suite = Suite(__doc__, "abuse", seeded=False)
    suite.add("--https", action="store_true")
    suite.add("--full", action="store_true", help="more attackers, for longer, default settings")
    suite.add("--seconds", type=float, default=0, help="how long each attack lasts")

    def tests(s):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        abuse = Abuse(s.ws, s.args)
        s.methods(abuse, ATTACKS + (("stalled_handshakes",) if s.args.https else ()))
        abuse.print_table()

    return suite.run(tests)


if __name__ == "__main__":
    sys.exit(main())
