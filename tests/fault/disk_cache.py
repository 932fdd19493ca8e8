#!/usr/bin/python3
"""The disk cache of a gateway before a remote store: warm after a restart, bounded, never believed.

    tests/fault/disk_cache.py --way pg [--seed N]

The last line is "N passed, N failed".
"""

import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import Failed, wait_for

BUCKET = "cached"
MIB = 2 ** 20
LIMIT = 32 * MIB


class DiskCache:
    def __init__(self, ws, way, seed):
        self.rng = random.Random(seed)
        self.volume = Volume(ws, way, "cached")
        self.folder = ws.path("cache")
        self.env = {"KISEKI_CACHE_DIR": self.folder, "KISEKI_CACHE_SIZE": str(LIMIT),
                    "KISEKI_MEMORY_SIZE": "16M"}
        self.gateway = self.volume.gateway(env=self.env)
        self.s3 = S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key)
        self.model = {}

    def restart(self):
        self.s3.close()
        self.gateway.stop()
        self.gateway.start()

    def fetched(self):
        return sum(v for labels, v in self.gateway.metric("kiseki_store_requests_total").items()
                   if 'operation="get"' in labels)

    def metric(self, name):
        return self.gateway.metric(f"kiseki_disk_cache_{name}")[""]

    def read(self):
        for key, body in self.model.items():
            got = self.s3.get(BUCKET, key)
            check(got.status == 200 and got.body == body, f"{key}: {got!r}")

    def settled(self):
        """What is queued is written: the files change no more."""
        def state():
            return [os.stat(os.path.join(self.folder, n)).st_mtime_ns for n in ("data", "index")]
        before = [None]

        def still():
            now = state()
            same, before[0] = now == before[0], now
            return same
        wait_for("the cache is written", still)

    # --- tests, in this order

    def written_slices_enter(self):
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        for i in range(4):
            self.model[f"key{i}"] = self.rng.randbytes(3 * MIB)
            equal(self.s3.put(BUCKET, f"key{i}", self.model[f"key{i}"]).status, 200, "PUT")
        self.settled()
        check(self.metric("bytes") > 4 * MIB, "written slices did not enter")

    def is_warm_after_a_restart(self):
        for _ in range(2):  # what transfers had no memory for comes the second time
            self.restart()
            self.read()
            self.settled()
        self.restart()
        before = self.fetched()
        self.read()
        hits = self.metric("hits_total")
        misses = self.metric("misses_total")
        check(hits > 100, f"{hits} hits, {misses} misses")
        check(self.fetched() - before <= 24, f"{self.fetched() - before} GETs of the store")

    def is_never_believed(self):
        self.s3.close()
        self.gateway.stop()
        path = os.path.join(self.folder, "data")
        with open(path, "r+b") as file:
            for at in range(1000, os.path.getsize(path), 65536):
                file.seek(at)
                byte = file.read(1)
                file.seek(at)
                file.write(bytes([byte[0] ^ 1]) if byte else b"")
        self.gateway.start()
        self.read()
        check(self.metric("wrong_total") > 50, "no wrong entry was noticed")
        check("wrong checksum in the disk cache" in self.gateway.process.log(), "nothing is logged")

    def stays_within_its_bytes(self):
        for i in range(16):
            self.model[f"more{i}"] = self.rng.randbytes(4 * MIB)
            equal(self.s3.put(BUCKET, f"more{i}", self.model[f"more{i}"]).status, 200, "PUT")
            self.read()
        self.settled()
        used = sum(os.path.getsize(os.path.join(self.folder, n)) for n in os.listdir(self.folder))
        check(used <= LIMIT, f"{used} bytes are used of {LIMIT}")
        check(used > LIMIT * 3 / 4, f"only {used} bytes are used of {LIMIT}")

    def a_lost_folder_is_no_reason_not_to_serve(self):
        self.s3.close()
        self.gateway.stop()
        os.truncate(os.path.join(self.folder, "data"), 12345)
        self.gateway.start()
        self.read()
        self.s3.close()
        self.gateway.stop()
        for name in os.listdir(self.folder):
            os.remove(os.path.join(self.folder, name))
        os.rmdir(self.folder)
        with open(self.folder, "wb"):
            pass  # a file where the folder should be
        self.gateway.start()
        self.read()
        check("no disk cache" in self.gateway.process.log(), "nothing is logged")
        self.s3.close()
        self.gateway.stop()
        os.remove(self.folder)
        self.gateway.start()

    def a_folder_has_one_user(self):
        other = self.volume.gateway(env=self.env, start=False)
        other.process.start()
        wait_for("it refuses", lambda: not other.process.running())
        try:
            other.process.stop()
        except Failed as err:
            check("--cache-dir" in str(err), f"{err}")


TESTS = ("written_slices_enter", "is_warm_after_a_restart", "is_never_believed",
         "stays_within_its_bytes", "a_lost_folder_is_no_reason_not_to_serve",
         "a_folder_has_one_user")


def main():
    suite = Suite(__doc__, "disk cache", ways=("pg",))
    return suite.run(lambda s: s.methods(DiskCache(s.ws, s.args.way, s.args.seed), TESTS))


if __name__ == "__main__":
    sys.exit(main())
