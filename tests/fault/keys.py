#!/usr/bin/python3
"""Access keys: made, disabled and removed beside gateways at work; what is revoked counts nowhere.

    tests/fault/keys.py --way sqlite|pg

With PostgreSQL the change is made at one gateway's side and felt at the other's; with SQLite by the
tool beside the gateway. The last line is "N passed, N failed".
"""

import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import behind
from harness.kiseki import ACCESS_KEY, SECRET_KEY
from harness.runner import at_once, check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import wait_for

BUCKET = "keys"
THREADS = 8
MIB = 1024 * 1024


def refused(answer, code, what):
    equal((answer.status, answer.code), (403, code), what)


class Keys:
    def __init__(self, ws, way):
        self.ws, self.way = ws, way
        self.volume = Volume(ws, way, "keys")
        self.gateways = [self.volume.gateway() for _ in range(2 if way == "pg" else 1)]
        self.root = self.client(ACCESS_KEY, SECRET_KEY)

    def client(self, access, secret, gateway=-1):
        """The last gateway is where changes must be felt; they are made elsewhere."""
        return S3(self.gateways[gateway].endpoint, access, secret)

    def tool(self, *words, code=0):
        done = self.volume.tool("key", *words)
        equal(done.returncode, code, f"kiseki key {words}: {done.stdout!r} {done.stderr!r}")
        return done.stdout if code == 0 else done.stderr

    def make(self, account):
        made = json.loads(self.tool("create", account, "--json"))
        equal(made["account"], account, "account")
        return made["access_key"], made["secret_key"]

    def made_and_removed(self):
        access, secret = self.make("photos")
        user = self.client(access, secret)
        equal(user.make_bucket("photos-1").status, 200, "a bucket of its own")
        equal(user.put("photos-1", "k", b"x").status, 200, "PUT")
        text = self.tool("list")
        check(secret not in text and access in text and "photos" in text, text)
        listed = {k["access_key"]: k for k in json.loads(self.tool("list", "--json"))}
        equal((listed[access]["enabled"], listed[access]["root"], listed[ACCESS_KEY]["root"]),
              (True, False, True), "list")
        for action, code in (("disable", "InvalidAccessKeyId"), ("enable", None),
                             ("remove", "InvalidAccessKeyId")):
            check(action in self.tool(action, access), action)
            for answer in (user.get("photos-1", "k"), user.put("photos-1", "k", b"x"),
                           user.request("GET")):
                if code:
                    refused(answer, code, f"after {action}")
                else:
                    equal(answer.status, 200, f"after {action}: {answer!r}")
        self.root.delete("photos-1", "k")
        equal(self.root.delete("photos-1").status, 204, "root deletes another's bucket")

    def tool_says_what_is_wrong(self):
        for words, told in (((), "list, create"), (("make",), "list, create"),
                            (("create",), "NAME"), (("remove",), "ACCESS-KEY"),
                            (("list", "x"), "no argument"), (("create", "root"), "KISEKI_ACCESS_KEY"),
                            (("create", "a b"), "name"), (("remove", ACCESS_KEY), "root key"),
                            (("disable", ACCESS_KEY), "KISEKI_ACCESS_KEY"),
                            (("remove", "NOSUCHKEY"), "NOSUCHKEY")):
            check(told in self.tool(*words, code=2), f"{words}")

    def revoked_under_load(self):
        """What began after the change was committed is refused, whatever it is."""
        access, secret = self.make("busy")
        stop, began = threading.Event(), [0.0]
        equal(self.client(access, secret).make_bucket("busy").status, 200, "bucket")

        def work(number):
            user, late = self.client(access, secret), 0
            while late < 3:
                since = time.monotonic()
                answer = (user.put("busy", f"{number}", b"x" * 1000) if number % 2
                          else user.request("GET", "busy"))
                if stop.is_set() and since > began[0]:
                    refused(answer, "InvalidAccessKeyId", "begun after the change")
                    late += 1
                else:
                    check(answer.status == 200 or answer.code in ("InvalidAccessKeyId", "SlowDown"),
                          f"{answer!r}")

        def change(number):
            if number < THREADS:
                work(number)
                return
            time.sleep(0.3)
            self.tool("disable", access)
            began[0] = time.monotonic()
            stop.set()
        at_once(change, range(THREADS + 1))

    def an_upload_is_decided_at_its_commit(self):
        """The key is disabled while its body arrives: nothing is stored, and no slice is left."""
        access, secret = self.make("slow")
        user, body = self.client(access, secret), os.urandom(6 * MIB)
        equal(user.make_bucket("slow").status, 200, "bucket")
        path = user.path("slow", "k")
        headers, _ = user.prepare("PUT", path, [], {}, body, "signed")
        lines = [f"PUT {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()),
                 f"content-length: {len(body)}", "connection: close", "", ""]
        with user.socket() as sock:
            sock.sendall("\r\n".join(lines).encode() + body[:5 * MIB])
            wait_for("slices of the upload are stored",
                     lambda: len(behind.objects(self.volume)) > 1)
            self.tool("disable", access)
            sock.sendall(body[5 * MIB:])
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
        check(answer.startswith(b"HTTP/1.1 403") and b"InvalidAccessKeyId" in answer, f"{answer!r}")
        equal(self.root.get("slow", "k").status, 404, "the object")
        wait_for("its slices are gone",
                 lambda: behind.objects(self.volume) == behind.referenced(self.volume))

    def a_bucket_changes_hands(self):
        """Elsewhere, while a gateway knows whose it was: from then on it is the other one's."""
        keys = {name: self.make(name) for name in ("seller", "buyer")}
        there = {name: self.client(*key, gateway=0) for name, key in keys.items()}
        here = {name: self.client(*key) for name, key in keys.items()}
        for old, new in (("seller", "buyer"), ("buyer", "seller")):
            equal(there[old].make_bucket("house").status, 200, f"the {old}'s bucket")
            equal(here[old].put("house", "k", b"x").status, 200, f"the {old}'s PUT")
            refused(here[new].get("house", "k"), "AccessDenied", f"the {new}'s GET")
            equal(there[old].delete("house", "k").status, 204, "DELETE")
            equal(there[old].delete("house").status, 204, "DELETE of the bucket")
            equal(there[new].make_bucket("house").status, 200, f"the {new}'s bucket")
            for answer in (here[old].put("house", "k", b"y"), here[old].get("house", "k"),
                           here[old].request("GET", "house"), here[old].delete("house")):
                refused(answer, "AccessDenied", f"the {old}, afterwards")
            equal(here[new].put("house", "k", b"z").status, 200, f"the {new}'s PUT")
            equal(here[new].delete("house", "k").status, 204, "DELETE")
            equal(here[new].delete("house").status, 204, "DELETE of the bucket")

    def cost(self, ask):
        """(reads, writes) that a request makes; jobs and heartbeats may add to some of many."""
        def units():
            found = self.gateways[-1].metric("kiseki_sql_units_total")
            return found['kind="read"'], found['kind="write"']
        took = []
        for _ in range(20):
            before = units()
            ask()
            took.append([after - before for after, before in zip(units(), before)])
        return tuple(min(column) for column in zip(*took))

    def what_is_known_costs_one_round_trip(self):
        """And what does not exist one look-up, each time."""
        access, secret = self.make("thrifty")
        user, unknown = self.client(access, secret), iter(range(1000000))

        def put():
            equal(user.put("thrifty", "k", b"x").status, 200, "PUT")

        def get():
            equal(user.get("thrifty", "k").status, 200, "GET")

        def nobody():
            refused(self.client(f"NOBODY{next(unknown)}", "some-secret").request("GET", "thrifty"),
                    "InvalidAccessKeyId", "an unknown key")
        equal(user.make_bucket("thrifty").status, 200, "bucket")
        equal(self.cost(lambda: None), (0, 0), "nothing")
        for what, ask, most in (("PUT", put, (0, 1)), ("GET", get, (1, 0)),
                                ("an unknown key", nobody, (1, 0)), ("GET again", get, (1, 0))):
            equal(self.cost(ask), most, what)

    def unknown_keys_find_no_worker_busy(self):
        """Many who ask for keys that do not exist: the others are served."""
        done = threading.Event()
        met = set()

        def ask(number):
            if number == 0:
                for _ in range(50):
                    equal(self.root.get(BUCKET, "k").status, 200, "a good GET")
                done.set()
                return
            nobody = self.client(f"NOBODY{number}", "some-secret")
            while not done.is_set():
                answer = nobody.request("GET", BUCKET)
                met.add((answer.status, answer.code))
        self.root.make_bucket(BUCKET)
        self.root.put(BUCKET, "k", b"x")
        at_once(ask, range(40))
        check(met <= {(403, "InvalidAccessKeyId"), (503, "SlowDown")}, f"{met}")

    def test_users_go_with_the_variable(self):
        env = {"KISEKI_TEST_USERS": "alt:ALTKEY:alt-secret"}
        self.restarted(0, env)
        alt = self.client("ALTKEY", "alt-secret")
        equal(alt.request("GET").status, 200, "a user of tests")
        self.restarted(0, {})
        refused(self.client("ALTKEY", "alt-secret").request("GET"), "InvalidAccessKeyId",
                "left out of KISEKI_TEST_USERS")

    def restarted(self, number, env):
        """Another gateway in its place, so that its environment can be another."""
        self.gateways[number].stop()
        self.gateways[number] = self.volume.gateway(env=env)
        if self.way == "sqlite":
            self.root = self.client(ACCESS_KEY, SECRET_KEY)

    def root_key_is_replaced(self):
        self.restarted(0, {"KISEKI_ACCESS_KEY": "NEWROOT", "KISEKI_SECRET_KEY": "new-root-secret"})
        for gateway in range(len(self.gateways)):  # the other's configuration has the old one
            refused(self.client(ACCESS_KEY, SECRET_KEY, gateway).request("GET"),
                    "InvalidAccessKeyId", "the old root key")
            equal(self.client("NEWROOT", "new-root-secret", gateway).get(BUCKET, "k").status, 200,
                  "the new root key")
        self.restarted(0, {"KISEKI_ACCESS_KEY": "NEWROOT", "KISEKI_SECRET_KEY": "newer-secret"})
        for gateway in range(len(self.gateways)):
            refused(self.client("NEWROOT", "new-root-secret", gateway).request("GET"),
                    "SignatureDoesNotMatch", "the old secret")
            equal(self.client("NEWROOT", "newer-secret", gateway).get(BUCKET, "k").status, 200,
                  "the new secret")


TESTS = ("made_and_removed", "tool_says_what_is_wrong", "revoked_under_load",
         "an_upload_is_decided_at_its_commit",
         "a_bucket_changes_hands", "what_is_known_costs_one_round_trip",
         "unknown_keys_find_no_worker_busy", "test_users_go_with_the_variable",
         "root_key_is_replaced")


def main():
    suite = Suite(__doc__, "keys")
    return suite.run(lambda s: s.methods(Keys(s.ws, s.args.way), TESTS))


if __name__ == "__main__":
    sys.exit(main())
