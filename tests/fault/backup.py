#!/usr/bin/python3
"""A database backup restores to a volume that reads whole; names are never reissued.

    tests/fault/backup.py --way sqlite|pg [--seed N]

The last line is "N passed, N failed".
"""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind
from harness.kiseki import ACCESS_KEY, SECRET_KEY
from harness.postgres import BIN
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import Failed, wait_for

BUCKET = "backup"
SIZES = (100, 300000, 5 * 2 ** 20)


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **more)
    equal(done.returncode, 0, f"{command[0]}: {done.stderr}")


class Backup:
    def __init__(self, ws, way, seed):
        self.ws, self.way, self.rng = ws, way, random.Random(seed)
        self.volume = Volume(ws, way, "backup")
        self.gateway = self.volume.gateway(env={"KISEKI_KEEP_DELETED": "1h", "KISEKI_LEASE": "2s"})
        self.s3 = S3(self.gateway.endpoint, ACCESS_KEY, SECRET_KEY)
        self.old, self.names = {}, set()
        self.file = ws.path("backup.file")

    def put(self, key):
        body = self.rng.randbytes(self.rng.choice(SIZES))
        equal(self.s3.put(BUCKET, key, body).status, 200, f"PUT {key}")
        return body

    def take(self):
        """While the gateway serves: the engine's own backup is one state."""
        if os.path.exists(self.file):
            os.remove(self.file)
        if self.way == "sqlite":
            db = sqlite3.connect(f"{self.volume.dir}/meta.db")
            db.execute("VACUUM INTO ?", (self.file,))
            db.close()
            return
        run(f"{BIN}/pg_dump", "-d", self.volume.postgres.url(self.volume.database, "tcp"),
            "-f", self.file)

    def restore(self):
        self.volume.reset_database()
        if self.way == "sqlite":
            shutil.copy(self.file, f"{self.volume.dir}/meta.db")
            return
        run(f"{BIN}/psql", "-q", "-v", "ON_ERROR_STOP=1",
            "-d", self.volume.postgres.url(self.volume.database, "tcp"), "-f", self.file)

    def tool(self, *words):
        return self.volume.tool(*words, env={"KISEKI_KEEP_DELETED": "1h"})

    # --- tests, in this order

    def reads_whole(self):
        """All that the backup knows, after everything was overwritten, deleted and collected."""
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        for i in range(12):
            self.old[f"key{i}"] = self.put(f"key{i}")
        self.take()
        self.s3.close()
        self.gateway.stop()
        self.gateway.start()  # its names come from behind those that the backup knows
        for i in range(12):
            if i % 3 == 0:
                equal(self.s3.delete(BUCKET, f"key{i}").status, 204, "DELETE")
            else:
                self.put(f"key{i}")
        for i in range(12, 18):
            self.put(f"key{i}")
        wait_for("the dead are stamped", lambda: behind.value(
            self.volume, "SELECT count(*) FROM dead WHERE stamp IS NULL") == 0)
        self.s3.close()
        self.gateway.stop()
        done = self.tool("gc", "--apply")
        equal(done.returncode, 0, f"gc: {done.stderr}")
        check("kept" in done.stdout, f"gc kept nothing: {done.stdout}")
        self.names = behind.objects(self.volume)
        self.restore()
        self.gateway.start()
        equal(self.s3.list_keys(BUCKET), sorted(self.old), "keys")
        for key, body in self.old.items():
            got = self.s3.get(BUCKET, key)
            check(got.status == 200 and got.body == body, f"{key}: {got!r}")

    def never_reissues_a_name(self):
        """Though the numbers begin again where the backup had them."""
        self.names |= behind.objects(self.volume)
        last = behind.value(self.volume, "SELECT max(id) FROM slices")
        for i in range(20, 40):
            self.old[f"key{i}"] = self.put(f"key{i}")
        new = [behind.name(*row) for row in behind.sql(
            self.volume, f"SELECT id, tag FROM slices WHERE id > {last}")]
        check(new, "nothing was written")
        check(not self.names & set(new), f"reissued: {self.names & set(new)}")
        numbers = {n.split("/")[-1].split("-")[0] for n in self.names}
        check(numbers & {n.split("/")[-1].split("-")[0] for n in new},
              "no number came twice: this proved nothing")

    def can_be_cleaned(self):
        """What the lost future had stored is found, and goes."""
        self.s3.close()
        self.gateway.stop()
        wait_for("the session in the backup is over and the volume is repaired",
                 lambda: self.tool("fsck", "--check-store", "--repair").returncode in (0, 1))
        done = self.tool("fsck", "--check-store")
        equal(done.returncode, 0, f"fsck again: {done.stdout}{done.stderr}")
        self.gateway.start()
        for key, body in self.old.items():
            got = self.s3.get(BUCKET, key)
            check(got.status == 200 and got.body == body, f"{key}: {got!r}")

    def rclone(self, *words):
        """docs/backup.md copies stores of both kinds with it."""
        config = self.ws.path("rclone.conf")
        with open(config, "w", encoding="ascii") as file:
            if self.way == "pg":
                file.write(f"[minio]\ntype = s3\nprovider = Other\n"
                           f"endpoint = {self.volume.minio.endpoint}\n"
                           f"access_key_id = {self.volume.minio.access_key}\n"
                           f"secret_access_key = {self.volume.minio.secret_key}\n")
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        run("rclone", "--config", config, *words, env=env)

    def from_nothing(self):
        """Database and store are both lost, and come back from the two copies that docs/backup.md
        makes of them: first the database, then the store, while the gateway serves."""
        store = (self.volume.store_dir if self.way == "sqlite"
                 else f"minio:{self.volume.database}/slices")
        copy = self.ws.make_dir("store-copy")
        expected = dict(self.old)
        self.take()
        stop = threading.Event()

        def writes():
            s3 = S3(self.gateway.endpoint, ACCESS_KEY, SECRET_KEY)
            number = 0
            while not stop.is_set():
                key = f"key{number % 40}"
                if number % 5:
                    s3.put(BUCKET, key, os.urandom(SIZES[number % 3]))
                else:
                    s3.delete(BUCKET, key)
                number += 1
            s3.close()

        writer = threading.Thread(target=writes)
        writer.start()
        try:
            self.rclone("sync", "--exclude", "/.tmp/**", store, copy)
        finally:
            stop.set()
            writer.join()
        self.s3.close()
        self.gateway.stop()
        if self.way == "sqlite":
            shutil.rmtree(store)
        else:
            self.rclone("purge", store)
        self.rclone("copy", copy, store)
        self.restore()
        self.gateway.start()
        equal(self.s3.list_keys(BUCKET), sorted(expected), "keys")
        for key, body in expected.items():
            got = self.s3.get(BUCKET, key)
            check(got.status == 200 and got.body == body, f"{key}: {got!r}")
        self.s3.close()
        self.gateway.stop()
        wait_for("what came after the backup is cleaned up",
                 lambda: self.tool("fsck", "--check-store", "--repair").returncode in (0, 1))
        for words in (("fsck", "--check-store"), ("scrub", "--rate", "0")):
            done = self.tool(*words)
            equal(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
        self.gateway.start()

    def no_two_volumes_share_a_store(self):
        other = self.volume.gateway(env={"KISEKI_META": f"sqlite:{self.ws.path('other.db')}"},
                                    start=False)
        other.process.start()
        wait_for("it refuses", lambda: not other.process.running())
        try:
            other.process.stop()
        except Failed as err:  # it had ended by itself
            check("belongs to volume" in str(err), f"{err}")
        equal(self.s3.get(BUCKET, "key20").body, self.old["key20"], "the first volume")


TESTS = ("reads_whole", "never_reissues_a_name", "can_be_cleaned", "from_nothing",
         "no_two_volumes_share_a_store")


def main():
    suite = Suite(__doc__, "backup")
    return suite.run(lambda s: s.methods(Backup(s.ws, s.args.way, s.args.seed), TESTS, chained=True))


if __name__ == "__main__":
    sys.exit(main())
