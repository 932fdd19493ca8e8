#!/usr/bin/python3
"""kill -9 in the middle of uploads: no acknowledged write is lost, none is seen in half.

    tests/fault/kill9.py --way sqlite|pg [--rounds N] [--seed N] [--clients N]

Each round, clients write objects of every shape (inline, one slice, many slices, multipart), over
each other and with deletes in between, until the gateway is killed; it is started again, and every
key touched must hold what was last acknowledged, or what was being written when the kill came:
wholly the one or wholly the other. The listing must agree. Sizes, contents and moments come from
the seed, which is printed. The last line is "N passed, N failed".
"""

import hashlib
import http.client
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind
from harness.runner import at_once, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import Failed

KIB, MIB = 1024, 1024 * 1024
BUCKET = "kill9"
POOL = random.Random(9).randbytes(24 * MIB)  # contents are cut from this, each behind its number
SHAPES = {"inline": (1 * KIB,), "slice": (1 * MIB,), "many": (20 * MIB,),
          "parts": (5 * MIB, 5 * MIB + 1, 100)}
MIXES = {  # what a key is written as: mostly its own shape, sometimes another
    "inline": ("inline", "inline", "inline", "slice"),
    "slice": ("slice", "slice", "inline", "parts"),
    "many": ("many", "slice"),
    "parts": ("parts", "parts", "many", "inline"),
}


class Version:
    """One content: reproducible from its number, so that nothing need be remembered."""

    shapes = SHAPES

    def __init__(self, number, shape):
        self.number, self.shape = number, shape

    def parts(self):
        offset = self.number * 4099 % (2 * MIB)
        out = []
        for size in self.shapes[self.shape]:
            head = f"{self.number}:{len(out)}:".encode()
            out.append(head + POOL[offset:offset + size - len(head)])
        return out

    def digest(self):
        return hashlib.sha256(b"".join(self.parts())).hexdigest()

    def __repr__(self):
        return f"#{self.number} ({self.shape})"


class Key:
    """What a key may hold now: any of .possible, where None is no object."""

    def __init__(self, name, mix):
        self.name, self.mix = name, mix
        self.possible = [None]
        self.touched = False


class Client(threading.Thread):
    """Owns some keys; writes them until told to stop or until the server is gone."""

    def __init__(self, number, gateway, seed):
        super().__init__(daemon=True)
        self.number, self.gateway = number, gateway
        self.rng = random.Random(f"{seed}/{number}")
        self.keys = [Key(f"client{number:02}/{mix}", mix) for mix in MIXES]
        self.acknowledged = 0
        self.refusals = []
        self.stopping = threading.Event()

    def next_thread(self):
        """The same client for the next round: a thread runs only once."""
        threading.Thread.__init__(self, daemon=True)
        self.stopping.clear()

    def run(self):
        s3 = S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key)
        try:
            while not self.stopping.is_set():
                self.write(s3, self.rng.choice(self.keys))
        except (OSError, http.client.HTTPException):
            pass  # killed: the last write stays in doubt
        finally:
            s3.close()

    def write(self, s3, key):
        version = None
        if self.rng.random() > 0.08:
            version = Version(self.rng.getrandbits(48), self.rng.choice(MIXES[key.mix]))
        # In doubt from before the first byte goes out until the answer is there.
        key.possible, key.touched = key.possible[:1] + [version], True
        answer = self.send(s3, key.name, version)
        if answer.status in (200, 204):
            key.possible = [version]
            self.acknowledged += 1
        else:
            # 500 and 503 leave it open; the key is left alone for the rest of the round.
            self.refusals.append(f"{key.name}: {answer!r}")
            self.stopping.set()

    def send(self, s3, name, version):
        if version is None:
            return s3.delete(BUCKET, name)
        parts = version.parts()
        if version.shape == "parts":
            return s3.multipart(BUCKET, name, parts)
        payload = self.rng.choice(("signed", "unsigned", "streaming-unsigned-trailer"))
        return s3.put(BUCKET, name, parts[0], payload=payload)


