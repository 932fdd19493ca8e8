#!/usr/bin/python3
"""PostgreSQL restarts under load, or its primary is lost and the standby takes over.

    tests/fault/failover.py --way pg [--full] [--seconds N] [--seed N] [--rounds restart_fast,...]

Two gateways, a primary and its synchronous standby, both in the URL. Clients write objects of
every shape, overwrite, delete, and set conditions, while the database is restarted, killed or
frozen; a standby is promoted some seconds later. Then: both gateways serve within 15 s of the
promotion (or of the restart) by themselves; what was acknowledged is there; what was answered 503
was not done; what is in doubt is wholly there or wholly not, and both gateways say the same.
Outages, contents and moments come from the seed, which is printed. --full: each outage once,
--seconds: as many as fit. The last line is "N passed, N failed".
"""

import http.client
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from fault.kill9 import KIB, MIB, MIXES, Version
from harness import behind
from harness.postgres import Pair
from harness.runner import at_once, check, equal
from harness.s3 import S3, md5
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import Failed, wait_for

BUCKET = "failover"
RECOVERY_SECONDS = 15
ANSWER_SECONDS = 30  # nobody waits longer for an answer, whatever happens to the database
READ_SECONDS = 20
LOG_LINES = 60  # beside those of requests, a round and gateway
LEASES = ("15s", "6s")  # the second gateway's session does not outlive the longer outages
KEYS = ("inline",) * 6 + ("slice",) * 3 + ("many",) + ("parts",) * 2  # of a client
CONNECTIONS = 4


class Content(Version):
    """Smaller than what kill9 writes: the database is to be busy, not the store."""

    shapes = {"inline": (KIB,), "slice": (300 * KIB,), "many": (9 * MIB,),
              "parts": (5 * MIB, 100)}


class Longer:
    """An appended version: what was there, and the small one behind it."""

    def __init__(self, before, number):
        self.before, self.tail = before, Content(number, "inline")
        self.appends = 1 + getattr(before, "appends", 0)

    def parts(self):
        return self.before.parts() + self.tail.parts()

    def __repr__(self):
        return f"{self.before} + #{self.tail.number}"


class Key:
    """What a key may hold: any of .possible, where None is no object."""

    def __init__(self, name, mix):
        self.name, self.mix = name, mix
        self.possible = [None]
        self.etag = None  # of the one possible version

    @property
    def doubtful(self):
        return len(self.possible) > 1


