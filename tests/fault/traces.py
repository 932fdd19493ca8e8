#!/usr/bin/python3
"""An upload that breaks leaves the old object and no trace.

    tests/fault/traces.py --way sqlite|pg [--only TEXT]

Clients vanish in the middle, bodies are short, digests, checksums and chunk signatures are wrong,
uploads are aborted, a gateway is killed: afterwards the old object reads back, and once the
background jobs have run the backing store holds exactly what the rows name. The last line is
"N passed, N failed".
"""

import base64
import hashlib
import http.client
import os
import random
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind, sigv4
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import wait_for

BUCKET = "traces"
MIB = 1024 * 1024
OLD = random.Random(1).randbytes(5 * MIB)
NEW = random.Random(2).randbytes(24 * MIB + 12345)
WRONG = base64.b64encode(hashlib.md5(b"other bytes").digest()).decode()


class Traces:
    def __init__(self, ws, way):
        self.way = way
        self.volume = Volume(ws, way, "traces")
        self.gateway = self.volume.gateway(env={"KISEKI_LEASE": "3s"})
        self.s3 = self.client()
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        equal(self.s3.put(BUCKET, "old", OLD).status, 200, "PUT of the old object")

    def client(self):
        return S3(self.gateway.endpoint, self.gateway.access_key, self.gateway.secret_key)

    def as_before(self):
        equal(self.s3.list_keys(BUCKET), ["old"], "the keys")
        check(self.s3.get(BUCKET, "old").body == OLD, "the old object is another")
        equal(self.s3.get(BUCKET, "fresh").status, 404, "the object that never came to be")
        behind.no_trace(self.volume)
        equal(self.s3.list_keys(BUCKET), ["old"], "the keys afterwards")
        equal(behind.value(self.volume, "SELECT count(*) FROM inodes"), 1, "files")

    def broken(self, key, share, payload="unsigned", query=(), reset=True):
        """Sends a part of a body, then nothing more; closes with a reset or in order."""
        s3 = self.client()
        path = s3.path(BUCKET, key)
        headers, body = s3.prepare("PUT", path, query, {}, NEW, payload)
        head = f"PUT {s3.target(path, query)} HTTP/1.1\r\ncontent-length: {len(body)}\r\n" + \
            "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
        with s3.socket() as sock:
            sock.sendall(head.encode() + body[:int(len(body) * share)])
            wait_for("the gateway has begun with it", lambda: self.in_flight() > 0)
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def in_flight(self):
        return sum(self.gateway.metric("kiseki_requests_in_flight").values())

    # Clients that vanish

    def vanished(self):
        for key in ("old", "fresh"):
            for share in (0.0, 0.1, 0.5, 0.99):
                self.broken(key, share)
            self.broken(key, 0.5, "streaming-signed")
            self.broken(key, 0.9, "streaming-unsigned-trailer")
        wait_for("the gateway notices", lambda: self.in_flight() == 0, 30)
        self.as_before()

    def vanished_in_order(self):
        """libmicrohttpd may miss the end of a connection: then the idle limit finds it."""
        self.broken("old", 0.5, reset=False)
        wait_for("the gateway notices", lambda: self.in_flight() == 0, 90)
        self.as_before()

    def vanished_in_a_crowd(self):
        crowd = [threading.Thread(target=self.broken, daemon=True, args=(key, share))
                 for key in ("old", "fresh") for share in (0.2, 0.4, 0.6, 0.8)]
        for client in crowd:
            client.start()
        for client in crowd:
            client.join()
        wait_for("the gateway notices", lambda: self.in_flight() == 0, 30)
        self.as_before()

    # Bodies that are not what they claim to be

    def refused(self, *codes, key="old", **more):
        answer = self.s3.put(BUCKET, key, more.pop("body", NEW), **more)
        check(answer.status in (400, 403) and answer.code in codes, f"{codes}: {answer!r}")

    def wrong_digests(self):
        for key in ("old", "fresh"):
            for body in (NEW, b"inline"):
                self.refused("BadDigest", key=key, body=body, headers={"content-md5": WRONG})
                self.refused("XAmzContentSHA256Mismatch", key=key, body=body, payload="0" * 64)
                for name, size in (("crc32", 4), ("crc32c", 4), ("crc64nvme", 8), ("sha1", 20),
                                   ("sha256", 32)):
                    claim = base64.b64encode(b"\1" * size).decode()
                    self.refused("BadDigest", "XAmzContentChecksumMismatch", key=key, body=body,
                                 headers={"x-amz-checksum-" + name: claim})
        self.as_before()

    def wrong_chunks(self):
        trailer = {"x-amz-checksum-crc32": sigv4.crc32(b"other bytes")}
        for key in ("old", "fresh"):
            for number in (0, 200, (len(NEW) + 65535) // 65536):
                self.refused("SignatureDoesNotMatch", key=key, payload="streaming-signed",
                             bad_chunk=number)
            self.refused("SignatureDoesNotMatch", key=key, payload="streaming-signed-trailer",
                         bad_trailer=True)
            for payload in ("streaming-signed-trailer", "streaming-unsigned-trailer"):
                self.refused("BadDigest", "XAmzContentChecksumMismatch", key=key, payload=payload,
                             trailers=trailer)
            for length in (len(NEW) - 1, len(NEW) + 1):
                self.refused("IncompleteBody", "InvalidRequest", "MalformedTrailerError",
                             "InvalidChunkSizeError", key=key, payload="streaming-unsigned-trailer",
                             decoded_length=length)
            self.refused("IncompleteBody", "InvalidRequest", key=key, payload="streaming-signed",
                         edit=lambda framed: framed[:len(framed) // 2])
        self.as_before()

    def failed_conditions(self):
        """Judged at the commit, after the bytes are in the store."""
        for headers in ({"if-none-match": "*"}, {"if-match": '"0123456789abcdef"'}):
            equal(self.s3.put(BUCKET, "old", NEW, headers=headers).status, 412, f"{headers}")
        self.as_before()

    def missing_bucket(self):
        equal(self.s3.put("nowhere", "fresh", NEW).code, "NoSuchBucket", "the answer")
        self.as_before()

    # Multipart

    def begin(self, key):
        return self.s3.request("POST", BUCKET, key, query=[("uploads", "")]).text("UploadId")

    def aborted(self):
        upload = self.begin("old")
        for number in (1, 2, 2, 3):  # one is replaced
            part = [("partNumber", str(number)), ("uploadId", upload)]
            equal(self.s3.put(BUCKET, "old", NEW, query=part).status, 200, "a part")
        part[0] = ("partNumber", "4")
        self.broken("old", 0.7, query=part)
        wait_for("the gateway notices", lambda: self.in_flight() == 0, 30)
        equal(self.s3.put(BUCKET, "old", NEW, query=part,
                          headers={"content-md5": WRONG}).code, "BadDigest", "a wrong part")
        equal(self.s3.delete(BUCKET, "old", query=[("uploadId", upload)]).status, 204, "abort")
        equal(self.s3.put(BUCKET, "old", NEW, query=part).code, "NoSuchUpload", "a late part")
        self.as_before()
        equal(behind.value(self.volume, "SELECT count(*) FROM parts"), 0, "parts")

    def parts_left_out(self):
        """Complete names one of three parts; deleting the object then frees the rest."""
        upload, etags = self.begin("fresh"), []
        for number in (1, 2, 3):
            etags.append(self.s3.put(BUCKET, "fresh", NEW, query=[
                ("partNumber", str(number)), ("uploadId", upload)]).headers["ETag"])
        equal(self.s3.complete(BUCKET, "fresh", upload, etags[:1]).status, 200, "complete")
        behind.no_trace(self.volume)
        check(self.s3.get(BUCKET, "fresh").body == NEW, "the object is another")
        equal(self.s3.delete(BUCKET, "fresh").status, 204, "delete")
        self.as_before()

    # What was there for a while

    def overwritten_and_deleted(self):
        for body in (NEW, b"inline", NEW, OLD):
            equal(self.s3.put(BUCKET, "old", body).status, 200, "PUT")
            equal(self.s3.put(BUCKET, "fresh", body).status, 200, "PUT")
        copy = {"x-amz-copy-source": f"/{BUCKET}/old"}
        equal(self.s3.put(BUCKET, "fresh", b"", headers=copy).status, 200, "copy")
        equal(self.s3.delete(BUCKET, "fresh").status, 204, "delete")
        self.as_before()

    # The gateway

    def killed(self):
        """What a dead gateway left is found from its rows when its leases are over (that of a
        session here 3 s, that of a background job 30 s)."""
        def upload():
            try:
                while True:
                    self.client().put(BUCKET, "old", OLD)
                    self.client().put(BUCKET, "doomed", NEW)
            except (OSError, http.client.HTTPException):
                pass

        for _ in range(2):
            writers = [threading.Thread(target=upload, daemon=True) for _ in range(6)]
            before = len(behind.objects(self.volume))
            for writer in writers:
                writer.start()
            wait_for("slices are stored",
                     lambda n=before: len(behind.objects(self.volume)) > n + 20)
            self.gateway.kill9()
            for writer in writers:
                writer.join()
            self.gateway.start()
        self.s3.close()
        wait_for("the dead are reaped", lambda: behind.value(
            self.volume, "SELECT count(*) FROM sessions") == 1, 90)
        self.s3.delete(BUCKET, "doomed")
        wait_for("their names are settled", lambda: behind.value(
            self.volume, "SELECT count(*) FROM slice_ranges WHERE session NOT IN "
                         "(SELECT id FROM sessions)") == 0, 30)
        self.as_before()

    def nothing_left(self):
        equal(self.s3.delete(BUCKET, "old").status, 204, "delete")
        behind.no_trace(self.volume)
        equal(behind.objects(self.volume), {behind.MARKER}, "objects")
        for table in ("slices", "pieces", "inodes", "inode_pieces", "keys"):
            equal(behind.value(self.volume, f"SELECT count(*) FROM {table}"), 0, table)


TESTS = ("vanished", "vanished_in_order", "vanished_in_a_crowd", "wrong_digests",
         "wrong_chunks", "failed_conditions",
         "missing_bucket", "aborted", "parts_left_out", "overwritten_and_deleted", "killed",
         "nothing_left")


def main():
    suite = Suite(__doc__, "traces", seeded=False)
    return suite.run(lambda s: s.methods(Traces(s.ws, s.args.way), TESTS))


if __name__ == "__main__":
    sys.exit(main())
