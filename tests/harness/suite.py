"""A suite: a command that runs tests on one way to run, prints a line for each, and counts them.
The last test is that all servers end well.

    suite = Suite(__doc__, "outage")
    suite.add("--full", action="store_true", help="for a minute")
    sys.exit(suite.run(lambda s: s.methods(Outage(s.ws, s.args.way), TESTS)))
"""

import argparse
import random

from harness.runner import Results
from harness.workspace import Workspace


class Suite:
    """name: as printed before each test. ways: where it can run; a single one is the default.
    seeded: what it does is drawn from --seed, which it prints."""

    def __init__(self, doc, name, ways=("sqlite", "pg"), seeded=True):
        self.name, self._seeded = name, seeded
        self.args = self.ws = None
        self._results = Results()
        self._parser = argparse.ArgumentParser(
            description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        if len(ways) > 1:
            self.add("--way", choices=ways, required=True)
        else:
            self.add("--way", choices=ways, default=ways[0])
        self.add("--only", default="", metavar="WORDS", help="tests with these words in their names")
        if seeded:
            self.add("--seed", type=int, default=random.SystemRandom().getrandbits(31),
                     help="does the same again")

    def add(self, *names, **options):
        """One more option of the command line, as argparse has it."""
        self._parser.add_argument(*names, **options)

    def run(self, tests):
        """Calls tests(self), with .args and .ws; the exit code."""
        self.args = self._parser.parse_args()
        if self._seeded:
            print(f"{self.name} on {self.args.way}: --seed {self.args.seed}", flush=True)
        with Workspace(self.name.replace(" ", "-")) as self.ws:
            tests(self)
            self._results.run(f"{self.name}/{self.args.way} servers end well", self.ws.end)
            self.ws.failed = self._results.failed > 0
        return self._results.finish()

    def test(self, name, function):
        """Runs one test; whether all has gone well so far."""
        if self.args.only in name:
            self._results.run(f"{self.name}/{self.args.way} {name}", function)
        return self._results.failed == 0

    def methods(self, subject, names, chained=False):
        """Runs methods of an object. chained: each builds on those before, so the first failure
        is the last test."""
        for name in names:
            if not self.test(name, getattr(subject, name)) and chained:
                break
