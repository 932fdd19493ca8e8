#!/usr/bin/python3
"""Bytes that rot in the backing store are never served.

    tests/fault/flipped.py --way sqlite|pg [--seed N] [--only TEXT]

A bit of a stored slice is flipped, a slice is cut short, or gone: a GET that begins there answers
500, one that comes to it later breaks its connection before the first wrong byte, the log names the
slice and the granule, everything else goes on, and when the slice is whole again so is the object.
The last line is "N passed, N failed".
"""

import http.client
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind, sigv4
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume

BUCKET = "flipped"
MIB = 1024 * 1024
SLICE, GRANULE = 4 * MIB, 65536
BODY = random.Random(3).randbytes(3 * SLICE + 100000)
OTHER = random.Random(4).randbytes(SLICE)


class Backing:
    """The objects behind the gateway, to be read and changed."""

    def __init__(self, volume):
        self._volume = volume
        if volume.way == "pg":
            minio = volume.minio
            self._s3 = S3(minio.endpoint, minio.access_key, minio.secret_key)

    def get(self, name):
        if self._volume.way == "sqlite":
            with open(os.path.join(self._volume.store_dir, name), "rb") as file:
                return file.read()
        answer = self._s3.get(self._volume.database, f"slices/{name}")
        equal(answer.status, 200, f"{name} in MinIO")
        return answer.body

    def put(self, name, data):
        """data None: it is gone."""
        if self._volume.way == "sqlite":
            path = os.path.join(self._volume.store_dir, name)
            if data is None:
                os.unlink(path)
                return
            with open(path, "wb") as file:
                file.write(data)
            return
        key = f"slices/{name}"
        answer = (self._s3.delete(self._volume.database, key) if data is None else
                  self._s3.put(self._volume.database, key, data, payload="unsigned"))
        check(answer.status in (200, 204), f"changing {name} in MinIO: {answer!r}")


