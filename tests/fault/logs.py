#!/usr/bin/python3
"""Nobody has to read what the gateway says.

    tests/fault/logs.py --way sqlite|pg [--only TEXT]

Standard error and output are a pipe whose reader sleeps or has gone, a terminal that is stopped, a
full disk, or closed: requests are answered, what was dropped is counted and said, and SIGTERM ends
the gateway. Tools end, too. The last line is "N passed, N failed".
"""

import os
import pty
import signal
import subprocess
import sys
import termios
import time
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness.kiseki import ACCESS_KEY, BINARY, SECRET_KEY, Kiseki
from harness.runner import at_once, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import wait_for

BUCKET = "logs"
CLIENTS, REQUESTS = 4, 150
LONG = "k" * 900  # a line of more than 900 bytes: 600 of them fill the ring and a pipe
END_SECONDS = 15


class Spoken(Kiseki):
    """A gateway whose output goes where the test says."""

    def start_with(self, out, err):
        command, env = self.process._command, self.process._env  # pylint: disable=protected-access
        self.child = subprocess.Popen(command, env=env, cwd="/", stdin=subprocess.DEVNULL,
                                      stdout=out, stderr=err, start_new_session=True)
        wait_for("Kiseki is ready", lambda: self.child.poll() is None and self.ready())

    def end(self):
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(END_SECONDS)
        finally:
            self.child.kill()
            self.child.wait()


class Logs:
    def __init__(self, ws, way):
        self.volume = Volume(ws, way, "spoken")
        self.first = self.volume.gateway()
        s3 = S3(self.first.endpoint, ACCESS_KEY, SECRET_KEY)
        equal(s3.make_bucket(BUCKET).status, 200, "making the bucket")
        s3.close()
        self.first.stop()

    def gateway(self, out, err, **env):
        gateway = self.volume.gateway(env=env, start=False)
        gateway.__class__ = Spoken
        gateway.start_with(out, err)
        return gateway

    def answers(self, gateway, requests=REQUESTS):
        """Every one of many requests is answered."""
        def ask(_):
            s3 = S3(gateway.endpoint, ACCESS_KEY, SECRET_KEY, timeout=20)
            for _ in range(requests):
                equal(s3.get(BUCKET, LONG).status, 404, "GET")
            equal(s3.put(BUCKET, "there", b"it is").status, 200, "PUT")
            s3.close()
        at_once(ask, range(CLIENTS))

    def dropped(self, gateway):
        return gateway.metric("kiseki_log_dropped_total")[""]

    def sleeping_reader(self):
        """It says how many lines are missing once somebody reads again."""
        read, write = os.pipe()
        gateway = self.gateway(write, write)
        os.close(write)
        self.answers(gateway)
        wait_for("lines are dropped", lambda: self.dropped(gateway) > 0)
        text = []
        reader = threading.Thread(target=self.read_all, args=(read, text))
        reader.start()
        wait_for("the gap is said", lambda: b"lines of this log were dropped" in b"".join(text))
        self.answers(gateway, 1)
        equal(gateway.end(), 0, "exit code")
        reader.join()
        lines = b"".join(text).decode().splitlines()
        check("stopped" in lines[-1], f"the last line is {lines[-1]!r}")
        said = sum(int(line.split(" lines of this log")[0].split()[-1]) for line in lines
                   if "were dropped" in line)
        seen = sum(" request " in line for line in lines)
        check(seen + said >= CLIENTS * (REQUESTS + 3), f"{seen} lines seen, {said} dropped")

    @staticmethod
    def read_all(fd, into):
        with os.fdopen(fd, "rb", buffering=0) as file:
            while piece := file.read(65536):
                into.append(piece)

    def ends_unread(self):
        """Nobody reads to the end."""
        read, write = os.pipe()
        gateway = self.gateway(write, write)
        os.close(write)
        self.answers(gateway)
        equal(gateway.end(), 0, "exit code")
        os.close(read)

    def full_before_it_starts(self):
        """Another process has filled the pipe: not even the welcome fits."""
        read, write = os.pipe()
        os.set_blocking(write, False)
        try:
            while True:
                os.write(write, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(write, True)
        gateway = self.gateway(write, write)
        self.answers(gateway, 2)
        equal(gateway.end(), 0, "exit code")
        os.close(read)
        os.close(write)

    def reader_gone(self):
        read, write = os.pipe()
        gateway = self.gateway(subprocess.DEVNULL, write)
        os.close(write)
        os.close(read)
        self.answers(gateway, 2)
        wait_for("lines are dropped", lambda: self.dropped(gateway) > 0)
        equal(gateway.end(), 0, "exit code")

    def full_disk(self):
        with open("/dev/full", "wb") as full:
            gateway = self.gateway(full, full)
        self.answers(gateway, 2)
        wait_for("lines are dropped", lambda: self.dropped(gateway) > 0)
        equal(gateway.end(), 0, "exit code")

    def closed(self):
        """Its messages must not land in the next file that it opens, such as its database."""
        gateway = self.volume.gateway(start=False)
        gateway.__class__ = Spoken
        words = gateway.process._command  # pylint: disable=protected-access
        gateway.process._command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words]
        gateway.start_with(None, None)
        self.answers(gateway, 2)
        for fd in (0, 1, 2):
            equal(os.readlink(f"/proc/{gateway.child.pid}/fd/{fd}"), "/dev/null", f"descriptor {fd}")
        equal(gateway.end(), 0, "exit code")
        equal(self.volume.tool("fsck", "--quiet").returncode, 0, "fsck")

    def stopped_terminal(self):
        main, side = pty.openpty()
        gateway = self.gateway(side, side)
        termios.tcflow(side, termios.TCOOFF)
        self.answers(gateway)
        equal(gateway.end(), 0, "exit code")
        os.close(main)
        os.close(side)

    def tools(self):
        """A tool on a terminal that is stopped does its work and ends."""
        main, side = pty.openpty()
        termios.tcflow(side, termios.TCOOFF)
        env = {**os.environ, **self.volume.env, "KISEKI_META": self.volume.meta(),
               "KISEKI_STORE": self.volume.store}
        for words in (("scrub",), ("fsck", "--check-store"), ("gc", "--apply"), ("dump", "-")):
            begun = time.monotonic()
            done = subprocess.run([BINARY, *words], env=env, cwd="/", stdout=subprocess.DEVNULL,
                                  stderr=side, timeout=90, check=False)
            equal(done.returncode, 0, f"exit code of {words}")
            check(time.monotonic() - begun < 60, f"{words} took too long")
        os.close(main)
        os.close(side)


TESTS = ("sleeping_reader", "ends_unread", "full_before_it_starts", "reader_gone", "full_disk",
         "closed", "stopped_terminal", "tools")


def main():
    suite = Suite(__doc__, "logs", seeded=False)
    return suite.run(lambda s: s.methods(Logs(s.ws, s.args.way), TESTS))


if __name__ == "__main__":
    sys.exit(main())
