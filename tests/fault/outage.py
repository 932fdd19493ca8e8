#!/usr/bin/python3
"""The backing store or the database goes away and comes back.

    tests/fault/outage.py --way sqlite|pg

Meanwhile the gateway answers 503 SlowDown or 500 InternalError with a request id that its log has
too, loses and invents nothing, stays alive, and recovers by itself. The last line is
"N passed, N failed".
"""

import http.client
import os
import sqlite3
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness.runner import Skip, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import unprivileged_user, wait_for

BUCKET = "outage"
SMALL, BIG = b"small " * 100, b"big " * 500000  # in metadata; slices in the store
RECOVERY_SECONDS = 45
ANSWER_SECONDS = 90  # nobody may wait longer for a refusal


class Outage:
    def __init__(self, ws, way):
        self.way = way
        # Permissions mean nothing to root: the gateway of the directory store runs as a user.
        user = unprivileged_user() if way == "sqlite" else None
        self.volume = Volume(ws, way, "outage")
        if user:
            os.chmod(self.volume.dir, 0o777)
        self.gateway = self.volume.gateway(user=user)
        self.s3 = self.client()
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        for key, body in (("small", SMALL), ("big", BIG)):
            equal(self.s3.put(BUCKET, key, body).status, 200, f"PUT {key}")
        self.number = 0

    def client(self):
        return S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key,
                  timeout=ANSWER_SECONDS)

    def fresh_key(self):
        self.number += 1
        return f"during/{self.number}"

    def refused(self, answer, what):
        """The right refusal, and its request id beside the cause in the log."""
        pairs = {(500, "InternalError"), (503, "SlowDown"), (503, "ServiceUnavailable")}
        check((answer.status, answer.code) in pairs, f"{what}: {answer!r}")
        check("request rate" not in answer.body.decode(), f"{what}: {answer!r} does not say what fails")
        request = answer.text("RequestId")
        check(request and request == answer.headers["x-amz-request-id"], f"{what}: no request id")
        wait_for(f"request {request} is in the log",
                 lambda: request in self.gateway.process.log(), 5)

    def put_fails(self, body):
        key = self.fresh_key()
        self.refused(self.s3.put(BUCKET, key, body), f"PUT of {len(body)} bytes")
        return key

    def all_well(self, absent=()):
        """Reads, writes, listings and deletes work again; what was refused is not there."""
        self.gateway.process.check()
        wait_for("the gateway recovers", self.writes, RECOVERY_SECONDS)
        equal(self.gateway.ask("/ready")[0], 200, "/ready")
        for key, body in (("small", SMALL), ("big", BIG)):
            check(self.s3.get(BUCKET, key).body == body, f"{key} reads back otherwise")
        for key in absent:
            equal(self.s3.get(BUCKET, key).status, 404, f"refused {key}")
        wanted = {"small", "big"}
        equal(wanted - set(self.s3.list_keys(BUCKET)), set(), "missing in the listing")

    def writes(self):
        key = self.fresh_key()
        try:
            return (self.s3.put(BUCKET, key, BIG).status == 200
                    and self.s3.get(BUCKET, key).body == BIG
                    and self.s3.delete(BUCKET, key).status == 204)
        except (OSError, http.client.HTTPException):
            return False

    # The store

    def store_permission(self):
        folder = self.volume.store_dir
        mode = os.stat(folder).st_mode
        os.chmod(folder, 0)
        try:
            absent = [self.put_fails(BIG), self.put_fails(BIG)]
            got = self.s3.get(BUCKET, "big")
            if got.status != 200:  # else it came from a cache, and must be right
                self.refused(got, "GET of slices")
            else:
                check(got.body == BIG, "other bytes than were written")
            equal(self.s3.get(BUCKET, "small").body, SMALL, "what needs no store")
        finally:
            os.chmod(folder, mode)
        self.all_well(absent)

    def store_stopped(self):
        self.volume.minio.stop()
        try:
            absent = [self.put_fails(BIG), self.put_fails(BIG)]
            equal(self.s3.get(BUCKET, "small").body, SMALL, "what needs no store")
            equal(self.s3.put(BUCKET, "small", SMALL).status, 200, "what needs no store")
        finally:
            self.volume.minio.start()
        self.all_well(absent)

    def store_hangs(self):
        """MinIO stops answering: the upload waits, is refused, or is done when it wakes."""
        minio, answers = self.volume.minio, []
        minio.pause()
        try:
            writer = threading.Thread(daemon=True, target=lambda: answers.append(
                self.client().put(BUCKET, "hung", BIG)))
            writer.start()
            writer.join(5)
            equal(self.s3.get(BUCKET, "small").body, SMALL, "others, meanwhile")
        finally:
            minio.resume()
        writer.join(ANSWER_SECONDS)
        check(answers, "the upload was never answered")
        got = self.client().get(BUCKET, "hung")
        if answers[0].status == 200:
            check(got.body == BIG, "an acknowledged upload is not there")
        else:
            self.refused(answers[0], "the upload that hung")
            equal(got.status, 404, "the refused upload")
        self.all_well()

    # The database

    def database_stopped(self):
        self.volume.postgres.stop()
        try:
            for body in (SMALL, BIG):
                self.put_fails(body)
            self.refused(self.s3.get(BUCKET, "small"), "GET")
            self.refused(self.s3.request("GET", BUCKET), "LIST")
            self.refused(self.s3.delete(BUCKET, "small"), "DELETE")
            check(self.gateway.ask("/live")[0] == 200, "/live fails for what is not its fault")
        finally:
            self.volume.postgres.start()
        self.all_well()

    def database_restarts_under_load(self):
        """Sixteen writers while PostgreSQL restarts: each 200 is there afterwards."""
        kept, stop, lock = [], threading.Event(), threading.Lock()

        def write(number):
            s3, count = self.client(), 0
            while not stop.is_set():
                count += 1
                key = f"load/{number}/{count}"
                try:
                    status = s3.put(BUCKET, key, key.encode()).status
                except (OSError, http.client.HTTPException):
                    continue
                with lock:
                    if status == 200:
                        kept.append(key)

        writers = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(16)]
        for writer in writers:
            writer.start()
        wait_for("some writes", lambda: len(kept) > 200)
        self.volume.postgres.stop()
        self.volume.postgres.start()
        before = len(kept)
        wait_for("writes go on", lambda: len(kept) > before + 200, RECOVERY_SECONDS)
        stop.set()
        for writer in writers:
            writer.join()
        lost = set(kept) - set(self.s3.list_keys(BUCKET, "load/"))
        check(not lost, f"{len(lost)} of {len(kept)} acknowledged writes are lost")
        self.all_well()

    def database_locked(self):
        """Another process holds SQLite's write lock for a while."""
        other = sqlite3.connect(f"{self.volume.dir}/meta.db", isolation_level=None, timeout=10)
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as err:
            raise Skip(f"the gateway lets nobody else in: {err}") from None
        answers = []
        try:
            equal(self.s3.get(BUCKET, "small").body, SMALL, "reads wait for no writer")
            writer = threading.Thread(daemon=True, target=lambda: answers.append(
                self.client().put(BUCKET, "locked", SMALL)))
            writer.start()
            writer.join(2)
        finally:
            other.execute("ROLLBACK")
            other.close()
        writer.join(ANSWER_SECONDS)
        check(answers, "the write was never answered")
        if answers[0].status != 200:
            self.refused(answers[0], "the write that found the lock")
        self.all_well()


TESTS = {"sqlite": ("store_permission", "database_locked"),
         "pg": ("store_stopped", "store_hangs", "database_stopped",
                "database_restarts_under_load")}


def main():
    suite = Suite(__doc__, "outage", seeded=False)
    return suite.run(lambda s: s.methods(Outage(s.ws, s.args.way), TESTS[s.args.way]))


if __name__ == "__main__":
    sys.exit(main())
