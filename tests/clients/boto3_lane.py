"""boto3, old (Debian's) and current: the widest of the clients' tests, for it reaches every
parameter of every operation. Runs in an interpreter of its own, started by run.py:

    PYTHON boto3_lane.py JSON      {"label", "endpoint": {...}, "scratch", "data": {...}, "full"}

and reports one JSON line a test to standard output.
"""

import base64
import hashlib
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
import boto3
import botocore
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from harness.data import ODD_KEYS, file_md5, same_tree
from harness.runner import Lane, Results, Skip, check, equal
from harness.s3 import md5
from harness.targets import Endpoint
from harness.workspace import Failed

MIB = 1024 * 1024
CURRENT = tuple(int(n) for n in botocore.__version__.split(".")[:2]) >= (1, 36)
TREE_LISTING = ["a", "a/b", "a/c/d", "a/c/e", "a0", "b/1", "b/2", "b/3", "c", "d//e", "d//f",
                "d/g", "e f", "z/\u00e9", "z/\u00ea"] + [f"many/{n:02}" for n in range(25)]


def refused(statuses, codes, function, **arguments):
    """function must fail with one of the statuses and one of the codes (one, or several)."""
    statuses = (statuses,) if isinstance(statuses, int) else statuses
    codes = (codes,) if isinstance(codes, str) else codes
    try:
        function(**arguments)
    except ClientError as err:
        status = err.response["ResponseMetadata"]["HTTPStatusCode"]
        check(status in statuses, f"refused with {status}, not {statuses}: {err}")
        check(err.response["Error"]["Code"] in codes,
              f"code {err.response['Error']['Code']}, not {codes}")
        return err.response
    raise Failed(f"not refused: {function.__name__} {arguments}")


