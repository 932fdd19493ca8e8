"""Runs tests: a lane is a class whose methods test_* run one after the other in one thread;
several lanes run at a time. What a test writes goes into a bucket and a folder of its lane's own.
"""

import os
import threading
import time
import traceback

from harness.workspace import Failed


class Skip(Exception):
    """The server under test is not expected to manage this; the text says why."""


def check(condition, what):
    if not condition:
        raise Failed(what)


def equal(got, want, what):
    if got != want:
        raise Failed(f"{what}: got {_short(got)}, want {_short(want)}")


def _short(value, limit=300):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def at_once(function, arguments):
    """function(argument) in a thread for each argument; returns when all have ended, and raises
    Failed if any of them raised."""
    failures = []

    def run(argument):
        try:
            function(argument)
        except Exception as err:  # pylint: disable=broad-except
            failures.append(str(err) if isinstance(err, Failed) else repr(err))

    threads = [threading.Thread(target=run, args=(a,), daemon=True) for a in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(not failures, f"{len(failures)} of {len(threads)} threads failed: {failures[:3]}")


class Results:
    """Counts and prints; safe to use from several threads."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self._lock = threading.Lock()

    def add(self, name, seconds, outcome="ok", reason=""):
        with self._lock:
            if outcome == "ok":
                self.passed += 1
            elif outcome == "skip":
                self.skipped += 1
            else:
                self.failed += 1
            print(f"{outcome:4} {name} ({seconds:.1f} s)" + (f": {reason}" if reason else ""),
                  flush=True)

    def run(self, name, function):
        """Runs one test; only Ctrl-C and the like get past it."""
        begun = time.monotonic()
        try:
            function()
            self.add(name, time.monotonic() - begun)
        except Skip as skip:
            self.add(name, time.monotonic() - begun, "skip", str(skip))
        except Failed as failure:
            self.add(name, time.monotonic() - begun, "FAIL", f"{failure} [{_where(failure)}]")
        except Exception as err:  # pylint: disable=broad-except
            self.add(name, time.monotonic() - begun, "FAIL",
                     f"{type(err).__name__}: {err} [{_where(err)}]")

    def finish(self):
        """Prints the last line; the exit code."""
        if self.skipped:
            print(f"{self.skipped} skipped")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def _where(err):
    """The line of the test that failed, not that of the helper that noticed."""
    frames = [f for f in traceback.extract_tb(err.__traceback__)
              if "/harness/" not in f.filename and "/lib/python" not in f.filename]
    return f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"


class Lane:
    """Base of all lanes. name, the endpoint, a scratch folder, and a raw client to look behind
    the tested one's back. full asks for the long form."""

    label = "lane"

    def __init__(self, endpoint, scratch, data, full=False):
        self.endpoint, self.scratch, self.data, self.full = endpoint, scratch, data, full
        self.name = f"{self.label}/{endpoint.scheme}"
        self.bucket = f"t-{self.label}-{endpoint.scheme}"
        self.s3 = endpoint.s3()
        os.makedirs(scratch, exist_ok=True)

    def skip_on_minio(self, why):
        if self.endpoint.kind == "minio":
            raise Skip(f"MinIO: {why}")

    def path(self, name):
        return os.path.join(self.scratch, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def setup(self):
        """Before the first test."""
        answer = self.s3.make_bucket(self.bucket)
        check(answer.status == 200, f"making {self.bucket}: {answer!r}")

    def run(self, results, pattern=""):
        tests = [n for n in _in_order(type(self)) if pattern in f"{self.name} {n[5:]}"]
        if not tests:
            return
        try:
            self.setup()
        except Exception as err:  # pylint: disable=broad-except
            results.add(f"{self.name} setup", 0, "FAIL", f"{type(err).__name__}: {err}")
            return
        for test in tests:
            results.run(f"{self.name} {test[5:]}", getattr(self, test))


def _in_order(cls):
    """The names of all test methods, those of base classes first, as they stand in the source."""
    names = {}
    for base in reversed(cls.__mro__):
        names.update(dict.fromkeys(n for n in vars(base) if n.startswith("test_")))
    return list(names)


def run_lanes(lanes, results, pattern="", threads=4):
    """Returns when all lanes are done. The threads are daemons, so that Ctrl-C waits for none."""
    waiting = list(reversed(lanes))

    def work():
        while waiting:
            waiting.pop().run(results, pattern)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
