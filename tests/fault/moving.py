#!/usr/bin/python3
"""The recipes of docs/moving.md, by the letter: a volume to other engines and stores, and in from MinIO.

    tests/fault/moving.py [--seed N]

Begins with the embedded default, as `make run` leaves it. The last line is "N passed, N failed".
"""

import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness.kiseki import BINARY, REGION, Kiseki
from harness.minio import Minio
from harness.postgres import BIN, PASSWORD, USER, Postgres
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.workspace import wait_for

BUCKET = "photos"
SIZES = (0, 100, 70000, 300000, 5 * 2 ** 20)


class Moving:
    def __init__(self, ws, seed):
        self.ws, self.rng = ws, random.Random(seed)
        self.home = ws.make_dir("home")
        self.data = f"{self.home}/data"
        self.minio = Minio(ws, "minio")
        self.postgres = Postgres(ws, "postgres")
        self.model, self.keys = {}, ()
        self.env = {}  # what the recipes have exported so far

    # --- running what the recipes say

    def sh(self, script, code=0, **env):
        """A few lines of a recipe, in the folder above data."""
        places = {"PATH": f"{os.path.dirname(BINARY)}:{BIN}:{os.environ['PATH']}",
                  "PGHOST": "127.0.0.1", "PGPORT": str(self.postgres.port), "PGUSER": USER,
                  "PGPASSWORD": PASSWORD,
                  "RCLONE_CONFIG": self.ws.path("rclone.conf"), "HOME": self.home}
        done = subprocess.run(["bash", "-euc", script], cwd=self.home, capture_output=True,
                              text=True, check=False, timeout=120,
                              env={**{k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
                                   **self.env, **places, **env})
        equal(done.returncode, code, f"{script}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def export(self, script, *names):
        """Runs lines that export variables, and keeps those."""
        values = self.ws.path("values")
        self.sh(script + "\nprintf '%s\\n' " + " ".join(f'"${n}"' for n in names) + f" >{values}")
        with open(values, encoding="utf-8") as file:
            self.env.update(zip(names, file.read().splitlines()))

    def gateway(self, name, **env):
        """Serves with what is exported; KISEKI_ variables only, as a service would."""
        settings = {"KISEKI_META": "", "KISEKI_STORE": "", "KISEKI_ACCESS_KEY": "",
                    "KISEKI_SECRET_KEY": "", "KISEKI_LEASE": "2s", **self.env, **env}
        made = Kiseki(self.ws, settings["KISEKI_META"], settings["KISEKI_STORE"], name,
                      env=settings)
        made.access_key, made.secret_key = self.keys or self.read_keys()
        return made, S3(made.endpoint, made.access_key, made.secret_key)

    def read_keys(self):
        with open(f"{self.data}/credentials", encoding="ascii") as file:
            self.keys = tuple(file.read().split())
        return self.keys

    def put(self, s3, key):
        body = self.rng.randbytes(self.rng.choice(SIZES))
        answer = s3.put(BUCKET, key, body, headers={
            "content-type": "image/x-test", "cache-control": "max-age=7", "x-amz-meta-number": key})
        equal(answer.status, 200, f"PUT {key}")
        self.model[key] = body

    def holds(self, s3, bucket=BUCKET):
        equal(s3.list_keys(bucket), sorted(self.model), "keys")
        for key, body in self.model.items():
            got = s3.get(bucket, key)
            check(got.status == 200 and got.body == body, f"{key}: {got!r}")
            equal((got.headers["content-type"], got.headers["cache-control"],
                   got.headers["x-amz-meta-number"]), ("image/x-test", "max-age=7", key), key)

    def serves(self, name):
        """All of it, and takes more; the tools find nothing wrong."""
        gateway, s3 = self.gateway(name)
        self.holds(s3)
        self.put(s3, f"of-{name}")
        s3.close()
        gateway.stop()
        self.sh("kiseki fsck --check-store --quiet; kiseki scrub --rate 0 --quiet")

    def rclone_config(self, endpoint, name, access_key, secret_key):
        with open(self.ws.path("rclone.conf"), "a", encoding="ascii") as file:
            file.write(f"[{name}]\ntype = s3\nprovider = Other\nendpoint = {endpoint}\n"
                       f"access_key_id = {access_key}\nsecret_access_key = {secret_key}\n\n")

    # --- tests, in this order

    def begun(self):
        gateway, s3 = self.gateway("embedded", KISEKI_DATA=self.data)
        equal(s3.make_bucket(BUCKET).status, 200, "making the bucket")
        for i in range(12):
            self.put(s3, f"key{i}")
        self.put(s3, "key0")
        s3.close()
        gateway.stop()

    def to_postgres(self):
        """The database moves, the slices stay in data/store."""
        self.export("""
            export KISEKI_ACCESS_KEY=$(sed -n 1p data/credentials)
            export KISEKI_SECRET_KEY=$(sed -n 2p data/credentials)
            export KISEKI_MASTER_KEY_FILE=$PWD/data/master.key
            kiseki dump volume.jsonl --quiet
            createdb kiseki
            export KISEKI_META=$URL KISEKI_STORE=dir:$PWD/data/store
            kiseki load volume.jsonl --quiet
            """.replace("$URL", f"'{self.postgres.url('kiseki', 'tcp')}'"),
                    "KISEKI_ACCESS_KEY", "KISEKI_SECRET_KEY", "KISEKI_MASTER_KEY_FILE",
                    "KISEKI_META", "KISEKI_STORE")
        self.serves("on-postgres")
        said = self.sh("unset ${!KISEKI_@}; kiseki fsck --data data", code=2)
        check("replaced by a newer one" in said, f"the old database: {said}")

    def to_s3(self):
        """The slices move to a bucket; the database stays."""
        self.rclone_config(self.minio.endpoint, "new", self.minio.access_key,
                           self.minio.secret_key)
        self.export(f"""
            rclone mkdir new:slices
            rclone copy --exclude '/.tmp/**' data/store new:slices/kiseki
            export KISEKI_STORE='s3://slices/kiseki?endpoint={self.minio.endpoint}&region={REGION}'
            export KISEKI_STORE_ACCESS_KEY={self.minio.access_key}
            export KISEKI_STORE_SECRET_KEY={self.minio.secret_key}
            """, "KISEKI_STORE", "KISEKI_STORE_ACCESS_KEY", "KISEKI_STORE_SECRET_KEY")
        self.sh("kiseki fsck --check-store --quiet; kiseki scrub --rate 0 --quiet; rm -r data/store")
        self.serves("s3")

    def back_to_a_directory(self):
        self.export("""
            umask 077
            rclone copy new:slices/kiseki data/store
            export KISEKI_STORE=dir:$PWD/data/store
            """, "KISEKI_STORE")
        self.sh("kiseki fsck --check-store --quiet; kiseki scrub --rate 0 --quiet;"
                " rclone purge new:slices/kiseki")
        self.serves("directory")

    def back_to_sqlite(self):
        """And it is the embedded default again."""
        self.sh("""
            kiseki dump back.jsonl --quiet
            rm data/meta.db*
            unset KISEKI_META KISEKI_STORE ${!KISEKI_STORE_@}
            kiseki load back.jsonl --quiet
            """)
        for name in ("KISEKI_META", "KISEKI_STORE", "KISEKI_ACCESS_KEY", "KISEKI_SECRET_KEY",
                     "KISEKI_MASTER_KEY_FILE", "KISEKI_STORE_ACCESS_KEY",
                     "KISEKI_STORE_SECRET_KEY"):
            self.env.pop(name, None)
        self.env["KISEKI_DATA"] = self.data
        self.serves("embedded-again")

    def in_from_minio(self):
        """Buckets of another S3 server, with what is kept with their objects."""
        theirs = S3(self.minio.endpoint, self.minio.access_key, self.minio.secret_key)
        wait_for("MinIO makes a bucket", lambda: theirs.make_bucket(BUCKET).status in (200, 409))
        self.model.clear()
        for i in range(8):
            self.put(theirs, f"folder {i % 2}/their key+{i}")
        theirs.close()
        gateway, s3 = self.gateway("target")
        equal(s3.delete(BUCKET, "key1").status, 204, "DELETE")
        self.rclone_config(gateway.endpoint, "kiseki", *self.keys)
        self.sh("""
            rclone sync --metadata new:photos kiseki:photos
            rclone check --download new:photos kiseki:photos
            rclone sync --metadata new:photos kiseki:copied
            """)
        self.holds(s3)
        self.holds(s3, "copied")
        s3.close()
        gateway.stop()
        self.sh("kiseki fsck --check-store --quiet")


TESTS = ("begun", "to_postgres", "to_s3", "back_to_a_directory", "back_to_sqlite", "in_from_minio")


def main():
    suite = Suite(__doc__, "moving", ways=("pg",))
    return suite.run(lambda s: s.methods(Moving(s.ws, s.args.seed), TESTS, chained=True))


if __name__ == "__main__":
    sys.exit(main())
