"""A temporary folder and every process that a test starts.

    with Workspace("clients") as ws:
        minio = Minio(ws)
        ...

At the end (also on Ctrl-C, SIGTERM or an exception) all processes are stopped, newest first, and
the folder is removed; after a failure its logs stay and their path is printed. Should the test
itself be killed, the kernel kills its servers. The kernel ties a server to the *thread* that
started it: start servers from the main thread.
"""

import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

SANITIZER = re.compile(r"SUMMARY: \w+Sanitizer: .*|\S+: runtime error: .*")


class Failed(Exception):
    """A test or a server did not do what it should."""


def versions():
    """The pinned versions of versions.env."""
    path = os.path.join(ROOT, "tests/harness/versions.env")
    with open(path, encoding="utf-8") as file:
        return dict(line.strip().split("=", 1) for line in file if "=" in line and line[0] != "#")


def cache_dir():
    """Where install-needs puts what it fetches."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("KISEKI_TEST_CACHE") or os.path.join(base, "kiseki-tests")


_given_ports = set()


def _first_ephemeral():
    """The first port that the system gives to outgoing connections."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        return int(file.read().split()[0])


def free_port():
    """A port that nobody listens on, never the same one twice. Not one of those that outgoing
    connections get: a server that is started again would find its own taken."""
    ports = range(10000, max(_first_ephemeral(), 11000))
    while True:
        port = random.SystemRandom().choice(ports)
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port


def unprivileged_user():
    """Whom to be where root is refused: the name of a user, or None if we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
            return name
        except KeyError:
            continue
    raise Failed("neither a user postgres nor nobody exists")


def wait_for(what, condition, seconds=30):
    """Polls until condition() is true; what names it in the failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Process:
    """A child with its output in a log file. Signals go by its id, never by name."""

    def __init__(self, ws, name, command, env=None, user=None):
        self.name = name
        self.log_path = os.path.join(ws.logs, name + ".log")
        self._command = _as_user(command, user)
        self._env = {**os.environ, **(env or {})}
        self._child = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self._child = subprocess.Popen(
                self._command, env=self._env, cwd="/", stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)

    @property
    def pid(self):
        return self._child.pid

    def running(self):
        return self._child is not None and self._child.poll() is None

    def check(self):
        """True, for the use in conditions; raises if the process has ended."""
        if not self.running():
            raise Failed(f"{self.name} ended with {self._child.returncode}:\n{self.log_tail()}")
        return True

    def send_signal(self, number):
        if self.running():
            self._child.send_signal(number)

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Asks politely, then kills; returns the exit code (negative: died of that signal)."""
        if self._child is None:
            return 0
        child, self._child = self._child, None
        if child.poll() is not None:
            raise Failed(f"{self.name} had ended by itself with {child.returncode}:\n"
                         + self.log_tail())
        child.send_signal(number)
        child.send_signal(signal.SIGCONT)  # a paused one would not see the first
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise Failed(f"{self.name} did not end within {seconds} s of signal {number}") from None

    def kill9(self):
        child, self._child = self._child, None
        child.kill()
        child.wait()

    def pause(self):
        self.send_signal(signal.SIGSTOP)

    def resume(self):
        self.send_signal(signal.SIGCONT)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def log_tail(self, lines=20):
        return "\n".join(self.log().splitlines()[-lines:])


def _as_user(command, user):
    """The command under setpriv: killed when its parent dies, and as another user if asked."""
    prefix = ["setpriv", "--pdeathsig", "KILL"]
    if user:
        prefix += ["--reuid", user, "--regid", user_group(user), "--clear-groups"]
    return prefix + ["--"] + command


def user_group(user):
    return str(pwd.getpwnam(user).pw_gid)


class Workspace:
    def __init__(self, name):
        self.name = name
        self.dir = None
        self.failed = False
        self._servers = []

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix=f"kiseki-{self.name}-")
        os.chmod(self.dir, 0o711)  # servers that run as another user must get through
        self.logs = self.path("logs")
        os.mkdir(self.logs)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return self

    def __exit__(self, kind, _value, _trace):
        try:
            self.end()
        except Failed as err:
            self.failed = True
            print(f"{self.name}: {err}", file=sys.stderr)
        if self.failed or (kind is not None and issubclass(kind, Exception)):
            kept = tempfile.mkdtemp(prefix=f"kiseki-{self.name}-logs-")
            shutil.copytree(self.logs, kept, dirs_exist_ok=True)
            print(f"{self.name}: failed; the servers' logs are in {kept}", file=sys.stderr)
        shutil.rmtree(self.dir, ignore_errors=True)

    def end(self):
        """Stops all servers, newest first; raises Failed if one did not end well, or if one of
        them, also an earlier one, has a sanitizer's report in its log."""
        errors = []
        while self._servers:
            try:
                self._servers.pop().stop()
            except Exception as err:  # pylint: disable=broad-except
                errors.append(str(err))
        for name in sorted(os.listdir(self.logs)):
            with open(os.path.join(self.logs, name), encoding="utf-8", errors="replace") as file:
                report = SANITIZER.search(file.read())
            if report:
                errors.append(f"{name}: {report.group()}")
        if errors:
            raise Failed("; ".join(errors))

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def own(self, server):
        """Registers something with stop(); called at the end unless forgotten before."""
        self._servers.append(server)
        return server

    def make_dir(self, name, user=None):
        path = self.path(name)
        os.makedirs(path)
        if user:
            entry = pwd.getpwnam(user)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        return path