class Boto3(Lane):
    def __init__(self, label, *rest, **more):
        self.label = label
        super().__init__(*rest, **more)
        self.c = self.client()

    def client(self, access_key=None, **config):
        where = self.endpoint
        settings = {"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"},
                    "max_pool_connections": 20, **config}
        return boto3.client(
            "s3", endpoint_url=where.url, region_name=where.region,
            aws_access_key_id=access_key or where.access_key,
            aws_secret_access_key=where.secret_key, verify=where.ca, config=Config(**settings))

    def need_current(self):
        if not CURRENT:
            raise Skip(f"botocore {botocore.__version__} does not know it")

    def put(self, key, body=b"x", **more):
        return self.c.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def get(self, key, **more):
        return self.c.get_object(Bucket=self.bucket, Key=key, **more)

    def read(self, key, **more):
        return self.get(key, **more)["Body"].read()

    def url(self, url, method="GET", body=None, headers=None):
        """(status, bytes) of a plain HTTP request."""
        request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
        context = ssl.create_default_context(cafile=self.endpoint.ca) if self.endpoint.ca else None
        try:
            with urllib.request.urlopen(request, context=context, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as err:
            return err.code, err.read()

    # Buckets

    def test_buckets(self):
        name = self.bucket + "-second"
        self.c.create_bucket(Bucket=name)
        self.c.head_bucket(Bucket=name)
        if self.endpoint.kind != "minio":
            self.c.create_bucket(Bucket=name)  # yours already: 200 in us-east-1
        listed = self.c.list_buckets()
        check(name in [b["Name"] for b in listed["Buckets"]], "the new bucket is not listed")
        check(listed["Owner"]["ID"], "no owner")
        equal(self.c.get_bucket_location(Bucket=name).get("LocationConstraint"), None, "location")
        self.c.put_object(Bucket=name, Key="k", Body=b"")
        refused(409, "BucketNotEmpty", self.c.delete_bucket, Bucket=name)
        self.c.delete_object(Bucket=name, Key="k")
        self.c.delete_bucket(Bucket=name)
        refused(404, "404", self.c.head_bucket, Bucket=name)
        refused(404, "NoSuchBucket", self.c.list_objects_v2, Bucket=name)
        refused(404, "NoSuchBucket", self.c.delete_bucket, Bucket=name)
        refused(404, "NoSuchBucket", self.c.put_object, Bucket=name, Key="k", Body=b"x")

    def test_bucket_names(self):
        for name in ("ab", "Upper", "under_score", "-dash", "dash-", "two..dots", "192.168.1.1",
                     "x" * 64):
            refused(400, "InvalidBucketName", self.c.create_bucket, Bucket=name)
        for name in ("abc", "a.b-c.9" + self.endpoint.scheme, "0" * 63):
            if self.name.startswith("boto3-old/http") and self.endpoint.scheme == "http":
                self.c.create_bucket(Bucket=name)
                self.c.delete_bucket(Bucket=name)

    # Objects

    def test_sizes(self):
        for size in (0, 1, 1023, 4096, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1, 4 * MIB,
                     4 * MIB + 1, 9 * MIB):
            body = os.urandom(size)
            put = self.put(f"size/{size}", body)
            equal(put["ETag"], f'"{md5(body)}"', f"ETag of {size} bytes")
            check(self.read(f"size/{size}") == body, f"{size} bytes came back otherwise")
            head = self.c.head_object(Bucket=self.bucket, Key=f"size/{size}")
            equal(head["ContentLength"], size, "Content-Length of HEAD")

    def test_headers_and_metadata(self):
        sent = {"ContentType": "text/x-test", "ContentLanguage": "de", "ContentEncoding": "gzip",
                "CacheControl": "max-age=7", "ContentDisposition": "attachment; filename=\"a b\"",
                "Metadata": {"one": "1", "two-words": "a  b", "dots.in": "x"}}
        self.put("headers", b"x", **sent)
        for got in (self.get("headers"), self.c.head_object(Bucket=self.bucket, Key="headers")):
            for name, value in sent.items():
                equal(got[name], value, name)
            check(got["LastModified"] and got["AcceptRanges"] == "bytes", "standard headers")
        got = self.get("headers", ResponseContentType="a/b", ResponseCacheControl="no-store",
                       ResponseContentDisposition="inline", ResponseContentEncoding="x",
                       ResponseContentLanguage="fr")
        equal([got["ContentType"], got["CacheControl"], got["ContentDisposition"],
               got["ContentEncoding"], got["ContentLanguage"]],
              ["a/b", "no-store", "inline", "x", "fr"], "response-* overrides")
        refused(400, "MetadataTooLarge", self.put, key="meta", Metadata={"big": "x" * 2100})

    def test_overwrite_and_delete(self):
        for round_ in range(3):
            self.put("over", f"round {round_}".encode())
            equal(self.read("over"), f"round {round_}".encode(), "overwritten")
        self.c.delete_object(Bucket=self.bucket, Key="over")
        refused(404, "NoSuchKey", self.get, key="over")
        refused(404, "404", self.c.head_object, Bucket=self.bucket, Key="over")
        self.c.delete_object(Bucket=self.bucket, Key="over")  # deleting nothing is no error

    def test_delete_objects(self):
        keys = [f"bulk/{n:04}" for n in range(1000)]
        for key in keys:
            self.s3.put(self.bucket, key, b"x")  # a fifth of what boto3 would cost
        gone = self.c.delete_objects(Bucket=self.bucket,
                                     Delete={"Objects": [{"Key": k} for k in keys]})
        equal(sorted(d["Key"] for d in gone["Deleted"]), keys, "deleted keys")
        equal(self.c.list_objects_v2(Bucket=self.bucket, Prefix="bulk/")["KeyCount"], 0, "left")
        quiet = self.c.delete_objects(
            Bucket=self.bucket, Delete={"Objects": [{"Key": "no such key"}], "Quiet": True})
        check("Deleted" not in quiet, "quiet yet Deleted")
        refused(400, "MalformedXML", self.c.delete_objects, Bucket=self.bucket,
                Delete={"Objects": [{"Key": str(n)} for n in range(1001)]})

    def test_errors(self):
        wrong = self.client(access_key="NOSUCHKEYID")
        refused(403, "InvalidAccessKeyId", wrong.list_buckets)
        bad = boto3.client("s3", endpoint_url=self.endpoint.url, region_name=self.endpoint.region,
                           aws_access_key_id=self.endpoint.access_key,
                           aws_secret_access_key="wrong", verify=self.endpoint.ca)
        answer = refused(403, "SignatureDoesNotMatch", bad.list_buckets)
        check(answer["ResponseMetadata"]["RequestId"], "no request id")
        answer = refused(404, "NoSuchKey", self.get, key="no/such/key")
        equal(answer["Error"].get("Key"), "no/such/key", "<Key> of NoSuchKey")

    # Multipart

    def test_big_by_transfer_manager(self):
        config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB,
                                max_concurrency=4)
        self.c.upload_file(self.data.big, self.bucket, "big", Config=config)
        head = self.c.head_object(Bucket=self.bucket, Key="big")
        check(head["ETag"].endswith('-8"'), f"ETag {head['ETag']} is not that of 8 parts")
        back = self.path("big.back")
        self.c.download_file(self.bucket, "big", back, Config=config)
        equal(file_md5(back), self.data.big_md5, "MD5 of what came back")
        os.remove(back)
        self.c.copy({"Bucket": self.bucket, "Key": "big"}, self.bucket, "big copy", Config=config)
        equal(md5(self.read("big copy")), self.data.big_md5, "MD5 of the multipart copy")

    def upload(self, key, parts, order=None, **create):
        """Starts an upload and sends the parts; (UploadId, the list for the completion)."""
        upload = self.c.create_multipart_upload(Bucket=self.bucket, Key=key, **create)["UploadId"]
        done = {}
        for number in order or sorted(parts):
            sent = self.c.upload_part(Bucket=self.bucket, Key=key, UploadId=upload,
                                      PartNumber=number, Body=parts[number])
            done[number] = {"PartNumber": number, "ETag": sent["ETag"]}
        return upload, [done[n] for n in sorted(done)]

    def complete(self, key, upload, parts, **more):
        return self.c.complete_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload,
                                                MultipartUpload={"Parts": parts}, **more)

    def test_multipart_steps(self):
        parts = {2: os.urandom(5 * MIB), 7: os.urandom(6 * MIB + 1), 9: b"the end"}
        upload, done = self.upload("mp", parts, order=[9, 2, 7], Metadata={"m": "1"},
                                   ContentType="text/x-mp")
        listed = self.c.list_parts(Bucket=self.bucket, Key="mp", UploadId=upload, MaxParts=2)
        equal([p["PartNumber"] for p in listed["Parts"]], [2, 7], "first page of parts")
        check(listed["IsTruncated"] and listed["NextPartNumberMarker"] == 7, "marker of the page")
        listed = self.c.list_parts(Bucket=self.bucket, Key="mp", UploadId=upload,
                                   PartNumberMarker=7)
        equal([(p["PartNumber"], p["Size"]) for p in listed["Parts"]], [(9, 7)], "second page")
        uploads = self.c.list_multipart_uploads(Bucket=self.bucket, Prefix="mp")
        equal([(u["Key"], u["UploadId"]) for u in uploads.get("Uploads", [])], [("mp", upload)],
              "uploads in progress")
        refused(404, "NoSuchKey", self.get, key="mp")
        answer = self.complete("mp", upload, done)
        joined = parts[2] + parts[7] + parts[9]
        sums = b"".join(hashlib.md5(parts[n]).digest() for n in sorted(parts))
        equal(answer["ETag"], f'"{md5(sums)}-3"', "ETag")
        got = self.get("mp")
        check(got["Body"].read() == joined, "the object is not its parts")
        equal((got["Metadata"], got["ContentType"]), ({"m": "1"}, "text/x-mp"), "metadata")
        second = self.c.get_object(Bucket=self.bucket, Key="mp", PartNumber=2)
        check(second["Body"].read() == parts[7], "part 2 of the finished object")
        equal((second["PartsCount"], second["ResponseMetadata"]["HTTPStatusCode"]), (3, 206),
              "parts count and status")
        attributes = self.c.get_object_attributes(
            Bucket=self.bucket, Key="mp", ObjectAttributes=["ETag", "ObjectSize", "ObjectParts"])
        equal((attributes["ObjectSize"], attributes["ObjectParts"]["TotalPartsCount"]),
              (len(joined), 3), "attributes")

    def test_multipart_replayed_complete(self):
        self.skip_on_minio("answers NoSuchUpload")
        upload, done = self.upload("mp again", {1: b"only part"})
        first = self.complete("mp again", upload, done)
        equal(self.complete("mp again", upload, done)["ETag"], first["ETag"], "replayed answer")

    def test_multipart_refusals(self):
        upload, done = self.upload("mp bad", {1: b"too small", 2: b"end"})
        refused(400, "EntityTooSmall", self.complete, key="mp bad", upload=upload, parts=done)
        refused(400, "InvalidPart", self.complete, key="mp bad", upload=upload,
                parts=[{"PartNumber": 1, "ETag": '"' + "0" * 32 + '"'}])
        refused(400, "InvalidPartOrder", self.complete, key="mp bad", upload=upload,
                parts=done[::-1])
        refused(400, "InvalidPart", self.complete, key="mp bad", upload=upload,
                parts=[{"PartNumber": 3, "ETag": done[0]["ETag"]}])
        refused(400, "InvalidArgument", self.c.upload_part, Bucket=self.bucket, Key="mp bad",
                UploadId=upload, PartNumber=10001, Body=b"x")
        self.c.abort_multipart_upload(Bucket=self.bucket, Key="mp bad", UploadId=upload)
        refused(404, "NoSuchUpload", self.c.list_parts, Bucket=self.bucket, Key="mp bad",
                UploadId=upload)
        refused(404, "NoSuchUpload", self.c.upload_part, Bucket=self.bucket, Key="mp bad",
                UploadId=upload, PartNumber=1, Body=b"x")
        refused(404, "NoSuchKey", self.get, key="mp bad")

    def test_multipart_part_sent_again(self):
        upload, done = self.upload("mp resend", {1: b"first"})
        again = self.c.upload_part(Bucket=self.bucket, Key="mp resend", UploadId=upload,
                                   PartNumber=1, Body=b"second")
        refused(400, "InvalidPart", self.complete, key="mp resend", upload=upload, parts=done)
        self.complete("mp resend", upload, [{"PartNumber": 1, "ETag": again["ETag"]}])
        equal(self.read("mp resend"), b"second", "the later part counts")

    def test_upload_part_copy(self):
        source = os.urandom(11 * MIB)
        self.put("upc source", source)
        upload = self.c.create_multipart_upload(Bucket=self.bucket, Key="upc")["UploadId"]
        ranges = [(0, 5 * MIB + 3), (5 * MIB + 4, 10 * MIB + 100), (7, 7)]
        done = []
        for number, (first, last) in enumerate(ranges, 1):
            sent = self.c.upload_part_copy(
                Bucket=self.bucket, Key="upc", UploadId=upload, PartNumber=number,
                CopySource={"Bucket": self.bucket, "Key": "upc source"},
                CopySourceRange=f"bytes={first}-{last}")
            done.append({"PartNumber": number, "ETag": sent["CopyPartResult"]["ETag"]})
        refused((400, 416), ("InvalidArgument", "InvalidRange"), self.c.upload_part_copy,
                Bucket=self.bucket, Key="upc", UploadId=upload, PartNumber=4,
                CopySource={"Bucket": self.bucket, "Key": "upc source"},
                CopySourceRange=f"bytes=0-{len(source)}")
        self.complete("upc", upload, done)
        check(self.read("upc") == b"".join(source[a:b + 1] for a, b in ranges), "other bytes")

    # Trees and listings

    def test_tree(self):
        """What a sync does: every file up, the listing compared, every file down."""
        names = self.data.tree_files
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: self.c.upload_file(
                os.path.join(self.data.tree, n), self.bucket, "tree/" + n), names))
        pages = self.c.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix="tree/", PaginationConfig={"PageSize": 37})
        listed = {o["Key"][5:]: o["Size"] for page in pages for o in page.get("Contents", [])}
        equal(sorted(listed), names, "listed names")
        back = self.path("tree")
        for name in names:
            os.makedirs(os.path.dirname(os.path.join(back, name)), exist_ok=True)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: self.c.download_file(
                self.bucket, "tree/" + n, os.path.join(back, n)), names))
        same_tree(self.data.tree, back, names)

    def listing(self):
        """A bucket with keys that try a listing; MinIO cannot hold `a` beside `a/b`."""
        name, keys = self.bucket + "-list", TREE_LISTING
        if self.endpoint.kind == "minio":
            keys = [k for k in keys if k != "a" and "//" not in k]
        self.s3.make_bucket(name)
        for key in keys:
            self.s3.put(name, key, key.encode())
        return name, sorted(keys, key=str.encode)

    def test_listing_against_a_model(self):
        """Both versions of the listing, in pages, for many prefixes and delimiters."""
        bucket, keys = self.listing()
        for prefix in ("", "a", "a/", "d", "d/", "many/", "many/1", "z/", "nothing"):
            # MinIO's pages of other delimiters than / never end
            for delimiter in ("", "/", "//", "0") if self.endpoint.kind != "minio" else ("", "/"):
                want = model_listing(keys, prefix, delimiter)
                for size in (3, 1000):
                    what = f"prefix {prefix!r} delimiter {delimiter!r} pages of {size}"
                    equal(self.list_v2(bucket, prefix, delimiter, size), want, "v2 " + what)
                    equal(self.list_v1(bucket, prefix, delimiter, size), want, "v1 " + what)

    def list_v2(self, bucket, prefix, delimiter, size):
        out, more = [], {}
        for _ in range(50):
            page = self.c.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter=delimiter,
                                          MaxKeys=size, **more)
            items = page_items(page)
            equal(page["KeyCount"], len(items), "KeyCount")
            check(len(items) <= size, "more keys than asked for")
            out += items
            equal("NextContinuationToken" in page, page["IsTruncated"], "token and IsTruncated")
            if not page["IsTruncated"]:
                return out
            more = {"ContinuationToken": page["NextContinuationToken"]}
        raise Failed(f"the pages never end: {out[-9:]}")

    def list_v1(self, bucket, prefix, delimiter, size):
        out, more = [], {}
        for _ in range(50):
            page = self.c.list_objects(Bucket=bucket, Prefix=prefix, Delimiter=delimiter,
                                       MaxKeys=size, **more)
            items = page_items(page)
            out += items
            if not page["IsTruncated"]:
                return out
            more = {"Marker": page.get("NextMarker") or items[-1]}
        raise Failed(f"the pages never end: {out[-9:]}")

    def test_listing_starts_and_limits(self):
        bucket, keys = self.listing()
        for after in ("a", "a/", "b/2", "many/07x", "zz"):
            page = self.c.list_objects_v2(Bucket=bucket, StartAfter=after)
            equal(page_items(page), [k for k in keys if k.encode() > after.encode()],
                  f"after {after}")
        if self.endpoint.kind != "minio":
            inside = self.c.list_objects_v2(Bucket=bucket, StartAfter="many/05", Delimiter="/",
                                            Prefix="m")
            equal(page_items(inside), ["many/"], "start inside a prefix still yields it")
        none = self.c.list_objects_v2(Bucket=bucket, MaxKeys=0)
        equal((none["KeyCount"], none["IsTruncated"]), (0, False), "max-keys=0")
        owner = self.c.list_objects_v2(Bucket=bucket, FetchOwner=True, MaxKeys=1)["Contents"][0]
        check(owner["Owner"]["ID"], "fetch-owner")
        check("Owner" in self.c.list_objects(Bucket=bucket, MaxKeys=1)["Contents"][0], "v1 owner")
        entry = self.c.list_objects_v2(Bucket=bucket, Prefix="b/1")["Contents"][0]
        equal((entry["Size"], entry["ETag"], entry["StorageClass"]),
              (3, f'"{md5(b"b/1")}"', "STANDARD"), "entry")
        refused(400, "InvalidArgument", self.c.list_objects_v2, Bucket=bucket, MaxKeys=-1)

    def test_versions_of_an_unversioned_bucket(self):
        bucket, keys = self.listing()
        page = self.c.list_object_versions(Bucket=bucket)
        equal([v["Key"] for v in page["Versions"]], keys, "keys")
        equal({(v["VersionId"], v["IsLatest"]) for v in page["Versions"]}, {("null", True)},
              "version ids")
        equal(self.c.get_object(Bucket=bucket, Key="c", VersionId="null")["Body"].read(), b"c",
              "the null version")

    # Copies

    def test_copy(self):
        self.put("from", b"content", ContentType="text/x-from", Metadata={"m": "old"})
        source = {"Bucket": self.bucket, "Key": "from"}
        made = self.c.copy_object(Bucket=self.bucket, Key="to +1", CopySource=source)
        equal(made["CopyObjectResult"]["ETag"], f'"{md5(b"content")}"', "ETag of the copy")
        got = self.get("to +1")
        equal((got["Body"].read(), got["ContentType"], got["Metadata"]),
              (b"content", "text/x-from", {"m": "old"}), "copied")
        self.c.copy_object(Bucket=self.bucket, Key="to", CopySource=source, ContentType="a/b",
                           Metadata={"m": "new"}, MetadataDirective="REPLACE")
        got = self.get("to")
        equal((got["Body"].read(), got["ContentType"], got["Metadata"]),
              (b"content", "a/b", {"m": "new"}), "replaced")
        refused(400, "InvalidRequest", self.c.copy_object, Bucket=self.bucket, Key="from",
                CopySource=source)
        self.c.copy_object(Bucket=self.bucket, Key="from", CopySource=source, Metadata={"m": "2"},
                           MetadataDirective="REPLACE")
        got = self.get("from")
        equal((got["Body"].read(), got["Metadata"]), (b"content", {"m": "2"}), "onto itself")
        self.c.delete_object(Bucket=self.bucket, Key="from")
        equal(self.read("to"), b"content", "the copy outlives its source")
        refused(404, "NoSuchKey", self.c.copy_object, Bucket=self.bucket, Key="x",
                CopySource=source)
        refused(404, "NoSuchBucket", self.c.copy_object, Bucket=self.bucket, Key="x",
                CopySource={"Bucket": "no-such-bucket", "Key": "x"})

    # Ranges and conditions

    def test_ranges(self):
        for key, size in (("ranged small", 1000), ("ranged", 9 * MIB + 17)):
            body = os.urandom(size)
            self.put(key, body)
            for asked, first, last in ((f"bytes=0-0", 0, 0), ("bytes=1-99", 1, 99),
                                       ("bytes=-1", size - 1, size - 1), ("bytes=500-", 500, size - 1),
                                       (f"bytes=-{size * 2}", 0, size - 1),
                                       (f"bytes={size - 1}-{size + 9}", size - 1, size - 1),
                                       (f"bytes={size // 2 - 1}-{size // 2 + 70}",
                                        size // 2 - 1, size // 2 + 70)):
                got = self.get(key, Range=asked)
                check(got["Body"].read() == body[first:last + 1], f"{asked} of {size}")
                equal(got["ContentRange"], f"bytes {first}-{last}/{size}", asked)
                equal(got["ResponseMetadata"]["HTTPStatusCode"], 206, "status")
            refused(416, "InvalidRange", self.get, key=key, Range=f"bytes={size}-")

    def test_ranges_that_are_none(self):
        self.skip_on_minio("refuses some of them")
        self.put("ranged tiny", b"0123456789")
        for asked in ("bytes=5-2", "bytes=x-y", "lines=1-2", "bytes=0-1,4-5"):
            got = self.get("ranged tiny", Range=asked)
            equal(got["Body"].read(), b"0123456789", f"{asked} is ignored")

    def test_conditions_of_reads(self):
        etag = self.put("cond", b"content")["ETag"]
        stamp = self.get("cond")["LastModified"]
        early, late = stamp.replace(year=2001), stamp.replace(year=stamp.year + 1)
        for call in (self.c.get_object, self.c.head_object):
            where = {"Bucket": self.bucket, "Key": "cond"}
            # HEAD has no body, so botocore names the status instead of the code
            pre = "PreconditionFailed" if call == self.c.get_object else "412"
            call(**where, IfMatch=etag)
            call(**where, IfMatch=etag.strip('"'))
            call(**where, IfMatch="*")
            refused(412, pre, call, **where, IfMatch='"other"')
            refused(304, "304", call, **where, IfNoneMatch=etag)
            call(**where, IfNoneMatch='"other"')
            call(**where, IfModifiedSince=early)
            refused(304, "304", call, **where, IfModifiedSince=stamp)
            call(**where, IfUnmodifiedSince=late)
            refused(412, pre, call, **where, IfUnmodifiedSince=early)
            call(**where, IfMatch=etag, IfUnmodifiedSince=early)  # RFC 9110: If-Match wins
            refused(304, "304", call, **where, IfNoneMatch=etag, IfModifiedSince=early)

    def test_conditions_of_copies(self):
        etag = self.put("cond source", b"content")["ETag"]
        where = {"Bucket": self.bucket, "Key": "cond copy",
                 "CopySource": {"Bucket": self.bucket, "Key": "cond source"}}
        self.c.copy_object(**where, CopySourceIfMatch=etag)
        self.c.copy_object(**where, CopySourceIfNoneMatch='"other"')
        refused(412, "PreconditionFailed", self.c.copy_object, **where,
                CopySourceIfMatch='"other"')
        refused(412, "PreconditionFailed", self.c.copy_object, **where,
                CopySourceIfNoneMatch=etag)

    def test_conditions_of_writes(self):
        self.need_current()
        etag = self.put("once", b"first", IfNoneMatch="*")["ETag"]
        refused(412, "PreconditionFailed", self.put, key="once", body=b"second", IfNoneMatch="*")
        refused(412, "PreconditionFailed", self.put, key="once", body=b"x", IfMatch='"other"')
        equal(self.read("once"), b"first", "kept")
        self.put("once", b"second", IfMatch=etag)
        equal(self.read("once"), b"second", "replaced")
        refused(404, "NoSuchKey", self.put, key="never", body=b"x", IfMatch=etag)
        upload, done = self.upload("once", {1: b"third"})
        refused(412, "PreconditionFailed", self.complete, key="once", upload=upload, parts=done,
                IfNoneMatch="*")
        upload, done = self.upload("once mp", {1: b"third"})
        self.complete("once mp", upload, done, IfNoneMatch="*")
        equal(self.read("once mp"), b"third", "completed")

    def test_conditions_of_deletes(self):
        self.need_current()
        self.skip_on_minio("ignores them")
        etag = self.put("to delete", b"x")["ETag"]
        refused(412, "PreconditionFailed", self.c.delete_object, Bucket=self.bucket,
                Key="to delete", IfMatch='"other"')
        equal(self.read("to delete"), b"x", "kept")
        self.c.delete_object(Bucket=self.bucket, Key="to delete", IfMatch=etag)
        refused(404, "NoSuchKey", self.get, key="to delete")

    def test_racing_creators(self):
        """Of many that create one key, one wins."""
        self.need_current()
        def create(number):
            try:
                self.put("race", str(number).encode(), IfNoneMatch="*")
                return number
            except ClientError as err:
                check(err.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412), str(err))
                return None
        with ThreadPoolExecutor(8) as pool:
            won = [n for n in pool.map(create, range(16)) if n is not None]
        equal(len(won), 1, "winners")
        equal(self.read("race"), str(won[0]).encode(), "the winner's bytes")

    # Checksums

    def test_checksums_of_single_puts(self):
        body = os.urandom(70000)
        for name, want in own_checksums(body).items():
            if name == "CRC64NVME" and not CURRENT:
                continue
            key, field = f"sum {name}", "Checksum" + name
            put = self.put(key, body, ChecksumAlgorithm=name)
            if want:
                equal(put[field], want, name)
            got = self.get(key, ChecksumMode="ENABLED")
            equal(got[field], put[field], f"{name} of GET")
            check(got["Body"].read() == body, "other bytes")  # the client verifies it too
            attributes = self.c.get_object_attributes(Bucket=self.bucket, Key=key,
                                                      ObjectAttributes=["Checksum"])
            equal(attributes["Checksum"][field], put[field], f"{name} of the attributes")

    def test_wrong_checksums(self):
        for name, value in own_checksums(b"something else").items():
            if not value or (name == "CRC64NVME" and not CURRENT):
                continue
            refused(400, ("BadDigest", "XAmzContentChecksumMismatch"), self.put, key="sum wrong",
                    body=b"content", **{"Checksum" + name: value})
        wrong_md5 = base64.b64encode(hashlib.md5(b"something else").digest()).decode()
        refused(400, "BadDigest", self.put, key="sum wrong", body=b"content", ContentMD5=wrong_md5)
        refused(400, "InvalidDigest", self.put, key="sum wrong", body=b"x", ContentMD5="AAAA")
        refused(404, "NoSuchKey", self.get, key="sum wrong")

    def test_checksums_of_multipart(self):
        """COMPOSITE: the checksum of the parts' checksums, and how many there are."""
        parts = [os.urandom(5 * MIB), os.urandom(100)]
        for name in ("CRC32", "CRC32C", "SHA1", "SHA256"):
            key, field = f"mp sum {name}", "Checksum" + name
            more = {"ChecksumType": "COMPOSITE"} if CURRENT else {}
            made = self.checked_upload(key, parts, name, **more)
            want = own_checksums(b"".join(base64.b64decode(own_checksums(p)[name] or made["parts"][i])
                                          for i, p in enumerate(parts)))[name]
            if want:
                equal(made["done"][field], want + "-2", f"{name} of the completion")
            head = self.c.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
            equal(head[field], made["done"][field], f"{name} of HEAD")
            if CURRENT:
                equal(head["ChecksumType"], "COMPOSITE", "type")

    def test_checksums_of_whole_multipart(self):
        """FULL_OBJECT: the checksum of the whole, the same as that of a single PUT."""
        self.need_current()
        parts = [os.urandom(5 * MIB), os.urandom(5 * MIB + 1), os.urandom(100)]
        for name in ("CRC32", "CRC32C", "CRC64NVME"):
            key, field = f"mp full {name}", "Checksum" + name
            made = self.checked_upload(key, parts, name, ChecksumType="FULL_OBJECT")
            single = self.put("mp full single", b"".join(parts), ChecksumAlgorithm=name)
            equal(made["done"][field], single[field], name)
            head = self.c.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
            equal((head[field], head["ChecksumType"]), (single[field], "FULL_OBJECT"), "HEAD")

    def test_checksum_kinds_that_do_not_go(self):
        self.need_current()
        self.skip_on_minio("accepts some")
        for name, kind in (("SHA256", "FULL_OBJECT"), ("SHA1", "FULL_OBJECT"),
                           ("CRC64NVME", "COMPOSITE")):
            refused(400, "InvalidRequest", self.c.create_multipart_upload, Bucket=self.bucket,
                    Key="x", ChecksumAlgorithm=name, ChecksumType=kind)

    def checked_upload(self, key, parts, name, **create):
        field = "Checksum" + name
        upload = self.c.create_multipart_upload(Bucket=self.bucket, Key=key,
                                                ChecksumAlgorithm=name, **create)["UploadId"]
        done = []
        for number, part in enumerate(parts, 1):
            sent = self.c.upload_part(Bucket=self.bucket, Key=key, UploadId=upload, Body=part,
                                      PartNumber=number, ChecksumAlgorithm=name)
            done.append({"PartNumber": number, "ETag": sent["ETag"], field: sent[field]})
        listed = self.c.list_parts(Bucket=self.bucket, Key=key, UploadId=upload)["Parts"]
        equal([p.get(field) for p in listed], [p[field] for p in done], "checksums of the parts")
        return {"parts": [p[field] for p in done], "done": self.complete(key, upload, done)}

    # Presigned URLs

    def test_presigned(self):
        self.put("signed url +", b"content")
        for version in ("s3v4", None, "s3"):
            client = self.client(**({"signature_version": version} if version else {}))
            where = {"Bucket": self.bucket, "Key": "signed url +"}
            url = client.generate_presigned_url("get_object", Params=where, ExpiresIn=60)
            equal(self.url(url), (200, b"content"), f"GET {url}")
            equal(self.url(url.replace("content", "x").replace(
                "signed%20url", "another"), "GET")[0], 403, "GET of another key")
            equal(self.url(url, "PUT", b"x")[0], 403, "PUT by a URL for GET")
            put = client.generate_presigned_url(
                "put_object", Params={**where, "Key": f"put by url {version}"}, ExpiresIn=60)
            equal(self.url(put, "PUT", b"by url", {"Content-Type": ""})[0], 200, f"PUT {put}")
            equal(self.read(f"put by url {version}"), b"by url", "what was put")
            head = client.generate_presigned_url("head_object", Params=where, ExpiresIn=60)
            equal(self.url(head, "HEAD"), (200, b""), f"HEAD {head}")

    def test_presigned_overrides(self):
        self.put("signed over", b"content")
        for version in ("s3v4", "s3"):
            url = self.client(signature_version=version).generate_presigned_url(
                "get_object", ExpiresIn=60, Params={
                    "Bucket": self.bucket, "Key": "signed over", "ResponseContentType": "a/b; c=d",
                    "ResponseContentDisposition": 'attachment; filename="x y"'})
            equal(self.url(url), (200, b"content"), f"{version} with overrides")

    def test_presigned_expiry(self):
        self.put("signed late", b"content")
        for version in ("s3v4", "s3"):
            url = self.client(signature_version=version).generate_presigned_url(
                "get_object", Params={"Bucket": self.bucket, "Key": "signed late"}, ExpiresIn=1)
            deadline = time.monotonic() + 5
            while self.url(url)[0] == 200 and time.monotonic() < deadline:
                time.sleep(0.1)
            equal(self.url(url)[0], 403, f"{version} after its time")

    # Odd keys, and what nobody has set

    def test_odd_keys(self):
        keys = ODD_KEYS if self.endpoint.kind != "minio" else [
            k for k in ODD_KEYS if k not in ("a", "x" * 300 + "/" + "y" * 300) and "//" not in k
            and not k.startswith("/") and ".." not in k and "./" not in k and "\\" not in k
            and len(k.encode()) < 255]
        bucket = self.bucket + "-odd"
        self.c.create_bucket(Bucket=bucket)
        for key in keys:
            self.c.put_object(Bucket=bucket, Key=key, Body=key.encode())
        listed = [o["Key"] for page in self.c.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": 7}) for o in page.get("Contents", [])]
        equal(listed, sorted(keys, key=str.encode), "listed keys")
        for key in keys:
            got = self.c.get_object(Bucket=bucket, Key=key)["Body"].read()
            equal(got, key.encode(), f"content of {key!r}")
            copy = self.c.copy_object(Bucket=bucket, Key="copy/of",
                                      CopySource={"Bucket": bucket, "Key": key})
            equal(copy["CopyObjectResult"]["ETag"], f'"{md5(key.encode())}"', f"copy of {key!r}")
        # Not newline, tab and such: no XML 1.0 document can carry all of them unharmed.
        plain = [k for k in keys if k.isprintable()] + ["copy/of"]
        answer = self.c.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in plain]})
        equal(sorted(d["Key"] for d in answer["Deleted"]), sorted(plain), "deleted")
        for key in set(keys) - set(plain):
            self.c.delete_object(Bucket=bucket, Key=key)
        self.c.delete_bucket(Bucket=bucket)

    def test_keys_that_are_none(self):
        for key in ("k" * 1025, "\u00e9" * 513):
            refused(400, "KeyTooLongError", self.put, key=key)

    def test_unset_configuration(self):
        where = {"Bucket": self.bucket}
        check("Status" not in self.c.get_bucket_versioning(**where), "versioning is set")
        acl = self.c.get_bucket_acl(**where)
        equal([g["Permission"] for g in acl["Grants"]], ["FULL_CONTROL"], "ACL")
        for code, call in (("NoSuchBucketPolicy", self.c.get_bucket_policy),
                           ("NoSuchLifecycleConfiguration", self.c.get_bucket_lifecycle_configuration),
                           ("NoSuchTagSet", self.c.get_bucket_tagging),
                           ("ObjectLockConfigurationNotFoundError",
                            self.c.get_object_lock_configuration),
                           ("ServerSideEncryptionConfigurationNotFoundError",
                            self.c.get_bucket_encryption)):
            refused(404, code, call, **where)
        self.put("plain")
        equal(self.c.get_object_tagging(**where, Key="plain")["TagSet"], [], "tags")
        if self.endpoint.kind == "minio":
            return
        refused(404, "NoSuchCORSConfiguration", self.c.get_bucket_cors, **where)
        refused(404, "NoSuchWebsiteConfiguration", self.c.get_bucket_website, **where)
        refused(404, "NoSuchPublicAccessBlockConfiguration", self.c.get_public_access_block,
                **where)
        equal(self.c.get_bucket_request_payment(**where)["Payer"], "BucketOwner", "payer")
        check("LoggingEnabled" not in self.c.get_bucket_logging(**where), "logging is set")

    def test_unbuilt_operations(self):
        """They say so; none falls through to a plain GET, PUT or DELETE."""
        self.skip_on_minio("has other gaps")
        self.put("still here", b"content")
        where = {"Bucket": self.bucket}
        refused(501, "NotImplemented", self.c.put_bucket_website, **where,
                WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
        refused(501, "NotImplemented", self.c.put_object, **where, Key="still here", Body=b"x",
                ServerSideEncryption="aws:kms")
        refused(501, "NotImplemented", self.c.delete_bucket_inventory_configuration, **where,
                Id="x")
        refused(501, "NotImplemented", self.c.get_object_torrent, **where, Key="still here")
        refused(501, "NotImplemented", self.c.restore_object, **where, Key="still here",
                RestoreRequest={"Days": 1})
        equal(self.read("still here"), b"content", "untouched")


def page_items(page):
    """Keys and common prefixes of a page in their common order."""
    found = [o["Key"] for o in page.get("Contents", [])] + [
        p["Prefix"] for p in page.get("CommonPrefixes", [])]
    return sorted(found, key=str.encode)


def model_listing(keys, prefix, delimiter):
    """What S3 lists: keys that begin with prefix, cut behind the first delimiter after it."""
    out = []
    for key in keys:
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        item = key if cut < 0 else key[:cut + len(delimiter)]
        if not out or out[-1] != item:
            out.append(item)
    return out


def own_checksums(data):
    """What the standard library can compute; None where only awscrt could."""
    def text(digest):
        return base64.b64encode(digest).decode()
    return {"CRC32": text(zlib.crc32(data).to_bytes(4, "big")), "CRC32C": None, "CRC64NVME": None,
            "SHA1": text(hashlib.sha1(data).digest()), "SHA256": text(hashlib.sha256(data).digest())}


class JsonResults(Results):
    """Hands each outcome to the parent process."""

    def add(self, name, seconds, outcome="ok", reason=""):
        print(json.dumps([name, seconds, outcome, reason]), flush=True)


def main():
    task = json.loads(sys.argv[1])
    lane = Boto3(task["label"], Endpoint(**task["endpoint"]), task["scratch"],
                 SimpleNamespace(**task["data"]), task["full"])
    lane.run(JsonResults(), task["pattern"])


if __name__ == "__main__":
    main()
