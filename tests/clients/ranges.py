"""Writes into objects that are there: PatchObject and appends, small objects and large ones."""

import os
import re

from harness.runner import Lane, check, equal
from harness.s3 import md5

SIZES = (0, 10, 60000, 70000, 5 * 2 ** 20 + 3)  # in the key's row, one slice, two
ETAG = re.compile(r'"[0-9a-f]{32}-\d+"')
LONG_AGO = "Wed, 12 Oct 2009 17:50:00 GMT"


def is_error(answer, status, code, what):
    equal((answer.status, answer.code), (status, code), f"{what}: {answer!r}")


class Ranges(Lane):
    label = "ranges"

    def setup(self):
        self.skipped = self.endpoint.kind == "minio"
        super().setup()

    def put(self, key, size, **more):
        body = os.urandom(size)
        equal(self.s3.put(self.bucket, key, body, **more).status, 200, "PUT")
        return body

    def patch(self, key, first, body, headers=None, last=None, **more):
        last = first + len(body) - 1 if last is None else last
        return self.s3.request("PATCH", self.bucket, key, body=body, headers={
            "content-range": f"bytes {first}-{last}/*", **(headers or {})}, **more)

    def append(self, key, offset, body, headers=None, **more):
        return self.s3.put(self.bucket, key, body, headers={
            "x-amz-write-offset-bytes": str(offset), **(headers or {})}, **more)

    def holds(self, key, body, etag):
        """GET, HEAD and LIST agree on it; no checksum of other bytes is told."""
        got = self.s3.get(self.bucket, key, headers={"x-amz-checksum-mode": "ENABLED"})
        equal((got.status, len(got.body)), (200, len(body)), f"GET {key}")
        check(got.body == body, f"{key}: other bytes")
        equal(got.headers["ETag"], etag, f"ETag of {key}")
        head = self.s3.head(self.bucket, key)
        equal((head.headers["ETag"], head.headers["Content-Length"]), (etag, str(len(body))), "HEAD")
        listed = self.s3.request("GET", self.bucket, query=[("list-type", "2"), ("prefix", key)])
        equal((listed.text("ETag"), listed.text("Size")), (etag, str(len(body))), "LIST")
        if ETAG.fullmatch(etag):
            check(not [h for h in got.headers if h.lower().startswith("x-amz-checksum-")],
                  f"a stale checksum: {got.headers}")

    # PatchObject

    def test_patch(self):
        self.skip_on_minio("has no PATCH")
        for size in SIZES[1:]:
            body, etags = bytearray(self.put("patched", size)), set()
            for first in (0, 1, size // 2, size - 1, size):
                new = os.urandom(7)
                answer = self.patch("patched", first, new)
                equal(answer.status, 200, f"PATCH {first} of {size}: {answer!r}")
                body[first:first + 7] = new
                etag = answer.headers["ETag"]
                check(ETAG.fullmatch(etag) and etag not in etags, f"ETag {etag}")
                equal(answer.text("ETag"), etag, "ETag in the document")
                check(answer.text("LastModified"), "LastModified in the document")
                etags.add(etag)
                self.holds("patched", bytes(body), etag)

    def test_patch_of_many_bytes(self):
        self.skip_on_minio("has no PATCH")
        body = bytearray(self.put("many", 6 * 2 ** 20))
        for payload in ("signed", "unsigned", "streaming-signed", "streaming-unsigned-trailer"):
            new = os.urandom(5 * 2 ** 20)
            answer = self.patch("many", 12345, new, payload=payload)
            equal(answer.status, 200, f"{payload}: {answer!r}")
            body[12345:12345 + len(new)] = new
            self.holds("many", bytes(body), answer.headers["ETag"])

    def test_patch_behind_the_end(self):
        """Bytes that were never written are zeros."""
        self.skip_on_minio("has no PATCH")
        for size in (0, 10, 100000):
            body = self.put("gap", size)
            answer = self.patch("gap", size + 100000, b"end")
            equal(answer.status, 200, f"{answer!r}")
            self.holds("gap", body + bytes(100000) + b"end", answer.headers["ETag"])

    def test_patch_under_conditions(self):
        self.skip_on_minio("has no PATCH")
        for size in SIZES[1:4]:
            body = self.put("if", size)
            first = f'"{md5(body)}"'
            for headers in ({"if-match": '"other"'}, {"if-none-match": first},
                            {"if-none-match": "*"}, {"if-unmodified-since": LONG_AGO}):
                is_error(self.patch("if", 0, b"x", headers), 412, "PreconditionFailed", headers)
            self.holds("if", body, first)
            modified = self.s3.head(self.bucket, "if").headers["Last-Modified"]
            second = self.patch("if", 0, b"abc", {"if-match": first,
                                                  "if-unmodified-since": modified})
            equal(second.status, 200, f"{second!r}")
            third = self.patch("if", 1, b"B", {"if-match": second.headers["ETag"]})
            equal(third.status, 200, f"{third!r}")
            is_error(self.patch("if", 0, b"x", {"if-match": second.headers["ETag"]}), 412,
                     "PreconditionFailed", "an ETag of before")
            self.holds("if", b"aBc" + body[3:], third.headers["ETag"])

    def test_patch_refused(self):
        self.skip_on_minio("has no PATCH")
        body = self.put("kept", 100)
        is_error(self.s3.request("PATCH", self.bucket, "kept", body=b"x"), 400,
                 "MissingContentRange", "without Content-Range")
        for value in ("bytes 5-3/*", "bytes=0-0/*", "0-0", "bytes */3", "bytes x-y/*"):
            is_error(self.s3.request("PATCH", self.bucket, "kept", body=b"x",
                                     headers={"content-range": value}), 400, "InvalidArgument",
                     value)
        is_error(self.patch("kept", 0, b"xyz", last=3), 400, "InvalidRequest", "too short a body")
        is_error(self.patch("kept", 0, b"xyz", last=1), 400, "InvalidRequest", "too long a body")
        is_error(self.patch("kept", 0, b"", last=0), 411, "MissingContentLength", "no body")
        is_error(self.patch("kept", 2 ** 62, b"x"), 400, "EntityTooLarge", "far behind the end")
        is_error(self.patch("kept", 0, b"x", {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}), 400,
                 "BadDigest", "another MD5")
        is_error(self.patch("kept", 0, b"x", {"x-amz-checksum-crc32": "AAAAAA=="}), 400,
                 "BadDigest", "another checksum")
        is_error(self.patch("never", 0, b"x"), 404, "NoSuchKey", "no key")
        is_error(self.s3.request("PATCH", "no-such-bucket", "k", body=b"x",
                                 headers={"content-range": "bytes 0-0/*"}), 404, "NoSuchBucket",
                 "no bucket")
        self.holds("kept", body, f'"{md5(body)}"')

    def test_patch_to_where_the_body_ends(self):
        self.skip_on_minio("has no PATCH")
        body = self.put("open", 10)
        answer = self.s3.request("PATCH", self.bucket, "open", body=b"xyz",
                                 headers={"content-range": "bytes 4-/*"})
        self.holds("open", body[:4] + b"xyz" + body[7:], answer.headers["ETag"])

    def test_patch_keeps_what_is_with_the_object(self):
        self.skip_on_minio("has no PATCH")
        for size in (10, 100000):
            self.put("with", size, headers={"content-type": "text/x", "x-amz-meta-a": "b",
                                            "x-amz-storage-class": "STANDARD_IA"})
            self.patch("with", 0, b"x")
            head = self.s3.head(self.bucket, "with").headers
            equal((head["Content-Type"], head["x-amz-meta-a"], head["x-amz-storage-class"]),
                  ("text/x", "b", "STANDARD_IA"), "headers")

    def test_patched_object_is_copied_and_overwritten(self):
        self.skip_on_minio("has no PATCH")
        body = bytearray(self.put("source", 2 ** 20))
        for first in (0, 1000, 500):
            etag = self.patch("source", first, b"y" * 1000).headers["ETag"]
            body[first:first + 1000] = b"y" * 1000
        copy = self.s3.request("PUT", self.bucket, "copied",
                               headers={"x-amz-copy-source": f"/{self.bucket}/source"})
        equal(copy.status, 200, f"{copy!r}")
        self.holds("copied", bytes(body), etag)
        body[7:8] = b"z"
        self.holds("copied", bytes(body), self.patch("copied", 7, b"z").headers["ETag"])
        is_error(self.s3.put(self.bucket, "source", b"new", headers={"if-match": '"x"'}), 412,
                 "PreconditionFailed", "PUT under another ETag")
        equal(self.s3.put(self.bucket, "source", b"new", headers={"if-match": etag}).status, 200,
              "PUT under its ETag")
        self.holds("source", b"new", f'"{md5(b"new")}"')

    # Appending

    def test_append(self):
        self.skip_on_minio("has another idea of it")
        body = b""
        self.s3.delete(self.bucket, "log")
        for size in (10, 0, 1, 65530, 10, 70000, 100, 5 * 2 ** 20):
            new = os.urandom(size)
            answer = self.append("log", len(body), new)
            equal(answer.status, 200, f"append of {size} at {len(body)}: {answer!r}")
            body += new
            if len(body) > size:
                equal(answer.headers["x-amz-object-size"], str(len(body)), "x-amz-object-size")
            self.holds("log", body, answer.headers["ETag"])

    def test_append_wants_the_size(self):
        self.skip_on_minio("has another idea of it")
        for size in SIZES[1:4]:
            body = self.put("size", size)
            for offset in (0, 1, size - 1, size + 1, 2 ** 40):
                is_error(self.append("size", offset, b"x"), 400, "InvalidWriteOffset", offset)
            for offset in ("", "x", "-1", "1.5", str(2 ** 70)):
                is_error(self.append("size", offset, b"x"), 400, "InvalidArgument", offset)
            self.holds("size", body, f'"{md5(body)}"')
        is_error(self.append("absent", 5, b"x"), 400, "InvalidWriteOffset", "no key")
        equal(self.s3.head(self.bucket, "absent").status, 404, "a key was made")

    def test_append_under_conditions(self):
        self.skip_on_minio("has another idea of it")
        for size in SIZES[1:4]:
            body = self.put("cond", size)
            first = f'"{md5(body)}"'
            is_error(self.append("cond", size, b"x", {"if-match": '"x"'}), 412,
                     "PreconditionFailed", "another ETag")
            is_error(self.append("cond", size, b"x", {"if-none-match": "*"}), 412,
                     "PreconditionFailed", "must be absent")
            second = self.append("cond", size, b"x", {"if-match": first})
            equal(second.status, 200, f"{second!r}")
            self.holds("cond", body + b"x", second.headers["ETag"])
        self.s3.delete(self.bucket, "cond")
        is_error(self.append("cond", 0, b"x", {"if-match": first}), 404, "NoSuchKey", "no key")
        made = self.append("cond", 0, b"x", {"if-none-match": "*"})
        equal((made.status, made.headers["ETag"]), (200, f'"{md5(b"x")}"'), f"{made!r}")

    def test_append_takes_no_metadata(self):
        """It is given with an object's first bytes."""
        self.skip_on_minio("has another idea of it")
        self.s3.delete(self.bucket, "meta")
        made = self.append("meta", 0, b"a", {"x-amz-meta-a": "1", "content-type": "text/x"})
        equal(made.status, 200, f"{made!r}")
        is_error(self.append("meta", 1, b"b", {"x-amz-meta-a": "2"}), 400, "InvalidRequest",
                 "metadata")
        equal(self.append("meta", 1, b"b").status, 200, "append")
        got = self.s3.get(self.bucket, "meta")
        equal((got.body, got.headers["x-amz-meta-a"], got.headers["Content-Type"]),
              (b"ab", "1", "text/x"), "the object")
