"""The servers that are loaded: Kiseki both ways, MinIO, and what other peers are on PATH."""

import os
import shutil
import subprocess

from harness.kiseki import ACCESS_KEY, BINARY, REGION, SECRET_KEY
from harness.minio import Minio
from harness.postgres import BIN as POSTGRES_BIN, Postgres
from harness.s3 import S3
from harness.targets import Volume
from harness.workspace import Failed, Process, free_port, versions, wait_for


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip()


class Server:
    """name, version, durability: one line each for the table. pids: {part: process id}; the
    part that stands for the server itself comes first."""

    credentials = (ACCESS_KEY, SECRET_KEY)
    reads_files_of = None  # a folder that is filled directly: it takes no uploads

    def __init__(self, port, pids):
        self.port, self.pids = port, pids

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def s3(self):
        return S3(f"http://{self.host}", *self.credentials, REGION)


class KisekiServer(Server):
    durability = "durable"

    def __init__(self, ws, way):
        env = {"KISEKI_LOG_LEVEL": "warn"}  # the peers write no access log either
        if way == "pg":
            self.volume = Volume(ws, "pg", "bench-pg", Postgres(ws, "bench-postgres", durable=True))
        else:
            self.volume = Volume(ws, way, "bench-" + way)
        gateway = self.volume.gateway(env=env)
        pids = {"kiseki": gateway.process.pid}
        if way == "pg":
            pids.update(postgres=self.volume.postgres.pid, minio=self.volume.minio.pid)
        super().__init__(gateway.port, pids)
        self.version = output(BINARY, "version").partition("\n")[0]


class KisekiSqlite(KisekiServer):
    name = "kiseki-sqlite"
    durability = "durable: SQLite WAL with synchronous=FULL, slices fsynced"

    def __init__(self, ws):
        super().__init__(ws, "sqlite")


class KisekiPg(KisekiServer):
    name = "kiseki-pg"
    durability = "durable: PostgreSQL with fsync and synchronous_commit; slices as MinIO keeps them"

    def __init__(self, ws):
        super().__init__(ws, "pg")
        self.version += "; " + output(POSTGRES_BIN + "/postgres", "--version")


class MinioServer(Server):
    name = "minio"
    durability = "data synced (fdatasync or O_DSYNC, one drive), directories and renames not"

    def __init__(self, ws):
        minio = Minio(ws, "bench-minio")
        self.credentials = (minio.access_key, minio.secret_key)
        self.version = versions()["MINIO_VERSION"]
        super().__init__(minio.port, {"minio": minio.pid})


class Command(Server):
    """A peer that is a command on PATH."""

    command = None

    @classmethod
    def found(cls):
        return shutil.which(cls.command) is not None

    def start(self, ws, port, *args, env=None):
        process = Process(ws, f"bench-{self.name}", [shutil.which(self.command), *args], env=env)
        ws.own(process)
        process.start()
        Server.__init__(self, port, {self.name: process.pid})
        wait_for(f"{self.name} is ready", lambda: process.check() and self.ready(), 60)

    def ready(self):
        try:
            return self.s3().request("GET").status == 200
        except OSError:
            return False


class Versitygw(Command):
    name = command = "versitygw"
    durability = "not durable: posix backend, no fsync"

    def __init__(self, ws):  # pylint: disable=super-init-not-called
        port = free_port()
        self.version = output("versitygw", "--version").replace("\n", " ")
        self.start(ws, port, "--port", f"127.0.0.1:{port}", "--access", ACCESS_KEY, "--secret",
                   SECRET_KEY, "--region", REGION, "--quiet", "--keep-alive",
                   "posix", ws.make_dir("bench-versitygw"))


class Juicefs(Command):
    name = command = "juicefs"
    durability = "PostgreSQL with fsync; data as MinIO keeps it"

    def __init__(self, ws):  # pylint: disable=super-init-not-called
        postgres, minio, port = Postgres(ws, "juicefs-postgres", durable=True), \
            Minio(ws, "juicefs-minio"), free_port()
        postgres.create_database("juicefs")
        meta = postgres.url("juicefs", "tcp") + "?sslmode=disable"
        made = subprocess.run(
            ["juicefs", "format", "--storage", "minio", "--bucket", f"{minio.endpoint}/juicefs",
             "--access-key", minio.access_key, "--secret-key", minio.secret_key, meta, "bench"],
            capture_output=True, text=True, check=False, cwd="/")
        if made.returncode != 0:
            raise Failed(f"juicefs format: {made.stderr}")
        self.version = output("juicefs", "--version")
        self.start(ws, port, "gateway", "--multi-buckets", "--no-usage-report", "--cache-dir",
                   ws.make_dir("juicefs-cache"), meta, f"127.0.0.1:{port}",
                   env={"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY})
        self.pids.update(postgres=postgres.pid, minio=minio.pid)


NGINX_CONF = """
worker_processes 2;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    open_file_cache max=10000;
    {temp}
    server {{ listen 127.0.0.1:{port}; root {dir}/www; }}
}}
"""


class Nginx(Command):
    """Plain files, no signatures: how fast bytes can leave at all."""

    name = command = "nginx"
    durability = "static files, nothing verified"

    def __init__(self, ws):  # pylint: disable=super-init-not-called
        port, folder = free_port(), ws.make_dir("bench-nginx")
        self.reads_files_of = folder + "/www"
        os.mkdir(self.reads_files_of)
        os.chmod(folder, 0o755)
        temp = "\n    ".join(f"{kind}_temp_path {folder}/{kind};" for kind in
                             ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(folder + "/nginx.conf", "w", encoding="ascii") as file:
            file.write(NGINX_CONF.format(dir=folder, port=port, temp=temp))
        self.version = output("nginx", "-v").rpartition(" ")[2]
        self.start(ws, port, "-c", folder + "/nginx.conf", "-g", "daemon off;")

    def ready(self):
        try:
            return self.s3().request("GET").status in (403, 404)
        except OSError:
            return False


SERVERS = {cls.name: cls for cls in (KisekiSqlite, KisekiPg, MinioServer, Versitygw, Juicefs, Nginx)}


def available():
    return [name for name, cls in SERVERS.items()
            if not issubclass(cls, Command) or cls.found()]
