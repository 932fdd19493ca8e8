"""A private PostgreSQL 15 cluster: Debian's binaries, a temporary folder, a free port."""

import os
import signal
import subprocess

from harness.workspace import Failed, Process, free_port, unprivileged_user, user_group, wait_for

BIN = "/usr/lib/postgresql/15/bin"
USER, PASSWORD = "kiseki", "kiseki-test"

# Only processes die in these tests, never the machine: fsync would cost time and prove nothing.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200",
            "shared_buffers": "64MB", "log_min_messages": "warning"}


class Postgres:
    def __init__(self, ws, name="postgres", durable=False):
        self._user = unprivileged_user()
        self.dir = ws.make_dir(name, self._user)
        self.port = free_port()
        self._initdb()
        command = [f"{BIN}/postgres", "-D", self._data(), "-p", str(self.port),
                   "-h", "127.0.0.1", "-k", self.dir]
        settings = {**SETTINGS, "fsync": "on", "full_page_writes": "on"} if durable else SETTINGS
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        self._process = Process(ws, name, command, env={"LC_ALL": "C.UTF-8"}, user=self._user)
        ws.own(self)
        self.start()

    @property
    def pid(self):
        return self._process.pid

    def _data(self):
        return os.path.join(self.dir, "data")

    def _initdb(self):
        pwfile = os.path.join(self.dir, "password")
        with open(pwfile, "w", encoding="ascii") as file:
            file.write(PASSWORD)
        os.chmod(pwfile, 0o644)
        command = [f"{BIN}/initdb", "-D", self._data(), "-U", USER, "-A", "scram-sha-256",
                   "--pwfile", pwfile, "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        if self._user:
            command = ["setpriv", "--reuid", self._user, "--regid", user_group(self._user),
                       "--clear-groups", "--"] + command
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        if done.returncode != 0:
            raise Failed(f"initdb: {done.stderr}")

    def start(self):
        self._process.start()
        wait_for("PostgreSQL accepts connections", lambda: self._process.check() and self._ready())

    def _ready(self):
        return subprocess.run(
            [f"{BIN}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
            check=False).returncode == 0

    def stop(self):
        """A fast shutdown: sessions are cut, data is flushed."""
        self._process.stop(signal.SIGINT)

    def pause(self):
        """Stops the postmaster only: its sessions answer, new ones hang."""
        self._process.pause()

    def resume(self):
        self._process.resume()

    def sql(self, text, database="postgres"):
        done = subprocess.run(
            [f"{BIN}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.dir, "-p", str(self.port),
             "-U", USER, "-d", database, "-c", text],
            env={**os.environ, "PGPASSWORD": PASSWORD}, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"psql: {done.stderr}")
        return done.stdout.strip()

    def create_database(self, name):
        self.sql(f'CREATE DATABASE "{name}"')

    def url(self, database, over="socket"):
        """The libpq URL of a database, over the Unix socket or over loopback ("tcp")."""
        if over == "tcp":
            return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"
        return f"postgres://{USER}:{PASSWORD}@/{database}?host={self.dir}&port={self.port}"
