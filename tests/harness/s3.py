"""A small S3 client on http.client that sends what it is told to, right or wrong.

One connection, kept open and made again when it breaks: an S3 object belongs to one thread.
"""

import hashlib
import http.client
import socket
import ssl
import xml.etree.ElementTree as ElementTree
from urllib.parse import urlsplit

from harness import sigv4
from harness.sigv4 import encode

KINDS = {"streaming-signed": sigv4.STREAMING,
         "streaming-signed-trailer": sigv4.STREAMING_TRAILER,
         "streaming-unsigned-trailer": sigv4.STREAMING_UNSIGNED_TRAILER}


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def code(self):
        """The <Code> of an error, or None."""
        return self.text("Code")

    def texts(self, tag):
        """The text of every element of that name, whatever its namespace."""
        try:
            root = ElementTree.fromstring(self.body)
        except ElementTree.ParseError:
            return []
        return [e.text or "" for e in root.iter() if e.tag.rpartition("}")[2] == tag]

    def text(self, tag):
        found = self.texts(tag)
        return found[0] if found else None

    def __repr__(self):
        return f"<{self.status} {self.code or ''} {self.body[:200]!r}>"


class S3:
    def __init__(self, endpoint, access_key, secret_key, region="us-east-1", ca=None,
                 timeout=60, skew_seconds=0):
        self.endpoint = endpoint
        parts = urlsplit(endpoint)
        self.host = parts.netloc
        self.signer = sigv4.Signer(access_key, secret_key, region, skew_seconds)
        self.address = (parts.hostname, parts.port)
        self._timeout = timeout
        self.context = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
        self._conn = None

    def close(self):
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def connection(self):
        """A fresh http.client connection, for tests that need one of their own."""
        if self.context:
            return http.client.HTTPSConnection(*self.address, timeout=self._timeout,
                                               context=self.context)
        return http.client.HTTPConnection(*self.address, timeout=self._timeout)

    def socket(self, timeout=20):
        """A connected socket (under TLS for https), for what is not HTTP."""
        sock = socket.create_connection(self.address, timeout)
        if self.context:
            sock = self.context.wrap_socket(sock, server_hostname=self.address[0])
        return sock

    def send(self, method, target, headers=None, body=b""):
        """Sends a request as it is, signed or not, and reads the whole answer. A kept
        connection that the server has closed meanwhile is replaced once, as clients do."""
        fresh = self._conn is None
        if fresh:
            self._conn = self.connection()
        try:
            return self._exchange(method, target, headers or {}, body)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError,
                ssl.SSLEOFError):
            self.close()
            if fresh:
                raise
            return self.send(method, target, headers, body)
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def _exchange(self, method, target, headers, body):
        headers = {k.lower(): v for k, v in headers.items()}
        headers.setdefault("host", self.host)
        if "transfer-encoding" not in headers and (body or method in ("PUT", "POST")):
            headers.setdefault("content-length", str(len(body)))
        self._conn.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                self._conn.putheader(name, one)
        self._conn.endheaders(body if body else None)
        response = self._conn.getresponse()
        answer = Answer(response, response.read())
        if response.will_close:
            self.close()
        return answer

    def expect(self, method, target, headers, body):
        """Sends the headers, waits for what the server says, sends the body only if asked to.
        Returns all that the server said."""
        lines = [f"{method} {target} HTTP/1.1"] + [f"{k}: {v}" for k, v in headers.items()] + [
            f"content-length: {len(body)}", "expect: 100-continue", "connection: close", "", ""]
        with self.socket() as sock:
            sock.sendall("\r\n".join(lines).encode())
            said = sock.recv(65536)
            if said.startswith(b"HTTP/1.1 100"):
                sock.sendall(body)
            while True:
                more = sock.recv(65536)
                if not more:
                    return said
                said += more

    @staticmethod
    def path(bucket="", key=""):
        return "/" + bucket + ("/" + encode(key, "/") if key else "")

    @staticmethod
    def target(path, query):
        return path + ("?" + "&".join(f"{encode(k)}={encode(v)}" for k, v in query)
                       if query else "")

    def request(self, method, bucket="", key="", query=(), headers=None, body=b"",
                payload="signed", wire_target=None, **bend):
        """A signed request. A header may be a list of values: it is sent so many times. payload: signed, unsigned, one of KINDS, or a literal value for
        x-amz-content-sha256. bend goes to prepare(). wire_target replaces the signed target."""
        path = self.path(bucket, key)
        headers, body = self.prepare(method, path, query, headers or {}, body, payload, **bend)
        return self.send(method, wire_target or self.target(path, query), headers, body)

    def prepare(self, method, path, query, headers, body, payload, trailers=None,
                decoded_length=None, edit=None, **bend):
        """(headers, body) of a signed request. For the streaming kinds: trailers (a CRC32 when
        a trailer kind is given none), a lie for the decoded length, edit(framed bytes) to spoil
        the framing, and what sigv4.Chunked takes."""
        headers = {"host": self.host, **headers}
        if payload not in KINDS:
            value = {"signed": sigv4.sha256(body), "unsigned": sigv4.UNSIGNED}.get(payload, payload)
            return self.signer.headers(method, path, query, headers, value), body
        if trailers is None and payload.endswith("trailer"):
            trailers = {"x-amz-checksum-crc32": sigv4.crc32(body)}
        length = len(body) if decoded_length is None else decoded_length
        headers = {"content-encoding": "aws-chunked", **headers,
                   "x-amz-decoded-content-length": str(length)}
        if trailers:
            headers["x-amz-trailer"] = ",".join(trailers)
        headers = self.signer.headers(method, path, query, headers, KINDS[payload])
        seed = headers["authorization"].rpartition("Signature=")[2]
        framed = sigv4.Chunked(body, KINDS[payload], self.signer, seed, headers["x-amz-date"],
                               trailers, **bend).framed
        return headers, edit(framed) if edit else framed

    def put(self, bucket, key, body, **more):
        return self.request("PUT", bucket, key, body=body, **more)

    def get(self, bucket, key, **more):
        return self.request("GET", bucket, key, **more)

    def head(self, bucket, key="", **more):
        return self.request("HEAD", bucket, key, **more)

    def delete(self, bucket, key="", **more):
        return self.request("DELETE", bucket, key, **more)

    def make_bucket(self, bucket):
        return self.request("PUT", bucket)

    def list_keys(self, bucket, prefix=""):
        """All keys, page by page."""
        keys, token = [], None
        for _ in range(10000):
            query = [("list-type", "2"), ("prefix", prefix)]
            if token:
                query.append(("continuation-token", token))
            answer = self.request("GET", bucket, query=query)
            if answer.status != 200:
                raise OSError(f"listing {bucket}: {answer!r}")
            keys += answer.texts("Key")
            token = answer.text("NextContinuationToken")
            if answer.text("IsTruncated") != "true":
                return keys
        raise OSError(f"listing {bucket} never ends")

    def multipart(self, bucket, key, parts):
        """Uploads and completes; returns the answer of the completion (or of what failed)."""
        begun = self.request("POST", bucket, key, query=[("uploads", "")])
        upload = begun.text("UploadId")
        if not upload:
            return begun
        etags = []
        for number, part in enumerate(parts, 1):
            sent = self.put(bucket, key, part, payload="unsigned",
                            query=[("partNumber", str(number)), ("uploadId", upload)])
            if sent.status != 200:
                return sent
            etags.append(sent.headers["ETag"])
        return self.complete(bucket, key, upload, etags)

    def complete(self, bucket, key, upload, etags, **more):
        body = "<CompleteMultipartUpload>" + "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>"
            for n, e in enumerate(etags, 1)) + "</CompleteMultipartUpload>"
        return self.request("POST", bucket, key, query=[("uploadId", upload)],
                            body=body.encode(), **more)


def md5(data):
    return hashlib.md5(data).hexdigest()