class Flipped:
    def __init__(self, ws, way, rng):
        self.volume, self.rng = Volume(ws, way, "flipped"), rng
        # The last bytes too are a slice, not a row.
        self.gateway = self.volume.gateway(env={"KISEKI_INLINE_SIZE": "0"})
        self.s3 = S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key)
        self.backing = Backing(self.volume)
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        for key, body in (("object", BODY), ("other", OTHER)):
            equal(self.s3.put(BUCKET, key, body, payload="unsigned").status, 200, "PUT")
        self.slices = self.find_slices()

    def find_slices(self):
        """The names of the object's slices, in order."""
        names = {self.backing.get(name): name for name in behind.objects(self.volume)}
        return [names[BODY[at:at + SLICE]] for at in range(0, len(BODY), SLICE)]

    # What is done to a slice

    def cold(self):
        """Nothing in memory: the gateway is started anew."""
        self.s3.close()
        self.gateway.stop()
        self.gateway.start()

    def with_slice(self, number, change, test):
        """Runs test() while slice `number` is what change() makes of it, then without a restart
        as it was: nothing wrong may have stayed in the cache."""
        name = self.slices[number]
        data = self.backing.get(name)
        self.cold()
        log = len(self.gateway.process.log())
        self.backing.put(name, change(data))
        try:
            test()
            self.others_are_well()
        finally:
            self.backing.put(name, data)
        self.logged = self.gateway.process.log()[log:]
        got = self.s3.get(BUCKET, "object")
        check((got.status, got.body) == (200, BODY), f"whole again, but {got!r}")

    def flip(self, granule):
        """One bit of the granule."""
        def change(data):
            last = min(len(data), (granule + 1) * GRANULE) - granule * GRANULE
            at = granule * GRANULE + self.rng.randrange(last)
            print(f"     bit of byte {at} flipped", flush=True)
            return data[:at] + bytes([data[at] ^ 1 << self.rng.randrange(8)]) + data[at + 1:]
        return change

    def log_says(self, name, text):
        check(any(name in line and text in line and " error " in line
                  for line in self.logged.splitlines()), f"no error '{name}: {text}' in the log")

    # What is seen

    def others_are_well(self):
        check(self.s3.get(BUCKET, "other").body == OTHER, "the other object is another")
        head = self.s3.head(BUCKET, "object")
        equal((head.status, head.headers["Content-Length"]), (200, str(len(BODY))), "HEAD")

    def get_range(self, first, last):
        return self.s3.get(BUCKET, "object", headers={"range": f"bytes={first}-{last}"})

    def refused(self, answer):
        equal((answer.status, answer.code), (500, "InternalError"), f"{answer!r}")
        equal(answer.headers["ETag"], None, "an ETag")

    def broken_before(self, limit):
        """200, right bytes, and the connection breaks before byte `limit`."""
        path = self.s3.path(BUCKET, "object")
        conn = self.s3.connection()
        conn.request("GET", path, headers=self.s3.signer.headers(
            "GET", path, (), {"host": self.s3.host}, sigv4.UNSIGNED))
        answer = conn.getresponse()
        equal((answer.status, answer.length), (200, len(BODY)), "the head")
        try:
            answer.read()
            check(False, "the answer is complete")
        except http.client.IncompleteRead as cut:
            got = cut.partial
        except ConnectionResetError:
            got = b""
        finally:
            conn.close()
        check(len(got) <= limit, f"{len(got)} bytes came, {limit} are right")
        check(got == BODY[:len(got)], "other bytes came before it broke")

    # Tests

    def first_granule(self):
        def test():
            for _ in range(2):  # nothing of it is remembered as good
                self.refused(self.s3.get(BUCKET, "object"))
            self.refused(self.get_range(GRANULE - 1, GRANULE))
            got = self.get_range(GRANULE, len(BODY) - 1)
            check((got.status, got.body) == (206, BODY[GRANULE:]), f"its neighbours: {got!r}")

        self.with_slice(0, self.flip(0), test)
        self.log_says(self.slices[0], "granule 0 has a wrong checksum, it is fetched again")
        self.log_says(self.slices[0], "granule 0 is corrupt")

    def later_granule(self):
        granule = self.rng.randrange(1, SLICE // GRANULE)
        bad = SLICE + granule * GRANULE

        def test():
            self.broken_before(bad)
            self.refused(self.get_range(bad + 1000, bad + 2000))
            got = self.get_range(0, bad - 1)
            check((got.status, got.body) == (206, BODY[:bad]), f"what is before it: {got!r}")

        self.with_slice(1, self.flip(granule), test)
        self.log_says(self.slices[1], f"granule {granule} has a wrong checksum")
        self.log_says(self.slices[1], f"granule {granule} is corrupt")

    def last_granule(self):
        """The short one at the end."""
        granule = (len(BODY) - 3 * SLICE) // GRANULE
        self.with_slice(3, self.flip(granule),
                        lambda: self.broken_before(3 * SLICE + granule * GRANULE))
        self.log_says(self.slices[3], f"granule {granule} is corrupt")

    def copied(self):
        """A copy moves no bytes, so it is as good as its source; but no checksum is made of wrong
        bytes, and the copy is not there then."""
        copy = {"x-amz-copy-source": f"/{BUCKET}/object"}

        def test():
            answer = self.s3.put(BUCKET, "copy", b"",
                                 headers={**copy, "x-amz-checksum-algorithm": "SHA256"})
            check(answer.code == "InternalError", f"a checksum of wrong bytes: {answer!r}")
            equal(self.s3.get(BUCKET, "copy").status, 404, "the copy")

        self.with_slice(2, self.flip(9), test)
        equal(self.s3.put(BUCKET, "copy", b"", headers=copy).status, 200, "copy")
        check(self.s3.get(BUCKET, "copy").body == BODY, "the copy is another")

    def cut_short(self):
        self.with_slice(1, lambda data: data[:len(data) // 2], lambda: self.broken_before(SLICE))
        self.log_says(self.slices[1], "")
        self.with_slice(0, lambda data: data[:-1],
                        lambda: self.refused(self.s3.get(BUCKET, "object")))
        self.log_says(self.slices[0], "")

    def gone(self):
        """Damage, never "no such key"."""
        self.with_slice(0, lambda data: None,
                        lambda: self.refused(self.s3.get(BUCKET, "object")))
        self.log_says(self.slices[0], "")


TESTS = ("first_granule", "later_granule", "last_granule", "copied", "cut_short", "gone")


def main():
    suite = Suite(__doc__, "flipped")
    return suite.run(lambda s: s.methods(
        Flipped(s.ws, s.args.way, random.Random(s.args.seed)), TESTS))


if __name__ == "__main__":
    sys.exit(main())
