#!/usr/bin/python3
"""SIGTERM ends a gateway within --stop-timeout whatever its background jobs are doing, and tools at
once; what was begun goes on later.

    tests/fault/stopping.py --way sqlite|pg [--only TEXT] [--seed N]

Each test takes the jobs' rows away from the gateway, piles up work, lets one job begin, and stops
the gateway in the middle: while it works, while another holds the database's locks, while the store
hangs. The last line is "N passed, N failed".
"""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind
from harness.fault_proxy import Fault
from harness.kiseki import ACCESS_KEY, BINARY, SECRET_KEY
from harness.runner import Skip, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import Failed, wait_for

BUCKET = "stopping"
KIB, MIB = 2 ** 10, 2 ** 20
STOP_SECONDS = 1
GRACE = 1.0  # behind --stop-timeout
LAST_RESORT = 1.5  # 0.9 s after it, with exit code 1: where a thread hangs
TOOL_SECONDS = 1.0
JOBS = ("sessions", "fold", "reclaim", "usage", "buckets", "uploads", "doomed", "merge")
HOLDER = 999  # a session that is not there, and lives for an hour
BACKLOG = 200000  # far more than a job manages until it is stopped
NEVER = 2 ** 62
WRITES = 200  # of 4 KiB: more than a file may have before it is merged


def raises(function):
    """True if it fails, as it should."""
    try:
        function()
        return False
    except Failed:
        return True


