#!/usr/bin/python3
"""A gateway that cannot serve says why in one clear line and ends; a tool makes no volume.

    tests/fault/startup.py --way sqlite|pg [--only TEXT]

Wrong flags, an unreachable database, another schema version, a store without permission or of
another volume, a wrong master key, a port in use. The last line is "N passed, N failed".
"""

import os
import signal
import pty
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind
from harness.kiseki import ACCESS_KEY, BINARY, SECRET_KEY, Kiseki
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.tls import Certificate
from harness.workspace import free_port, unprivileged_user, user_group, wait_for

LIMIT_SECONDS = 20
KEY, OTHER_KEY = "1f" + "11" * 31, "2f" + "22" * 31
TOOLS = (("fsck",), ("fsck", "--check-store", "--repair"), ("gc",), ("gc", "--apply"), ("scrub",),
         ("status",), ("status", "--json"), ("key", "list"), ("dump", "-"))


class Startup:
    def __init__(self, ws, way):
        self.ws, self.way = ws, way
        # Permissions mean nothing to root: who is refused must be somebody else.
        self.user = unprivileged_user() if way == "sqlite" else None
        self.volume = self.make_volume("startup")
        self.meta, self.store = self.volume.meta(), self.volume.store
        self.swapped, self.another = Certificate(ws, "swapped"), Certificate(ws, "another")
        os.chmod(self.another.key, 0o644)

    def make_volume(self, name):
        """A volume that holds an object of some slices, and no running gateway."""
        volume = Volume(self.ws, self.way, name, *self.servers())
        if self.user:
            os.chmod(volume.dir, 0o777)
        gateway = volume.gateway(env={"KISEKI_MASTER_KEY": KEY}, user=self.user)
        s3 = S3(gateway.endpoint, ACCESS_KEY, SECRET_KEY)
        equal(s3.make_bucket("startup").status, 200, "making the bucket")
        equal(s3.put("startup", "big", b"big " * 10 ** 6).status, 200, "PUT")
        s3.close()
        gateway.stop()
        self.binary = self.ws.path("kiseki") if self.user else BINARY
        return volume

    def servers(self):
        return (self.volume.postgres, self.volume.minio) if hasattr(self, "volume") else ()

    def serve(self, args=(), **env):
        """Runs `kiseki serve` to its end; env with None takes a variable away."""
        settings = {**os.environ, "KISEKI_LISTEN": f"127.0.0.1:{free_port()}",
                    "KISEKI_META": self.meta, "KISEKI_STORE": self.store,
                    "KISEKI_ACCESS_KEY": ACCESS_KEY, "KISEKI_SECRET_KEY": SECRET_KEY,
                    "KISEKI_MASTER_KEY": KEY, **self.volume.env, **env}
        command = [self.binary, "serve", *args]
        if self.user:
            command = ["setpriv", "--reuid", self.user, "--regid", user_group(self.user),
                       "--clear-groups", "--"] + command
        return subprocess.run(command, env={k: v for k, v in settings.items() if v is not None},
                              cwd="/", capture_output=True, text=True, timeout=LIMIT_SECONDS,
                              check=False)

    def refused(self, *words, args=(), **env):
        """It ends by itself, not by a signal, with one line that has all the words."""
        done = self.serve(args, **env)
        said = [line for line in done.stderr.splitlines() if line.startswith("kiseki: ")]
        check(done.returncode in (1, 2), f"exit code {done.returncode}: {done.stderr}")
        equal(len(said), 1, f"lines for people in {done.stderr!r}: how many")
        for word in words:
            check(word in said[0], f"{word!r} is not in {said[0]!r}")
        check(SECRET_KEY not in done.stderr and KEY not in done.stderr, "a secret in the message")

    def flags(self):
        for args, word in ((("--nonsense", "1"), "--nonsense"), (("--listen",), "--listen"),
                           (("--workers", "many"), "--workers"),
                           (("--workers", "-1"), "--workers"),
                           (("--memory-size", "12X"), "--memory-size"),
                           (("--memory-size", "99999999999999999999"), "--memory-size"),
                           (("--lease", "soon"), "--lease"),
                           (("--log-level", "loud"), "--log-level"),
                           (("--log-format", "xml"), "--log-format"), (("stray",), "stray"),
                           (("--tls-cert", "/x"), "--tls-key"),
                           (("--listen", "nowhere"), "nowhere"),
                           (("--listen", "127.0.0.1:99999"), "99999"),
                           (("--tls-cert", "/no/cert", "--tls-key", "/no/key"), "/no/"),
                           (("--meta", "mysql://x"), "metadata URL"),
                           (("--store", "ftp://x"), "s3://")):
            self.refused(word, args=args)

    def missing_secrets(self):
        self.refused("KISEKI_ACCESS_KEY", "KISEKI_SECRET_KEY", KISEKI_ACCESS_KEY=None,
                     KISEKI_SECRET_KEY=None)
        self.refused("KISEKI_SECRET_KEY", KISEKI_SECRET_KEY=None)
        self.refused("/no/such/file", KISEKI_SECRET_KEY=None,
                     KISEKI_SECRET_KEY_FILE="/no/such/file")
        self.refused("KISEKI_MASTER_KEY", KISEKI_MASTER_KEY="abc")

    def port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            self.refused(port, args=("--listen", "127.0.0.1:" + port))
        port = free_port()  # of both listeners, in two spellings
        for listen in (f"localhost:{port}", f"127.1:{port}", f":{port}", f"*:{port}"):
            self.refused("need different ports", listen,
                         args=("--listen", listen, "--metrics-listen", f"127.0.0.1:{port}"))

    def wrong_master_key(self):
        self.refused("KISEKI_MASTER_KEY", KISEKI_MASTER_KEY=OTHER_KEY)
        self.refused("KISEKI_MASTER_KEY", KISEKI_MASTER_KEY=None)

    def schema_version(self):
        known = behind.value(self.volume, "SELECT schema_version FROM volume")
        for version in (99, 0):
            behind.sql(self.volume, f"UPDATE volume SET schema_version = {version},"
                                    f" readable_from = {version}")
            try:
                self.refused("schema version", str(version))
            finally:
                behind.sql(self.volume, f"UPDATE volume SET schema_version = {known},"
                                        f" readable_from = {known}")

    def other_store(self):
        other = self.make_volume("other")
        self.refused("belongs to volume", KISEKI_STORE=other.store)

    def empty_store(self):
        """A store without our marker is not ours, as long as we have something to lose."""
        if self.way == "sqlite":
            folder = self.ws.path("empty")
            os.mkdir(folder)
            os.chmod(folder, 0o777)
            self.refused("marker", KISEKI_STORE=f"dir:{folder}")
        else:
            self.refused("marker", KISEKI_STORE=self.store.replace("/slices?", "/none?"))

    def database_unreachable(self):
        if self.way == "sqlite":
            self.refused("/proc/nothing", KISEKI_META="sqlite:/proc/nothing/meta.db")
            self.refused("not a database", KISEKI_META="sqlite:" + self.not_a_database())
            return
        nobody, pg = free_port(), self.volume.postgres
        self.refused("is PostgreSQL running",
                     KISEKI_META=f"postgres://kiseki:x@127.0.0.1:{nobody}/startup")
        self.refused("user and password",
                     KISEKI_META=f"postgres://kiseki:wrong@127.0.0.1:{pg.port}/startup")
        self.refused("createdb", KISEKI_META=pg.url("missing", "tcp"))
        with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
            port = silent.getsockname()[1]
            self.refused("PostgreSQL", KISEKI_META=f"postgres://kiseki:x@127.0.0.1:{port}/startup")

    def any_password(self):
        """KISEKI_META_PASSWORD takes what a URL would misread."""
        if self.way == "sqlite":
            self.refused("KISEKI_META_PASSWORD", KISEKI_META_PASSWORD="x")
            return
        pg = self.volume.postgres
        password = "".join(chr(c) for c in range(32, 127))
        pg.sql("CREATE ROLE odd LOGIN SUPERUSER PASSWORD '" + password.replace("'", "''") + "'",
               "postgres")
        url = f"postgres://odd@127.0.0.1:{pg.port}/{self.volume.database}"
        done = self.run(("status",), KISEKI_META=url, KISEKI_META_PASSWORD=password)
        equal(done.returncode, 0, f"{done!r}")
        done = self.run(("status",), KISEKI_META=url, KISEKI_META_PASSWORD=password + "x")
        check(done.returncode == 2 and password not in done.stderr, f"{done!r}")

    def serves_on_while_it_says_no(self):
        """--stop-delay: /ready answers 503 first, and requests are served until load balancers
        have seen it; a second signal ends the wait."""
        for signals in (1, 2):
            gateway = self.volume.gateway(user=self.user, env={
                "KISEKI_MASTER_KEY": KEY, "KISEKI_STOP_DELAY": "2s" if signals == 1 else "10m"})
            s3 = S3(gateway.endpoint, ACCESS_KEY, SECRET_KEY)
            equal(gateway.ask("/ready")[0], 200, "/ready")
            gateway.process.send_signal(signal.SIGTERM)
            wait_for("/ready says no", lambda g=gateway: g.ask("/ready")[0] == 503)
            equal(gateway.ask("/live")[0], 200, "/live")
            equal(s3.get("startup", "big").status, 200, "GET after SIGTERM")
            equal(s3.put("startup", "late", b"late").status, 200, "PUT after SIGTERM")
            s3.close()
            if signals == 2:
                gateway.stop()
                continue
            wait_for("it ends by itself", lambda g=gateway: not g.process.running())
            gateway.process.kill9()

    def not_a_database(self):
        path = self.ws.path("text.db")
        with open(path, "w", encoding="ascii") as file:
            file.write("this is no database\n" * 100)
        os.chmod(path, 0o666)
        return path

    def store_denied(self):
        if self.way == "sqlite":
            folder = self.volume.store_dir
            mode = os.stat(folder).st_mode
            os.chmod(folder, 0)
            try:
                self.refused(folder)
            finally:
                os.chmod(folder, mode)
            self.refused("/proc/", KISEKI_STORE="dir:/proc/store")
            return
        self.refused("KISEKI_STORE_SECRET_KEY", KISEKI_STORE_SECRET_KEY="wrong-secret")
        self.refused("KISEKI_STORE_ACCESS_KEY", KISEKI_STORE_ACCESS_KEY="nobody")
        self.refused("KISEKI_STORE_", KISEKI_STORE_ACCESS_KEY=None, KISEKI_STORE_SECRET_KEY=None)
        endpoint = self.volume.minio.endpoint
        self.refused("127.0.0.1", KISEKI_STORE=self.store.replace(
            endpoint, f"http://127.0.0.1:{free_port()}"))

    # --- settings are checked before a volume is made

    def wrong_settings_make_nothing(self):
        """What is wrong with addresses, certificates and options shows before a volume is made:
        of the embedded default, and on empty databases."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = f"127.0.0.1:{taken.getsockname()[1]}"
            wrong = ((port, ("--listen", port)), (port, ("--metrics-listen", port)),
                     ("not-a-name.invalid", ("--listen", "not-a-name.invalid:0")),
                     ("/no/", ("--tls-cert", "/no/cert", "--tls-key", "/no/key")),
                     ("is not the key of", ("--tls-cert", self.swapped.cert, "--tls-key",
                                      self.another.key)),
                     ("no domain", ("--domain", "..,,/")), ("--region", ("--region", "")))
            for name, env, there in self.empty_places("wrong"):
                before = there()
                for word, args in wrong:
                    self.refused(word, args=args, **env)
                    equal(there(), before, f"{name}: {args}: what is there")
                for users in ("a:AAA", ",", "root:AAA:secret-1", "a:AAA:short", "a:A/A:secret-1",
                              "a\nb:AAA:secret-1", ":AAA:secret-1"):
                    self.refused("KISEKI_TEST_USERS", KISEKI_TEST_USERS=users, **env)
                    equal(there(), before, f"{name}: {users!r}: what is there")

    def a_key_is_one_users(self):
        """Of two users of one access key the last one took it, also from root."""
        for users in (f"a:{ACCESS_KEY}:secret-1", "a:AAA:secret-1,b:AAA:secret-2"):
            self.refused("KISEKI_TEST_USERS", " is that of ", KISEKI_TEST_USERS=users)

    def other_options(self):
        """A command refuses what belongs to another, and names what is misspelt."""
        for words, said in ((("version", "--apply"), "an option of gc"),
                            (("fsck", "--json"), "an option of status, gc"),
                            (("fsck", "--check-stor"), "did you mean --check-store?"),
                            (("gc", "--wait"), "--apply"), (("gc", "--apply=no"), "no value"),
                            (("status", "extra"), "extra"), (("dump", "a", "b"), "too many"),
                            (("sttaus",), "did you mean status?"), (("nonsense",), "kiseki --help"),
                            (("help", "fsk"), "did you mean fsck?")):
            done = self.run(words)
            check(done.returncode == 2 and said in done.stderr and done.stdout == ""
                  and done.stderr.count("\n") == 1, f"{words}: {done!r}")
        for words in (("help",), ("--help",), ("help", "gc"), ("gc", "--help"), ("scrub", "-h")):
            done = self.run(words)
            check(done.returncode == 0 and "usage: kiseki " in done.stdout, f"{words}: {done!r}")
        check("--listen" not in self.run(("gc", "--help")).stdout, "gc takes --listen")

    def misspelt_variables(self):
        """Are named, with what was meant: by tools on standard error, by gateways in the log."""
        wrong = {"KISEKI_KEEP_DELETD": "8d"}
        said = "KISEKI_KEEP_DELETD is no setting: did you mean KISEKI_KEEP_DELETED?"
        done = self.run(("status",), **wrong)
        check(done.returncode == 0 and said in done.stderr, f"{done!r}")
        done = self.serve(("--store", "ftp://x"), **wrong)
        check(said in done.stderr and "warn" in done.stderr, f"{done!r}")

    def says_which_volume(self):
        """A relative --data finds another folder from another place: a new volume is announced."""
        folder = self.ws.make_dir("relative")
        env = {"PATH": os.environ["PATH"], "KISEKI_LISTEN": "127.0.0.1:0"}
        for said in (f"made a new volume in {folder}/data (--data is relative",
                     f"volume in {folder}/data\n"):
            with subprocess.Popen([BINARY, "serve"], cwd=folder, env=env, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
                try:
                    printed = process.stdout.readline() + process.stdout.readline()
                finally:
                    process.terminate()
                process.stdout.read()
            check(said in printed, f"{said!r} is not in {printed!r}")
            equal(process.returncode, 0, "exit code")

    # --- secrets

    def printed_by(self, folder, terminal):
        """What `kiseki serve` prints on a pipe or a terminal until its last line to paste."""
        env = {"PATH": os.environ["PATH"], "KISEKI_LISTEN": "127.0.0.1:0"}
        reading, writing = pty.openpty() if terminal else os.pipe()
        with subprocess.Popen([BINARY, "serve"], cwd=folder, env=env, stdout=writing,
                              stderr=subprocess.DEVNULL) as process:
            os.close(writing)
            printed = b""
            while b"s3cmd" not in printed:
                piece = os.read(reading, 4096)
                check(piece, f"it ended: {printed!r}")
                printed += piece
            process.terminate()
        os.close(reading)
        return printed.decode()

    def secret_is_shown_once(self):
        """The secret key that was made is shown to a terminal on the first start, else its file."""
        for terminals in ((True, True), (False, True)):
            folder = self.ws.make_dir(f"secret{terminals[0]}")
            for start, terminal in enumerate(terminals):
                printed = self.printed_by(folder, terminal)
                with open(f"{folder}/data/credentials", encoding="utf-8") as file:
                    access, secret = file.read().split()
                equal((access in printed, secret in printed), (True, terminal and start == 0),
                      f"access and secret key at start {start}, terminal {terminal}: {printed}")
                check("data/credentials" in printed, printed)

    def passwords_are_not_printed(self):
        """No piece of a password, however it is misread, by serve or by a tool."""
        for url in ("postgres://u:pa@sekret@127.0.0.1:1/db", "postgres://u:sekret/x@127.0.0.1:1/db",
                    "postgres://u:1/sekret@127.0.0.1:1/db", "postgres://u:a?sekret@h@127.0.0.1:1/d",
                    "postgres://u:%sekret@127.0.0.1:1/db", "postgres://127.0.0.1?password=a@sekret",
                    "postgres://u:se@kret:sekret@127.0.0.1:1/db", "postgres:/u:sekret@h",
                    "psql://u:sekret@127.0.0.1/db", "postgres://u:sekret@127.0.0.1:1/db"):
            for done in (self.serve(KISEKI_META=url), self.run(("status",), KISEKI_META=url),
                         self.run(("key", "list"), KISEKI_META=url)):
                check(done.returncode in (1, 2), f"{url}: {done!r}")
                check("sekret" not in done.stdout + done.stderr, f"{url}: {done.stderr}")

    def dump_is_private(self):
        """Small objects lie in it in the clear. A file that is there is left as it is."""
        folder = self.ws.make_dir("private")
        os.chmod(folder, 0o777)
        done = self.run(("dump", f"{folder}/dump"))
        equal((done.returncode, os.stat(f"{folder}/dump").st_mode & 0o777), (0, 0o600), f"{done!r}")
        equal(self.run(("dump", f"{folder}/dump")).returncode, 2, "a second dump over the first")

    def no_dump_on_a_terminal(self):
        """Unless it is asked for."""
        env = self.settings()
        for words, begins in ((("dump",), b""), (("dump", "-"), b'{"')):
            reading, writing = pty.openpty()
            with subprocess.Popen([self.binary, *words], env=env, cwd="/", text=True,
                                  stdout=writing, stderr=subprocess.PIPE) as process:
                os.close(writing)
                try:
                    printed = os.read(reading, 2)
                except OSError:  # it has ended
                    printed = b""
                os.close(reading)
                said = process.communicate(timeout=LIMIT_SECONDS)[1]
            equal(printed, begins, f"{words}: {said}")
            check(begins or (process.returncode == 2 and "is a terminal" in said), f"{words}: {said}")

    def more_memory_than_there_is(self):
        """Is a line in the log."""
        for size, said in (("4T", True), ("16M", False)):
            done = self.serve(("--memory-size", size, "--store", "ftp://x"))
            equal("--memory-size is" in done.stderr, said, f"{size}: {done.stderr}")

    # --- tools where there is no volume

    def empty_places(self, name):
        """(name, settings, what is there): databases and stores that hold nothing, of each kind."""
        def files(folder):
            return lambda: sorted(os.path.join(f, n) for f, d, names in os.walk(folder)
                                  for n in d + names)

        empty = self.ws.make_dir(name + "-nothing")
        yield "embedded", {"KISEKI_META": None, "KISEKI_STORE": None, "KISEKI_MASTER_KEY": None,
                           "KISEKI_DATA": f"{empty}/data"}, files(empty)
        zero = self.ws.make_dir(name + "-zero")
        open(f"{zero}/meta.db", "wb").close()
        os.mkdir(f"{zero}/store")
        if self.user:
            for path in (zero, f"{zero}/store"):
                os.chmod(path, 0o777)
            os.chmod(f"{zero}/meta.db", 0o666)
        yield "empty file and folder", {"KISEKI_META": f"sqlite:{zero}/meta.db",
                                        "KISEKI_STORE": f"dir:{zero}/store"}, files(zero)
        if self.way != "pg":
            return
        for database, kind in ((name + "-s3", "s3"), (name + "-dir", "dir")):
            folder = self.ws.make_dir(database)
            store = (self.store.replace("s3://startup/", f"s3://{database}/") if kind == "s3"
                     else f"dir:{folder}/store")
            self.volume.postgres.create_database(database)
            look = files(folder)
            yield f"PostgreSQL and {kind}", {
                "KISEKI_META": self.volume.postgres.url(database, "tcp"), "KISEKI_STORE": store,
            }, lambda database=database, look=look: (look(), self.buckets(),
                                                     self.volume.postgres.sql(
                "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace",
                database))

    def buckets(self):
        s3 = S3(self.volume.minio.endpoint, self.volume.minio.access_key,
                self.volume.minio.secret_key)
        try:
            return s3.request("GET").body
        finally:
            s3.close()

    def settings(self, **env):
        """A tool's environment; None takes a variable away."""
        settings = {**os.environ, "KISEKI_META": self.meta, "KISEKI_STORE": self.store,
                    "KISEKI_MASTER_KEY": KEY, **self.volume.env, **env}
        return {k: v for k, v in settings.items() if v is not None}

    def run(self, words, **env):
        return subprocess.run([self.binary, *words], capture_output=True, text=True,
                              env=self.settings(**env), cwd="/", timeout=LIMIT_SECONDS, check=False)

    def tools_make_nothing(self):
        """No tool makes a table, a folder, a bucket or a marker; then a gateway starts as if
        nobody had been there."""
        for name, env, there in self.empty_places("tools"):
            before = there()
            for words in TOOLS:
                done = self.run(words, **env)
                equal(done.returncode, 2, f"{name}: {words}: {done!r}")
                check("there is no volume here" in done.stderr and "kiseki serve" in done.stderr
                      and done.stderr.count("kiseki: ") == 1, f"{name}: {words}: {done!r}")
                equal(done.stdout, "", f"{name}: {words}: standard output")
                equal(there(), before, f"{name}: {words}: what is there")
            settings = {"KISEKI_MASTER_KEY": KEY, **self.volume.env, **env}
            gateway = Kiseki(self.ws, "", "", "after-tools",
                             env={k: v or "" for k, v in settings.items()})
            s3 = S3(gateway.endpoint, ACCESS_KEY, SECRET_KEY)
            equal(s3.make_bucket("after").status, 200, f"{name}: making a bucket")
            s3.close()
            gateway.stop()
            for words in TOOLS[:-1]:
                done = self.run(words, **env)
                equal(done.returncode, 0, f"{name}: {words} on the volume: {done!r}")

    def tools_refuse_another_store(self):
        """As gateways do; nothing is written to it."""
        other = self.make_volume("others")
        for words in TOOLS:
            done = self.run(words, KISEKI_STORE=other.store)
            check(done.returncode == 2 and "belongs to volume" in done.stderr, f"{words}: {done!r}")
        folder = self.ws.make_dir("unmarked")
        for words in TOOLS[:-4]:
            done = self.run(words, KISEKI_STORE=f"dir:{folder}")
            check(done.returncode == 2 and "no object volume" in done.stderr, f"{words}: {done!r}")
        equal(os.listdir(folder), [], "what tools wrote")

    def load_wants_the_store(self):
        """It makes tables only when the store of the dumped volume is there."""
        dump = self.ws.path("startup.jsonl")
        equal(self.run(("dump", dump)).returncode, 0, "dump")
        empty = self.ws.make_dir("no-store")
        done = self.run(("load", dump), KISEKI_META=f"sqlite:{empty}/meta.db",
                        KISEKI_STORE=f"dir:{empty}/store")
        check(done.returncode == 2 and "not the store" in done.stderr, f"{done!r}")
        equal(os.listdir(empty), [], "what load made")

    def nothing_was_spoilt(self):
        """After all of it the right settings start, and the bytes are there."""
        gateway = self.volume.gateway(env={"KISEKI_MASTER_KEY": KEY}, user=self.user)
        s3 = S3(gateway.endpoint, ACCESS_KEY, SECRET_KEY)
        equal(s3.get("startup", "big").body, b"big " * 10 ** 6, "the object")
        s3.close()
        equal(behind.value(self.volume, "SELECT count(*) FROM sessions"), 1, "sessions")
        gateway.stop()
        equal(behind.value(self.volume, "SELECT count(*) FROM sessions"), 0, "sessions")


TESTS = ("flags", "other_options", "misspelt_variables", "says_which_volume",
         "wrong_settings_make_nothing", "a_key_is_one_users",
         "missing_secrets", "port_in_use", "wrong_master_key", "schema_version",
         "other_store", "empty_store", "tools_make_nothing", "tools_refuse_another_store",
         "load_wants_the_store", "secret_is_shown_once",
         "passwords_are_not_printed", "dump_is_private", "no_dump_on_a_terminal",
         "more_memory_than_there_is", "any_password", "serves_on_while_it_says_no", "database_unreachable", "store_denied",
         "nothing_was_spoilt")


def main():
    suite = Suite(__doc__, "startup", seeded=False)
    return suite.run(lambda s: s.methods(Startup(s.ws, s.args.way), TESTS))


if __name__ == "__main__":
    sys.exit(main())
