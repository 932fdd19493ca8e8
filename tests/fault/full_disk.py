#!/usr/bin/python3
"""A full disk, of the store and of the database: refused, nothing lost, and well again with room.

    tests/fault/full_disk.py --way sqlite|pg [--seed N]

The disks are small tmpfs mounts, so this needs root (it is passed over otherwise). The last line is
"N passed, N failed".
"""

import http.client
import os
import random
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness.minio import Minio
from harness.postgres import Postgres
from harness.runner import Skip, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import wait_for

BUCKET = "full"
MIB = 2 ** 20
LEASE_S = 3
REFUSALS = {(507, "InsufficientStorage"), (503, "SlowDown"), (503, "ServiceUnavailable")}
BROKEN = (http.client.HTTPException, OSError)


class Disk:
    """A small disk, mounted over a folder that is there."""

    def __init__(self, ws, folder, size):
        self.folder = folder
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
        ws.own(self)

    def grow(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.folder], check=True)

    def stop(self):
        subprocess.run(["umount", "-l", self.folder], check=True)


class SmallPostgres(Postgres):
    """A cluster on a small disk."""

    def __init__(self, ws, size):
        self._ws, self._size = ws, size
        super().__init__(ws, "small-postgres", settings={"max_wal_size": "32MB",
                                                         "min_wal_size": "32MB"})

    def _initdb(self):
        stat = os.stat(self.dir)
        self.disk = Disk(self._ws, self.dir, self._size)
        os.chown(self.dir, stat.st_uid, stat.st_gid)
        os.chmod(self.dir, 0o700)
        super()._initdb()


class SmallMinio(Minio):
    """A MinIO on a small disk."""

    def __init__(self, ws, size):
        self._ws, self._size = ws, size
        super().__init__(ws, "small-minio")

    def start(self):
        self.disk = Disk(self._ws, self.dir, self._size)
        super().start()


