#!/usr/bin/python3
"""The command-line tools on a real volume: gc, fsck, scrub, dump and load.

    tests/fault/tools.py --way sqlite|pg [--seed N]

Damage is planted behind the gateway's back: each kind must be found, and what can be repaired is.
The last line is "N passed, N failed".
"""

import functools
import json
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind
from harness.kiseki import ACCESS_KEY, BINARY, SECRET_KEY
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume

BUCKET = "tools"
SIZES = {"small": 100, "slice": 300000, "slices": 9 * 2 ** 20 + 5}


class Tools:
    def __init__(self, ws, way, seed):
        self.ws, self.way, self.rng = ws, way, random.Random(seed)
        self.volume = Volume(ws, way, "tools")
        self.gateway = self.volume.gateway(env={"KISEKI_LEASE": "3s"})
        self.s3 = S3(self.gateway.endpoint, ACCESS_KEY, SECRET_KEY)
        self.model = {}

    # --- running the program

    def tool(self, *words, meta=None, **more):
        return self.volume.tool(*words, env={"KISEKI_META": meta} if meta else None, **more)

    def clean(self):
        for words in (("fsck", "--check-store"), ("scrub", "--rate", "0")):
            done = self.tool(*words)
            equal(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")

    def finds(self, what, *words, code=1):
        done = self.tool(*(words or ("fsck",)))
        equal(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        check(what in done.stdout, f"{what!r} is not in {done.stdout}")
        return done.stdout

    def put(self, key, body):
        equal(self.s3.put(BUCKET, key, body).status, 200, f"PUT {key}")
        self.model[key] = body

    def patch(self, key, first, body):
        answer = self.s3.request("PATCH", BUCKET, key, body=body, headers={
            "content-range": f"bytes {first}-{first + len(body) - 1}/*"})
        equal(answer.status, 200, f"PATCH {key}: {answer!r}")
        old = self.model[key]
        self.model[key] = old[:first] + body + old[first + len(body):]

    def holds(self, s3=None):
        s3 = s3 or self.s3
        equal(s3.list_keys(BUCKET), sorted(self.model), "keys")
        for key, body in self.model.items():
            got = s3.get(BUCKET, key)
            check(got.status == 200 and got.body == body, f"{key}: {got!r}")

    def listing(self, s3):
        """Every field of every listing, as the client sees it."""
        answer = s3.request("GET", BUCKET, query=[("list-type", "2"), ("fetch-owner", "true")])
        return answer.body

    # --- tests, in this order

    def filled(self):
        """A volume with all that metadata can hold is whole beside its gateway at work."""
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        for name, size in SIZES.items():
            for i in range(3):
                self.put(f"{name}/{i}", self.rng.randbytes(size))
        self.put("parts", b"")
        parts = [self.rng.randbytes(5 * 2 ** 20), b"end"]
        equal(self.s3.multipart(BUCKET, "parts", parts).status, 200, "multipart")
        self.model["parts"] = b"".join(parts)
        for i in range(120):
            self.patch("slices/0", self.rng.randrange(SIZES["slices"]), self.rng.randbytes(3000))
        self.patch("small/0", 5000, b"far behind the end")
        self.model["small/0"] = self.model["small/0"][:100] + bytes(4900) + b"far behind the end"
        for key in ("slice/1", "slices/2"):
            self.put(key, self.rng.randbytes(SIZES["slice"]))
        equal(self.s3.request("PUT", BUCKET, "copy", headers={
            "x-amz-copy-source": f"/{BUCKET}/slices/0"}).status, 200, "copy")
        self.model["copy"] = self.model["slices/0"]
        self.holds()
        self.clean()

    def gc(self):
        """Says what it would free, and frees it: no slice is left that nothing needs."""
        dry = self.tool("gc")
        check(dry.returncode == 0 and "--apply" in dry.stdout, f"{dry!r}")
        self.s3.close()
        self.gateway.stop()
        done = self.tool("gc", "--apply", "--json")
        equal(done.returncode, 0, f"gc: {done.stderr}")
        left = json.loads(done.stdout)
        equal([left[n] for n in ("files", "pieces", "links", "slices", "ranges", "sessions")],
              [0] * 6, f"left: {left}")
        equal(behind.objects(self.volume), behind.referenced(self.volume), "objects")
        self.clean()

    def dumped_and_loaded(self):
        """To the other engine and back: the same dump, the same listings, the same bytes."""
        first, second = self.ws.path("first.jsonl"), self.ws.path("second.jsonl")
        done = self.tool("dump", first)
        equal(done.returncode, 0, f"dump: {done.stderr}")
        check(self.tool("dump", first).returncode == 2, "a dump was written over")
        self.gateway.start()
        before = self.listing(self.s3)
        busy = self.tool("dump")
        check(busy.returncode == 2 and "at work" in busy.stderr, f"beside a gateway: {busy!r}")
        self.s3.close()
        self.gateway.stop()
        other = f"sqlite:{self.ws.path('other.db')}"
        done = self.tool("load", first, meta=other)
        equal(done.returncode, 0, f"load: {done.stderr}")
        check(self.tool("load", first, meta=other).returncode == 2, "loaded twice")
        moved = self.volume.gateway(env={"KISEKI_META": other})
        s3 = S3(moved.endpoint, ACCESS_KEY, SECRET_KEY)
        check(self.listing(s3) == before, "another listing")
        self.holds(s3)
        s3.close()
        moved.stop()
        refused = self.tool("gc")
        check(refused.returncode == 2 and "replaced by a newer one" in refused.stderr,
              f"the database that the dump is from: {refused!r}")
        self.volume.reset_database()
        done = self.tool("dump", second, meta=other)
        equal(done.returncode, 0, f"dump: {done.stderr}")
        self.same_dumps(first, second)
        done = self.tool("load", second)
        equal(done.returncode, 0, f"load back: {done.stderr}")
        self.gateway.start()
        check(self.listing(self.s3) == before, "another listing, back again")
        self.holds()
        self.put("new", b"new")
        self.clean()

    def same_dumps(self, first, second):
        """But for the header and the ends of what sessions had."""
        def rows(path):
            with open(path, encoding="ascii") as file:
                lines = file.read().splitlines()
            return [x for x in lines[1:-1] if not x.startswith(('["slice_ranges"', '["doomed"'))]
        equal(len(rows(first)), len(rows(second)), "rows")
        check(rows(first) == rows(second), "other rows")

    def reader_that_leaves(self):
        """`kiseki dump | head -1`: the tool ends by itself and quietly, and its session is closed."""
        env = {**os.environ, **self.volume.env, "KISEKI_META": self.volume.meta(),
               "KISEKI_STORE": self.volume.store}
        for words in (("dump", "-", "--quiet"), ("status", "--json"), ("fsck", "--quiet"), ("gc",),
                      ("migrate",), ("scrub", "--rate", "0", "--quiet"), ("help",), ("man",)):
            read, write = os.pipe()
            with subprocess.Popen([BINARY, *words], env=env, stdout=write, stderr=subprocess.PIPE,
                                  text=True) as process:
                os.close(write)
                if words[0] == "dump":
                    check(os.read(read, 20).startswith(b'{"'), "the dump's first bytes")
                os.close(read)
                said = process.communicate(timeout=60)[1]
            equal((process.returncode, said), (2, ""), f"{words} and nobody reads")
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([BINARY, "status"], env=env, stdout=full, check=False, text=True,
                                  stderr=subprocess.PIPE)
        check(done.returncode == 2 and "No space left" in done.stderr, f"a full disk: {done!r}")
        equal(behind.value(self.volume, "SELECT count(*) FROM sessions"), 0, "sessions left")

    def broken_dumps(self):
        """Are refused before or while they are loaded; what was loaded till then is no volume."""
        with open(self.ws.path("first.jsonl"), encoding="ascii") as file:
            lines = file.readlines()
        header = json.loads(lines[0])
        for name, text, why in (
                ("empty", "", "the dump is empty"),
                ("text", "hello\n", "line 1: not JSON"),
                ("short", "".join(lines[:-1]), "its last line is missing"),
                ("lost", "".join(lines[:3] + lines[4:]), "rows are missing"),
                ("stranger", json.dumps({**header, "uuid": "0" * 36}) + "\n", "belongs to volume"),
                ("future", json.dumps({**header, "schema": 99}) + "\n", "schema 99"),
                ("table", lines[0] + '["sessions", 1]\n', "line 2: a table"),
                ("columns", lines[0] + '["slices", 1]\n', "line 2: another number"),
                ("types", lines[0] + '["slices", "x", "y", "z"]\n', "line 2: a column")):
            database = f"sqlite:{self.ws.path(name + '.db')}"
            done = self.tool("load", "-", meta=database, input=text)
            check(done.returncode == 2 and why in done.stderr, f"{name}: {done!r}")
            check("\nkiseki: " in "\n" + done.stderr, f"{name}: {done!r}")
        again = self.tool("load", "-", meta=f"sqlite:{self.ws.path('short.db')}",
                          input="".join(lines))
        check(again.returncode == 2 and "broke off" in again.stderr, f"{again!r}")

    def planted(self):
        """Each kind of damage is found; what is certain is repaired."""
        self.s3.close()
        self.gateway.stop()
        blob = "'\\x78'" if self.way == "pg" else "x'78'"
        for text, found in (
                ("UPDATE pieces SET refs = refs + 1 WHERE id IN (SELECT min(id) FROM pieces)",
                 "another number of links"),
                ("UPDATE slices SET refs = refs + 1 WHERE id IN (SELECT min(id) FROM slices)",
                 "its row says"),
                ("DELETE FROM slices WHERE id IN (SELECT max(id) FROM slices)", "its row says 0"),
                ("INSERT INTO inodes (id, size, mtime_ms, etag, headers, data)"
                 f" VALUES (5, 1, 1, 'e', {blob}, {blob})", "named by nothing"),
                ("INSERT INTO dead VALUES (1, 6, NULL, 0)", "not there"),
                ("INSERT INTO usage_deltas VALUES (1, 5, 5)", "usage"),
                ("DELETE FROM range_tokens", "token"),
                ("INSERT INTO slices VALUES (999999999, 7, 1)", "its row says 1")):
            behind.sql(self.volume, text)
            self.finds(found)
            self.finds("repaired", "fsck", "--repair")
            self.clean()
        orphan = behind.name(77, 77)
        behind.put_object(self.volume, orphan, b"orphan")
        self.finds(orphan, "fsck", "--check-store")
        self.finds(orphan, "fsck", "--check-store", "--repair")
        self.clean()
        self.gateway.start()
        self.holds()

    def lost(self):
        """Data that is lost is told, with the objects that it was of, and left alone."""
        busy = self.tool("fsck", "--repair")
        check(busy.returncode == 2 and "stop them" in busy.stderr, f"beside a gateway: {busy!r}")
        slices = behind.sql(self.volume, "SELECT id, tag FROM slices ORDER BY id")
        names = [behind.name(*row) for row in slices]
        victim, missing = names[0], names[1]
        body = bytearray(behind.get_object(self.volume, victim))
        body[len(body) // 2] ^= 1
        behind.put_object(self.volume, victim, bytes(body))
        behind.delete_object(self.volume, missing)
        found = self.finds(victim, "scrub", "--rate", "0")
        check("wrong checksum" in found and f"{missing}: is missing" in found and BUCKET in found,
              found)
        check(missing in self.finds("is missing", "fsck", "--check-store"), "fsck and the store")
        run = functools.partial(behind.sql, self.volume)
        run("UPDATE inode_pieces SET len = len - 1 WHERE piece <> 0 AND inode IN"
            " (SELECT inode FROM keys WHERE size > 9000000 AND ranged = '')")
        self.finds("links end at")
        run("DELETE FROM inode_pieces WHERE start = 0 AND inode IN"
            " (SELECT inode FROM keys WHERE ranged <> '')")
        self.finds("covered by nothing")
        run("DELETE FROM inodes WHERE data IS NOT NULL AND id IN (SELECT inode FROM keys)")
        self.finds("which does not exist")


TESTS = ("filled", "gc", "reader_that_leaves", "dumped_and_loaded", "broken_dumps", "planted", "lost")


def main():
    suite = Suite(__doc__, "tools")
    return suite.run(lambda s: s.methods(Tools(s.ws, s.args.way, s.args.seed), TESTS, chained=True))


if __name__ == "__main__":
    sys.exit(main())
