#!/usr/bin/python3
"""Nobody else feels who waits or works for long: copies that must be hashed, a store that hangs,
writers of one object that queue up; and SIGTERM ends all of it in time.

    tests/fault/waits.py --way sqlite|pg [--seed N]

The last line is "N passed, N failed".
"""

import base64
import http.client
import os
import random
import sys
import threading
import time
import zlib

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind
from harness.fault_proxy import Fault
from harness.runner import Skip, at_once, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import wait_for

BUCKET = "waits"
KIB, MIB, GIB, TIB = 2 ** 10, 2 ** 20, 2 ** 30, 2 ** 40
STOP_SECONDS = 1
GRACE = 1.0  # behind --stop-timeout
PROMPT = 2.0  # an ordinary request on a busy machine; without mending these take from 10 s on
COPIES = 70
BROKEN = (http.client.HTTPException, OSError)
SHA256 = {"x-amz-checksum-algorithm": "SHA256"}


class Waits:
    def __init__(self, ws, way, seed):
        self.ws, self.way, self.rng = ws, way, random.Random(seed)
        self.volume = Volume(ws, way, "waits")
        self.proxy = self.volume.fault_proxy(seed)
        self.gateway = self.volume.gateway(env={"KISEKI_STOP_TIMEOUT": f"{STOP_SECONDS}s"})
        self.s3 = self.client()
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        self.small, self.body = b"small", self.rng.randbytes(300 * KIB)
        self.put("small", self.small)
        self.put("body", self.body)

    # --- helpers

    def client(self):
        return S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key)

    def put(self, key, body):
        equal(self.s3.put(BUCKET, key, body, payload="unsigned").status, 200, f"PUT {key}")

    def patch(self, key, first, body, s3=None):
        return (s3 or self.s3).request("PATCH", BUCKET, key, body=body, payload="unsigned", headers={
            "content-range": f"bytes {first}-{first + len(body) - 1}/*"})

    def sparse(self, key, size):
        """A file of 100 KiB, then nothing, then two bytes."""
        head = self.rng.randbytes(100 * KIB)
        self.put(key, head)
        equal(self.patch(key, size - 2, b"ab").status, 200, f"PATCH of {key}")
        return head

    def copy(self, source, key, headers, s3=None):
        return (s3 or self.s3).request("PUT", BUCKET, key, headers={
            "x-amz-copy-source": f"/{BUCKET}/{source}", **headers})

    def send_copy(self, source, key, headers, s3):
        """Sends a copy, and does not read the answer: the socket."""
        path = s3.path(BUCKET, key)
        headers, _ = s3.prepare("PUT", path, (), {
            "x-amz-copy-source": f"/{BUCKET}/{source}", "content-length": "0", **headers}, b"",
            "signed")
        head = f"PUT {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        sock = s3.socket()
        sock.sendall(head.encode() + b"\r\n")
        return sock

    def timed(self, what, function, want):
        begun = time.monotonic()
        answer = function()
        took = time.monotonic() - begun
        equal(answer.status, want, what)
        check(took < PROMPT, f"{what} took {took:.1f} s")
        return took

    def others_are_served(self, seconds=0.0):
        """What needs no store and takes no time: the slowest of some rounds."""
        s3, slowest, end = self.client(), 0.0, time.monotonic() + seconds
        while True:
            slowest = max(
                slowest,
                self.timed("GET", lambda: s3.get(BUCKET, "small"), 200),
                self.timed("GET of what is in memory", lambda: s3.get(BUCKET, "body"), 200),
                self.timed("LIST", lambda: s3.request("GET", BUCKET, query=[("list-type", "2")]), 200),
                self.timed("PUT", lambda: s3.put(BUCKET, "other", b"other"), 200),
                self.timed("DELETE", lambda: s3.delete(BUCKET, "other"), 204))
            if time.monotonic() >= end:
                break
            time.sleep(0.05)
        s3.close()
        print(f"     others waited for {slowest * 1000:.0f} ms at most", flush=True)

    def stops_in_time(self):
        """SIGTERM now; then it serves again, for the next test, too."""
        begun = time.monotonic()
        try:
            self.gateway.stop()
        finally:
            took = time.monotonic() - begun
            self.s3.close()
            self.gateway.start()
        print(f"     ended {took:.1f} s after SIGTERM", flush=True)
        check(took < STOP_SECONDS + GRACE, f"it took {took:.1f} s to end")

    # --- tests

    def copies_of_a_hole_hurt_nobody(self):
        """Each is as much work as S3 allows for a request of some hundred bytes."""
        self.sparse("hole", 5 * GIB)
        s3 = self.client()
        for i in range(COPIES):
            self.send_copy("hole", f"copy{i}", SHA256, s3).close()
        self.others_are_served(2)

    def sigterm_ends_copies(self):
        """Those of the test before, and four more whose clients wait."""
        s3 = self.client()
        waiting = [self.send_copy("hole", f"more{i}", SHA256, s3) for i in range(4)]
        time.sleep(0.2)
        self.stops_in_time()
        for sock in waiting:
            sock.close()

    def a_copy_is_limited_as_s3_limits_it(self):
        self.sparse("large", TIB)
        equal(self.copy("large", "linked", {}).status, 200, "a copy that reads nothing")
        for headers in (SHA256, {"x-amz-checksum-algorithm": "CRC32"}):
            begun = time.monotonic()
            answer = self.copy("large", "copy", headers)
            equal((answer.status, answer.code, answer.text("Message")),
                  (400, "InvalidRequest", "The specified copy source is larger than the maximum "
                   "allowable size for a copy source: 5368709120"), "a copy of 1 TiB")
            check(time.monotonic() - begun < PROMPT, "which took its time")
        for key in ("large", "linked"):
            equal(self.s3.delete(BUCKET, key).status, 204, "DELETE")

    def a_gap_is_limited(self):
        """A hole is rows: two bytes must not make the database write for seconds."""
        self.put("gap", bytes(100 * KIB))
        answer = self.patch("gap", 100 * KIB + TIB + 1, b"ab")
        equal((answer.status, answer.code), (400, "EntityTooLarge"), "a gap of over 1 TiB")
        equal(self.s3.head(BUCKET, "gap").headers["Content-Length"], str(100 * KIB), "its size")
        self.timed("PATCH 1 TiB past the end", lambda: self.patch("gap", 100 * KIB + TIB, b"ab"),
                   200)

    def the_crc_of_a_hole_is_arithmetic(self):
        size = GIB
        head = self.sparse("crc", size)
        crc = zlib.crc32(head)
        for _ in range(size // MIB - 1):
            crc = zlib.crc32(bytes(MIB), crc)
        crc = zlib.crc32(bytes(MIB - len(head) - 2) + b"ab", crc)
        took = self.timed("CRC32 of 1 GiB", lambda: self.copy(
            "crc", "crc-copy", {"x-amz-checksum-algorithm": "CRC32"}), 200)
        answer = self.s3.head(BUCKET, "crc-copy", headers={"x-amz-checksum-mode": "ENABLED"})
        equal(answer.headers["x-amz-checksum-crc32"],
              base64.b64encode(crc.to_bytes(4, "big")).decode(), "CRC32")
        print(f"     a copy of 1 GiB with its CRC32 took {took * 1000:.0f} ms", flush=True)

    def a_hung_store_keeps_nobody_from_what_is_in_memory(self):
        if self.proxy is None:
            raise Skip("a directory does not hang")
        cold = [f"cold{i}" for i in range(8)]
        for key in cold:
            self.put(key, self.rng.randbytes(200 * KIB))
        self.s3.close()
        self.gateway.stop()
        self.gateway.start()
        equal(self.s3.get(BUCKET, "body").body, self.body, "GET")
        self.proxy.add(Fault("hang"))
        socks = []
        for i in range(150):
            s3 = self.client()
            key = cold[i % len(cold)]
            path = s3.path(BUCKET, key)
            target = s3.target(path, s3.signer.presign("GET", path, (), s3.host))
            socks.append(s3.socket())
            socks[-1].sendall(f"GET {target} HTTP/1.1\r\nHost: {s3.host}\r\n\r\n".encode())
        for i in range(80):  # and uploads, which wait for their slices
            s3 = self.client()
            path = s3.path(BUCKET, f"up{i}")
            headers, body = s3.prepare("PUT", path, (), {"content-length": str(100 * KIB)},
                                       bytes(100 * KIB), "unsigned")
            head = f"PUT {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
            socks.append(s3.socket())
            socks[-1].sendall(head.encode() + b"\r\n" + body)
        self.others_are_served(2)
        self.stops_in_time_with_hung_store(socks)

    def stops_in_time_with_hung_store(self, socks):
        begun = time.monotonic()
        self.gateway.stop()
        took = time.monotonic() - begun
        self.proxy.clear()
        for sock in socks:
            sock.close()
        self.s3.close()
        check(took < STOP_SECONDS + GRACE, f"it took {took:.1f} s to end")
        print(f"     ended {took:.1f} s after SIGTERM", flush=True)
        self.gateway.start()
        equal(self.s3.get(BUCKET, "cold0").status, 200, "GET once the store is back")

    # --- writers that queue up

    def sql(self, text):
        return behind.sql(self.volume, text)

    def hold(self, key):
        """Somebody has locked the whole file: the answer releases it."""
        self.sql("INSERT INTO range_locks (inode, id, lo, hi, exclusive, granted, place, token, session,"
                 " asked_ms) SELECT k.inode, 1, 0, 9223372036854775807, 1, 1, 0, 0,"
                 " (SELECT max(id) FROM sessions), 0 FROM keys k"
                 f" WHERE k.key = {self.literal(key)}")
        return lambda: self.sql("DELETE FROM range_locks WHERE id = 1")

    def literal(self, key):
        digits = key.encode().hex()
        return f"'\\x{digits}'::bytea" if self.way == "pg" else f"x'{digits}'"

    def writers(self, key, count, etag):
        """Threads that write into the key, or replace it as it is now; their answers."""
        answers = []

        def work(number):
            s3 = self.client()
            try:
                if number % 3:
                    answer = self.patch(key, number, b"ab", s3)
                else:
                    answer = s3.put(BUCKET, key, b"new", headers={"if-match": etag})
                answers.append(answer.status)
            except BROKEN:
                answers.append("broken")
            s3.close()

        threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(count)]
        for thread in threads:
            thread.start()
        return threads, answers

    def writers_of_one_key_hurt_nobody(self):
        self.put("hot", self.rng.randbytes(100 * KIB))
        etag = self.patch("hot", 0, b"ab").headers["ETag"]
        release = self.hold("hot")
        threads, answers = self.writers("hot", 150, etag)
        try:
            self.others_are_served(2)
            equal(answers, [], "writers that did not wait")
        finally:
            release()
        for thread in threads:
            thread.join()
        # A write may come first, so that no If-Match holds any more; at most one holds.
        check(set(answers) <= {200, 412} and answers.count(200) in (100, 101), f"{sorted(answers)}")

    def writers_of_one_small_key_take_turns(self):
        self.put("tiny", bytes(150))
        begun = time.monotonic()
        at_once(lambda n: equal(self.patch("tiny", n, b"\1", self.client()).status, 200, "PATCH"),
                range(150))
        equal(self.s3.get(BUCKET, "tiny").body, b"\1" * 150, "what they wrote")
        print(f"     150 writers of one key took {time.monotonic() - begun:.1f} s", flush=True)

    def sigterm_ends_writers_that_wait(self):
        self.put("hot", self.rng.randbytes(100 * KIB))
        etag = self.patch("hot", 0, b"ab").headers["ETag"]
        self.hold("hot")
        threads, answers = self.writers("hot", 60, etag)
        waiting = "kiseki_requests_suspended"
        wait_for("all wait", lambda: sum(self.gateway.metric(waiting).values()) >= 60)
        self.stops_in_time()
        for thread in threads:
            thread.join()
        equal([a for a in answers if a in (200, 412)], [], "writers that did not wait")


TESTS = ("copies_of_a_hole_hurt_nobody", "sigterm_ends_copies", "a_copy_is_limited_as_s3_limits_it",
         "a_gap_is_limited",
         "the_crc_of_a_hole_is_arithmetic", "writers_of_one_key_hurt_nobody",
         "writers_of_one_small_key_take_turns", "sigterm_ends_writers_that_wait",
         "a_hung_store_keeps_nobody_from_what_is_in_memory")


def main():
    suite = Suite(__doc__, "waits")
    return suite.run(lambda s: s.methods(Waits(s.ws, s.args.way, s.args.seed), TESTS))


if __name__ == "__main__":
    sys.exit(main())
