#!/usr/bin/python3
"""A backing store that fails, hangs, cuts short, lies and is slow, between a gateway and a real MinIO.

    tests/fault/store_faults.py --way pg [--seed N] [--full]

What a few retries can hide is hidden; the rest is refused in S3's words, in time; nothing wrong is
ever stored or served; and afterwards no trace is left. The last line is "N passed, N failed".
"""

import http.client
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind
from harness.fault_proxy import Fault
from harness.runner import at_once, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import wait_for

BUCKET = "faults"
SIZES = (100, 300000, 6 * 2 ** 20)
# --store-timeout in seconds: what a busy machine never needs, and what a test can wait for six times.
PATIENT, HASTY = 5, 1
IN_TIME = 30  # a refusal comes within this under HASTY, also on a busy machine
REFUSALS = {(500, "InternalError"), (503, "SlowDown"), (503, "ServiceUnavailable")}
BROKEN = (http.client.HTTPException, OSError)


class StoreFaults:
    def __init__(self, ws, way, seed, full):
        self.rng, self.full = random.Random(seed), full
        self.volume = Volume(ws, way, "faults")
        self.proxy = self.volume.fault_proxy(seed)
        self.gateway = self.s3 = None
        self.serve(PATIENT)
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        self.model = {}
        for i in range(6):
            self.put(f"old{i}")

    def serve(self, timeout):
        """A gateway that gives up a call of the store after `timeout` seconds; no faults."""
        if self.gateway:
            self.s3.close()
            self.gateway.stop()
        self.proxy.clear()
        self.gateway = self.volume.gateway(env={"KISEKI_STORE_TIMEOUT": f"{timeout}s",
                                                "KISEKI_LEASE": "2s"})
        self.s3 = self.client()

    def client(self):
        return S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key,
                  timeout=60)

    def body(self):
        return self.rng.randbytes(self.rng.choice(SIZES))

    def put(self, key):
        body = self.body()
        equal(self.s3.put(BUCKET, key, body).status, 200, f"PUT {key}")
        self.model[key] = body

    def cold(self):
        """Nothing is in memory."""
        self.s3.close()
        self.gateway.stop()
        self.gateway.start()

    def read(self, must=True):
        """Right bytes; without `must` also a refusal, or a broken connection. How many were whole."""
        whole = 0
        for key, body in self.model.items():
            try:
                got = self.s3.get(BUCKET, key)
            except BROKEN as err:
                self.s3.close()
                check(not must, f"{key}: {err}")
                continue
            if got.status == 200:
                check(got.body == body, f"{key}: wrong bytes, and a whole answer")
                whole += 1
            else:
                check(not must and (got.status, got.code) in REFUSALS, f"{key}: {got!r}")
        return whole

    def retries(self):
        return self.gateway.metric("kiseki_store_retries_total")[""]

    # --- tests

    def some_calls_fail(self):
        """What goes wrong now and then is tried again, and nobody notices."""
        for kind in ("500", "503", "close", "cut-answer", "cut-request", "slow"):
            self.proxy.clear()
            self.cold()
            # So few that six attempts in a row do not all fail; so many that some are met.
            self.proxy.add(Fault(kind, 0.12, method="PUT" if kind == "cut-request" else None,
                                 delay=0.2))
            for i in range(60):
                self.put(f"some{i % 4}")
                if self.proxy.fired.get(kind, 0) > 1:
                    break
            retries = self.retries()
            self.cold()
            self.read()
            retries += self.retries()
            check(self.proxy.fired.get(kind), f"{kind} never came")
            if kind in ("500", "503"):
                check(retries > 0, f"{kind}: no retry is counted")
        self.proxy.clear()

    def lies(self):
        """A flipped bit on the way: fetched again; never served."""
        self.cold()
        self.proxy.add(Fault("flip", 0.3, method="GET"))
        for _ in range(20):
            self.read(must=False)
            self.cold()
            if self.proxy.fired.get("flip", 0) > 2:
                break
        check(self.proxy.fired.get("flip"), "no bit was flipped")
        self.proxy.clear()
        self.proxy.add(Fault("flip", 1.0, method="GET"))
        equal(self.read(must=False), sum(len(b) <= 65536 for b in self.model.values()),
              "whole answers while every bit of the store lies")
        check("wrong checksum" in self.gateway.process.log(), "nothing is logged")
        self.proxy.clear()
        self.read()

    def all_calls_fail(self):
        """Refused in time, in S3's words; the old object stays."""
        self.serve(HASTY)
        kinds = ("500", "503", "close", "hang", "cut-answer") if self.full else ("503", "hang")
        for kind in kinds:
            self.cold()
            self.proxy.add(Fault(kind))
            if kind != "cut-answer":
                for key in ("old1", "new"):
                    begun = time.monotonic()
                    got = self.s3.put(BUCKET, key, self.rng.randbytes(SIZES[2]))
                    check((got.status, got.code) in REFUSALS, f"{kind}: {got!r}")
                    took = time.monotonic() - begun
                    check(took < IN_TIME, f"{kind}: refused after {took:.1f} s")
            small = sum(len(b) <= 65536 for b in self.model.values())
            equal(self.read(must=False), small, f"{kind}: whole answers")
            self.proxy.clear()
            equal(self.s3.head(BUCKET, "new").status, 404, f"{kind}: a refused PUT is there")
            self.read()

    def lands_late(self):
        """A put that was given up reaches the store after its slice was deleted: deleted again."""
        self.proxy.add(Fault("late", method="PUT"))
        got = self.s3.put(BUCKET, "late", self.rng.randbytes(SIZES[1]))
        check((got.status, got.code) in REFUSALS, f"{got!r}")
        check(self.proxy.late() > 0, "nothing was held back")
        wait_for("the slices of the failed upload are deleted once", lambda: behind.value(
            self.volume, "SELECT count(*) FROM doomed WHERE passes = 1") > 0 and behind.value(
                self.volume, "SELECT count(*) FROM doomed WHERE passes = 0") == 0, 60)
        landed = self.proxy.release()
        self.proxy.clear()
        check(200 in landed, f"nothing landed: {landed}")
        check(behind.objects(self.volume) - behind.referenced(self.volume), "nothing is left over")
        wait_for("what landed late is deleted", lambda: behind.objects(
            self.volume) == behind.referenced(self.volume), 120)

    def everything_at_once(self):
        """Many clients, all faults: each answer is right, or a refusal; what was acknowledged stays."""
        self.serve(PATIENT)
        for kind, share in (("500", 0.1), ("503", 0.1), ("close", 0.05), ("cut-answer", 0.05),
                            ("flip", 0.02), ("slow", 0.1), ("hang", 0.01)):
            self.proxy.add(Fault(kind, share, delay=0.3))
        seconds = 60 if self.full else 8
        results, errors = [dict() for _ in range(8)], []

        def work(number):
            s3, rng = self.client(), random.Random(self.rng.random())
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                key = f"mix{number}/{rng.randrange(4)}"
                possible = results[number].get(key, [None])
                try:
                    if rng.random() < 0.6:
                        body = rng.randbytes(rng.choice(SIZES[:2]))
                        results[number][key] = possible + [body]
                        if s3.put(BUCKET, key, body).status == 200:
                            results[number][key] = [body]
                        continue
                    got = s3.get(BUCKET, key)
                    if got.status in (200, 404):
                        body = got.body if got.status == 200 else None
                        if body not in possible:
                            errors.append(f"{key}: bytes that nobody had written")
                        results[number][key] = [body]
                    elif (got.status, got.code) not in REFUSALS:
                        errors.append(f"{key}: {got!r}")
                except BROKEN:
                    s3.close()
            s3.close()

        at_once(work, range(8))
        self.proxy.clear()
        check(not errors, f"{len(errors)}: {errors[:3]}")
        self.cold()
        for result in results:
            for key, possible in result.items():
                got = self.s3.get(BUCKET, key)
                body = got.body if got.status == 200 else None
                check(got.status in (200, 404) and body in possible, f"{key}: {got!r}")

    def no_trace(self):
        self.read()
        behind.no_trace(self.volume, 120)


TESTS = ("some_calls_fail", "lies", "all_calls_fail", "lands_late", "everything_at_once",
         "no_trace")


def main():
    suite = Suite(__doc__, "store faults", ways=("pg",))
    suite.add("--full", action="store_true", help="all faults at once for a minute")
    return suite.run(lambda s: s.methods(
        StoreFaults(s.ws, s.args.way, s.args.seed, s.args.full), TESTS))


if __name__ == "__main__":
    sys.exit(main())
