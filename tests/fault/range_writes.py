#!/usr/bin/python3
"""Writers of one object, by two gateways: disjoint ranges in parallel, overlapping ones in some order;
and what many small writes leave behind is merged.

    tests/fault/range_writes.py --way sqlite|pg [--seed N] [--full]

The last line is "N passed, N failed".
"""

import os
import random
import sys
import threading
import time
from collections import namedtuple

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from bench.loader import Loader
from harness import behind
from harness.runner import at_once, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import wait_for

BUCKET = "ranges"
KIB, MIB = 1024, 2 ** 20
WRITERS = 8  # of each gateway
RATIO = 0.8  # disjoint writers of one file to writers of different files
Server = namedtuple("Server", "name host port credentials")


class Folder:
    """A place of its own for a load generator's files."""

    def __init__(self, ws, name):
        self._dir = ws.make_dir(name)

    def path(self, name):
        return os.path.join(self._dir, name)


class RangeWrites:
    def __init__(self, ws, way, seed, full):
        self.ws, self.rng, self.full = ws, random.Random(seed), full
        self.volume = Volume(ws, way, "ranges")
        env = {"KISEKI_LEASE": "3s"}
        self.gateways = [self.volume.gateway(env=env) for _ in range(2 if way == "pg" else 1)]
        self.s3 = self.client(0)
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")

    def client(self, number):
        gateway = self.gateways[number % len(self.gateways)]
        return S3(gateway.endpoint, gateway.access_key, gateway.secret_key, timeout=60)

    def put(self, key, size):
        body = (self.rng.randbytes(min(size, 16 * MIB)) * (size // (16 * MIB) + 1))[:size]
        equal(self.s3.put(BUCKET, key, body).status, 200, "PUT")
        return bytearray(body)

    @staticmethod
    def patch(s3, key, first, body):
        answer = s3.request("PATCH", BUCKET, key, body=body, payload="unsigned", headers={
            "content-range": f"bytes {first}-{first + len(body) - 1}/*"})
        equal(answer.status, 200, f"PATCH: {answer!r}")

    # --- tests

    def overlapping_writes_have_an_order(self):
        """The bytes at the end are those of some order of the writes that agrees with the clock."""
        for size in (300, 40 * KIB, 400 * KIB):
            self.one_order(size, 30 if self.full else 12)

    def one_order(self, size, each):
        self.put("order", size)
        writes, lock = [], threading.Lock()  # (begun, ended, first, last, mark)

        def work(number):
            s3, rng = self.client(number), random.Random(number * 7919 + size)
            for i in range(each):
                first = rng.randrange(size - 1)
                last = min(size, first + 1 + rng.randrange(size // 2))
                mark = (number * each + i + 1).to_bytes(4, "big")
                begun = time.monotonic()
                self.patch(s3, "order", first, (mark * ((last - first) // 4 + 2))[:last - first])
                with lock:
                    writes.append((begun, time.monotonic(), first, last, mark))
            s3.close()

        at_once(work, range(2 * WRITERS))
        equal(len(writes), 2 * WRITERS * each, "writes")
        self.check_order(self.s3.get(BUCKET, "order").body, writes)

    @staticmethod
    def check_order(body, writes):
        """Each byte tells its writer: all others that wrote it came before. With who had ended before
        who began, that must be without a circle."""
        edges = {i: set() for i in range(len(writes))}
        points = sorted({w[2] for w in writes} | {w[3] for w in writes})
        for low, high in zip(points, points[1:]):
            over = [i for i, w in enumerate(writes) if w[2] <= low and w[3] >= high]
            winners = [i for i in over
                       if all(body[at] == writes[i][4][(at - writes[i][2]) % 4]
                              for at in range(low, high))]
            if not over:
                continue
            check(winners, f"bytes {low} to {high} are nobody's, or torn")
            for i in over:
                if i not in winners:
                    edges[i].update(winners if len(winners) == 1 else ())
        for i, a in enumerate(writes):
            edges[i].update(j for j, b in enumerate(writes) if a[1] < b[0])
        waiting = {i: sum(i in after for after in edges.values()) for i in edges}
        free = [i for i, n in waiting.items() if n == 0]
        for i in free:
            for j in edges[i]:
                waiting[j] -= 1
                if waiting[j] == 0:
                    free.append(j)
        equal(len(free), len(writes), "writes that stand in an order")

    def disjoint_writers_do_not_wait(self):
        """As fast as writers of different files, or nearly."""
        count = 6000 if self.full else 2000
        blocks = 16 * MIB // (4 * KIB)
        for i in range(2 * WRITERS):
            self.put(f"file{i}", 16 * MIB if i == 0 else MIB)
        one = [("file0", (i * 4099) % blocks * 4 * KIB) for i in range(count)]
        many = [(f"file{i % (2 * WRITERS)}", self.rng.randrange(MIB // (4 * KIB)) * 4 * KIB)
                for i in range(count)]
        loaders = [Loader(Folder(self.ws, f"loader{i}"), WRITERS) for i in range(len(self.gateways))]
        best = 0
        for _ in range(5 if self.full else 1):
            took = [self.timed(loaders, writes) for writes in (many, one)]
            best = max(best, took[0] / took[1])
            print(f"     {count} writes of 4 KiB: {count / took[0]:.0f}/s to different files, "
                  f"{count / took[1]:.0f}/s to one: {took[0] / took[1]:.2f}", flush=True)
            if best >= RATIO:
                break
        # Times are judged in the long form only: the short one runs beside other tests.
        check(best >= RATIO or not self.full, f"disjoint writers reach {best:.2f} of writers of different files")

    def timed(self, loaders, writes):
        share = len(writes) // len(loaders)
        servers = [Server(f"gateway{i}", g.endpoint.partition("//")[2], g.port,
                          (g.access_key, g.secret_key)) for i, g in enumerate(self.gateways)]
        for i, loader in enumerate(loaders):
            loader.write(servers[i], [
                ("PATCH", f"/{BUCKET}/{key}", "", {},  4 * KIB,
                 {"content-range": f"bytes {first}-{first + 4 * KIB - 1}/*"})
                for key, first in writes[i * share:(i + 1) * share]])
        results = [None] * len(loaders)

        def send(i):
            results[i] = loaders[i].send(servers[i], 600, True)

        begun = time.monotonic()
        at_once(send, range(len(loaders)))
        took = time.monotonic() - begun
        for result in results:
            check(result and not result["errors"] and result["requests"] == share, f"{result}")
        return took

    def fragments_are_merged(self):
        """After the job a file of many small writes reads like one that was written whole."""
        writes, size = (100000, 400 * MIB) if self.full else (4000, 16 * MIB)
        body = self.put("fragments", size)
        self.put("whole", size)
        loader = Loader(Folder(self.ws, "fragmenter"), 2 * WRITERS)
        block = loader.body(4 * KIB)
        firsts = [self.rng.randrange(size // (4 * KIB) - 1) * 4 * KIB + 512
                  for _ in range(writes)]
        gateway = self.gateways[0]
        server = Server("gateway", gateway.endpoint.partition("//")[2], gateway.port,
                        (gateway.access_key, gateway.secret_key))
        begun = time.monotonic()
        loader.send_all(server, [("PATCH", f"/{BUCKET}/fragments", "", {}, 4 * KIB, {
            "content-range": f"bytes {f}-{f + 4 * KIB - 1}/*"}) for f in firsts], "fragments")
        print(f"     {writes} writes: {writes / (time.monotonic() - begun):.0f}/s", flush=True)
        for first in firsts:  # all of the same bytes: their order says nothing
            body[first:first + 4 * KIB] = b"\0" * (4 * KIB)
        inode = behind.value(self.volume, "SELECT inode FROM keys WHERE size = "
                                          f"{size} AND ranged <> ''")
        begun = time.monotonic()
        wait_for("it is merged", lambda: behind.value(
            self.volume, "SELECT count(*) FROM inode_writes") == 0 and behind.value(
                self.volume, "SELECT count(*) FROM fragmented") == 0, 300)
        links = behind.value(self.volume, "SELECT count(*) FROM inode_pieces WHERE dead IS NULL"
                                          f" AND inode = {inode}")
        print(f"     merged after {time.monotonic() - begun:.1f} s, {links} links are left",
              flush=True)
        check(links < writes / 8, f"{links} links are left")
        self.same(body, firsts, block)
        self.read_speed()

    def same(self, body, firsts, block):
        got = bytearray(self.s3.get(BUCKET, "fragments").body)
        equal(len(got), len(body), "length")
        covered = {}
        for first in firsts:  # a byte of a write is a byte of `block`, at some write's offset
            covered.setdefault(first, None)
        for first in covered:
            got[first:first + 4 * KIB] = b"\0" * (4 * KIB)
        check(got == body, "bytes that nobody wrote were changed")
        data = self.s3.get(BUCKET, "fragments").body
        for first in list(covered)[:500]:
            check(data[first:first + 4 * KIB] == block, f"other bytes at {first}")

    def read_speed(self):
        """Cold, in turns; the best of some."""
        best = {"fragments": 1e9, "whole": 1e9}
        for _ in range(3):
            for key in best:
                self.s3.close()
                self.gateways[0].stop()
                self.gateways[0].start()
                begun = time.monotonic()
                equal(self.s3.get(BUCKET, key).status, 200, "GET")
                best[key] = min(best[key], time.monotonic() - begun)
        ratio = best["whole"] / best["fragments"]
        print(f"     read at {ratio:.2f} of the speed of a file written whole", flush=True)
        check(ratio > 0.5 or not self.full, f"read at {ratio:.2f} of the speed")


TESTS = ("overlapping_writes_have_an_order", "disjoint_writers_do_not_wait",
         "fragments_are_merged")


def main():
    suite = Suite(__doc__, "range writes")
    suite.add("--full", action="store_true", help="100,000 writes to 400 MiB")
    return suite.run(lambda s: s.methods(
        RangeWrites(s.ws, s.args.way, s.args.seed, s.args.full), TESTS))


if __name__ == "__main__":
    sys.exit(main())
