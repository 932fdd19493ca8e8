#!/usr/bin/python3
"""Folders that are removed, moved away or replaced under a running gateway: nothing is acknowledged
that nobody will find, and what comes back is used again.

    tests/fault/removed.py [--seed N]

The last line is "N passed, N failed".
"""

import os
import random
import shutil
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import wait_for

BUCKET = "removed"


class Removed:
    def __init__(self, ws, seed):
        self.ws, self.rng = ws, random.Random(seed)

    def open(self, name):
        """Database and store in folders of their own, below one that stays."""
        volume = Volume(self.ws, "sqlite", name)
        volume.dir = volume.dir + "/data"
        os.mkdir(volume.dir)
        volume.store_dir = os.path.dirname(volume.dir) + "/store"
        volume.store = f"dir:{volume.store_dir}"
        gateway = volume.gateway(env={"KISEKI_LEASE": "3s"})
        s3 = S3(gateway.endpoint, gateway.access_key, gateway.secret_key, timeout=60)
        equal(s3.make_bucket(BUCKET).status, 200, "making the bucket")
        model = {"small": self.rng.randbytes(100), "large": self.rng.randbytes(300000)}
        for key, body in model.items():
            equal(s3.put(BUCKET, key, body).status, 200, key)
        return volume, gateway, s3, model

    def refused(self, s3, what, **puts):
        for key, size in puts.items():
            got = s3.put(BUCKET, key, self.rng.randbytes(size))
            equal((got.status, got.code), (503, "SlowDown"), f"{what}: PUT {key}")

    def works(self, s3, model):
        wait_for("writes work again", lambda: s3.put(BUCKET, "again", b"x").status == 200, 30)
        for key, body in model.items():
            got = s3.get(BUCKET, key)
            check(got.status == 200 and got.body == body, f"{key}: {got!r}")

    # --- tests

    def the_database_folder(self):
        volume, gateway, s3, _ = self.open("gone-db")
        shutil.rmtree(volume.dir)
        self.refused(s3, "removed", small2=100, large2=300000)
        equal(s3.delete(BUCKET, "small").status, 503, "DELETE")
        check("was removed while it is in use" in gateway.process.log(), "the log does not say so")
        s3.close()
        gateway.kill9()

    def the_database_folder_for_a_while(self):
        volume, gateway, s3, model = self.open("moved-db")
        os.rename(volume.dir, volume.dir + "-away")
        self.refused(s3, "moved away", small2=100, large2=300000)
        wait_for("/ready says no", lambda: gateway.ask("/ready")[0] == 503, 30)  # by the lease
        os.rename(volume.dir + "-away", volume.dir)
        self.works(s3, model)
        wait_for("/ready says yes", lambda: gateway.ask("/ready")[0] == 200, 30)
        s3.close()
        gateway.stop()
        done = volume.tool("fsck")
        equal(done.returncode, 0, f"fsck: {done.stdout}{done.stderr}")

    def the_database_replaced(self):
        """As by somebody who restores a backup without stopping the gateway first."""
        volume, gateway, s3, _ = self.open("restored-db")
        path = volume.dir + "/meta.db"
        backup = sqlite3.connect(path + "-backup")
        with sqlite3.connect(path) as source:
            source.backup(backup)
        backup.close()
        source.close()
        os.rename(path + "-backup", path)
        self.refused(s3, "replaced", small2=100, large2=300000)
        check("was replaced by another file" in gateway.process.log(), "the log does not say so")
        s3.close()
        gateway.kill9()

    def the_store_folder(self):
        volume, gateway, s3, model = self.open("gone-store")
        os.rename(volume.store_dir, volume.store_dir + "-away")
        self.refused(s3, "moved away", large2=300000)
        equal(gateway.ask("/ready")[0], 503, "/ready, moved away")
        equal(s3.put(BUCKET, "small2", b"inline").status, 200, "what needs no slice")
        equal(s3.delete(BUCKET, "large").status, 204, "DELETE")
        equal(s3.put(BUCKET, "small", b"new").status, 200, "an overwrite")
        del model["large"]
        model["small"] = b"new"
        os.mkdir(volume.store_dir)  # an empty one in its place is no better
        self.refused(s3, "replaced", large2=300000)
        equal(os.listdir(volume.store_dir), [], "what stands in the empty folder")
        os.rmdir(volume.store_dir)
        os.rename(volume.store_dir + "-away", volume.store_dir)
        self.works(s3, model)
        wait_for("/ready says yes", lambda: gateway.ask("/ready")[0] == 200, 30)
        s3.close()
        gateway.stop()
        done = volume.tool("fsck")
        equal(done.returncode, 0, f"fsck: {done.stdout}{done.stderr}")


TESTS = ("the_database_folder", "the_database_folder_for_a_while", "the_database_replaced",
         "the_store_folder")


def main():
    suite = Suite(__doc__, "removed", ways=("sqlite",))
    return suite.run(lambda s: s.methods(Removed(s.ws, s.args.seed), TESTS))


if __name__ == "__main__":
    sys.exit(main())
