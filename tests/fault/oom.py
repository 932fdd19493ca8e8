#!/usr/bin/python3
"""Memory that runs out is an error, never a crash, and never a lost or half write.

    tests/fault/oom.py --way sqlite|pg [--only TEXT] [--full] [--seed N]

build/oom.so (tests/oom/oom.c) makes allocations of a gateway and of the tools fail: the n-th, n from
1 on, while it starts and during each kind of request; then one in k, under load. The program must
live, answer 500 or 503 where it cannot do better, and, once there is memory again, serve and hold
what it acknowledged. --full: every n; otherwise some, by the seed. `make oom` runs the long form.
The last line is "N passed, N failed".
"""

import functools
import http.client
import mmap
import os
import random
import re
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import sigv4
from harness.kiseki import ACCESS_KEY, BINARY, SECRET_KEY
from harness.runner import at_once, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.tls import Certificate
from harness.workspace import ROOT, Failed, free_port, wait_for

LIBRARY = os.path.join(ROOT, "build/oom.so")
# What these do with a failed allocation is reported to us, so it is ours to handle.
MODULES = "self,libexpat,libjansson,libcrypto"
# libcrypto crashes by itself when the first use of an algorithm finds no memory.
MODULES_AT_START = "self,libexpat,libjansson"
# These survive, too, but for what tests/oom/README.md says.
MORE = "libsqlite3,libpq,libcurl"
BUCKET = "oom"
MIB = 1024 * 1024
BIG = random.Random(9).randbytes(11 * MIB)
OFF, AT, EVERY = 0, 1, 2
CALLERS = 32
BODIES = 8


# What a key may hold is kept, and grows with each write that failed: few bodies, each made once.
@functools.lru_cache(None)
def piece(number, size):
    return BIG[number:number + size]


@functools.lru_cache(None)
def joined(number):
    """The two parts of an upload."""
    return piece(number, 5 * MIB) + piece(number, 100)


@functools.lru_cache(None)
def patched(body):
    return body[:100000] + b"patched" + body[100007:]


def unique(bodies):
    return list(dict.fromkeys(bodies))


