"""A private PostgreSQL 15 cluster: Debian's binaries, a temporary folder, a free port; and a pair
of them, of which one is the synchronous standby of the other.
"""

import os
import shutil
import signal
import subprocess

from harness.workspace import Failed, Process, free_port, unprivileged_user, user_group, wait_for

BIN = "/usr/lib/postgresql/15/bin"
USER, PASSWORD = "kiseki", "kiseki-test"

# Only processes die in these tests, never the machine: fsync would cost time and prove nothing.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200",
            "shared_buffers": "64MB", "log_min_messages": "warning"}


class Postgres:
    """copy_of: another cluster, whose standby this one becomes."""

    def __init__(self, ws, name="postgres", durable=False, copy_of=None, settings=None):
        self._user = unprivileged_user()
        self.name = name
        self.dir = ws.make_dir(name, self._user)
        self.port = free_port()
        if copy_of:
            self.copy(copy_of)
        else:
            self._initdb()
        command = [f"{BIN}/postgres", "-D", self._data(), "-p", str(self.port),
                   "-h", "127.0.0.1", "-k", self.dir]
        durably = {"fsync": "on", "full_page_writes": "on"} if durable else {}
        for key, value in {**SETTINGS, **durably, **(settings or {})}.items():
            command += ["-c", f"{key}={value}"]
        self._process = Process(ws, name, command, env={"LC_ALL": "C.UTF-8"}, user=self._user)
        ws.own(self)
        self.start()

    @property
    def pid(self):
        return self._process.pid

    def running(self):
        return self._process.running()

    def _data(self):
        return os.path.join(self.dir, "data")

    def _initdb(self):
        pwfile = os.path.join(self.dir, "password")
        with open(pwfile, "w", encoding="ascii") as file:
            file.write(PASSWORD)
        os.chmod(pwfile, 0o644)
        self._tool("initdb", "-D", self._data(), "-U", USER, "-A", "scram-sha-256",
                   "--pwfile", pwfile, "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync")

    def copy(self, primary):
        """Becomes the standby of a running cluster, whatever stood here; not started."""
        shutil.rmtree(self._data(), ignore_errors=True)
        self._tool("pg_basebackup", "-D", self._data(), "-R", "-c", "fast", "--no-sync",
                   "-d", primary.url("postgres", "tcp"))

    def _tool(self, name, *arguments):
        command = [f"{BIN}/{name}", *arguments]
        if self._user:
            command = ["setpriv", "--reuid", self._user, "--regid", user_group(self._user),
                       "--clear-groups", "--"] + command
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        if done.returncode != 0:
            raise Failed(f"{name}: {done.stderr}")

    def start(self):
        self._process.start()
        self._first = self._process.pid
        wait_for("PostgreSQL accepts connections", lambda: self._process.check() and self._ready())

    def _ready(self):
        return subprocess.run(
            [f"{BIN}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
            check=False).returncode == 0

    def stop(self):
        """A fast shutdown: sessions are cut, data is flushed."""
        if self.running():
            self.thaw()
        self._process.stop(signal.SIGINT)

    def stop_immediate(self):
        """Sessions are cut and nothing is flushed: the next start recovers from the log."""
        self._process.stop(signal.SIGQUIT)

    def kill9(self):
        """All processes at once, as when the machine dies."""
        for pid in self._freeze():
            os.kill(pid, signal.SIGKILL)
        self._process.kill9()
        wait_for("its processes are gone", lambda: not self._children())

    def freeze(self):
        """All processes stop: connections stay open, nothing is answered."""
        self._freeze()

    def thaw(self):
        for pid in self._children():
            os.kill(pid, signal.SIGCONT)
        self._process.resume()

    def _freeze(self):
        self._process.pause()  # the postmaster first: it makes no more children
        children = self._children()
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
        return children

    def _children(self):
        """The processes of the cluster but its first, by the folder that they work in."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if (os.readlink(f"/proc/{pid}/cwd") == self._data()
                        and int(pid) != self._first and _state(pid) != "Z"):
                    found.append(int(pid))
            except OSError:
                pass  # it has ended
        return found

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

    def set(self, setting, value):
        """For all sessions, now and later."""
        self.sql(f"ALTER SYSTEM SET {setting} = '{value}'")
        self.sql("SELECT pg_reload_conf()")

    def create_database(self, name):
        self.sql(f'CREATE DATABASE "{name}"')

    def url(self, database, over="socket"):
        """The libpq URL of a database, over the Unix socket or over loopback ("tcp")."""
        if over == "tcp":
            return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"
        return f"postgres://{USER}:{PASSWORD}@/{database}?host={self.dir}&port={self.port}"


def _state(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]


class Pair:
    """Two clusters: what .primary commits, .standby has on disk. Stands in for Postgres."""

    SETTINGS = {"wal_retrieve_retry_interval": "200ms"}

    def __init__(self, ws, name="postgres"):
        self.primary = Postgres(ws, f"{name}-a", settings=self._settings("a"))
        self.standby = Postgres(ws, f"{name}-b", copy_of=self.primary, settings=self._settings("b"))
        self.clusters = (self.primary, self.standby)  # the order in the URL: never changes
        self.synchronize()

    def _settings(self, name):
        return {**self.SETTINGS, "cluster_name": name}

    def synchronize(self):
        """From now on a commit is answered when the standby has it."""
        self.primary.set("synchronous_standby_names", "*")
        wait_for("the standby follows", self.synchronous)

    def synchronous(self):
        return self.primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync"

    def promote(self):
        """The standby is the primary from now on, without a standby of its own. Whoever was the
        primary is left as it is, .standby by name."""
        self.standby.sql("SELECT pg_promote()")
        self.primary, self.standby = self.standby, self.primary

    def rejoin(self):
        """The one that lost its rule comes back as the standby of the other."""
        if self.standby.running():
            self.standby.kill9()
        self.standby.copy(self.primary)
        self.standby.start()
        self.synchronize()

    def sql(self, text, database="postgres"):
        return self.primary.sql(text, database)

    def create_database(self, name):
        self.primary.create_database(name)

    def url(self, database, over="socket"):
        """Both hosts, always in the same order."""
        ports = [str(c.port) for c in self.clusters]
        if over == "tcp":
            hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
            return f"postgres://{USER}:{PASSWORD}@{hosts}/{database}"
        hosts = ",".join(c.dir for c in self.clusters)
        return f"postgres://{USER}:{PASSWORD}@/{database}?host={hosts}&port={','.join(ports)}"
