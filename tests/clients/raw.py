"""Signed requests that no client makes: each way to sign a body, right and wrong, odd but valid
spellings of a request, presigned URLs at their limits, clocks that are off."""

import base64
import hashlib
import os

from harness import sigv4
from harness.runner import Lane, check, equal
from harness.s3 import KINDS, md5

STREAMING = tuple(KINDS)
SIGNED = ("streaming-signed", "streaming-signed-trailer")
TRAILER = ("streaming-signed-trailer", "streaming-unsigned-trailer")
OLD = b"what was there before"


def is_error(answer, status, *codes):
    equal(answer.status, status, f"status of {answer!r}")
    check(answer.code in codes, f"code {answer.code}, not {codes}")


class Raw(Lane):
    label = "raw"

    def refused_put(self, key, body, statuses=(400, 403), what="", **how):
        """The upload must fail and leave the old object as it was."""
        self.s3.put(self.bucket, key, OLD)
        answer = self.s3.put(self.bucket, key, body, **how)
        check(answer.status in statuses and answer.code, f"{what} {how}: {answer!r}")
        equal(self.s3.get(self.bucket, key).body, OLD, f"the object after the refused PUT {how}")
        return answer

    # The five kinds of bodies

    def test_payload_kinds(self):
        for kind in ("signed", "unsigned") + STREAMING:
            for size in (0, 1, 8192, 65536, 65537, 300000, 5 * 2 ** 20 + 1):
                body = os.urandom(size)
                put = self.s3.put(self.bucket, "kind", body, payload=kind)
                equal((put.status, put.headers["ETag"]), (200, f'"{md5(body)}"'),
                      f"{kind} {size}: {put!r}")
                got = self.s3.get(self.bucket, "kind")
                check(got.body == body, f"{kind} {size}: other bytes came back")
                check(not got.headers.get("Content-Encoding"), f"{kind}: framing is shown")

    def test_content_encoding_beside_chunks(self):
        for kind in STREAMING:
            self.s3.put(self.bucket, "enc", b"zip", payload=kind,
                        headers={"content-encoding": "aws-chunked,gzip"})
            got = self.s3.get(self.bucket, "enc")
            equal((got.headers["Content-Encoding"], got.body), ("gzip", b"zip"), kind)

    def test_uneven_chunks(self):
        """All but the last have 8 KiB at least."""
        self.skip_on_minio("wants chunks of its own sizes")
        body = os.urandom(50000)
        for kind in STREAMING:
            for chunk in (8192, 10001, 49999):
                put = self.s3.put(self.bucket, "uneven", body, payload=kind, chunk_bytes=chunk)
                equal(put.status, 200, f"{kind} in chunks of {chunk}: {put!r}")
                check(self.s3.get(self.bucket, "uneven").body == body, "other bytes")

    def test_chunks_in_multipart(self):
        begun = self.s3.request("POST", self.bucket, "mp", query=[("uploads", "")])
        upload, etags, parts = begun.text("UploadId"), [], []
        for number, kind in enumerate(STREAMING, 1):
            parts.append(os.urandom(5 * 2 ** 20))
            sent = self.s3.put(self.bucket, "mp", parts[-1], payload=kind,
                               query=[("partNumber", str(number)), ("uploadId", upload)])
            equal(sent.status, 200, f"part by {kind}: {sent!r}")
            etags.append(sent.headers["ETag"])
        equal(self.s3.complete(self.bucket, "mp", upload, etags).status, 200, "completion")
        check(self.s3.get(self.bucket, "mp").body == b"".join(parts), "other bytes")

    def test_wrong_hash(self):
        self.refused_put("wrong", b"body", payload=sigv4.sha256(b"other"))
        self.refused_put("wrong", b"body", payload="not-a-hash")
        self.refused_put("wrong", b"body", payload="STREAMING-UNKNOWN")

    def test_wrong_chunk_signature(self):
        body = os.urandom(200000)
        for kind in SIGNED:
            for chunk in (0, 1, 3, 4):  # 4 is the last, empty one
                self.refused_put("wrong", body, payload=kind, bad_chunk=chunk, statuses=(403,))

    def test_changed_chunk(self):
        for kind in STREAMING:
            self.refused_put("wrong", b"hello" * 30000, payload=kind,
                             edit=lambda f: f.replace(b"hellohello", b"hellOhello", 1))

    def test_wrong_trailer(self):
        body = os.urandom(70000)
        for kind in TRAILER:
            wrong = {"x-amz-checksum-crc32": sigv4.crc32(b"other")}
            self.refused_put("wrong", body, payload=kind, trailers=wrong, statuses=(400,))
            for value in ("", "AAA=", "!!!!", "AAAAAAAAAAAAAAAAAAAA"):
                self.refused_put("wrong", body, payload=kind, statuses=(400,),
                                 trailers={"x-amz-checksum-crc32": value})
        self.refused_put("wrong", body, payload="streaming-signed-trailer", bad_trailer=True)

    def test_missing_trailer(self):
        self.skip_on_minio("does not miss it")

        def cut(framed):
            return framed[:framed.rindex(b"x-amz-checksum")] + b"\r\n"
        for kind in TRAILER:
            self.refused_put("wrong", os.urandom(1000), payload=kind, edit=cut)

    def test_lying_lengths(self):
        body = os.urandom(100000)
        lies = [0, 1, 99999, 100001, 10 ** 6, -1, 2 ** 64, "x", ""]
        if self.endpoint.kind == "minio":
            lies = lies[:6]  # it answers 500 to the others
        for kind in STREAMING:
            for lie in lies:
                self.refused_put("wrong", body, (400, 403, 411), payload=kind,
                                 decoded_length=lie)

    def test_broken_framing(self):
        body = b"B" * 70000
        edits = {
            "cut in a chunk": lambda f: f[:500],
            "no last chunk": lambda f: f[:f.rindex(b"0;chunk") if b";chunk" in f
                                         else f.rindex(b"0\r\n")],
            "size is no number": lambda f: b"zz" + f[f.index(b"\r\n"):],
            "size is negative": lambda f: b"-1" + f[f.index(b"\r\n"):],
            "size is enormous": lambda f: b"f" * 40 + f[f.index(b"\r\n"):],
            "no size": lambda f: f[f.index(b"\r\n"):],
            "endless size line": lambda f: b"1;" + b"x" * 200000,
            "no newline behind a chunk": lambda f: f.replace(b"BB\r\n", b"BBxx", 1),
            "bare newlines": lambda f: f.replace(b"\r\n", b"\n"),
            "empty": lambda f: b"",
            "more behind the end": lambda f: f + b"10000\r\n" + b"x" * 100,
        }
        for kind in STREAMING:
            for name, edit in edits.items():
                if self.endpoint.kind == "minio" and name in (
                        "more behind the end", "bare newlines", "no last chunk"):
                    continue
                self.refused_put("wrong", body, payload=kind, edit=edit, what=name)

    def test_checksum_beside_trailer(self):
        """A good checksum in the trailer is kept, whichever algorithm."""
        body = os.urandom(66000)
        for kind in TRAILER:
            for name in ("sha1", "sha256"):
                value = base64.b64encode(hashlib.new(name, body).digest()).decode()
                header = f"x-amz-checksum-{name}"
                put = self.s3.put(self.bucket, "sum", body, payload=kind, trailers={header: value})
                equal(put.status, 200, f"{kind} {name}: {put!r}")
                head = self.s3.head(self.bucket, "sum",
                                    headers={"x-amz-checksum-mode": "ENABLED"})
                equal(head.headers[header], value, name)

    def test_body_that_breaks_off(self):
        """Less than Content-Length promised, then the connection is cut."""
        self.s3.put(self.bucket, "broken", OLD)
        path = self.s3.path(self.bucket, "broken")
        for kind in ("unsigned",) + STREAMING:
            body = os.urandom(300000)
            headers, framed = self.s3.prepare("PUT", path, [], {}, body, kind)
            conn = self.s3.connection()
            conn.putrequest("PUT", path, skip_host=True, skip_accept_encoding=True)
            for name, value in {**headers, "content-length": str(len(framed))}.items():
                conn.putheader(name, value)
            conn.endheaders()
            conn.send(framed[:200000])
            conn.close()
            equal(self.s3.get(self.bucket, "broken").body, OLD, kind)

    # Spellings

    def test_plus_for_space(self):
        """s3cmd and others sign %20 and send +, in the query."""
        self.s3.put(self.bucket, "plus/a b", b"x")
        answer = self.s3.request(
            "GET", self.bucket, query=[("prefix", "plus/a b"), ("list-type", "2")],
            wire_target=f"/{self.bucket}?prefix=plus/a+b&list-type=2")
        equal(answer.texts("Key"), ["plus/a b"], f"keys of {answer!r}")
        self.s3.put(self.bucket, "plus/a+b", b"y")
        equal(self.s3.get(self.bucket, "plus/a+b").body, b"y", "+ in a path is a plus")

    def test_spelling_of_the_path(self):
        """A path that the client encoded more, or less, than it had to."""
        self.skip_on_minio("signs only its own spelling")
        self.s3.put(self.bucket, "odd (1)~é", b"x")
        for wire in ("odd%20(1)~%c3%a9", "odd%20%281%29%7E%C3%A9", "%6Fdd%20(1)~%C3%A9"):
            path = f"/{self.bucket}/{wire}"
            # the signer signs the path as S3 rebuilds it: decoded, then encoded once
            headers, _ = self.s3.prepare("GET", self.s3.path(self.bucket, "odd (1)~é"), [], {},
                                         b"", "signed")
            equal(self.s3.send("GET", path, headers).body, b"x", wire)

    def test_queries(self):
        self.s3.put(self.bucket, "query/1", b"x")
        unsorted = [("prefix", "query/"), ("delimiter", ""), ("list-type", "2"),
                    ("encoding-type", "url")]
        answer = self.s3.request("GET", self.bucket, query=unsorted)
        equal(answer.texts("Key"), ["query/1"], f"unsorted and empty: {answer!r}")
        slash = self.s3.request("GET", self.bucket + "/", query=[("list-type", "2"),
                                                                 ("prefix", "query/")])
        equal(slash.texts("Key"), ["query/1"], f"slash behind the bucket: {slash!r}")
        twice = self.s3.request("GET", self.bucket, query=[("prefix", "query/"),
                                                           ("prefix", "query/")])
        equal((twice.status, twice.texts("Key")), (200, ["query/1"]), f"one name twice: {twice!r}")

    def test_header_values(self):
        for value in ("a   b", "  lead", "q=1;  r=2"):
            put = self.s3.put(self.bucket, "meta", b"x", headers={"x-amz-meta-m": value})
            equal(put.status, 200, f"{value!r}: {put!r}")
        got = self.s3.head(self.bucket, "meta").headers["x-amz-meta-m"]
        equal(got, "q=1;  r=2", "metadata with inner spaces")

    def test_length_is_missing(self):
        """Transfer-Encoding: chunked without a length is accepted (GitLab sends it)."""
        self.skip_on_minio("answers 411")
        body, path = b"in HTTP's own chunks", self.s3.path(self.bucket, "te")
        headers, _ = self.s3.prepare("PUT", path, [], {}, body, "unsigned")
        framed = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        put = self.s3.send("PUT", path, {**headers, "transfer-encoding": "chunked"}, framed)
        equal(put.status, 200, f"{put!r}")
        equal(self.s3.get(self.bucket, "te").body, body, "content")

    # Who and when

    def test_bad_signatures(self):
        self.s3.put(self.bucket, "auth", OLD)
        path = self.s3.path(self.bucket, "auth")
        good, _ = self.s3.prepare("GET", path, [], {}, b"", "signed")
        signature = good["authorization"].rpartition("=")[2]
        for what, header in {
                "changed": good["authorization"][:-1] + ("0" if signature[-1] != "0" else "1"),
                "empty": "", "a word": "AWS4-HMAC-SHA256", "basic": "Basic YTpi",
                "no signature": good["authorization"].rpartition(",")[0],
                "short": good["authorization"][:-10],
                "long": good["authorization"] + "a" * 5000,
                "no host signed": good["authorization"].replace("host;", ""),
                "another region's scope": good["authorization"].replace("/s3/", "/ec2/")}.items():
            answer = self.s3.send("GET", path, {**good, "authorization": header})
            check(answer.status in (400, 403) and answer.code, f"{what}: {answer!r}")
        anonymous = self.s3.send("GET", path)
        is_error(anonymous, 403, "AccessDenied")
        check(anonymous.text("RequestId"), "no request id")

    def test_unsigned_amz_header(self):
        """An x-amz-* header that is not signed must not be believed."""
        self.skip_on_minio("takes some")
        path = self.s3.path(self.bucket, "unsigned header")
        headers, body = self.s3.prepare("PUT", path, [], {}, b"x", "signed")
        answer = self.s3.send("PUT", path, {**headers, "x-amz-meta-added": "1"}, body)
        is_error(answer, 403, "AccessDenied", "SignatureDoesNotMatch")

    def test_clock_skew(self):
        for seconds in (-1200, 1200):
            is_error(self.endpoint.s3(skew_seconds=seconds).request("GET", self.bucket), 403,
                     "RequestTimeTooSkewed")
        for seconds in (-600, 600):
            equal(self.endpoint.s3(skew_seconds=seconds).request("GET", self.bucket).status, 200,
                  f"{seconds} s off")

    def presigned(self, client, key="signed", method="GET", **how):
        path = client.path(self.bucket, key)
        query = client.signer.presign(method, path, [], client.host, **how)
        return client.send(method, client.target(path, query))

    def test_presigned(self):
        self.s3.put(self.bucket, "signed", b"content")
        equal(self.presigned(self.s3).body, b"content", "GET")
        equal(self.presigned(self.s3, expires=604800).body, b"content", "a week")
        for expires in (604801, 0, -1, "x", ""):
            answer = self.presigned(self.s3, expires=expires)
            check(answer.status in (400, 403), f"expires {expires}: {answer!r}")
        late = self.endpoint.s3(skew_seconds=-100)
        is_error(self.presigned(late, expires=50), 403, "AccessDenied", "ExpiredToken")
        equal(self.presigned(late, expires=500).body, b"content", "older, but still good")
        early = self.endpoint.s3(skew_seconds=1200)
        equal(self.presigned(early).status, 403, "signed in the future")

    def test_presigned_signed_headers(self):
        self.s3.put(self.bucket, "signed", b"content")
        path = self.s3.path(self.bucket, "signed")
        query = self.s3.signer.presign("GET", path, [], self.s3.host,
                                       headers={"x-amz-meta-must": "1"})
        target = self.s3.target(path, query)
        equal(self.s3.send("GET", target, {"x-amz-meta-must": "1"}).status, 200, "with it")
        check(self.s3.send("GET", target).status in (400, 403), "a signed header is missing")

    def test_presigned_payload(self):
        """A payload that the URL pins holds, whatever the unsigned header says."""
        self.skip_on_minio("believes the header")
        path = self.s3.path(self.bucket, "pinned")
        query = self.s3.signer.presign("PUT", path, [], self.s3.host,
                                       payload=sigv4.sha256(b"right"))
        target = self.s3.target(path, query)
        equal(self.s3.send("PUT", target, {}, b"right").status, 200, "the pinned body")
        is_error(self.s3.send("PUT", target, {}, b"wrong"), 400, "XAmzContentSHA256Mismatch")
        for header in ("UNSIGNED-PAYLOAD", sigv4.sha256(b"wrong"), "",
                       sigv4.STREAMING_UNSIGNED_TRAILER):
            is_error(self.s3.send("PUT", target, {"x-amz-content-sha256": header}, b"wrong"), 403,
                     "AccessDenied")
        equal(self.s3.get(self.bucket, "pinned").body, b"right", "what stands there")

    def test_presigned_readings(self):
        """Who holds a URL may write a plus for %2B or for %20, and gets what was signed."""
        self.skip_on_minio("reads a plus as a space")
        for key in ("read/a b", "read/a+b"):
            self.s3.put(self.bucket, key, key.encode())
        for key in ("read/a b", "read/a+b"):
            path = self.s3.path(self.bucket)
            query = self.s3.signer.presign("GET", path, [("prefix", key)], self.s3.host)
            target = self.s3.target(path, query)
            for wire in (target, target.replace("a%20b", "a+b").replace("a%2Bb", "a+b")):
                equal(self.s3.send("GET", wire).texts("Key"), [key], f"list of {wire}")
            path, source = self.s3.path(self.bucket, "read/to"), f"/{self.bucket}/{key}"
            source = source.replace(" ", "%20").replace("+", "%2B")
            amz = [("x-amz-copy-source", source)]
            for query in (self.s3.signer.presign("PUT", path, amz, self.s3.host),
                          self.s3.signer.presign_v2("PUT", path, amz=amz)):
                equal(self.s3.send("PUT", self.s3.target(path, query)).status, 200, f"{query}")
                equal(self.s3.get(self.bucket, "read/to").body, key.encode(), "the copy")
        # a source that stands in the URL with its plus is the object with a plus
        amz = [("x-amz-meta-m", "a+b")]
        for query in (self.s3.signer.presign("PUT", path, amz, self.s3.host),
                      self.s3.signer.presign_v2("PUT", path, amz=amz)):
            wire = self.s3.target(path, query).replace("a%2Bb", "a+b")
            equal(self.s3.send("PUT", wire).status, 200, wire)
            equal(self.s3.head(self.bucket, "read/to").headers["x-amz-meta-m"], "a+b", wire)

    def test_presigned_arguments(self):
        """An argument that stands for a header must be able to be one."""
        self.skip_on_minio("takes them")
        path = self.s3.path(self.bucket, "arguments")
        for name, value in (("x-amz-meta-a b", "1"), ("x-amz-meta-a", "1\nx-amz-meta-b:2"),
                            ("x-amz-meta-a:b", "1"), ("x-amz-meta-a", "\r")):
            for query in (self.s3.signer.presign("PUT", path, [(name, value)], self.s3.host),
                          self.s3.signer.presign_v2("PUT", path, amz=[(name, value)])):
                is_error(self.s3.send("PUT", self.s3.target(path, query)), 400, "InvalidArgument")
        self.s3.delete(self.bucket, "arguments")

    def test_version_2(self):
        """Presigned URLs of version 2 work (clients still make them), headers of it do not."""
        self.s3.put(self.bucket, "v2 key", b"content")
        path = self.s3.path(self.bucket, "v2 key")
        query = self.s3.signer.presign_v2("GET", path)
        equal(self.s3.send("GET", self.s3.target(path, query)).body, b"content", "GET")
        wrong = query[:2] + [("Signature", "AAAA" + query[2][1][4:])]
        is_error(self.s3.send("GET", self.s3.target(path, wrong)), 403, "SignatureDoesNotMatch")
        past = self.s3.signer.presign_v2("GET", path, expires=-10)
        is_error(self.s3.send("GET", self.s3.target(path, past)), 403, "AccessDenied",
                 "ExpiredToken")
        self.skip_on_minio("still takes version 2 headers")
        text = f"GET\n\n\nMon, 23 Nov 2026 00:00:00 GMT\n{path}"
        answer = self.s3.send("GET", path, {
            "date": "Mon, 23 Nov 2026 00:00:00 GMT", "authorization":
            f"AWS {self.endpoint.access_key}:{self.s3.signer.signature_v2(text)}"})
        check(answer.status in (400, 403) and answer.code, f"version 2 header: {answer!r}")

    # Expect: 100-continue

    def test_expect_continue(self):
        path = self.s3.path(self.bucket, "expect")
        for body in (b"x" * 100000, b""):
            if not body:
                self.skip_on_minio("does not say 100 for an empty body")
            headers, _ = self.s3.prepare("PUT", path, [], {}, body, "signed")
            said = self.s3.expect("PUT", path, headers, body)
            check(said.startswith(b"HTTP/1.1 100"), f"no 100 but {said[:80]}")
            check(b"HTTP/1.1 200" in said, f"no 200 behind it: {said[:300]}")
        equal(self.s3.get(self.bucket, "expect").body, b"", "content")

    def test_refusal_before_the_body(self):
        """What the headers decide is said without asking for the body."""
        self.s3.put(self.bucket, "expect", OLD)
        path = self.s3.path(self.bucket, "expect")
        body = b"x" * 100000
        headers, _ = self.s3.prepare("PUT", path, [], {}, body, "signed")
        bad = {**headers, "authorization": headers["authorization"][:-4] + "0000"}
        said = self.s3.expect("PUT", path, bad, body)
        check(said.startswith(b"HTTP/1.1 403"), f"wrong signature: {said[:80]}")
        headers, _ = self.s3.prepare("PUT", path, [], {"if-none-match": "*"}, body, "signed")
        said = self.s3.expect("PUT", path, headers, body)
        check(b"HTTP/1.1 412" in said, f"precondition: {said[:80]}")
        equal(self.s3.get(self.bucket, "expect").body, OLD, "content")

    # Bodies and numbers that are wrong

    def test_broken_xml(self):
        laughs = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">' + b"".join(
            b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
        ) + b"]><Delete><Object><Key>&j;</Key></Object></Delete>"
        for body in (b"", b"<", b"<Delete>", b"<Delete></Wrong>", b"not xml", b"\xff\xfe\x00",
                     b"<Delete></Delete>", b"<Other/>", laughs, b"<a>" * 10000,
                     b"<Delete><Object><Key>" + b"\xc3\x28" + b"</Key></Object></Delete>",
                     b"<Delete><Object/></Delete>"):
            answer = self.s3.request("POST", self.bucket, query=[("delete", "")], body=body,
                                     headers={"content-md5": _md5_base64(body)})
            if self.endpoint.kind == "minio" and answer.status == 200:
                continue
            check(400 <= answer.status < 500 and answer.code, f"{body[:60]}: {answer!r}")
        upload = self.s3.request("POST", self.bucket, "x", query=[("uploads", "")]).text("UploadId")
        for body in (b"", b"<", b"<CompleteMultipartUpload/>", laughs,
                     b"<CompleteMultipartUpload><Part><PartNumber>-1</PartNumber><ETag>x</ETag>"
                     b"</Part></CompleteMultipartUpload>",
                     b"<CompleteMultipartUpload><Part><PartNumber>99999999999999999999</PartNumber>"
                     b"<ETag>x</ETag></Part></CompleteMultipartUpload>"):
            answer = self.s3.request("POST", self.bucket, "x", query=[("uploadId", upload)],
                                     body=body)
            check(400 <= answer.status < 500 and answer.code, f"{body[:60]}: {answer!r}")

    def test_wrong_numbers(self):
        self.skip_on_minio("answers 500 to a part number that is none")
        self.s3.put(self.bucket, "number", b"content")
        for value in ("-1", "x", "99999999999999999999", "1.5", "0x10", "2147483648", "+5", " 1"):
            answer = self.s3.request("GET", self.bucket, query=[("max-keys", value)])
            check(answer.status in (200, 400), f"max-keys={value}: {answer!r}")
            answer = self.s3.request("GET", self.bucket, "number", query=[("partNumber", value)])
            check(answer.status in (206, 400, 416, 200), f"partNumber={value}: {answer!r}")
            answer = self.s3.put(self.bucket, "number", b"x", query=[("partNumber", value),
                                                                     ("uploadId", "none")])
            check(answer.status in (400, 404), f"part {value}: {answer!r}")
        equal(self.s3.get(self.bucket, "number").body, b"content", "untouched")

    def test_ranges_beyond_the_end(self):
        for key, body in (("range", b"content"), ("range big", bytes(300000)), ("range none", b"")):
            equal(self.s3.put(self.bucket, key, body).status, 200, key)
            for call in (self.s3.get, self.s3.head):
                answer = call(self.bucket, key, headers={"range": f"bytes={len(body)}-"})
                equal((answer.status, answer.headers["Content-Range"]),
                      (416, f"bytes */{len(body)}"), f"{key} {answer!r}")
            equal(self.s3.get(self.bucket, key).headers["Content-Range"], None, key)

    def test_wrong_keys(self):
        self.skip_on_minio("names files after keys")
        for wire in ("%FF", "%C3%28", "%ED%A0%80", "a%00b"):
            path = f"/{self.bucket}/{wire}"
            headers, body = self.s3.prepare("PUT", path, [], {}, b"x", "signed")
            answer = self.s3.send("PUT", path, headers, body)
            check(answer.status == 400 and answer.code, f"{wire}: {answer!r}")

    def test_headers_that_change_meaning(self):
        """Never accepted and ignored: done, or 501."""
        self.skip_on_minio("ignores some")
        self.s3.put(self.bucket, "meaning", OLD)
        for headers in ({"x-amz-server-side-encryption": "aws:kms"},
                        {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
                        {"x-amz-object-lock-mode": "GOVERNANCE"},
                        {"x-amz-object-lock-legal-hold": "ON"},
                        {"x-amz-website-redirect-location": "/x"},
                        {"x-amz-acl": "public-read"}, {"x-amz-grant-read": "id=x"}):
            answer = self.s3.put(self.bucket, "meaning", b"new", headers=headers)
            check(answer.status in (400, 501) and answer.code, f"{headers}: {answer!r}")
            equal(self.s3.get(self.bucket, "meaning").body, OLD, f"content after {headers}")

    def test_unknown_sub_resources(self):
        self.skip_on_minio("falls through")
        self.s3.put(self.bucket, "sub", OLD)
        for method in ("GET", "PUT", "DELETE", "POST"):
            for name in ("torrent", "select", "restore", "inventory", "metrics", "replication",
                         "analytics", "intelligent-tiering", "accelerate", "legal-hold",
                         "retention"):
                for key in ("", "sub"):
                    answer = self.s3.request(method, self.bucket, key, query=[(name, "")])
                    if method == "GET" and b"Configuration" in answer.body:
                        continue  # what is unset is shown as such
                    check(answer.status in (400, 404, 405, 501) and answer.code,
                          f"{method} /{key}?{name}: {answer!r}")
        equal(self.s3.get(self.bucket, "sub").body, OLD, "content")

    def test_methods(self):
        for method in ("TRACE", "LINK", "get", "X" * 100):
            answer = self.s3.request(method, self.bucket, "x")
            check(answer.status in (400, 403, 405, 501), f"{method}: {answer!r}")


def _md5_base64(data):
    return base64.b64encode(bytes.fromhex(md5(data))).decode()
