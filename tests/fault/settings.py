#!/usr/bin/python3
"""Settings: flags, variables, a configuration file, and what SIGHUP reads again.

    tests/fault/settings.py --way sqlite|pg [--only TEXT]

The last line is "N passed, N failed".
"""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness.kiseki import ACCESS_KEY, BINARY, SECRET_KEY
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.tls import Certificate
from harness.workspace import ROOT, wait_for

# Lines that are wrong, and what is said of them; {line} is where they stand.
WRONG = (("wrokers = 8", "unknown setting wrokers: did you mean workers?"),
         ("frobnicate = 8", "unknown setting frobnicate (kiseki config lists them)"),
         ("KISEKI_WORKERS = 8", "write workers"), ("--workers = 8", "did you mean workers?"),
         ("workers = many", "workers: \"many\" is not a whole number"),
         ("workers =", "workers"), ("workers = 0", "out of range (1 to 4096)"),
         ("region =", "region needs a value"), ("log-level = loud", "debug, info, warn or error"),
         ("listen = 9000", "no address to listen on"), ("workers 8", "NAME = VALUE"),
         ("[serve]", "NAME = VALUE"), ('data = "x', "quote is not closed"),
         ('data = "x" y', "follows the closing quote"), ("data = a\x01b", "control character"),
         ("json = yes", "for the command line only"), ("config = x", "no place"),
         ("region = a\nregion = b", "set in line 2 already"), ("region-file = x", "unknown setting"),
         ("master-key-file = /no/where", "cannot read /no/where"), ("rate = fast", "rate"))


