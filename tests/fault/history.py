#!/usr/bin/python3
"""Histories of four gateways are linearizable, with one killed and one paused in the middle.

    tests/fault/history.py --way pg [--ops N] [--seed N] [--clients N] [--prove]

tests/history records what many clients do to some keys through all gateways at once, and checks
that one order explains every answer (see its main.go). Meanwhile one gateway is killed and started
again, and one is paused for longer than its lease, which the others take for dead, and goes on.

--prove shows that the checker would notice: the same run on a build with the session's proof, the
epochs, or If-None-Match switched off (make hooks) must go red. The last line is "N passed, N failed".
"""

import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness import kiseki
from harness.runner import check, equal
from harness.s3 import S3
from harness.suite import Suite
from harness.targets import Volume
from harness.workspace import ROOT, Failed, wait_for

LEASE = 3
BUCKET = "history"
HOOKS = ("if-none-match", "epochs", "session-proof")
PROVE_ATTEMPTS = 5  # a broken gateway may be lucky once


def checker():
    return subprocess.run([os.path.join(ROOT, "tests/harness/install-needs"), "history"],
                          check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Run:
    """One run on a volume of its own."""

    def __init__(self, ws, name, args, seed, env=None):
        self.args, self.seed = args, seed
        self.rng = random.Random(seed)
        volume = Volume(ws, args.way, name)

        env = {"KISEKI_LEASE": f"{LEASE}s", "KISEKI_MEMORY_SIZE": "48M", **(env or {})}
        self.gateways = [volume.gateway(env=env) for _ in range(4)]
        self.report = ws.make_dir(name + "-report")
        first = self.gateways[0]
        s3 = S3(first.endpoint, first.access_key, first.secret_key)
        equal(s3.make_bucket(BUCKET).status, 200, "making the bucket")
        s3.close()

    def start(self):
        first = self.gateways[0]
        # The kernel ties its end to ours.
        self.child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", checker(),
             "-endpoints", ",".join(g.endpoint for g in self.gateways),
             "-access", first.access_key, "-secret", first.secret_key,
             "-ops", str(self.args.ops), "-clients", str(self.args.clients),
             "-seed", str(self.seed), "-report", self.report],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, what, which):
        try:
            self.child.stdin.write(f"{what} {which}\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            pass

    def wait_for_ops(self, share):
        """Until so much of all operations is done; False: all are."""
        for line in self.child.stdout:
            words = line.split()
            if words[0] == "at" and int(words[1]) >= share * self.args.ops:
                return True
            if words[0] != "at":
                self.tail.append(line.rstrip("\n"))
                return False
        return False

    def kill(self):
        which = self.rng.randrange(len(self.gateways))
        self.tell("fault", which)
        self.gateways[which].kill9()
        self.gateways[which].start()
        self.tell("well", which)

    def pause(self):
        """Longer than its lease, so that others reap it; then it goes on as if nothing had been."""
        which = self.rng.randrange(len(self.gateways))
        gateway = self.gateways[which]
        self.tell("fault", which)
        gateway.process.pause()
        time.sleep(2 * LEASE + 1)  # the fault itself
        gateway.process.resume()
        return which

    def recovered(self, which):
        wait_for("the paused gateway is ready again", self.gateways[which].ready)
        self.tell("well", which)

    def run(self):
        """The checker's last lines; raises if it did not end well."""
        self.tail = []
        self.start()
        try:
            if self.wait_for_ops(0.25):
                self.kill()
            which = None
            if self.wait_for_ops(0.5):
                which = self.pause()
            if which is not None:
                self.recovered(which)
            if self.wait_for_ops(0.8):
                which = self.pause()
                self.recovered(which)
            for line in self.child.stdout:
                if not line.startswith("at "):
                    self.tail.append(line.rstrip("\n"))
            self.child.wait()
        finally:
            if self.child.poll() is None:
                self.child.kill()
                self.child.wait()
        return self.tail[-1] if self.tail else "bad: it said nothing"


def linearizable(ws, args):
    run = Run(ws, "history", args, args.seed)
    verdict = run.run()
    for line in run.tail:
        print(f"     {line}", flush=True)
    check(verdict.startswith("ok "), verdict)
    lost = sum("was lost" in g.process.log() for g in run.gateways)
    check(lost, "no gateway noticed that its lease was over: the pause proved nothing")


def goes_red(ws, args, hook):
    """Broken on purpose, the same run must be refused by the checker."""
    kiseki.BINARY = os.path.join(ROOT, "build/hooks/kiseki")
    for attempt in range(PROVE_ATTEMPTS):
        run = Run(ws, f"prove-{hook}-{attempt}", args, args.seed + attempt,
                  {"KISEKI_TEST_BREAK": hook})
        verdict = run.run()
        print(f"     without {hook}: {verdict}", flush=True)
        for gateway in run.gateways:
            gateway.process.kill9()
        if verdict.startswith("bad "):
            return
    raise Failed(f"{PROVE_ATTEMPTS} runs without {hook} looked well")


def main():
    suite = Suite(__doc__, "history", ways=("pg",))
    suite.add("--ops", type=int, default=20000)
    suite.add("--clients", type=int, default=32)
    suite.add("--prove", action="store_true", help="with each hook the checker must notice")
    suite.add("--hook", choices=HOOKS, action="append", help="--prove just these")

    def tests(s):
        if not s.args.prove and not s.args.hook:
            s.test("is linearizable", lambda: linearizable(s.ws, s.args))
            return
        for hook in s.args.hook or HOOKS:
            s.test(f"goes red without {hook}", lambda h=hook: goes_red(s.ws, s.args, h))

    return suite.run(tests)


if __name__ == "__main__":
    sys.exit(main())
