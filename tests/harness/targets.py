"""What tests run against: Kiseki in its two ways to run, or MinIO as the reference.

sqlite  SQLite and a local directory
pg      PostgreSQL and MinIO as the backing store
minio   MinIO itself, to prove the tests
"""

import os
import subprocess

from harness.fault_proxy import FaultProxy
from harness.kiseki import ACCESS_KEY, BINARY, REGION, SECRET_KEY, Kiseki
from harness.minio import Minio
from harness.postgres import Postgres
from harness.s3 import S3
from harness.tls import Certificate
from harness.workspace import Failed, wait_for

WAYS = ("sqlite", "pg", "minio")


class Endpoint:
    """Where a client connects: a URL, credentials, a region and a CA file for https."""

    def __init__(self, kind, url, access_key, secret_key, region=REGION, ca=None):
        self.kind = kind  # "kiseki" or "minio": whose known faults to pass over
        self.url, self.access_key, self.secret_key = url, access_key, secret_key
        self.region, self.ca = region, ca

    @property
    def scheme(self):
        return self.url.partition(":")[0]

    def s3(self, **more):
        return S3(self.url, self.access_key, self.secret_key, self.region, self.ca, **more)


class Volume:
    """A Kiseki volume: what its gateways need to open it, and the servers behind it."""

    def __init__(self, ws, way, name, postgres=None, minio=None):
        self.way, self.postgres, self.minio = way, postgres, minio
        self._ws, self.name, self._gateways = ws, name, 0
        self.env = {}
        if way == "sqlite":
            self.dir = ws.make_dir(name)
            self.store_dir = self.dir + "/store"
            self.store = f"dir:{self.store_dir}"
            return
        if way != "pg":
            raise Failed(f"no way to run is called {way}")
        self.postgres = postgres or Postgres(ws, name + "-postgres")
        self.minio = minio or Minio(ws, name + "-minio")
        database = bucket = name.replace("_", "-")
        self.postgres.create_database(database)
        self.database = database
        made = S3(self.minio.endpoint, self.minio.access_key, self.minio.secret_key)
        # MinIO says that it is ready a little before it takes writes.
        wait_for("MinIO makes a bucket", lambda: made.make_bucket(bucket).status == 200)
        made.close()
        self.store = f"s3://{bucket}/slices?endpoint={self.minio.endpoint}&region={REGION}"
        self.env = {"KISEKI_STORE_ACCESS_KEY": self.minio.access_key,
                    "KISEKI_STORE_SECRET_KEY": self.minio.secret_key}

    def fault_proxy(self, seed):
        """Stands between the store and the gateways that are made from now on; None on SQLite."""
        if self.way == "sqlite":
            return None
        proxy = FaultProxy(self._ws, self.minio.port, seed)
        direct = self.minio.endpoint
        self.store = self.store.replace(direct, f"http://127.0.0.1:{proxy.port}")
        return proxy

    def meta(self):
        """Gateways reach PostgreSQL in turns over the Unix socket and over TCP."""
        if self.way == "sqlite":
            return f"sqlite:{self.dir}/meta.db"
        return self.postgres.url(self.database, "socket" if self._gateways % 2 == 0 else "tcp")

    def reset_database(self):
        """An empty one; no gateway may run."""
        if self.way == "sqlite":
            for name in os.listdir(self.dir):
                if name.startswith("meta.db"):
                    os.remove(os.path.join(self.dir, name))
            return
        self.postgres.sql(f'DROP DATABASE "{self.database}"', "postgres")
        self.postgres.create_database(self.database)

    def gateway(self, cert=None, env=None, user=None, start=True):
        meta = self.meta()
        self._gateways += 1
        return Kiseki(self._ws, meta, self.store, f"{self.name}-gateway{self._gateways}",
                      cert=cert, env={**self.env, **(env or {})}, user=user, start=start)

    def tool(self, *words, env=None, **more):
        """Runs `kiseki words...` on this volume: what subprocess.run() answers, as text."""
        env = {**os.environ, **self.env, "KISEKI_META": self.meta(), "KISEKI_STORE": self.store,
               "KISEKI_ACCESS_KEY": ACCESS_KEY, "KISEKI_SECRET_KEY": SECRET_KEY, **(env or {})}
        quiet = ["--quiet"] if words[0] in ("gc", "fsck", "scrub", "dump", "load") else []
        return subprocess.run([BINARY, *words, *quiet], env=env, capture_output=True,
                              text=True, check=False, timeout=300, **more)


class Target:
    """A server (or two) that answers over http and over https."""

    def __init__(self, ws, way, env=None):
        self.way = way
        cert = Certificate(ws)
        self.gateways = []
        if way == "minio":
            servers = [Minio(ws, "minio-http"), Minio(ws, "minio-https", cert)]
            kind, keys = "minio", (servers[0].access_key, servers[0].secret_key)
        else:
            kind, keys = "kiseki", (ACCESS_KEY, SECRET_KEY)
            # Two gateways on one volume with PostgreSQL; SQLite is one process's, so two volumes.
            volume = Volume(ws, way, "volume")
            second = volume if way == "pg" else Volume(ws, way, "volume-tls")
            servers = self.gateways = [volume.gateway(env=env), second.gateway(cert, env=env)]
        self.endpoints = {
            server.endpoint.partition(":")[0]:
                Endpoint(kind, server.endpoint, *keys, ca=cert.cert if server.cert else None)
            for server in servers}