class Settings:
    def __init__(self, ws, way):
        self.ws, self.way = ws, way
        self.volume = Volume(ws, way, "settings")
        self.path = ws.path("kiseki.conf")

    def write(self, text, mode=0o600):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path, mode)

    def run(self, *words, **env):
        plain = {k: v for k, v in os.environ.items() if not k.startswith("KISEKI_")}
        return subprocess.run([BINARY, *words], env={**plain, **env}, cwd=self.ws.path(""),
                              text=True, capture_output=True, timeout=30, check=False)

    def settings(self, *words, **env):
        """{name: row} of `kiseki config --json`."""
        done = self.run("config", "--json", *words, **env)
        equal((done.returncode, done.stderr), (0, ""), f"kiseki config {words}")
        return {row["name"]: row for row in json.loads(done.stdout)}

    # --- the file

    def who_wins(self):
        """Flag over variable over file over default, each named."""
        self.write("# ours\n\nregion = from-file\n  workers=5  # five\ndata = \"/a #1 \"\n"
                   "io-threads = 7\r\n")
        got = self.settings("--region", "from-flag", KISEKI_REGION="from-variable",
                            KISEKI_WORKERS="6", KISEKI_CONFIG=self.path)
        for name, value, origin in (
                ("region", "from-flag", "flag"), ("workers", "6", "variable KISEKI_WORKERS"),
                ("data", "/a #1 ", f"file {self.path}:5"),
                ("io-threads", "7", f"file {self.path}:6"), ("lease", "15s", "default"),
                ("store", None, "unset"), ("config", self.path, "variable KISEKI_CONFIG")):
            equal((got[name]["value"], got[name]["origin"]), (value, origin), name)
        self.write("region = second\n")
        got = self.settings("--config", self.path, KISEKI_CONFIG="/no/where")
        equal(got["region"]["value"], "second", "--config over KISEKI_CONFIG")
        done = self.run("config", KISEKI_CONFIG="/no/where")
        check(done.returncode == 2 and "/no/where" in done.stderr, f"{done!r}")

    def its_own_output_is_a_file(self):
        env = {"KISEKI_META": "postgres://u:pa55@db/x", "KISEKI_STORE": "s3://b?endpoint=http://h",
               "KISEKI_SECRET_KEY": "5ecret", "KISEKI_DATA": " #odd ", "KISEKI_LEASE": "2m"}
        first = self.run("config", **env)
        equal((first.returncode, first.stderr), (0, ""), "kiseki config")
        check("5ecret" not in first.stdout and "pa55" not in first.stdout, first.stdout)
        check("postgres://********@db/x" in first.stdout, first.stdout)
        self.write(first.stdout)
        got, want = self.settings("--config", self.path), self.settings(**env)
        for name, row in want.items():
            if name not in ("config", "meta", "secret-key"):
                equal(got[name]["value"], row["value"], name)

    def wrong_lines(self):
        """Each with file and line, by serve, by a tool and by `kiseki config`."""
        for text, said in WRONG:
            self.write(f"# first\n{text}\n")
            line = 2 + text.count("\n")
            for command in ("config", "serve", "status"):
                done = self.run(command, "--config", self.path)
                check(done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
                      and f"{self.path}:{line}: " in done.stderr and said in done.stderr,
                      f"{command}: {text!r}: {done!r}")

    def secrets_want_a_private_file(self):
        for text, secret in (("secret-key = 5ecret\n", True), ("region = x\n", False),
                             ("meta = postgres://u:5ecret@h/d\n", True),
                             ("meta = postgres://h/d\n", False), ("meta = sqlite:x\n", False)):
            for mode in (0o644, 0o640, 0o604, 0o600, 0o400):
                self.write(text, mode)
                done = self.run("config", "--config", self.path)
                equal(done.returncode, 2 if secret and mode & 0o77 else 0, f"{text} {mode:o}")
                check("5ecret" not in done.stdout + done.stderr, f"{done!r}")
                if done.returncode:
                    check(f"chmod 600 {self.path}" in done.stderr and "line 1" in done.stderr,
                          done.stderr)
        key = self.ws.path("key")
        with open(key, "w", encoding="ascii") as file:
            file.write("5ecret\n")
        self.write(f"secret-key-file = {key}\n", 0o644)
        got = self.settings("--config", self.path)["secret-key"]
        equal((got["value"], got["origin"]), ("********", f"file {self.path}:1"), "secret-key")

    def documented(self):
        """docs/configuration.md lists each setting with its names, its default and how it
        changes."""
        with open(os.path.join(ROOT, "docs/configuration.md"), encoding="utf-8") as file:
            rows = re.findall(r"^\| `([a-z-]+)` \| `(KISEKI_[A-Z_]+)`(?: \(`_FILE`\))? \| (.*?) \| "
                              r"(restart|reload) \|", file.read(), re.M)
        listed = {name: (variable, default.strip("`") or None, change == "reload")
                  for name, variable, default, change in rows}
        known = {name: (row["variable"], row["default"], row["reload"])
                 for name, row in self.settings().items()}
        equal(listed, known, "docs/configuration.md")

    # --- SIGHUP

    def gateway(self, cert=None, **env):
        return self.volume.gateway(cert, env={"KISEKI_CONFIG": self.path, **env})

    @staticmethod
    def hang_up(gateway):
        """What the log says until everything was read again."""
        before = len(gateway.process.log())
        gateway.process.send_signal(signal.SIGHUP)
        wait_for("SIGHUP is done", lambda: "SIGHUP: done" in gateway.process.log()[before:])
        return gateway.process.log()[before:]

    @staticmethod
    def has_lines(said, *lines):
        for line in lines:
            check(line in said, f"{line!r} is not in {said!r}")

    def over_http(self):
        self.write("log-level = info\n")
        gateway = self.gateway()
        s3 = S3(gateway.endpoint, ACCESS_KEY, SECRET_KEY)
        equal(s3.make_bucket("settings").status, 200, "making the bucket")
        self.has_lines(self.hang_up(gateway), "SIGHUP: no setting has changed")
        self.write("log-level = debug\nlog-format = json\nworkers = 8\nconnections = 5\n"
                   "stop-timeout = 7s\nstore-secret-key = 5ecret\n")
        said = self.hang_up(gateway)
        where = self.path
        self.has_lines(said, f"log-level is debug now (file {where}:1), was info",
                       f"log-format is json now (file {where}:2), was text",
                       f"workers is 8 now (file {where}:3), and needs a restart: 64 stays in force",
                       f"connections is 5 now (file {where}:4), was 10000",
                       f"stop-timeout is 7s now (file {where}:5), was 30s")
        check("5ecret" not in said, said)
        before = len(gateway.process.log())
        equal(s3.put("settings", "a", b"a").status, 200, "PUT after SIGHUP")
        wait_for("lines are JSON", lambda: '"event":"request"' in gateway.process.log()[before:])
        s3.close()
        self.limited(gateway)
        self.broken(gateway)
        gateway.stop()

    def limited(self, gateway):
        """The limit of connections counts at once, down and up; /metrics has a limit of its own."""
        socks = []

        def one_more():  # a busy machine counts late, and lets a few more in
            socks.append(socket.create_connection(("127.0.0.1", gateway.port)))
            return gateway.metric("kiseki_evicted_total")[""] >= 10 and self.open(gateway) <= 10

        wait_for("old ones are closed for new ones", one_more)
        for sock in socks:
            sock.close()
        self.write("connections = 500\n")
        said = self.hang_up(gateway)
        self.has_lines(said, '"msg":"SIGHUP: connections is 500 now')
        socks = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(20)]
        wait_for("all are open", lambda: self.open(gateway) >= 20)
        for sock in socks:
            sock.close()

    @staticmethod
    def open(gateway):
        return gateway.metric("kiseki_connections")[""]

    def broken(self, gateway):
        """A mistake changes nothing, and is named; what needed a restart still does."""
        self.write("connections = 400\nworkers = lots\n")
        self.has_lines(self.hang_up(gateway), f"the settings stay as they are: {self.path}:2: "
                       "workers", "SIGHUP: done, with errors")
        self.write("workers = 9\n")
        said = self.hang_up(gateway)
        self.has_lines(said, "workers is 9 now", "needs a restart: 64 stays in force",
                       "connections is 10000 now (default), was 500")
        self.write("connections = 400\nsecret-key = x\n", 0o644)
        self.has_lines(self.hang_up(gateway), "chmod 600")
        os.remove(self.path)
        self.has_lines(self.hang_up(gateway), "settings stay as they are: cannot read")

    def root_key(self):
        """A new secret in its file: the old one is revoked by SIGHUP, without a restart."""
        key = self.ws.path("root-secret")

        def put(secret):
            with open(key, "w", encoding="ascii") as file:
                file.write(secret + "\n")

        put(SECRET_KEY)
        self.write(f"access-key = {ACCESS_KEY}\nsecret-key-file = {key}\n")
        gateway = self.gateway(KISEKI_ACCESS_KEY="", KISEKI_SECRET_KEY="")
        old = S3(gateway.endpoint, ACCESS_KEY, SECRET_KEY)
        new = S3(gateway.endpoint, ACCESS_KEY, "another-root-secret")
        equal((old.request("GET").status, new.request("GET").status), (200, 403), "before")
        put("another-root-secret")
        equal((old.request("GET").status, new.request("GET").status), (200, 403), "no SIGHUP yet")
        said = self.hang_up(gateway)
        self.has_lines(said, f"the root user's key is {ACCESS_KEY} now", "secret-key is ********")
        check("another-root-secret" not in said, said)
        equal((old.request("GET").status, new.request("GET").status), (403, 200), "after")
        put("short")  # no key: the old one stays
        self.has_lines(self.hang_up(gateway), "key is not taken over", "done, with errors")
        equal(new.request("GET").status, 200, "after a wrong one")
        put(SECRET_KEY)
        self.hang_up(gateway)
        equal((old.request("GET").status, new.request("GET").status), (200, 403), "and back")
        for s3 in (old, new):
            s3.close()
        gateway.stop()

    @staticmethod
    def served(gateway):
        return ssl.get_server_certificate(("127.0.0.1", gateway.port))

    def over_https(self):
        """New contents of the same files, then other files; a mistake elsewhere does not keep a new
        certificate back."""
        first, second, third = (Certificate(self.ws, f"settings{i}") for i in range(3))
        pems = []
        for cert in (first, second, third):
            with open(cert.cert, encoding="ascii") as file:
                pems.append(file.read())
        cert = Certificate(self.ws, "settings")
        shutil.copy(first.cert, cert.cert)
        shutil.copy(first.key, cert.key)
        self.write(f"tls-cert = {cert.cert}\ntls-key = {cert.key}\n")
        gateway = self.gateway(cert, KISEKI_TLS_CERT="", KISEKI_TLS_KEY="")
        equal(self.served(gateway), pems[0], "the first certificate")
        shutil.copy(second.cert, cert.cert)
        shutil.copy(second.key, cert.key)
        self.has_lines(self.hang_up(gateway), "no setting has changed", "reloaded the certificate")
        equal(self.served(gateway), pems[1], "the same file")
        self.write(f"tls-cert = {third.cert}\ntls-key = {third.key}\n")
        self.has_lines(self.hang_up(gateway), f"tls-cert is {third.cert} now")
        equal(self.served(gateway), pems[2], "another file")
        self.write("nonsense\n")
        shutil.copy(first.cert, third.cert)
        shutil.copy(first.key, third.key)
        self.has_lines(self.hang_up(gateway), "the settings stay", "reloaded the certificate")
        equal(self.served(gateway), pems[0], "in spite of a mistake")
        self.write("region = us-east-1\n")
        self.has_lines(self.hang_up(gateway), "tls-cert is not set now", "needs a restart")
        equal(self.served(gateway), pems[0], "https is switched off by a restart only")
        gateway.stop()

    def plain_http_to_https(self):
        """Whoever speaks http to the https port reads why it does not work."""
        self.write("")
        gateway = self.gateway(Certificate(self.ws, "plain"))
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as sock:
            sock.sendall(b"GET /settings HTTP/1.1\r\nHost: h\r\n\r\n")
            got = b""
            while True:
                more = sock.recv(4096)
                if not more:
                    break
                got += more
        check(got.startswith(b"HTTP/1.1 400 ") and b"https" in got, f"{got!r}")
        done = self.run("health", KISEKI_LISTEN=f"127.0.0.1:{gateway.port}",
                        KISEKI_METRICS_LISTEN="")
        check(done.returncode == 1 and "https" in done.stderr, f"{done!r}")
        s3 = S3(gateway.endpoint, ACCESS_KEY, SECRET_KEY, ca=gateway.cert.cert)
        equal(s3.request("GET").status, 200, "https goes on")
        s3.close()
        gateway.stop()


TESTS = ("who_wins", "its_own_output_is_a_file", "wrong_lines", "secrets_want_a_private_file",
         "documented", "over_http", "root_key", "over_https",
         "plain_http_to_https")


def main():
    suite = Suite(__doc__, "settings", seeded=False)
    return suite.run(lambda s: s.methods(Settings(s.ws, s.args.way), TESTS))


if __name__ == "__main__":
    sys.exit(main())