class Client(threading.Thread):
    """Owns some keys and writes them by one gateway until told to stop, outage or not."""

    def __init__(self, number, gateway, seed):
        super().__init__(daemon=True)
        self.gateway, self.rng = gateway, random.Random(f"{seed}/{number}")
        self.keys = [Key(f"client{number:02}/{n:02}", mix) for n, mix in enumerate(KEYS)]
        self.stopping = threading.Event()
        self.next_thread()

    def next_thread(self):
        threading.Thread.__init__(self, daemon=True)
        self.stopping.clear()
        self.acknowledged = self.refused = self.unknown = 0
        self.slowest = self.slowest_read = 0.0
        self.wrong = []  # answers that must not be

    def run(self):
        s3 = client_of(self.gateway)
        while not self.stopping.is_set():
            key = self.rng.choice(self.keys)
            begun = time.monotonic()
            try:
                if key.doubtful:  # left alone until the database is back
                    self.stopping.wait(0.05)
                elif self.rng.random() < 0.2:
                    self.read(s3, key)
                    self.slowest_read = max(self.slowest_read, time.monotonic() - begun)
                else:
                    self.write(s3, key)
            except Exception as err:  # pylint: disable=broad-except
                self.wrong.append(f"{key.name}: {type(err).__name__}: {err}")
            self.slowest = max(self.slowest, time.monotonic() - begun)
        s3.close()

    def refusal(self, answer, what):
        """True for the two answers that an outage may give."""
        if answer.status == 503:
            self.refused += 1
        elif answer.status == 500:
            self.unknown += 1
        else:
            self.wrong.append(f"{what}: {answer!r}")
        self.stopping.wait(0.02)  # as clients do, in short
        return answer.status == 500

    def read(self, s3, key):
        try:
            got = s3.get(BUCKET, key.name)
        except http.client.IncompleteRead:  # the lease ended meanwhile
            self.refused += 1
            return
        if got.status in (200, 404):
            if not holds(got, key.possible[0]):
                self.wrong.append(f"GET {key.name}: {got.status} with {len(got.body)} bytes,"
                                  f" not {key.possible[0]}")
        elif self.refusal(got, f"GET {key.name}"):
            self.wrong.append(f"GET {key.name}: {got!r}")

    def write(self, s3, key):
        kind, number, old = self.rng.random(), self.rng.getrandbits(48), key.possible[0]
        headers, good = {}, True
        if kind < 0.1:
            version = None
        elif kind < 0.2 and old and getattr(old, "appends", 0) < 5:
            version = Longer(old, number)
        else:
            version = Content(number, self.rng.choice(MIXES[key.mix]))
            headers, good = self.condition(key)
        if good:
            key.possible = [old, version]  # in doubt until the answer is there
        try:
            answer = self.send(s3, key.name, version, headers)
        except (OSError, http.client.HTTPException) as err:
            self.unknown += 1
            self.wrong.append(f"{key.name}: no answer: {type(err).__name__}: {err}")
            return
        if answer.status in (200, 204) and good:
            key.possible, self.acknowledged = [version], self.acknowledged + 1
            key.etag = answer.headers["ETag"] or answer.text("ETag")
        elif answer.status == 412 and not good:
            self.acknowledged += 1
        elif not self.refusal(answer, f"{version} on {old} {headers} {key.name}"):
            key.possible = [old]  # 503 says that nothing was done

    def condition(self, key):
        """(headers, whether they hold)"""
        there = key.possible[0] is not None
        kind = self.rng.choice(("none", "none", "none", "new", "match", "other"))
        if kind == "new":
            return {"If-None-Match": "*"}, not there
        if kind == "match" and there:
            return {"If-Match": key.etag}, True
        if kind == "other" and there:
            return {"If-Match": f'"{md5(key.name.encode())}"'}, False
        return {}, True

    def send(self, s3, name, version, headers):
        if version is None:
            return s3.delete(BUCKET, name)
        if isinstance(version, Longer):
            size = sum(map(len, version.before.parts()))
            return s3.put(BUCKET, name, version.tail.parts()[0],
                          headers={"x-amz-write-offset-bytes": str(size)})
        parts = version.parts()
        if version.shape == "parts":
            return multipart(s3, name, parts, headers)
        payload = self.rng.choice(("signed", "unsigned", "streaming-unsigned-trailer"))
        return s3.put(BUCKET, name, parts[0], payload=payload, headers=headers)


def multipart(s3, name, parts, headers):
    """S3.multipart with conditions on the completion."""
    begun = s3.request("POST", BUCKET, name, query=[("uploads", "")])
    upload = begun.text("UploadId")
    if not upload:
        return nothing_done(begun)
    etags = []
    for number, part in enumerate(parts, 1):
        sent = s3.put(BUCKET, name, part, payload="unsigned",
                      query=[("partNumber", str(number)), ("uploadId", upload)])
        if sent.status != 200:
            return nothing_done(sent)
        etags.append(sent.headers["ETag"])
    return s3.complete(BUCKET, name, upload, etags, headers=headers)


def nothing_done(answer):
    """Whatever became of a part, the key is as it was."""
    if answer.status == 500:
        answer.status = 503
    return answer


def client_of(gateway, timeout=ANSWER_SECONDS + 15):
    return S3(gateway.endpoint, gateway.access_key, gateway.secret_key, timeout=timeout)


