"""AWS signature version 4 (and version 2 for presigned URLs), and the aws-chunked framings.

Written to be bent: every step can be given wrong input, so that tests can send requests that no
client makes. See https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import base64
import hashlib
import hmac
import time
import zlib
from urllib.parse import quote

UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def encode(text, safe=""):
    """Percent-encoding as S3 signs it: everything but letters, digits and -._~ ."""
    return quote(text, safe=safe + "-._~")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def _folded(value):
    """A header's value, or a list of them, as the canonical request has it."""
    return ",".join(" ".join(one.split()) for one in (value if isinstance(value, list) else [value]))


def _mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Signer:
    """Credentials and a region; skew_seconds shifts the clock that it signs with."""

    def __init__(self, access_key, secret_key, region="us-east-1", skew_seconds=0):
        self.access_key, self.secret_key, self.region = access_key, secret_key, region
        self.skew_seconds = skew_seconds

    def now(self):
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + self.skew_seconds))

    def _scope(self, amz_date):
        return f"{amz_date[:8]}/{self.region}/s3/aws4_request"

    def signature(self, amz_date, algorithm, *lines):
        """Signs the lines that follow algorithm, date and scope in the string to sign."""
        key = f"AWS4{self.secret_key}".encode()
        for part in (amz_date[:8], self.region, "s3", "aws4_request"):
            key = _mac(key, part)
        text = "\n".join([algorithm, amz_date, self._scope(amz_date), *lines])
        return _mac(key, text).hex()

    def _sign_request(self, amz_date, method, path, query, headers, payload):
        """path and query ([(name, value)], decoded) and headers ({lower-case name: value})."""
        names = ";".join(sorted(headers))
        canonical = "\n".join([
            method, path,
            "&".join(sorted(f"{encode(k)}={encode(v)}" for k, v in query)),
            *(f"{k}:{_folded(headers[k])}" for k in sorted(headers)), "",
            names, payload])
        return names, self.signature(amz_date, "AWS4-HMAC-SHA256", sha256(canonical.encode()))

    def headers(self, method, path, query, headers, payload):
        """The headers with x-amz-date, x-amz-content-sha256 and Authorization added. path is
        as it goes over the wire; payload is a hash or one of the names above."""
        signed = {k.lower(): v for k, v in headers.items()}
        amz_date = signed.setdefault("x-amz-date", self.now())
        signed["x-amz-content-sha256"] = payload
        return self._authorized(amz_date, method, path, query, signed, payload)

    def _authorized(self, amz_date, method, path, query, signed, payload):
        names, signature = self._sign_request(amz_date, method, path, query, signed, payload)
        return {**signed, "authorization":
                f"AWS4-HMAC-SHA256 Credential={self.access_key}/{self._scope(amz_date)}, "
                f"SignedHeaders={names}, Signature={signature}"}

    def dated(self, method, path, headers, form):
        """As headers(), with a Date header of that strftime() form in place of x-amz-date."""
        now = time.gmtime(time.time() + self.skew_seconds)
        signed = {**headers, "date": time.strftime(form, now), "x-amz-content-sha256": UNSIGNED}
        return self._authorized(time.strftime("%Y%m%dT%H%M%SZ", now), method, path, [], signed,
                                UNSIGNED)

    def presign(self, method, path, query, host, expires=300, headers=None, payload=UNSIGNED):
        """The query of a presigned request, decoded; headers are those that must be sent. Another
        payload than UNSIGNED pins it: X-Amz-Content-Sha256 is added."""
        amz_date = self.now()
        headers = {"host": host, **{k.lower(): v for k, v in (headers or {}).items()}}
        query = list(query) + [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", f"{self.access_key}/{self._scope(amz_date)}"),
            ("X-Amz-Date", amz_date), ("X-Amz-Expires", str(expires)),
            ("X-Amz-SignedHeaders", ";".join(sorted(headers)))]
        if payload != UNSIGNED:
            query.append(("X-Amz-Content-Sha256", payload))
        _, signature = self._sign_request(amz_date, method, path, query, headers, payload)
        return query + [("X-Amz-Signature", signature)]

    def presign_v2(self, method, path, expires=300, amz=()):
        """The query of a version 2 presigned request for a path without sub-resources. amz are
        sorted (name, value) that stand for x-amz- headers."""
        until = str(int(time.time()) + self.skew_seconds + expires)
        lines = "".join(f"{name}:{value}\n" for name, value in amz)
        return [("AWSAccessKeyId", self.access_key), ("Expires", until),
                ("Signature", self.signature_v2(f"{method}\n\n\n{until}\n{lines}{path}")), *amz]

    def signature_v2(self, text):
        mac = hmac.new(self.secret_key.encode(), text.encode(), hashlib.sha1)
        return base64.b64encode(mac.digest()).decode()


class Chunked:
    """An aws-chunked body. kind is one of the three STREAMING names; trailers a dict.

    What can be bent: bad_chunk (the number of the chunk whose signature is wrong), bad_trailer
    (its signature is wrong), and .framed is bytes, to be cut or edited at will.
    """

    def __init__(self, data, kind, signer, seed, amz_date, trailers=None, chunk_bytes=65536,
                 bad_chunk=None, bad_trailer=False):
        self._signer, self._date, self._previous = signer, amz_date, seed
        signed = kind != STREAMING_UNSIGNED_TRAILER
        pieces = [data[i:i + chunk_bytes] for i in range(0, len(data), chunk_bytes)] + [b""]
        out = []
        for number, piece in enumerate(pieces):
            line = f"{len(piece):x}"
            if signed:
                line += ";chunk-signature=" + self._chunk_signature(piece, number == bad_chunk)
            last = b"" if not piece else piece + b"\r\n"
            out.append(line.encode() + b"\r\n" + last)
        for name, value in (trailers or {}).items():
            out.append(f"{name}:{value}\r\n".encode())
        if trailers and signed:
            text = "".join(f"{k}:{v}\n" for k, v in sorted(trailers.items()))
            signature = signer.signature(amz_date, "AWS4-HMAC-SHA256-TRAILER", self._previous,
                                         sha256(text.encode()))
            out.append(f"x-amz-trailer-signature:{_spoil(signature, bad_trailer)}\r\n".encode())
        out.append(b"\r\n")
        self.framed = b"".join(out)

    def _chunk_signature(self, piece, spoil):
        signature = self._signer.signature(self._date, "AWS4-HMAC-SHA256-PAYLOAD", self._previous,
                                           EMPTY_SHA256, sha256(piece))
        self._previous = signature
        return _spoil(signature, spoil)


def _spoil(signature, wanted):
    if not wanted:
        return signature
    return ("1" if signature[0] == "0" else "0") + signature[1:]