class FullDisk:
    def __init__(self, ws, way, seed):
        self.ws, self.way, self.rng = ws, way, random.Random(seed)

    def fill(self, s3, model, size, most=4000, in_doubt=False):
        """Until a PUT is refused: (what was acknowledged goes into the model). in_doubt: the server
        may die with a commit in hand, whose answer is then lost (README, "When a database server
        is lost")."""
        for i in range(most):
            key, body = f"key{i:05}", self.rng.randbytes(size)
            got = s3.put(BUCKET, key, body)
            if got.status != 200:
                lost = (got.status, got.code) == (500, "InternalError") and \
                    "answer was lost" in got.text("Message")
                check((got.status, got.code) in REFUSALS or (in_doubt and lost), f"{got!r}")
                return got
            model[key] = body
        raise AssertionError("the disk was never full")

    def holds(self, s3, model):
        for key, body in model.items():
            got = s3.get(BUCKET, key)
            check(got.status == 200 and got.body == body, f"{key}: {got!r}")

    def open(self, volume, **env):
        gateway = volume.gateway(env={"KISEKI_LEASE": f"{LEASE_S}s", **env})
        s3 = S3(gateway.endpoint, gateway.access_key, gateway.secret_key, timeout=60)
        equal(s3.make_bucket(BUCKET).status, 200, "making the bucket")
        return gateway, s3

    def works_again(self, s3, key):
        def put():
            try:
                return s3.put(BUCKET, key, b"x" * 100000).status == 200
            except BROKEN:
                s3.close()
                return False
        wait_for("writes work again", put, 60)

    # --- tests

    def of_the_store(self):
        """Deleting makes room; so does a larger disk; neither needs a restart."""
        volume = Volume(self.ws, "sqlite", "full-store")
        os.makedirs(volume.store_dir)
        disk = Disk(self.ws, volume.store_dir, "24m")
        gateway, s3 = self.open(volume)
        model = {}
        self.fill(s3, model, 700000)
        check("full" in gateway.process.log(), "the log does not say that the disk is full")
        self.holds(s3, model)
        equal(s3.put(BUCKET, "inline", b"still").status, 200, "what needs no slice")
        for key in list(model)[:8]:
            equal(s3.delete(BUCKET, key).status, 204, "DELETE")
            del model[key]
        self.works_again(s3, "after-delete")
        self.fill(s3, model, 700000)
        gateway.kill9()
        gateway.start()
        s3.close()
        self.holds(s3, model)
        disk.grow("64m")
        self.works_again(s3, "after-growing")
        s3.close()
        gateway.stop()

    def of_sqlite(self):
        volume = Volume(self.ws, "sqlite", "full-sqlite")
        disk = Disk(self.ws, volume.dir, "12m")
        volume.store_dir = self.ws.make_dir("full-sqlite-store")
        volume.store = f"dir:{volume.store_dir}"
        gateway, s3 = self.open(volume)
        model = {}
        self.fill(s3, model, 60000)
        self.holds(s3, model)
        gateway.kill9()
        gateway.process.start()  # it may not be able to open a session before there is room
        disk.grow("64m")
        s3.close()
        wait_for("it is ready", lambda: self.ready_by_now(gateway), 60)
        self.holds(s3, model)
        self.works_again(s3, "after-growing")
        equal(s3.delete(BUCKET, "key00000").status, 204, "DELETE")
        s3.close()
        gateway.stop()

    def by_another_file(self):
        """The embedded default, filled by somebody else: it reads and deletes for longer than the
        lease, and goes on by itself once there is room."""
        volume = Volume(self.ws, "sqlite", "filled")
        disk = Disk(self.ws, volume.dir, "24m")
        os.makedirs(volume.store_dir, exist_ok=True)
        gateway, s3 = self.open(volume)
        model = {f"small{i:03}": self.rng.randbytes(5000) for i in range(200)}
        model |= {f"large{i}": self.rng.randbytes(300000) for i in range(6)}
        for key, body in model.items():
            equal(s3.put(BUCKET, key, body).status, 200, key)
        filler = volume.dir + "/another-program"
        self.fill_up(filler)
        refused = 0
        for size in [100] * 20 + [5000] * 200 + [300000]:
            got = s3.put(BUCKET, f"late{refused}", self.rng.randbytes(size))
            refused += got.status != 200
            if got.status != 200:
                equal((got.status, got.code), (507, "InsufficientStorage"), "a PUT")
            else:
                s3.delete(BUCKET, f"late{refused}")
        check(refused > 20, f"{refused} PUTs were refused")
        check("is full" in gateway.process.log(), "the log does not say that the disk is full")
        end = time.monotonic() + 2 * LEASE_S
        while time.monotonic() < end:
            self.fill_up(filler)  # it takes what the reserve had, too
            self.holds(s3, dict(self.rng.sample(sorted(model.items()), 20)))
            if len(model) > 40:
                key = sorted(model)[-1]
                equal(s3.delete(BUCKET, key).status, 204, "DELETE")
                del model[key]
        check("was lost" not in gateway.process.log(), "the session was lost")
        self.holds(s3, model)
        os.remove(filler)
        self.works_again(s3, "after-room")
        wait_for("the reserve is made again", lambda: os.stat(
            volume.dir + "/meta.db-reserve").st_size == 4 * MIB, 30)
        disk.grow("32m")
        self.holds(s3, model)
        s3.close()
        gateway.stop()
        done = volume.tool("fsck")
        equal(done.returncode, 0, f"fsck: {done.stdout}{done.stderr}")

    @staticmethod
    def fill_up(path):
        with open(path, "ab", buffering=0) as file:
            for size in (MIB, 65536, 4096):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError:
                    pass

    def ready_by_now(self, gateway):
        """If it has ended it is started again, as a supervisor would."""
        if gateway.process.running():
            return gateway.ready()
        gateway.process.start()
        return False

    def of_minio(self):
        """MinIO refuses while a little is left; deleting makes room, and so does a larger disk."""
        minio = SmallMinio(self.ws, "300m")
        volume = Volume(self.ws, "pg", "full-minio", minio=minio)
        gateway, s3 = self.open(volume)
        model = {}
        self.fill(s3, model, 3 * MIB)
        check(re.search("Storage|full", gateway.process.log()), "the log does not say why")
        self.holds(s3, model)
        for key in list(model)[:40]:
            equal(s3.delete(BUCKET, key).status, 204, "DELETE")
            del model[key]
        self.works_again(s3, "after-delete")
        self.fill(s3, model, 3 * MIB)
        gateway.kill9()
        gateway.start()
        s3.close()
        self.holds(s3, model)
        minio.disk.grow("600m")
        self.works_again(s3, "after-growing")
        s3.close()
        gateway.stop()
        minio.stop()

    def of_postgresql(self):
        postgres = SmallPostgres(self.ws, "140m")
        volume = Volume(self.ws, "pg", "full-pg", postgres=postgres)
        gateway, s3 = self.open(volume)
        model = {}
        self.fill(s3, model, 60000, in_doubt=True)
        if postgres.running():
            self.holds(s3, model)
        gateway.kill9()
        gateway.process.start()
        postgres.disk.grow("400m")
        if not postgres.running():  # out of room for its log, it stops itself
            postgres.start()
        s3.close()
        wait_for("it is ready", lambda: self.ready_by_now(gateway), 60)
        self.works_again(s3, "after-growing")
        self.holds(s3, model)
        s3.close()
        gateway.stop()


TESTS = {"sqlite": ("of_the_store", "of_sqlite", "by_another_file"),
         "pg": ("of_minio", "of_postgresql")}


def main():
    suite = Suite(__doc__, "full disk")
    return suite.run(lambda s: s.methods(
        FullDisk(s.ws, s.args.way, s.args.seed), TESTS[s.args.way]))


if __name__ == "__main__":
    sys.exit(main())