class Stopping:
    def __init__(self, ws, way, seed):
        self.ws, self.way, self.rng = ws, way, random.Random(seed)
        self.volume = Volume(ws, way, "stopping")
        self.proxy = self.volume.fault_proxy(seed)
        self.gateway = self.volume.gateway(env={"KISEKI_STOP_TIMEOUT": f"{STOP_SECONDS}s"})
        self.s3 = S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key)
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        self.sql(f"INSERT INTO sessions VALUES ({HOLDER}, 1, 'live', 'h', 1, 'v', 1, {NEVER}, {NEVER})")

    # --- helpers

    def sql(self, text):
        return behind.sql(self.volume, text)

    def value(self, text):
        return behind.value(self.volume, text)

    def hold(self):
        """No job can begin any more; those that run end with their transaction."""
        for job in JOBS:
            self.sql(f"INSERT INTO jobs (name, session, lease_until_ms) VALUES ('{job}', {HOLDER},"
                     f" {NEVER}) ON CONFLICT (name) DO UPDATE SET session = {HOLDER},"
                     f" lease_until_ms = {NEVER}, token = 0")

    def let(self, *jobs):
        names = ", ".join(f"'{job}'" for job in jobs)
        self.sql(f"UPDATE jobs SET lease_until_ms = 0 WHERE name IN ({names})")

    def pile(self, table, row, count=BACKLOG):
        """Rows for i = 1..count."""
        series = (f"generate_series(1, {count}) AS n (i)" if self.way == "pg" else
                  "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                  f" WHERE i < {count}) SELECT i FROM n)")
        self.sql(f"INSERT INTO {table} SELECT {row} FROM {series}")

    def doom(self, count=BACKLOG):
        """Slices that are not there, which no store minds. Due now: of what was due long ago, jobs
        look for more only once a minute."""
        self.sql("DELETE FROM doomed WHERE tag = 1")
        self.pile("doomed", f"1000000 + i, 1, {int(time.time() * 1000)}, 0, 0, ''", count)

    def items(self, job):
        return self.gateway.metric("kiseki_job_items_total")[f'job="{job}"']

    def put(self, key, size):
        equal(self.s3.put(BUCKET, key, self.rng.randbytes(size)).status, 200, f"PUT {key}")

    def write_in_pieces(self, key):
        """A file that is to be merged, once it is folded."""
        self.put(key, MIB)
        for i in range(WRITES):
            first = self.rng.randrange(MIB // 4 // KIB - 1) * 4 * KIB
            answer = self.s3.request("PATCH", BUCKET, key, body=self.rng.randbytes(4 * KIB),
                                     payload="unsigned", headers={
                "content-range": f"bytes {first}-{first + 4 * KIB - 1}/*"})
            equal(answer.status, 200, f"PATCH {i} of {key}")

    def stops_in_time(self, cut_off=False):
        """SIGTERM now. cut_off: it may end by its last resort, as it is."""
        begun = time.monotonic()
        code = self.gateway.process.stop()
        took = time.monotonic() - begun
        self.s3.close()
        print(f"     ended {took:.1f} s after SIGTERM with {code}", flush=True)
        check(took < STOP_SECONDS + (LAST_RESORT if cut_off else GRACE),
              f"it took {took:.1f} s to end")
        check(code == 0 or (cut_off and code == 1), f"exit code {code}")

    def stops_in_the_middle(self, job, left):
        """Once the job has begun; left: the SQL that counts what it has not done."""
        before = self.items(job)
        self.let(job)
        wait_for(f"{job} begins", lambda: self.items(job) > before)
        self.stops_in_time()
        count = self.value(left)
        check(count > 0, f"{job} had ended before SIGTERM came")
        print(f"     {job} had {count} left", flush=True)

    def goes_on(self, left, seconds=120):
        """It serves again, and somebody does what is left."""
        self.gateway.start()
        self.let(*JOBS)
        if left:
            wait_for("what was left is done", lambda: self.value(left) == 0, seconds)
        self.put("after", 100 * KIB)

    # --- in the middle of much work

    def deleting(self):
        self.hold()
        self.doom()
        self.stops_in_the_middle("doomed", "SELECT count(*) FROM doomed WHERE passes = 0")
        self.doom(1)
        self.goes_on(None)

    def freeing(self):
        for kind in (1, 2, 3):
            self.hold()
            self.pile("dead", f"{kind}, 1000000 + i, 0, 0")
            self.stops_in_the_middle("reclaim", "SELECT count(*) FROM dead WHERE at_ms = 0")
            self.sql("DELETE FROM dead WHERE at_ms = 0")
            self.goes_on(None)

    def folding(self):
        self.hold()
        self.write_in_pieces("folded")
        key = "'folded'::bytea" if self.way == "pg" else "x'666f6c646564'"
        bucket = self.value("SELECT max(id) FROM buckets")
        self.pile("inode_writes", f"1000000 + i, i, {bucket}, {key}, 1, 1")
        self.stops_in_the_middle("fold", "SELECT count(*) FROM inode_writes")
        self.sql("DELETE FROM inode_writes WHERE inode > 1000000")
        self.goes_on("SELECT count(*) FROM inode_writes")

    def ending_sessions(self):
        self.hold()
        self.pile("slice_ranges", "1000000 + i * 10, 1000000 + i * 10 + 9, 998, 1", BACKLOG // 10)
        self.stops_in_the_middle("sessions", "SELECT count(*) FROM slice_ranges WHERE session = 998")
        self.sql("DELETE FROM slice_ranges WHERE session = 998")
        self.doom(1)
        self.goes_on(None)

    # --- while it waits

    def jobs_wait(self):
        """In SQLite nobody can be asked; all begin within their period, a second."""
        if self.way == "sqlite":
            time.sleep(1.5)
            return True
        return self.value("SELECT count(*) FROM pg_stat_activity"
                          " WHERE wait_event_type = 'Lock' AND query LIKE '%jobs%'") > 0

    @contextlib.contextmanager
    def locked(self, table):
        """Somebody else has the table, or all of SQLite, for as long as this lasts."""
        if self.way == "sqlite":
            db = sqlite3.connect(f"{self.volume.dir}/meta.db", isolation_level=None, timeout=20)
            db.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                db.execute("ROLLBACK")
                db.close()
            return
        text = f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)"
        holder = threading.Thread(target=lambda: raises(lambda: self.sql(text)))
        holder.start()
        mine = f"FROM pg_stat_activity WHERE query = '{text}' AND wait_event = 'PgSleep'"
        try:
            wait_for("the lock", lambda: self.value(f"SELECT count(*) {mine}") == 1)
            yield
        finally:
            self.sql(f"SELECT pg_terminate_backend(pid) {mine}")
            holder.join()

    def database_is_locked(self):
        """Every job has work, and waits for its first write."""
        self.hold()
        self.doom(5000)
        self.pile("dead", "1, 1000000 + i, 0, 0", 5000)
        self.pile("usage_deltas", "1000000, 0, 0", 5000)
        with self.locked("jobs"):
            wait_for("jobs wait", self.jobs_wait)
            self.stops_in_time(cut_off=True)
        self.goes_on("SELECT count(*) FROM dead WHERE at_ms = 0")

    def merging_waits_for_a_lock(self):
        self.hold()
        self.write_in_pieces("locked")
        inode = self.value("SELECT max(inode) FROM inode_writes")
        self.sql(f"INSERT INTO range_locks VALUES ({inode}, 1, 0, {NEVER}, 1, 1, 0, 0, {HOLDER}, 0)")
        self.let("fold", "merge")
        wait_for("merging waits for the lock", lambda: self.value(
            f"SELECT count(*) FROM range_locks WHERE inode = {inode} AND granted = 0") > 0)
        self.stops_in_time()
        self.sql(f"DELETE FROM range_locks WHERE inode = {inode}")
        self.goes_on("SELECT count(*) FROM fragmented")

    def store_hangs(self, job, fault, work):
        if self.proxy is None:
            raise Skip("a directory does not hang")
        self.hold()
        work()
        self.proxy.fired.clear()
        self.proxy.add(fault)
        self.let("fold", job)
        wait_for("the store hangs", lambda: self.proxy.fired.get("hang", 0) > 0)
        try:
            self.stops_in_time()
        finally:
            self.proxy.clear()

    def deleting_from_a_store_that_hangs(self):
        self.store_hangs("doomed", Fault("hang", method="POST", part="?delete"),
                         lambda: self.doom(5000))
        self.goes_on("SELECT count(*) FROM doomed WHERE passes = 0")

    def merging_into_a_store_that_hangs(self):
        self.store_hangs("merge", Fault("hang", method="PUT"),
                         lambda: self.write_in_pieces("hanging"))
        self.goes_on("SELECT count(*) FROM fragmented")

    # --- tools, which have no --stop-timeout: a signal ends them, and others go on

    def tool(self, *words):
        env = {**os.environ, **self.volume.env, "KISEKI_META": self.volume.meta(),
               "KISEKI_STORE": self.volume.store, "KISEKI_ACCESS_KEY": ACCESS_KEY,
               "KISEKI_SECRET_KEY": SECRET_KEY}
        return subprocess.Popen([BINARY, *words], env=env, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def tool_ends(self, tool, begun):
        try:
            wait_for("it is at work", lambda: tool.poll() is None and begun())
            at = time.monotonic()
            tool.send_signal(signal.SIGTERM)
            code = tool.wait(20)
        except subprocess.TimeoutExpired:
            raise Failed("the tool did not end") from None
        finally:
            tool.kill()
            tool.wait()
        took = time.monotonic() - at
        print(f"     ended {took:.2f} s after SIGTERM with {code}", flush=True)
        check(took < TOOL_SECONDS, f"it took {took:.1f} s to end")
        wait_for("its session ends", lambda: self.value(
            "SELECT count(*) FROM sessions WHERE state = 'tool'") == 0, 60)

    def gc(self):
        self.hold()
        self.doom()
        self.let("doomed", "sessions")
        self.gateway.process.pause()  # so that the tool has the job
        tool = self.tool("gc", "--apply", "--quiet")
        left = "SELECT count(*) FROM doomed WHERE passes = 0 AND tag = 1"
        try:
            wait_for("it is at work", lambda: self.value(left) < BACKLOG)
        finally:
            self.gateway.process.resume()
        self.tool_ends(tool, lambda: True)
        before = self.value(left)
        check(before > 0, "it had ended before SIGTERM came")
        self.let(*JOBS)
        wait_for("the gateway goes on", lambda: self.value(left) < before)
        self.doom(1)

    def scrub(self):
        self.put("large", 16 * MIB)
        tool = self.tool("scrub", "--rate", "1M", "--quiet")
        self.tool_ends(tool, lambda: self.value(
            "SELECT count(*) FROM sessions WHERE state = 'tool'") == 1)

    def nothing_is_lost(self):
        self.let(*JOBS)
        self.gateway.stop()
        self.sql(f"DELETE FROM sessions WHERE id = {HOLDER}")
        done = self.volume.tool("fsck")
        equal((done.returncode, done.stderr), (0, ""), f"fsck: {done.stdout}")


TESTS = ("deleting", "freeing", "folding", "ending_sessions", "database_is_locked",
         "merging_waits_for_a_lock", "deleting_from_a_store_that_hangs",
         "merging_into_a_store_that_hangs", "gc", "scrub", "nothing_is_lost")


def main():
    suite = Suite(__doc__, "stopping")
    return suite.run(lambda s: s.methods(
        Stopping(s.ws, s.args.way, s.args.seed), TESTS, chained=True))


if __name__ == "__main__":
    sys.exit(main())
