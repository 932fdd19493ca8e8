"""Signs requests, writes them to a file and has the load generator (load.c) send them."""

import array
import hashlib
import hmac
import json
import os
import random
import subprocess
import time

from bench.workloads import BODY_BYTES
from harness.kiseki import REGION
from harness.sigv4 import UNSIGNED
from harness.workspace import ROOT, Failed

SOURCE = os.path.join(ROOT, "tests/bench/load.c")
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def _mac(key, text):
    return hmac.digest(key, text.encode(), "sha256")


class Signer:
    """harness.sigv4 does the same, one request at a time with everything made anew; here a
    hundred thousand requests are signed between two measurements."""

    def __init__(self, server):
        self._host, (self._access, secret) = server.host, server.credentials
        self._stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._scope = f"{self._stamp[:8]}/{REGION}/s3/aws4_request"
        self._key = f"AWS4{secret}".encode()
        for part in self._scope.split("/"):
            self._key = _mac(self._key, part)

    def head(self, method, path, query, headers, length, unsigned):
        """The request's head as it goes over the wire; query is encoded and sorted."""
        signed = {"host": self._host, "x-amz-content-sha256": UNSIGNED if length else EMPTY_SHA256,
                  "x-amz-date": self._stamp, **headers}
        names = sorted(signed)
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\n" \
                    f"{signed['x-amz-content-sha256']}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = _mac(self._key,
                         f"AWS4-HMAC-SHA256\n{self._stamp}\n{self._scope}\n{digest}").hex()
        extra = "".join(f"{name}: {value}\r\n" for name, value in unsigned.items())
        if method in ("PUT", "PATCH"):
            extra += f"content-length: {length}\r\n"
        signed_lines = "".join(f"{name}: {signed[name]}\r\n" for name in names)
        return (f"{method} {path}{'?' if query else ''}{query} HTTP/1.1\r\n{signed_lines}{extra}"
                f"authorization: AWS4-HMAC-SHA256 Credential={self._access}/{self._scope}, "
                f"SignedHeaders={';'.join(names)}, Signature={signature}\r\n\r\n").encode()


class Loader:
    def __init__(self, ws, connections):
        self._connections = connections
        self._requests, self._body = ws.path("requests"), ws.path("body")
        self._binary = ws.path("load")
        with open(self._body, "wb") as file:
            file.write(random.Random(3).randbytes(BODY_BYTES))
        made = subprocess.run(["cc", "-O2", "-std=gnu11", "-D_GNU_SOURCE", SOURCE,
                               "-o", self._binary], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise Failed(f"{SOURCE}:\n{made.stderr}")

    def body(self, length):
        with open(self._body, "rb") as file:
            return file.read(length)

    def write(self, server, requests):
        """Signs the requests for the next send()."""
        signer, lengths = Signer(server), array.array("I", (0, 0))
        with open(self._requests, "wb") as file:
            for method, path, query, headers, length, unsigned in requests:
                head = signer.head(method, path, query, headers, length, unsigned)
                lengths[0], lengths[1] = len(head), length
                file.write(lengths.tobytes() + head)

    def send(self, server, seconds, once):
        """What load.c measured, as a dict."""
        done = subprocess.run(
            [self._binary, str(server.port), self._requests, self._body, str(self._connections),
             str(seconds), "once" if once else "cycle"],
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{server.name}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def send_all(self, server, requests, what):
        """Sends each once, unmeasured; any error is a failure."""
        if not requests:
            return
        self.write(server, requests)
        result = self.send(server, 600, True)
        if result["errors"] or result["requests"] != len(requests):
            raise Failed(f"{server.name}: {what}: {result}")
