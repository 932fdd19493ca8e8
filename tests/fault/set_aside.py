#!/usr/bin/python3
"""A slice that cannot be deleted is in nobody's way: all others go, it is counted and named, and it
goes by itself once that is possible.

    tests/fault/set_aside.py --way sqlite|pg [--seed N]

On a directory a folder stands in the slice's place; of MinIO a proxy refuses it, as a retention rule
does. The last line is "N passed, N failed".
"""

import json
import os
import random
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness.fault_proxy import Fault
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import wait_for

BUCKET = "aside"
OBJECTS = 30


class SetAside:
    def __init__(self, ws, way, seed):
        self.ws, self.way, self.rng = ws, way, random.Random(seed)
        self.volume = Volume(ws, way, "aside")
        self.proxy = self.volume.fault_proxy(seed)
        self.gateway = self.volume.gateway(env={"KISEKI_LEASE": "3s"})
        self.s3 = S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key,
                     timeout=60)
        self.stuck = None

    def slices(self):
        if self.way == "pg":
            minio = S3(self.volume.minio.endpoint, self.volume.minio.access_key,
                       self.volume.minio.secret_key)
            keys = minio.list_keys(self.volume.database, "slices/slices/")
            minio.close()
            return [key[len("slices/"):] for key in keys]
        root = self.volume.store_dir
        return [os.path.relpath(os.path.join(folder, name), root)
                for folder, _, names in os.walk(root + "/slices") for name in names]

    def set_aside(self):
        done = self.volume.tool("status", "--json")
        return json.loads(done.stdout)["set_aside"]

    def all_others_go(self):
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        for i in range(OBJECTS):
            equal(self.s3.put(BUCKET, f"key{i}", self.rng.randbytes(100000)).status, 200, "PUT")
        equal(len(self.slices()), OBJECTS, "slices")
        self.stuck = self.rng.choice(self.slices())
        if self.way == "pg":
            self.proxy.add(Fault("403", method="POST", part="?delete"))
            self.proxy.add(Fault("403", method="DELETE", part=self.stuck))
        else:
            path = os.path.join(self.volume.store_dir, self.stuck)
            os.remove(path)
            os.mkdir(path)
        for i in range(OBJECTS):
            equal(self.s3.delete(BUCKET, f"key{i}").status, 204, "DELETE")
        left = [self.stuck] if self.way == "pg" else []
        wait_for("all others are deleted", lambda: self.slices() == left, 60)
        wait_for("it is counted", lambda: self.set_aside() == 1, 30)

    def it_is_named(self):
        log = self.gateway.process.log()
        equal(len(re.findall("could not be deleted", log)), 1, "lines in the log")
        check(self.stuck in log, "the log does not name it")
        check(self.stuck.encode() in self.volume.tool("status").stdout.encode(), "status, either")
        counted = self.gateway.metric("kiseki_job_set_aside_total")['job="doomed"']
        check(counted >= 1, f"kiseki_job_set_aside_total: {counted}")

    def others_still_go(self):
        equal(self.s3.put(BUCKET, "late", self.rng.randbytes(100000)).status, 200, "PUT")
        equal(self.s3.delete(BUCKET, "late").status, 204, "DELETE")
        left = [self.stuck] if self.way == "pg" else []
        wait_for("the late one is deleted", lambda: self.slices() == left, 60)

    def it_goes_in_the_end(self):
        if self.way == "pg":
            self.proxy.clear()
        else:
            os.rmdir(os.path.join(self.volume.store_dir, self.stuck))
        self.s3.close()
        done = self.volume.tool("gc", "--apply")
        equal(done.returncode, 0, done.stderr)
        wait_for("it is gone", lambda: self.set_aside() == 0 and not self.slices(), 60)
        self.gateway.stop()


TESTS = ("all_others_go", "it_is_named", "others_still_go", "it_goes_in_the_end")


def main():
    suite = Suite(__doc__, "set aside")
    return suite.run(lambda s: s.methods(
        SetAside(s.ws, s.args.way, s.args.seed), TESTS, chained=True))


if __name__ == "__main__":
    sys.exit(main())
