#!/usr/bin/python3
"""Two gateways on one volume: what one has acknowledged the other shows at once.

    tests/fault/pair.py --way pg [--steps N] [--seed N]

Both are started at once on an empty database, then random writes, reads, deletions and listings go
to either and are compared with a model; a slow download outlives what the other does to its
object. The last line is "N passed, N failed".
"""

import os
import random
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind
from harness.kiseki import READY_SECONDS
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import wait_for

BUCKET = "pair"
MIB = 1024 * 1024
SIZES = (0, 100, 70000, 5 * MIB)


class Pair:
    def __init__(self, ws, way, steps, seed):
        self.volume = Volume(ws, way, "pair")
        self.steps, self.rng = steps, random.Random(seed)
        # A short lease, so that jobs are eager; little memory, so that reads need the store.
        env = {"KISEKI_LEASE": "2s", "KISEKI_MEMORY_SIZE": "16M"}
        self.gateways = [self.volume.gateway(env=env, start=False) for _ in range(2)]
        self.clients = [S3(g.endpoint, g.access_key, g.secret_key) for g in self.gateways]

    def started_at_once(self):
        for gateway in self.gateways:
            gateway.process.start()
        for gateway in self.gateways:
            wait_for("a gateway is ready", lambda g=gateway: g.process.check() and g.ready(),
                     READY_SECONDS)
        equal(behind.value(self.volume, "SELECT count(*) FROM sessions"), 2, "sessions")
        equal(behind.value(self.volume, "SELECT count(*) FROM volume"), 1, "volumes")
        equal(self.clients[0].make_bucket(BUCKET).status, 200, "making the bucket")
        equal(self.clients[1].head(BUCKET).status, 200, "the bucket at the other")

    def seen_by_the_other(self):
        model = {}
        for step in range(self.steps):
            one, other = self.rng.sample(self.clients, 2)
            key = f"key{self.rng.randrange(12)}"
            if self.rng.random() < 0.3:
                equal(one.delete(BUCKET, key).status, 204, f"step {step}: delete")
                model.pop(key, None)
            else:
                model[key] = self.rng.randbytes(self.rng.choice(SIZES))
                equal(one.put(BUCKET, key, model[key]).status, 200, f"step {step}: PUT")
            got = other.get(BUCKET, key)
            equal(got.status, 200 if key in model else 404, f"step {step}: GET at the other")
            check(got.status == 404 or got.body == model[key], f"step {step}: other bytes")
            equal(other.list_keys(BUCKET), sorted(model), f"step {step}: LIST at the other")

    def a_slow_download_keeps_its_bytes(self):
        """Across an overwrite, a deletion and gc, which frees the slices only when it is over."""
        old = self.rng.randbytes(48 * MIB)
        equal(self.clients[0].put(BUCKET, "slow", old).status, 200, "PUT")
        names = behind.referenced(self.volume)
        for reader, writer in ((0, 1), (1, 1)):  # there and at the gateway that writes
            self.slow_download(self.clients[reader], self.clients[writer], old, names)
            equal(self.clients[0].put(BUCKET, "slow", old).status, 200, "PUT")
            names = behind.referenced(self.volume)
        equal(self.clients[0].delete(BUCKET, "slow").status, 204, "DELETE")

    def heartbeats(self):
        """Both gateways have renewed their leases, and told which reads they still run."""
        lease = "(lease_until_ms) FROM sessions WHERE state = 'live'"
        before = behind.value(self.volume, f"SELECT max{lease}")
        wait_for("the leases are renewed",
                 lambda: behind.value(self.volume, f"SELECT min{lease}") > before)

    def slow_download(self, reader, writer, old, names):
        headers, _ = reader.prepare("GET", reader.path(BUCKET, "slow"), (), {}, b"", "signed")
        conn = reader.connection()
        conn.connect()
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        conn.request("GET", reader.path(BUCKET, "slow"), headers=headers)
        answer = conn.getresponse()
        equal(answer.status, 200, "GET")
        got, gcs = [answer.read(MIB)], []
        gc = threading.Thread(target=lambda: gcs.append(self.volume.tool("gc", "--apply")))
        equal(writer.put(BUCKET, "slow", b"new" * 100000).status, 200, "overwrite")
        equal(writer.delete(BUCKET, "slow").status, 204, "DELETE")
        gc.start()
        for _ in range(11):
            self.heartbeats()
            check(names <= behind.objects(self.volume), "slices are gone that a download needs")
            got.append(answer.read(4 * MIB))
        got.append(answer.read())
        conn.close()
        gc.join()
        equal(gcs[0].returncode, 0, f"{gcs[0]!r}")
        check(b"".join(got) == old, "the slow download has other bytes")
        behind.no_trace(self.volume)
        check(not (names - {behind.MARKER}) & behind.objects(self.volume), "slices are left over")

    def one_leaves(self):
        """The other goes on, and what died meanwhile is freed."""
        self.clients[0].close()
        self.gateways[0].stop()
        for key in self.clients[1].list_keys(BUCKET):
            equal(self.clients[1].delete(BUCKET, key).status, 204, "delete")
        behind.no_trace(self.volume)
        equal(behind.objects(self.volume), {behind.MARKER}, "objects")
        self.gateways[0].start()


TESTS = ("started_at_once", "a_slow_download_keeps_its_bytes", "seen_by_the_other", "one_leaves")


def main():
    suite = Suite(__doc__, "pair", ways=("pg",))
    suite.add("--steps", type=int, default=200)
    return suite.run(lambda s: s.methods(
        Pair(s.ws, s.args.way, s.args.steps, s.args.seed), TESTS))


if __name__ == "__main__":
    sys.exit(main())