def verify(gateway, keys):
    """Every key holds one of its possible contents, which is from then on the only one."""
    waiting, errors = list(keys), []

    def work(_):
        s3 = S3(gateway.endpoint, gateway.access_key, gateway.secret_key)
        while waiting:
            try:
                key = waiting.pop()
                settle(s3, key)
            except IndexError:
                break
            except (OSError, http.client.HTTPException, Failed) as err:
                errors.append(f"{key.name}: {err}")
        s3.close()

    at_once(work, range(4))
    check(not errors, f"{len(errors)} keys are wrong: {errors[:4]}")


def settle(s3, key):
    got = s3.get(BUCKET, key.name)
    check(got.status in (200, 404), f"status {got!r}")
    digest = hashlib.sha256(got.body).hexdigest() if got.status == 200 else None
    for version in key.possible:
        if (version.digest() if version else None) == digest:
            key.possible, key.touched = [version], False
            return
    raise Failed(f"holds {got.status} with {len(got.body)} bytes {got.body[:20]!r}, "
                 f"none of {key.possible}")


def verify_listing(gateway, keys):
    s3 = S3(gateway.endpoint, gateway.access_key, gateway.secret_key)
    equal(s3.list_keys(BUCKET), sorted(k.name for k in keys if k.possible[0]), "the listing")
    s3.close()


def one_round(number, gateway, clients, rng):
    before = sum(c.acknowledged for c in clients)
    for client in clients:
        client.next_thread()
        client.start()
    time.sleep(rng.uniform(0.5, 1.5))  # the moment of the kill, not a wait for something
    gateway.kill9()
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join()
    keys = [key for client in clients for key in client.keys]
    doubtful = sum(len(k.possible) > 1 for k in keys)
    begun = time.monotonic()
    gateway.start()
    ready = time.monotonic() - begun
    touched = [k for k in keys if k.touched]
    verify(gateway, touched)
    verify_listing(gateway, keys)
    refusals = [r for c in clients for r in c.refusals]
    acknowledged = sum(c.acknowledged for c in clients) - before
    print(f"     round {number}: {acknowledged} acknowledged, {doubtful} in doubt, "
          f"{len(touched)} keys read back, ready after {ready:.2f} s", flush=True)
    check(not refusals, f"refused: {refusals[:3]}")
    check(acknowledged and doubtful, "the kill hit nothing: nothing was proved")


def nothing_is_left(volume, gateway):
    """After `kiseki gc` the store holds just what is referenced: the orphans of each kill are found
    from the rows of its session, without a listing of the store."""
    gateway.stop()
    gc = volume.tool("gc", "--apply")
    there, wanted = behind.objects(volume), behind.referenced(volume)
    equal((there - wanted, wanted - there), (set(), set()), f"too many, missing; {gc}")
    gateway.start()


def main():
    suite = Suite(__doc__, "kill9")
    suite.add("--rounds", type=int, default=20)
    suite.add("--clients", type=int, default=16)

    def tests(s):
        rng = random.Random(s.args.seed)
        volume = Volume(s.ws, s.args.way, "kill9")
        gateway = volume.gateway()
        S3(gateway.endpoint, gateway.access_key, gateway.secret_key).make_bucket(BUCKET)
        clients = [Client(n, gateway, s.args.seed) for n in range(s.args.clients)]
        for number in range(1, s.args.rounds + 1):
            if not s.test(f"round {number}", lambda n=number: one_round(n, gateway, clients, rng)):
                return  # the state of the keys is not known any more
        every = [k for c in clients for k in c.keys]
        s.test("everything at the end", lambda: verify(gateway, every))
        s.test("nothing is left behind", lambda: nothing_is_left(volume, gateway))

    return suite.run(tests)


if __name__ == "__main__":
    sys.exit(main())
