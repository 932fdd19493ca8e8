"""A real MinIO: the backing store of one way to run, and the reference for our own tests."""

import http.client
import os
import shutil

from harness.workspace import Failed, Process, cache_dir, free_port, versions, wait_for

ACCESS_KEY, SECRET_KEY = "minio-root", "minio-root-secret"


class Minio:
    def __init__(self, ws, name="minio", cert=None, access_key=ACCESS_KEY, secret_key=SECRET_KEY):
        binary = os.path.join(cache_dir(), "bin", "minio-" + versions()["MINIO_VERSION"])
        if not os.access(binary, os.X_OK):
            raise Failed("no MinIO: run tests/harness/install-needs")
        self.access_key, self.secret_key = access_key, secret_key
        self.port = free_port()
        self.cert = cert
        self.dir = ws.make_dir(name)
        certs = ws.make_dir(name + "-certs")
        if cert:
            shutil.copy(cert.cert, os.path.join(certs, "public.crt"))
            shutil.copy(cert.key, os.path.join(certs, "private.key"))
        self._process = Process(
            ws, name,
            [binary, "server", self.dir, "--address", f"127.0.0.1:{self.port}",
             "--certs-dir", certs, "--quiet"],
            env={"MINIO_ROOT_USER": access_key, "MINIO_ROOT_PASSWORD": secret_key,
                 "MINIO_BROWSER": "off", "MINIO_UPDATE": "off", "MINIO_CI_CD": "on",
                 "HOME": ws.dir})
        ws.own(self)
        self.start()

    @property
    def pid(self):
        return self._process.pid

    @property
    def endpoint(self):
        return f"{'https' if self.cert else 'http'}://127.0.0.1:{self.port}"

    def start(self):
        self._process.start()
        wait_for("MinIO is ready", lambda: self._process.check() and self._ready())

    def _ready(self):
        if self.cert:
            conn = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=2,
                                               context=self.cert.context())
        else:
            conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            conn.request("GET", "/minio/health/ready")
            return conn.getresponse().status == 200
        except OSError:
            return False
        finally:
            conn.close()

    def stop(self):
        self._process.stop()

    def pause(self):
        self._process.pause()

    def resume(self):
        self._process.resume()
