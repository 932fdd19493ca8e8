#!/usr/bin/python3
"""What is said when something fails: to clients, to operators, in the log.

    tests/fault/texts.py --way sqlite|pg [--only TEXT]

The last line is "N passed, N failed".
"""

import os
import re
import shutil
import subprocess
import sys
import time
from email.utils import formatdate

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness.kiseki import ACCESS_KEY, BINARY, SECRET_KEY
from harness.runner import Skip, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.tls import Certificate
from harness.workspace import ROOT, free_port, wait_for

BUCKET = "texts"
BIG = os.urandom(300000)


class Texts:
    def __init__(self, ws, way):
        self.ws, self.way = ws, way
        self.volume = Volume(ws, way, "texts")
        self.gateway = self.volume.gateway(env={"KISEKI_LOG_LEVEL": "info"})
        self.s3 = self.client(self.gateway)
        equal(self.s3.make_bucket(BUCKET).status, 200, "making the bucket")
        equal(self.s3.put(BUCKET, "big", BIG).status, 200, "PUT")

    @staticmethod
    def client(gateway):
        return S3(gateway.endpoint, ACCESS_KEY, SECRET_KEY, timeout=60)

    @staticmethod
    def kiseki(*words, **env):
        return subprocess.run([BINARY, *words], env={**os.environ, **env}, cwd="/", text=True,
                              capture_output=True, timeout=60, check=False)

    def not_built(self):
        """A 501 says which header or argument it is for."""
        got = self.s3.put(BUCKET, "a", b"a", headers={"x-amz-server-side-encryption": "aws:kms"})
        equal(got.status, 501, "PUT")
        check("x-amz-server-side-encryption" in got.text("Message"), f"the message: {got!r}")
        got = self.s3.request("GET", BUCKET, query=[("acl", ""), ("uploads", "")])
        equal(got.status, 501, "GET")
        check(re.search("acl|uploads", got.text("Message")), f"the message: {got!r}")

    def wrong_v2(self):
        """The text that we signed stands in the answer, whatever the signature looks like."""
        for signature in ("AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "short"):
            got = self.s3.send("GET", f"/{BUCKET}/big", {
                "date": formatdate(usegmt=True),
                "authorization": f"AWS {ACCESS_KEY}:{signature}"})
            equal((got.status, got.code), (403, "SignatureDoesNotMatch"), "GET")
            check(got.text("StringToSign").startswith("GET\n"), f"StringToSign in {got!r}")

    def health(self):
        url = f"127.0.0.1:{free_port()}"
        done = self.kiseki("health", KISEKI_LISTEN=url)
        equal(done.returncode, 1, "health of nothing")
        check("nothing answers" in done.stderr and "connect" in done.stderr, done.stderr)
        done = self.kiseki("health", KISEKI_LISTEN=f"*:{self.gateway.port}")
        equal(done.returncode, 0, f"health of a gateway: {done.stderr}")

    def key_files(self):
        cert, empty = Certificate(self.ws), self.ws.path("empty.pem")
        with open(empty, "w", encoding="ascii") as file:
            file.write("")
        for chain, key, words in ((cert.cert, cert.cert, "no private key in it"),
                                  (cert.cert, empty, "no private key in it"),
                                  (empty, cert.key, "no certificate in it"),
                                  (cert.key, cert.key, "no certificate in it")):
            done = self.kiseki("serve", KISEKI_TLS_CERT=chain, KISEKI_TLS_KEY=key,
                               KISEKI_LISTEN=f"127.0.0.1:{free_port()}",
                               KISEKI_DATA=self.ws.path("nowhere"))
            check(done.returncode in (1, 2) and words in done.stderr, f"{words}: {done.stderr}")

    def clients_faults(self):
        """What a client does wrong is no error of ours."""
        self.s3.get(BUCKET, "missing")
        self.s3.get("no-such-bucket-here", "missing")
        self.s3.put(BUCKET, "a", b"a", headers={"if-match": '"0"'})
        self.s3.request("POST", BUCKET, "a", query=[("uploadId", "x")], body=b"<no")
        self.s3.request("PUT", BUCKET, "a", headers={"content-md5": "AAAA"}, body=b"a")
        self.s3.send("GET", "/%zz")
        far = "bytes 999999999999999999-999999999999999999/*"
        self.s3.request("PATCH", BUCKET, "big", body=b"a", headers={"content-range": far})
        headers, _ = self.s3.prepare("PUT", f"/{BUCKET}/chunks", (), {
            "transfer-encoding": "chunked"}, b"", "unsigned")
        with self.s3.socket() as sock:  # a chunk whose size is no number
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            sock.sendall(f"PUT /{BUCKET}/chunks HTTP/1.1\r\n{head}\r\nzz\r\n".encode())
            while sock.recv(65536):
                pass
        log = self.gateway.process.log()
        check(" error " not in log, [line for line in log.splitlines() if " error " in line][:3])

    def access_line(self):
        """Query, error code, host, agent and times, and no secret in it."""
        query = [("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Signature", "5ec" * 21 + "5"),
                 ("X-Amz-Security-Token", "to5ec"), ("prefix", "a b\n")]
        got = self.s3.send("GET", self.s3.target(f"/{BUCKET}/line", query),
                           {"user-agent": 'he said "x"\t' + "y" * 2000})
        check(got.status >= 400, f"GET: {got!r}")
        request = got.headers["x-amz-request-id"]
        line = self.line_of(request)
        for words in (f"code={got.code}", "ttfb_us=", f"host={self.s3.host}", 'agent="he said',
                      "prefix=a%20b%0A", "X-Amz-Signature=REDACTED"):
            check(words in line, f"{words!r} is not in {line!r}")
        check("5ec" not in line.split("query=")[1], f"a secret in {line!r}")
        check(len(line) <= 4096, "a long line")
        got = self.s3.get(BUCKET, "big")
        line = self.line_of(got.headers["x-amz-request-id"])
        first, whole = (int(re.search(rf" {name}=(-?\d+)", line).group(1))
                        for name in ("ttfb_us", "us"))
        check(0 < first <= whole, f"times in {line!r}")
        check("code=- " in line, line)

    def line_of(self, request):
        pattern = re.compile(rf".* request_id={request} request .*")
        wait_for("the request's line", lambda: pattern.search(self.gateway.process.log()), 5)
        return pattern.search(self.gateway.process.log()).group(0)

    def metrics(self):
        """What docs/metrics.md lists is what is served, and the figures are right."""
        equal(self.s3.get(BUCKET, "missing").status, 404, "GET")
        wait_for("the volume is looked at", lambda: self.gateway.metric("kiseki_bucket_bytes").get(
            f'bucket="{BUCKET}"') == len(BIG), 25)
        equal(self.gateway.metric("kiseki_bucket_objects")[f'bucket="{BUCKET}"'], 1, "objects")
        equal(self.gateway.metric("kiseki_objects")[""], 1, "objects of the volume")
        equal(self.gateway.metric("kiseki_sessions")[""], 1, "sessions")
        check(self.gateway.metric("kiseki_lease_left_seconds")[""] > 0, "lease left")
        check(self.gateway.metric("kiseki_errors_total")['code="NoSuchKey"'] > 0, "errors")
        check(self.gateway.metric("process_resident_memory_bytes")[""] > 1e6, "resident")
        check(self.gateway.metric("process_open_fds")[""] > 3, "descriptors")
        if self.way == "sqlite":
            equal(set(self.gateway.metric("kiseki_disk_free_bytes")),
                  {'folder="metadata"', 'folder="store"'}, "folders")
        page = self.gateway.ask("/metrics")[1]
        served = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.M))
        with open(os.path.join(ROOT, "docs/metrics.md"), encoding="utf-8") as file:
            listed = dict(re.findall(r"^\| `(\S+)` \| (\S+) \|", file.read(), re.M))
        equal(sorted(set(served.items()) ^ set(listed.items())), [],
              "what only /metrics or only docs/metrics.md has")
        for name in served:
            check(re.search(rf"^# HELP {name} .+\.$", page, re.M), f"{name} has no help")

    def certificate(self):
        gateway = self.volume.gateway(cert=Certificate(self.ws)) if self.way == "pg" else None
        if gateway is None:
            raise Skip("one gateway a volume")
        got = gateway.metric("kiseki_certificate_expiry_timestamp_seconds")[""]
        check(got > time.time(), f"the certificate expires at {got}")
        gateway.stop()

    def unanswered(self):
        """A store that does not answer is called that, and the log says why for that request."""
        if self.way == "pg":
            self.volume.minio.stop()
        else:
            shutil.rmtree(self.volume.store_dir)
        try:
            got = self.s3.put(BUCKET, "more", BIG)
            equal(got.status, 503, f"PUT: {got!r}")
            check("store" in got.text("Message"), f"the message: {got!r}")
            request = got.text("RequestId")
            wait_for("the log has it", lambda: re.search(
                f"(warn|error) .*request_id={request} .*could not", self.gateway.process.log()), 5)
        finally:
            if self.way == "pg":
                self.volume.minio.start()
        if self.way == "sqlite":
            check("was removed while in use" in self.gateway.process.log(), "the log")

    def loaded(self):
        if self.way != "pg":
            raise Skip("its store is gone")
        self.gateway.stop()
        dump = self.ws.path("texts.dump")
        equal(self.volume.tool("dump", dump).returncode, 0, "dump")
        uuid = re.search(r'"uuid": ?"([^"]+)"', open(dump, encoding="utf-8").readline()).group(1)
        self.volume.reset_database()
        done = self.volume.tool("load", dump)
        equal(done.returncode, 0, f"load: {done.stderr}")
        said = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", done.stdout + done.stderr)
        equal(set(said), {uuid}, "the ids that load speaks of")


TESTS = ("not_built", "wrong_v2", "health", "key_files", "clients_faults", "access_line", "metrics",
         "certificate", "unanswered", "loaded")


def main():
    suite = Suite(__doc__, "texts", seeded=False)
    return suite.run(lambda s: s.methods(Texts(s.ws, s.args.way), TESTS))


if __name__ == "__main__":
    sys.exit(main())