class Control:
    """The page that build/oom.so reads (struct control of tests/oom/oom.c)."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.write(bytes(4096))
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 4096)

    def set(self, mode, n=0, span=1, seed=0):
        struct.pack_into("=Q", self.page, 0, OFF)
        struct.pack_into("=QQQQQ", self.page, 8, n, span, seed, 0, 0)
        struct.pack_into("=Q", self.page, 0, mode)

    def off(self):
        struct.pack_into("=Q", self.page, 0, OFF)

    def failed(self):
        return struct.unpack_from("=Q", self.page, 40)[0]

    def where(self):
        """Whose allocations failed last, for whoever looks for a fault."""
        count = min(self.failed(), CALLERS)
        found = struct.unpack_from(f"={count}Q", self.page, 48)
        names = f"{MODULES},{MORE}".split(",")
        own = [hex(a) for a in found if a >> 56 == 0]
        done = subprocess.run(["addr2line", "-fse", BINARY, *own], capture_output=True, text=True,
                              check=False)
        lines = done.stdout.split("\n")
        return ", ".join([f"{lines[i]} ({lines[i + 1]})" for i in range(0, len(lines) - 1, 2)]
                         + [names[a >> 56] for a in found if a >> 56])


class Oom:
    def __init__(self, ws, way, full, seed):
        self.ws, self.way, self.full, self.random = ws, way, full, random.Random(seed)
        self.volume = Volume(ws, way, "oom")
        self.control = Control(ws.path("oom.control"))
        self.env = {"LD_PRELOAD": LIBRARY, "OOM_MODULES": MODULES,
                    "OOM_CONTROL": self.control.path, "KISEKI_INLINE_SIZE": "64K",
                    "KISEKI_MEMORY_SIZE": "64M", "KISEKI_LOG_LEVEL": "debug"}
        self.keys, self.lock = {}, threading.Lock()  # what each key may hold

    def gateway(self, **more):
        return self.volume.gateway(env={**self.env, **more})

    def client(self, gateway):
        return S3(gateway.endpoint, ACCESS_KEY, SECRET_KEY, timeout=60,
                  ca=gateway.cert.cert if gateway.cert else None)

    def turns(self, few):
        """Which of the allocations fail in turn: every one, or a few by the seed."""
        n = 0
        while True:
            n += 1 if self.full else 1 + self.random.randrange(2 * few)
            yield n

    def alive(self, gateway):
        try:
            gateway.process.check()
        except Failed as err:
            raise Failed(f"{str(err)[:60]}; failed last: {self.control.where()}") from None

    # --- starting, and tools ---

    def starts(self):
        """A gateway that cannot start ends with a line that says why; else it serves and stops."""
        self.control.off()
        for n in self.turns(100):
            self.control.set(AT, n)
            port = free_port()
            child = subprocess.Popen(
                [BINARY, "serve"], cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                env={**os.environ, **self.volume.env, **self.env,
                     "OOM_MODULES": MODULES_AT_START, "KISEKI_META": self.volume.meta(), "KISEKI_STORE": self.volume.store,
                     "KISEKI_ACCESS_KEY": ACCESS_KEY, "KISEKI_SECRET_KEY": SECRET_KEY,
                     "KISEKI_LISTEN": f"127.0.0.1:{port}"})
            said = []
            reader = threading.Thread(target=lambda p, s: s.append(p.stderr.read()),
                                      args=(child, said))
            reader.start()
            wait_for(f"allocation {n}: it serves or has ended",
                     lambda c=child, p=port: c.poll() is not None or self.answers(p), 60)
            failed = self.control.failed()
            self.control.off()
            child.terminate()
            code = child.wait(60)
            reader.join()
            text = said[0].decode()
            check(code in (0, 1, 2), f"allocation {n}: exit code {code}: {text[-2000:]} "
                                  f"failed last: {self.control.where()}")
            check(code == 0 or re.search("^kiseki: .", text, re.M), f"allocation {n}: {text}")
            if failed == 0:
                check(n > 20, f"only {n} allocations were seen")
                return

    @staticmethod
    def answers(port):
        try:
            conn = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            conn.request("GET", "/")
            return conn.getresponse().status in (403, 500, 503)
        except (OSError, http.client.HTTPException):
            return False

    def tools(self):
        self.fill()
        all_tools = (("status",), ("fsck", "--check-store"), ("scrub",), ("dump", "-"),
                     ("gc", "--apply"))
        for words in all_tools if self.full else all_tools[:2]:
            for n in self.turns(60 if words[0] != "status" else 20):
                self.control.set(AT, n)
                done = self.volume.tool(*words, env={**self.env,
                                                     "OOM_MODULES": MODULES_AT_START})
                failed = self.control.failed()
                self.control.off()
                check(done.returncode in (0, 1, 2), f"allocation {n} of {words}: exit code "
                      f"{done.returncode}: {done.stderr} failed last: {self.control.where()}")
                if failed == 0:
                    break

    def fill(self):
        gateway = self.gateway()
        s3 = self.client(gateway)
        check(s3.make_bucket(BUCKET).status in (200, 409), "making the bucket")
        for i in range(3):
            equal(s3.put(BUCKET, f"fill/{i}", BIG[:MIB * i + 10]).status, 200, "PUT")
        s3.close()
        gateway.stop()

    # --- requests ---

    def write(self, s3, key, body, do):
        """Does something that makes `key` hold `body` (None: nothing), and keeps the books."""
        with self.lock:
            may = self.keys.setdefault(key, [None])
            if body not in may:
                may.append(body)
        answer = do()
        self.fair(answer, key)
        if answer.status < 300 and b"<Error>" not in answer.body:
            with self.lock:
                self.keys[key] = [body]
        return answer

    @staticmethod
    def fair(answer, what, more=()):
        check(answer.status in (200, 204, 206, 500, 503, *more),
              f"{what}: {answer!r} for a good request")

    def put(self, s3, key, size):
        body = piece(self.random.randrange(BODIES), size)
        return self.write(s3, key, body, lambda: s3.put(BUCKET, key, body))

    def put_streaming(self, s3, key):
        body = piece(self.random.randrange(BODIES), 200000)
        return self.write(s3, key, body, lambda: s3.put(
            BUCKET, key, body, payload="streaming-unsigned-trailer"))

    def multipart(self, s3, key):
        at = self.random.randrange(BODIES)
        parts = [piece(at, 5 * MIB), piece(at, 100)]
        return self.write(s3, key, joined(at), lambda: s3.multipart(BUCKET, key, parts))

    def copy(self, s3, key):
        with self.lock:
            source = self.keys.get("copied", [None])
        if len(source) != 1 or source[0] is None:
            return self.put(s3, "copied", 300000)
        return self.write(s3, key, source[0], lambda: s3.put(
            BUCKET, key, b"", headers={"x-amz-copy-source": f"/{BUCKET}/copied"}))

    def delete(self, s3, key):
        return self.write(s3, key, None, lambda: s3.delete(BUCKET, key))

    def delete_many(self, s3, key):
        body = f"<Delete><Object><Key>{key}</Key></Object></Delete>".encode()
        return self.write(s3, key, None, lambda: s3.request(
            "POST", BUCKET, query=[("delete", "")], body=body,
            headers={"x-amz-checksum-crc32": sigv4.crc32(body)}))

    def read(self, s3, key, **more):
        with self.lock:
            before = list(self.keys.get(key, [None]))
        answer = s3.get(BUCKET, key, **more)
        with self.lock:
            may = before + self.keys.get(key, [None])
        self.fair(answer, f"GET {key}", (404,) if None in may else ())
        if answer.status == 200:
            check(answer.body in may, f"GET {key}: wrong bytes")

    def listing(self, s3):
        self.fair(s3.request("GET", BUCKET, query=[("list-type", "2"), ("max-keys", "5")]), "LIST")
        self.fair(s3.request("GET"), "ListBuckets")

    def patch(self, s3, key):
        """Bytes in the middle of an object: either the old ones or the new ones stand there."""
        with self.lock:
            may = [m for m in self.keys.get(key, [None]) if m is not None and len(m) > 200000]
            if not may or len(may) != len(self.keys[key]):
                return None
            after = unique(map(patched, may))
            self.keys[key] = unique(may + after)
        answer = s3.request("PATCH", BUCKET, key, body=b"patched",
                            headers={"content-range": "bytes 100000-100006/*"})
        self.fair(answer, f"PATCH {key}")
        if answer.status == 200:
            with self.lock:
                self.keys[key] = after
        return answer

    def operations(self, name):
        """{what: does it once}, on keys that begin with `name`."""
        return {
            "small PUT": lambda s3: self.put(s3, name + "small", 5000),
            "PUT": lambda s3: self.put(s3, name + "big", 9 * MIB),
            "GET": lambda s3: self.read(s3, name + "big"),
            "streaming PUT": lambda s3: self.put_streaming(s3, name + "streamed"),
            "small GET": lambda s3: self.read(s3, name + "small"),
            "ranged GET": lambda s3: self.read(s3, name + "big", headers={"range": "bytes=5-70000"}),
            "LIST": self.listing,
            "copy": lambda s3: self.copy(s3, name + "copy"),
            "PATCH": lambda s3: self.patch(s3, name + "big"),
            "multipart": lambda s3: self.multipart(s3, name + "parts"),
            "GET of parts": lambda s3: self.read(s3, name + "parts"),
            "DeleteObjects": lambda s3: self.delete_many(s3, name + "copy"),
            "DELETE": lambda s3: self.delete(s3, name + "small"),
        }

    def settled(self, gateway):
        """With memory again it serves, soon, and holds what it acknowledged."""
        self.control.off()
        s3 = self.client(gateway)
        wait_for("it serves again", lambda: s3.put(BUCKET, "settled", b"s").status == 200, 60)
        for key, may in self.keys.items():
            answer = s3.get(BUCKET, key)
            check(answer.status in (200, 404), f"GET {key}: {answer!r}")
            check((answer.body if answer.status == 200 else None) in may,
                  f"{key} holds {answer!r}, none of {[m and (m[:20], len(m)) for m in may]}")
            self.keys[key] = [answer.body if answer.status == 200 else None]
        s3.close()
        self.alive(gateway)

    def in_turn(self):
        """The n-th allocation after a request was sent fails."""
        gateway = self.gateway()
        self.client(gateway).make_bucket(BUCKET)
        for what, do in self.operations("turn/").items():
            for n in self.turns(12):
                s3 = self.client(gateway)
                self.control.set(AT, n)
                try:
                    do(s3)
                except (OSError, http.client.HTTPException):
                    pass  # a broken connection is an answer, too
                except Exception as err:
                    raise Failed(f"{what}, allocation {n}: {err}; failed: "
                                 f"{self.control.where()}") from None
                finally:
                    self.control.off()
                failed = self.control.failed()
                s3.close()
                self.alive(gateway)
                if failed == 0:
                    break
        self.settled(gateway)
        gateway.stop()

    def under_load(self):
        """One in k fails, for every thread, over http and https."""
        for cert in (None, Certificate(self.ws)):
            gateway = self.volume.gateway(env=self.env, cert=cert)
            self.client(gateway).make_bucket(BUCKET)
            for k in (2, 7, 30, 200, 1000) if self.full else (5, 100):
                self.storm(gateway, k, 60 if self.full else 10)
            gateway.stop()

    def libraries(self):
        """The same with what libraries allocate for us."""
        gateway = self.gateway(OOM_MODULES=MODULES + "," + MORE)
        self.client(gateway).make_bucket(BUCKET)
        for k in (20, 200, 3000) if self.full else (200,):
            self.storm(gateway, k, 40 if self.full else 10)
        gateway.stop()

    def storm(self, gateway, k, steps):
        seeds = [self.random.random() for _ in range(4)]
        self.control.set(EVERY, k, seed=self.random.getrandbits(32))

        def client(i):
            rng, ops = random.Random(seeds[i]), list(self.operations(f"storm{i}/").values())
            for _ in range(steps):
                s3 = self.client(gateway)
                try:
                    rng.choice(ops)(s3)
                except (OSError, http.client.HTTPException):
                    pass
                s3.close()
        try:
            at_once(client, range(4))
        finally:
            self.control.off()
            self.alive(gateway)
        check(self.control.failed() > 0, "nothing failed")
        self.settled(gateway)


TESTS = ("starts", "tools", "in_turn", "under_load", "libraries")


def main():
    if not os.path.exists(LIBRARY):
        raise SystemExit("build/oom.so is missing: make build/oom.so")
    suite = Suite(__doc__, "oom")
    suite.add("--full", action="store_true", help="every allocation in turn")
    return suite.run(lambda s: s.methods(Oom(s.ws, s.args.way, s.args.full, s.args.seed), TESTS))


if __name__ == "__main__":
    sys.exit(main())
