"""A Kiseki gateway under test."""

import http.client
import os
import re
import shutil

from harness.workspace import ROOT, Failed, Process, free_port, wait_for

# Taken out: the program would warn of a variable that is no setting of its own.
BINARY = os.path.abspath(os.environ.pop("KISEKI_BINARY", None) or
                         os.path.join(ROOT, "build/kiseki"))
ACCESS_KEY, SECRET_KEY = "KISEKITESTROOT", "kiseki-test-root-secret"
REGION = "us-east-1"
READY_SECONDS = 30


def _binary(ws, user):
    """A checkout under a closed home folder cannot be reached by another user: a copy can."""
    if user is None:
        return BINARY
    copy = ws.path("kiseki")
    if not os.path.exists(copy):
        shutil.copy(BINARY, copy)
        os.chmod(copy, 0o755)
    return copy


class Kiseki:
    """meta and store are the program's own names for them; more environment in env."""

    address = "127.0.0.1"  # of both listeners

    def __init__(self, ws, meta, store, name="kiseki", cert=None, env=None, user=None, start=True):
        if not os.access(BINARY, os.X_OK):
            raise Failed(f"no gateway at {BINARY}: build it, or set KISEKI_BINARY")
        self.access_key, self.secret_key, self.region = ACCESS_KEY, SECRET_KEY, REGION
        self.port, self.metrics_port = free_port(), free_port()
        self.cert = cert
        settings = {
            "KISEKI_LISTEN": f"127.0.0.1:{self.port}",
            "KISEKI_METRICS_LISTEN": f"127.0.0.1:{self.metrics_port}",
            "KISEKI_META": meta, "KISEKI_STORE": store, "KISEKI_REGION": REGION,
            "KISEKI_ACCESS_KEY": ACCESS_KEY, "KISEKI_SECRET_KEY": SECRET_KEY,
            **({"KISEKI_TLS_CERT": cert.cert, "KISEKI_TLS_KEY": cert.key} if cert else {}),
            **(env or {})}
        self.process = Process(ws, name, [_binary(ws, user), "serve"], env=settings, user=user)
        ws.own(self)
        if start:
            self.start()

    @property
    def endpoint(self):
        return f"{'https' if self.cert else 'http'}://127.0.0.1:{self.port}"

    def start(self):
        self.process.start()
        wait_for("Kiseki is ready", lambda: self.process.check() and self.ready(), READY_SECONDS)

    def ready(self):
        try:
            return self.ask("/ready")[0] == 200
        except OSError:
            return False

    def ask(self, path):
        """(status, body) of a path on the metrics listener."""
        conn = http.client.HTTPConnection(self.address, self.metrics_port, timeout=5)
        try:
            conn.request("GET", path)
            answer = conn.getresponse()
            return answer.status, answer.read().decode()
        finally:
            conn.close()

    def metric(self, name):
        """{labels: value} of one metric, the labels as they stand between the braces."""
        _, text = self.ask("/metrics")
        found = re.findall(rf"^{re.escape(name)}(?:\{{(.*?)\}})? (\S+)$", text, re.M)
        return {labels: float(value) for labels, value in found}

    def stop(self):
        """SIGTERM; an exit code but 0, now or before, is a failure of the test."""
        code = self.process.stop()
        if code != 0:
            raise Failed(f"{self.process.name}: exit code {code} on SIGTERM, 0 expected")

    def kill9(self):
        self.process.kill9()