def holds(got, version):
    if version is None or got.status != 200:
        return version is None and got.status == 404
    return got.body == b"".join(version.parts())


class Failover:
    def __init__(self, ws, seed, clients):
        self.rng = random.Random(seed)
        self.pair = Pair(ws, "failover-postgres")
        self.volume = Volume(ws, "pg", "failover", postgres=self.pair)
        self.gateways = [self.volume.gateway(env={"KISEKI_LEASE": lease}) for lease in LEASES]
        equal(client_of(self.gateways[0]).make_bucket(BUCKET).status, 200, "making the bucket")
        self.clients = [Client(n, self.gateways[n % 2], seed) for n in range(clients)]
        self.probes = 0
        self.doubted = None

    @property
    def keys(self):
        return [key for client in self.clients for key in client.keys]

    # What happens to the database; each ends when it may be expected to work again. The rest, if
    # any, happens when the gateways have recovered.

    def restart_fast(self):
        self.pair.primary.stop()
        self.pair.primary.start()

    def restart_immediate(self):
        self.pair.primary.stop_immediate()
        self.pair.primary.start()

    def restart_killed(self):
        self.pair.primary.kill9()
        self.pair.primary.start()

    def restart_in_doubt(self):
        """What waited for the standby was committed when the kill came, and never answered."""
        self.commits_wait()
        self.pair.primary.kill9()
        self.pair.primary.start()
        self.pair.standby.thaw()
        return self.doubts

    def primary_killed_in_doubt(self):
        """What had come to the standby is committed on it, and was never answered."""
        self.commits_wait()
        self.pair.primary.kill9()
        self.pair.standby.thaw()
        self.pair.promote()
        return self.doubts

    def commits_wait(self):
        """The standby is silent: commits are sent to it and wait."""
        self.doubted = self.in_doubt()
        self.pair.standby.freeze()
        wait_for("commits wait for the standby", lambda: int(self.pair.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")) >= 4)

    def in_doubt(self):
        return [g.metric("kiseki_sql_in_doubt_total")[""] for g in self.gateways]

    def doubts(self):
        check(all(a > b for a, b in zip(self.in_doubt(), self.doubted)), "no commit was in doubt")

    def primary_refuses(self):
        """It is made read-only in place, before another takes over: a gentle fence."""
        self.pair.primary.set("default_transaction_read_only", "on")
        self.outage(self.rng.uniform(0.5, 2))
        self.pair.promote()

    def primary_killed(self):
        self.pair.primary.kill9()
        self.outage(self.rng.uniform(0.5, 4))
        self.pair.promote()

    def primary_killed_long_ago(self):
        """Longer than any lease."""
        self.pair.primary.kill9()
        self.outage(17)
        self.pair.promote()

    def primary_frozen(self):
        """Its connections stay open and are never answered; it wakes up when another rules."""
        self.pair.primary.freeze()
        self.outage(self.rng.uniform(0.5, 8))
        self.pair.promote()
        return self.pair.standby.thaw

    def primary_switched(self):
        """In order: nothing is in doubt."""
        self.pair.primary.stop()
        self.pair.promote()

    def primary_returns(self):
        """The old primary starts again, knows of no successor and takes writes from anybody."""
        self.pair.primary.kill9()
        self.pair.promote()
        return self.two_primaries

    def two_primaries(self):
        old = self.pair.standby
        old.start()
        old.set("synchronous_standby_names", "")
        before = self.fingerprint(old)
        self.pair.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                      " WHERE application_name = 'kiseki'")
        self.wait_for_acknowledged(4)
        self.stop_clients()
        for gateway in self.gateways:
            gateway.stop()
            gateway.start()
            self.recovers(gateway, time.monotonic())
        equal(self.fingerprint(old), before, "what the old primary holds")

    def fingerprint(self, cluster):
        return [cluster.sql(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t",
                            self.volume.database)
                for table in ("keys", "sessions", "counters", "txns", "jobs")]

    def frozen_for_a_while(self):
        """No promotion: it goes on where it stood."""
        self.pair.primary.freeze()
        self.outage(self.rng.uniform(3, 12))
        self.pair.primary.thaw()

    def standby_away(self):
        """Commits wait for it: none is answered before it has them."""
        self.pair.standby.kill9()
        time.sleep(self.rng.uniform(3, 12))  # the length of the outage
        self.pair.standby.start()

    def clock_goes_forward(self):
        """The new primary's clock is an hour ahead: all leases are long over."""
        self.promoted_with_clock("- 3600000")

    def clock_goes_back(self):
        self.promoted_with_clock("+ 3600000")

    def promoted_with_clock(self, change):
        self.pair.primary.kill9()
        self.pair.promote()
        self.pair.sql(f"UPDATE sessions SET lease_until_ms = lease_until_ms {change}",
                      self.volume.database)

    def outage(self, seconds):
        """Lasts so long; meanwhile the gateways say the right thing."""
        ends = time.monotonic() + seconds
        for gateway in self.gateways:
            equal(gateway.ask("/live")[0], 200, "/live while the database is away")
            wait_for("/ready says no", lambda g=gateway: not g.ready())
        time.sleep(max(0, ends - time.monotonic()))

    # What must be true

    def round(self, outage):
        ruler = self.pair.primary
        lines = [self.log_lines(gateway) for gateway in self.gateways]
        for client in self.clients:
            client.next_thread()
            client.start()
        try:
            self.wait_for_acknowledged(8)
            later = getattr(self, outage)()
            back = time.monotonic()
            took = [self.recovers(gateway, back) for gateway in self.gateways]
            self.wait_for_acknowledged(4)
            if later:
                later()
        finally:
            self.stop_clients()
        slowest = max(c.slowest for c in self.clients)
        lines = [self.log_lines(g) - b for g, b in zip(self.gateways, lines)]
        print(f"     back after {took[0]:.1f} and {took[1]:.1f} s; "
              f"{self.total('acknowledged')} acknowledged, {self.total('refused')} refused, "
              f"{self.total('unknown')} unknown; the slowest answer took {slowest:.1f} s; "
              f"{lines[0]} and {lines[1]} lines in the logs", flush=True)
        wrong = [w for c in self.clients for w in c.wrong]
        check(not wrong, f"{len(wrong)} answers are wrong: {wrong[:4]}")
        check(slowest < ANSWER_SECONDS, "an answer took too long")
        check(max(c.slowest_read for c in self.clients) < READ_SECONDS, "a GET took too long")
        check(max(lines) < LOG_LINES, "the logs are flooded")
        self.verify()
        if self.pair.primary is not ruler:
            self.pair.rejoin()

    @staticmethod
    def log_lines(gateway):
        """What is said once a request, or once a failed upload, is no flood."""
        return sum("request_id=" not in line and "slices of a failed upload" not in line
                   for line in gateway.process.log().splitlines())

    def stop_clients(self):
        for client in self.clients:
            client.stopping.set()
        for client in self.clients:
            if client.is_alive():
                client.join(2 * ANSWER_SECONDS)

    def total(self, name):
        return sum(getattr(c, name) for c in self.clients)

    def wait_for_acknowledged(self, count):
        """Each client has written `count` times more."""
        before = [c.acknowledged for c in self.clients]
        wait_for("all clients get on", lambda: all(
            c.acknowledged >= b + count or all(k.doubtful for k in c.keys)
            for c, b in zip(self.clients, before)), 60)

    def recovers(self, gateway, since):
        """Seconds until it writes, reads and lists."""
        s3 = client_of(gateway, 10)
        wait_for(f"{gateway.process.name} recovers", lambda: self.works(s3),
                 max(1, since + RECOVERY_SECONDS - time.monotonic()))
        s3.close()
        took = time.monotonic() - since
        check(took < RECOVERY_SECONDS, f"{gateway.process.name} recovered after {took:.1f} s only")
        return took

    def works(self, s3):
        self.probes += 1
        key, body = f"probe/{self.probes}", os.urandom(100000)  # more than is kept inline
        try:
            return (s3.put(BUCKET, key, body).status == 200 and s3.get(BUCKET, key).body == body
                    and key in s3.list_keys(BUCKET, key) and s3.delete(BUCKET, key).status == 204)
        except (OSError, http.client.HTTPException):
            return False

    def verify(self):
        """Once each connection has settled its doubts, both gateways show the same: one of what
        is possible."""
        for gateway in self.gateways:
            wait_for("all connections are up", lambda g=gateway: g.metric(
                "kiseki_sql_connected")[""] == CONNECTIONS, 30)
        errors, waiting = [], list(self.keys)

        def work(_):
            readers = [client_of(g) for g in self.gateways]
            while waiting:
                try:
                    settle(readers, waiting.pop())
                except IndexError:
                    break
                except (OSError, http.client.HTTPException, Failed) as err:
                    errors.append(str(err))

        at_once(work, range(4))
        check(not errors, f"{len(errors)} keys are wrong: {errors[:4]}")
        listed = client_of(self.gateways[0]).list_keys(BUCKET, "client")
        equal(listed, sorted(k.name for k in self.keys if k.possible[0]), "the listing")

    def everything_at_the_end(self):
        """What is referenced is in the store, and nothing else, once the sessions have ended:
        until then the slices of an upload stay whose outcome nobody could tell in time."""
        for gateway in self.gateways:
            gateway.stop()
            gateway.start()
        self.verify()
        behind.no_trace(self.volume)


def settle(readers, key):
    answers = [s3.get(BUCKET, key.name) for s3 in readers]
    for version in key.possible:
        if all(holds(got, version) for got in answers):
            key.possible, key.etag = [version], answers[0].headers["ETag"]
            return
    raise Failed(f"{key.name} holds {[(g.status, len(g.body), g.body[:20]) for g in answers]}, "
                 f"none of {key.possible}")


RESTARTS = ("restart_fast", "restart_immediate", "restart_killed", "restart_in_doubt",
            "frozen_for_a_while", "standby_away")
PROMOTIONS = ("primary_killed", "primary_killed_in_doubt", "primary_frozen", "primary_returns",
              "primary_refuses", "primary_switched", "clock_goes_forward", "clock_goes_back",
              "primary_killed_long_ago")
SHORT = ("restart_fast", "restart_in_doubt", "primary_returns", "primary_killed_in_doubt",
         "primary_frozen")


def rounds(args, rng):
    """Names of outages, without end if --seconds says how long."""
    if args.rounds:
        yield from args.rounds.split(",")
    elif not args.full and not args.seconds:
        yield from SHORT
    else:
        names = list(RESTARTS + PROMOTIONS)
        while True:
            rng.shuffle(names)
            yield from names
            if not args.seconds:
                break


def main():
    suite = Suite(__doc__, "failover", ways=("pg",))
    suite.add("--full", action="store_true", help="each outage once")
    suite.add("--seconds", type=float, default=0, help="rounds until these are over")
    suite.add("--rounds", default="", metavar="NAME,...", help="just these")
    suite.add("--clients", type=int, default=16)

    def tests(s):
        ends = time.monotonic() + (s.args.seconds or float("inf"))
        failover = Failover(s.ws, s.args.seed, s.args.clients)
        for number, outage in enumerate(rounds(s.args, random.Random(s.args.seed)), 1):
            if not s.test(f"{number} {outage}", lambda o=outage: failover.round(o)):
                return  # what the keys may hold is not known any more
            if time.monotonic() > ends:
                break
        s.test("everything at the end", failover.everything_at_the_end)

    return suite.run(tests)


if __name__ == "__main__":
    sys.exit(main())
