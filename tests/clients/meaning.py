"""What headers, ranges and addresses mean: empty conditions, dates in many forms, headers given
twice or empty, what proxies add, checksums of another algorithm, owners that are not."""

import base64
import hashlib
import os

from harness import sigv4
from harness.runner import Lane, check, equal
from harness.s3 import md5

OLD = b"what was there before"
NO_ETAG = ("", '""', 'W/""', ",", '"unfinished')
PAST = ("Mon, 12 Oct 2009 17:50:00 UTC", "Mon, 12 Oct 2009 7:50:00 GMT", "2009-10-12T17:50:00Z",
        "Mon, 12 Oct 2009 17:50:00 +0200", "Monday, 12-Oct-09 17:50:00 GMT")
CRC32, SHA256 = "x-amz-checksum-crc32", "x-amz-checksum-sha256"


def is_error(answer, status, code, what):
    equal((answer.status, answer.code), (status, code), f"{what}: {answer!r}")


class Meaning(Lane):
    label = "meaning"

    def run(self, results, pattern=""):
        if self.endpoint.kind != "minio":  # it has its own mind about most of this
            super().run(results, pattern)

    def put(self, key, body=OLD, **more):
        answer = self.s3.put(self.bucket, key, body, **more)
        equal(answer.status, 200, f"PUT {key}: {answer!r}")
        return answer

    def keeps(self, key, what, body=OLD):
        equal(self.s3.get(self.bucket, key).body, body, f"{key} after {what}")

    def upload(self, key, headers=None):
        begun = self.s3.request("POST", self.bucket, key, query=[("uploads", "")], headers=headers)
        equal(begun.status, 200, f"CreateMultipartUpload: {begun!r}")
        return begun.text("UploadId")

    def part(self, key, upload, body=b"", number=1, **more):
        return self.s3.put(self.bucket, key, body, query=[("partNumber", str(number)),
                                                          ("uploadId", upload)], **more)

    def delete_many(self, inside):
        body = f"<Delete><Object><Key>kept</Key>{inside}</Object></Delete>".encode()
        return self.s3.request("POST", self.bucket, query=[("delete", "")], body=body,
                               headers={SHA256: _sha256(body)})

    # Conditions

    def test_conditions_without_an_etag(self):
        self.put("kept")
        self.put("source", b"other bytes")
        upload = self.upload("kept")
        etag = self.part("kept", upload, b"part").headers["ETag"]
        source = {"x-amz-copy-source": f"{self.bucket}/source"}
        for value in NO_ETAG:
            for name in ("if-match", "if-none-match"):
                guard, what = {name: value}, f"{name}: {value}"
                answers = {
                    "PUT": self.s3.put(self.bucket, "kept", b"new", headers=guard),
                    "streamed": self.s3.put(self.bucket, "kept", b"new", headers=guard,
                                            payload="streaming-signed-trailer"),
                    "DELETE": self.s3.delete(self.bucket, "kept", headers=guard),
                    "copy": self.s3.put(self.bucket, "kept", b"", headers={**source, **guard}),
                    "Complete": self.s3.complete(self.bucket, "kept", upload, [etag],
                                                 headers=guard),
                    "Create": self.s3.request("POST", self.bucket, "kept", query=[("uploads", "")],
                                              headers=guard),
                    "PATCH": self.s3.request("PATCH", self.bucket, "kept", body=b"new", headers={
                        "content-range": "bytes 0-2/*", **guard}),
                    "append": self.s3.put(self.bucket, "kept", b"new", headers={
                        "x-amz-write-offset-bytes": str(len(OLD)), **guard}),
                    "from": self.s3.put(self.bucket, "kept", b"", headers={
                        **source, f"x-amz-copy-source-{name}": value}),
                    "part": self.part("kept", upload, headers={
                        **source, f"x-amz-copy-source-{name}": value})}
                for operation, answer in answers.items():
                    is_error(answer, 412, "PreconditionFailed", f"{operation} under {what}")
                    self.keeps("kept", f"{operation} under {what}")
        for inside in ("<ETag></ETag>", "<ETag/>", '<ETag>""</ETag>', "<ETag>,</ETag>",
                       '<ETag>W/""</ETag>'):
            is_error(self.delete_many(inside), 200, "PreconditionFailed", inside)
            self.keeps("kept", inside)
        is_error(self.s3.delete(self.bucket, "kept", headers={"if-none-match": "*"}), 412,
                 "PreconditionFailed", "DELETE of what must not be there")
        self.keeps("kept", "DELETE under If-None-Match: *")

    def test_dates(self):
        self.put("kept")
        source = {"x-amz-copy-source": f"{self.bucket}/kept"}
        upload = self.upload("copy")
        for date in PAST:
            guards = {
                "GET": lambda h: self.s3.get(self.bucket, "kept", headers=h),
                "HEAD": lambda h: self.s3.head(self.bucket, "kept", headers=h),
                "PATCH": lambda h: self.s3.request("PATCH", self.bucket, "kept", body=b"x",
                                                   headers={"content-range": "bytes 0-0/*", **h})}
            for name, call in guards.items():
                equal(call({"if-unmodified-since": date}).status, 412, f"{name} {date}")
            guard = {"x-amz-copy-source-if-unmodified-since": date}
            is_error(self.s3.put(self.bucket, "copy", b"", headers={**source, **guard}), 412,
                     "PreconditionFailed", f"copy {date}")
            is_error(self.part("copy", upload, headers={**source, **guard}), 412,
                     "PreconditionFailed", f"part {date}")
            is_error(self.s3.delete(self.bucket, "kept", headers={
                "x-amz-if-match-last-modified-time": date}), 412, "PreconditionFailed", date)
            is_error(self.delete_many(f"<LastModifiedTime>{date}</LastModifiedTime>"), 200,
                     "PreconditionFailed", date)
        later = "Fri, 31 Dec 2094 1:00:00 UTC"
        equal(self.s3.get(self.bucket, "kept", headers={"if-unmodified-since": later}).status, 200,
              later)
        # what cannot be read: a read ignores it, a write is refused
        for date in ("", "yesterday", "Mon, 32 Oct 2009 17:50:00 GMT"):
            for name in ("if-modified-since", "if-unmodified-since"):
                equal(self.s3.get(self.bucket, "kept", headers={name: date}).status, 200, date)
                is_error(self.s3.put(self.bucket, "copy", b"", headers={
                    **source, f"x-amz-copy-source-{name}": date}), 400, "InvalidArgument", date)
            is_error(self.s3.request("PATCH", self.bucket, "kept", body=b"x", headers={
                "content-range": "bytes 0-0/*", "if-unmodified-since": date}), 400,
                "InvalidArgument", date)
        self.keeps("kept", "all of these")

    def test_date_of_a_signature(self):
        """Version 4 takes a Date header for x-amz-date, in any form that S3 reads."""
        self.put("kept")
        path = self.s3.path(self.bucket, "kept")
        for form in ("%a, %d %b %Y %H:%M:%S +0000", "%a, %d %b %Y %H:%M:%S UTC",
                     "%a, %d %b %Y %H:%M:%S GMT"):
            headers = self.s3.signer.dated("GET", path, {"host": self.s3.host}, form)
            equal(self.s3.send("GET", path, headers).body, OLD, form)

    # Twice, empty, unknown

    def test_headers_given_twice(self):
        self.put("kept")
        etag = self.s3.head(self.bucket, "kept").headers["ETag"]
        for name, values in {"range": ["bytes=0-1", "bytes=2-3"],
                             "if-modified-since": [PAST[0], PAST[1]],
                             "x-amz-checksum-mode": ["ENABLED", "DISABLED"],
                             "x-amz-expected-bucket-owner": ["1", "2"]}.items():
            is_error(self.s3.get(self.bucket, "kept", headers={name: values}), 400,
                     "InvalidArgument", name)
        for name, values in {"content-type": ["a/b", "c/d"], "expires": ["1", "2"],
                             "x-amz-storage-class": ["STANDARD", "GLACIER"],
                             "x-amz-write-offset-bytes": [str(len(OLD)), "0"],
                             "x-amz-copy-source": [f"{self.bucket}/kept", f"{self.bucket}/x"],
                             "content-range": ["bytes 0-0/*", "bytes 1-1/*"]}.items():
            is_error(self.s3.put(self.bucket, "kept", b"new", headers={name: values}), 400,
                     "InvalidArgument", name)
            self.keeps("kept", f"two of {name}")
        equal(self.s3.get(self.bucket, "kept", headers={"if-none-match": ["a", etag]}).status, 304,
              "the second If-None-Match")
        equal(self.s3.get(self.bucket, "kept", headers={"if-match": ["a", etag]}).status, 200,
              "the second If-Match")
        is_error(self.s3.put(self.bucket, "kept", b"new", headers={"if-match": ["a", etag]}), 501,
                 "NotImplemented", "a list on a write")
        stored = {"cache-control": ["no-cache", "no-store"], "content-encoding": ["gzip", "br"],
                  "content-language": ["de", "en"], "x-amz-meta-m": ["1", "2"]}
        for kind in ("signed", "streaming-signed"):
            sent = dict(stored)
            if kind != "signed":
                sent["content-encoding"] = ["aws-chunked", "gzip", "br"]
            self.put("stored", headers=sent, payload=kind)
            got = self.s3.head(self.bucket, "stored").headers
            equal([got["Cache-Control"], got["Content-Language"], got["x-amz-meta-m"]],
                  ["no-cache, no-store", "de, en", "1,2"], kind)
            equal(got["Content-Encoding"].replace(" ", ""), "gzip,br", kind)

    def test_empty_headers(self):
        names = ("x-amz-acl", "x-amz-tagging", "x-amz-server-side-encryption",
                 "x-amz-storage-class", "x-amz-object-lock-mode", "x-amz-expected-bucket-owner",
                 "x-amz-checksum-algorithm", "x-amz-request-payer", "x-amz-security-token",
                 "x-amz-website-redirect-location", "x-amz-grant-read", "cache-control")
        self.put("empties", headers={name: "" for name in names})
        equal(self.s3.get(self.bucket, "empties", headers={n: "" for n in names}).body, OLD, "GET")
        for name in ("x-amz-copy-source", "x-amz-write-offset-bytes"):
            is_error(self.s3.put(self.bucket, "empties", b"", headers={name: ""}), 400,
                     "InvalidArgument", name)
        self.keeps("empties", "headers that say where the bytes go")

    def test_what_proxies_add(self):
        self.put("kept")
        path = self.s3.path(self.bucket, "kept")
        added = {"X-Amz-Cf-Id": "abc==", "x-amz-id-2": "x", "x-amz-request-id": "x",
                 "x-amzn-trace-id": "Root=1", "x-amz-apigw-id": "x"}
        self.put("kept", headers=added)
        headers, _ = self.s3.prepare("GET", path, [], {}, b"", "signed")
        equal(self.s3.send("GET", path, {**headers, **added}).body, OLD, "unsigned")
        for bare in ("1300000000", "cachebust"):
            headers, _ = self.s3.prepare("GET", path, [(bare, "")], {}, b"", "signed")
            equal(self.s3.send("GET", f"{path}?{bare}", headers).body, OLD, bare)
            headers, body = self.s3.prepare("PUT", path, [(bare, "")], {}, b"new", "signed")
            is_error(self.s3.send("PUT", f"{path}?{bare}", headers, body), 501, "NotImplemented",
                     "what may be a newer sub-resource")
        self.keeps("kept", "bare arguments")

    def test_conditions_of_an_upload(self):
        """minio-go sends them with CreateMultipartUpload as well as with the completion."""
        self.put("kept")
        for key, guard, status in (("kept", {"if-none-match": "*"}, 412),
                                   ("new upload", {"if-none-match": "*"}, 200),
                                   ("kept", {"if-match": md5(OLD)}, 200),
                                   ("kept", {"if-match": "other"}, 412)):
            begun = self.s3.request("POST", self.bucket, key, query=[("uploads", "")],
                                    headers=guard)
            equal(begun.status, status, f"{key} {guard}: {begun!r}")
            if status == 200:
                etag = self.part(key, begun.text("UploadId"), b"part").headers["ETag"]
                done = self.s3.complete(self.bucket, key, begun.text("UploadId"), [etag],
                                        headers=guard)
                equal(done.status, 200, f"{key} {guard}: {done!r}")
                self.put("kept")

    # Ranges, sources, checksums

    def test_ranges_of_nothing(self):
        self.put("empty", b"")
        self.put("ten", b"0123456789")
        upload = self.upload("parts")
        parts = [os.urandom(5 * 2 ** 20), b""]
        etags = [self.part("parts", upload, body, number).headers["ETag"]
                 for number, body in enumerate(parts, 1)]
        equal(self.s3.complete(self.bucket, "parts", upload, etags).status, 200, "completion")
        for call in (self.s3.get, self.s3.head):
            for key, how, status in (("empty", {"headers": {"range": "bytes=-13"}}, 200),
                                     ("empty", {"headers": {"range": "bytes=0-"}}, 416),
                                     ("empty", {"headers": {"range": "bytes=0-0"}}, 416),
                                     ("empty", {"headers": {"range": "bytes=-0"}}, 416),
                                     ("empty", {"query": [("partNumber", "1")]}, 200),
                                     ("parts", {"query": [("partNumber", "2")]}, 200),
                                     ("parts", {"query": [("partNumber", "1")]}, 206),
                                     ("ten", {"headers": {"range": "bytes= -1"}}, 200),
                                     ("ten", {"headers": {"range": "bytes=-1"}}, 206)):
                answer = call(self.bucket, key, **how)
                equal(answer.status, status, f"{key} {how}: {answer!r}")
                equal(answer.headers["Content-Range"] is not None, status in (206, 416),
                      f"Content-Range of {key} {how}")

    def test_plus_in_a_copy_source(self):
        self.put("a b", b"space")
        upload = self.upload("copy")
        for body, status in ((b"space", 200), (b"plus", 200)):
            for spelling in ("{}/a+b", "/{}/a+b", "{}%2Fa+b", "{}/%61+b?versionId=null"):
                source = {"x-amz-copy-source": spelling.format(self.bucket)}
                copied = self.s3.put(self.bucket, "copy", b"", headers=source)
                equal((copied.status, self.s3.get(self.bucket, "copy").body), (status, body),
                      f"{spelling}: {copied!r}")
                part = self.part("copy", upload, headers=source)
                equal((part.status, part.text("ETag")), (200, f'"{md5(body)}"'), f"{part!r}")
            self.put("a+b", b"plus")
        is_error(self.s3.put(self.bucket, "copy", b"", headers={
            "x-amz-copy-source": f"{self.bucket}/no+ne"}), 404, "NoSuchKey", "neither reading")

    def test_checksum_of_another_algorithm(self):
        upload = self.upload("sums", {"x-amz-checksum-algorithm": "CRC32"})
        body = os.urandom(100000)
        wrong = {SHA256: _sha256(body)}
        answers = [self.part("sums", upload, body, headers=wrong)]
        answers += [self.part("sums", upload, body, payload=kind, trailers=wrong)
                    for kind in ("streaming-signed-trailer", "streaming-unsigned-trailer")]
        for answer in answers:
            is_error(answer, 400, "InvalidRequest", "a part's checksum")
            equal(answer.text("Message"), "Checksum Type mismatch occurred, expected checksum "
                  "Type: crc32, actual checksum Type: sha256", "message")
        said = self.expect("PUT", "sums", [("partNumber", "1"), ("uploadId", upload)], wrong, body)
        check(said.startswith(b"HTTP/1.1 400"), f"not before the body: {said[:200]}")
        equal(self.part("sums", upload, body, headers={CRC32: sigv4.crc32(body)}).status, 200,
              "the upload's own")
        for name in ("x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm"):
            is_error(self.s3.put(self.bucket, "sums", body, headers={
                CRC32: sigv4.crc32(body), name: "SHA256"}), 400, "InvalidRequest", name)
            equal(self.s3.put(self.bucket, "sums", body, headers={
                CRC32: sigv4.crc32(body), name: "CRC32"}).status, 200, name)

    # Addresses, owners, services

    def test_addresses(self):
        self.put("kept")
        for target in (f"//{self.bucket}/kept", f"//{self.bucket}", "//"):
            headers, _ = self.s3.prepare("GET", target, [], {}, b"", "signed")
            is_error(self.s3.send("GET", target, headers), 400, "InvalidBucketName", target)
        headers, _ = self.s3.prepare("GET", "*", [], {}, b"", "signed")
        equal(self.s3.send("GET", "*", headers).status, 400, "GET *")
        xml = ("<CreateBucketConfiguration><LocationConstraint>{}</LocationConstraint>"
               "</CreateBucketConfiguration>")
        name = f"far-{self.bucket}"
        for place in ("x" * 65000, "x" * 64, "no region", "a/b"):
            is_error(self.s3.request("PUT", name, body=xml.format(place).encode()), 400,
                     "InvalidLocationConstraint", place[:20])
        equal(self.s3.request("PUT", name, body=xml.format("eu-west-1").encode()).status, 200, name)
        equal(self.s3.request("GET", name, query=[("location", "")]).status, 200, "location")
        equal(self.s3.delete(name).status, 204, "DeleteBucket")

    def expect(self, method, key, query, headers, body):
        path = self.s3.path(self.bucket, key)
        headers, _ = self.s3.prepare(method, path, query, headers, body, "signed")
        return self.s3.expect(method, self.s3.target(path, query), headers, body)

    def test_another_owner_is_refused_before_the_body(self):
        self.put("kept")
        wrong = {"x-amz-expected-bucket-owner": "999999999999"}
        for method, more in (("PUT", {}), ("PATCH", {"content-range": "bytes 0-99999/*"}),
                             ("PUT", {"x-amz-write-offset-bytes": str(len(OLD))})):
            said = self.expect(method, "kept", [], {**wrong, **more}, b"x" * 100000)
            check(said.startswith(b"HTTP/1.1 403"), f"{method} {more}: {said[:200]}")
        for answer in (self.s3.put(self.bucket, "kept", b"new", headers=wrong),
                       self.s3.delete(self.bucket, "kept", headers=wrong),
                       self.s3.get(self.bucket, "kept", headers=wrong)):
            is_error(answer, 403, "AccessDenied", "another owner")
        self.keeps("kept", "requests to another owner's bucket")

    def test_numbers_and_locks(self):
        is_error(self.s3.request("GET", query=[("max-buckets", "10001")]), 400, "InvalidArgument",
                 "max-buckets")
        self.put("kept")
        for name in ("retention", "legal-hold"):
            answer = self.s3.get(self.bucket, "kept", query=[(name, "")])
            is_error(answer, 400, "InvalidRequest", name)
            equal(answer.text("Message"), "Bucket is missing Object Lock Configuration", name)

    def test_forms_and_health_checks(self):
        boundary = b"--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--x--\r\n"
        form = {"content-type": "multipart/form-data; boundary=x"}
        is_error(self.s3.send("POST", "/" + self.bucket, form, boundary), 501, "NotImplemented",
                 "an unsigned form")
        is_error(self.s3.request("POST", self.bucket, headers=form, body=boundary), 501,
                 "NotImplemented", "a signed form")
        for answer in (self.s3.send("HEAD", "/"), self.s3.request("HEAD")):
            equal((answer.status, answer.body), (200, b""), "HEAD /")
        self.put("kept", headers={"cache-control": "no-cache"})
        same = {"if-none-match": md5(OLD)}
        got = self.s3.get(self.bucket, "kept", headers=same)
        equal((got.status, got.headers["Cache-Control"]), (304, "no-cache"), "a 304")
        got = self.s3.get(self.bucket, "kept", headers=same,
                          query=[("response-cache-control", "private")])
        equal((got.status, got.headers["Cache-Control"]), (304, "private"), "an override")


def _sha256(body):
    return base64.b64encode(hashlib.sha256(body).digest()).decode()
