"""Runs workloads against servers in turns; a cell is one workload on one server in one round."""

import os
import statistics
import sys
import time

from bench import processes
from bench.workloads import BUCKET, LIST_BUCKET, setup_requests
from harness.workspace import Failed


class Progress:
    """One line that is overwritten on a terminal, nothing elsewhere but the cells of a round."""

    def __init__(self, total):
        self._total, self._done, self._started = total, 0, time.monotonic()
        self._tty = sys.stderr.isatty()

    def show(self, text):
        if self._tty:
            passed = int(time.monotonic() - self._started)
            sys.stderr.write(f"\r\033[K[{self._done}/{self._total}, {passed} s] {text}")
            sys.stderr.flush()

    def step(self):
        self._done += 1

    def clear(self):
        if self._tty:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


class Bench:
    def __init__(self, loader, servers, workloads, rounds, seconds):
        self._loader, self._servers, self._workloads = loader, servers, workloads
        self._rounds, self._seconds = rounds, seconds
        self._progress = Progress(len(servers) * len(workloads) * rounds)
        self._ready = set()
        self.runs = {}  # (workload, server): [a dict a round]

    def run(self):
        """Returns {(workload name, server name): the cell's medians}."""
        try:
            for server in self._servers:
                self._make_buckets(server)
            for workload in self._workloads:
                for turn in range(self._rounds):
                    first = turn % len(self._servers)
                    for server in self._servers[first:] + self._servers[:first]:
                        if _can(server, workload):
                            self._cell(workload, server, turn)
                        self._progress.step()
        finally:
            self._progress.clear()
        return {key: _medians(runs) for key, runs in self.runs.items()}

    def _make_buckets(self, server):
        for bucket in (BUCKET, LIST_BUCKET):
            if server.reads_files_of:
                continue
            answer = server.s3().make_bucket(bucket)
            deadline = time.monotonic() + 10
            while answer.status == 503 and time.monotonic() < deadline:  # MinIO is ready too early
                time.sleep(0.1)
                answer = server.s3().make_bucket(bucket)
            if answer.status != 200:
                raise Failed(f"{server.name} makes no bucket: {answer!r}")

    def _prepare(self, workload, server, turn):
        for need in workload.needs:
            if (server.name, need) in self._ready:
                continue
            self._progress.show(f"{server.name}: data for {workload.title}")
            requests = setup_requests(need)
            if server.reads_files_of:
                self._write_files(server.reads_files_of, requests)
            else:
                self._loader.send_all(server, requests, f"data for {workload.name}")
            self._ready.add((server.name, need))
        self._loader.send_all(server, workload.prepare(turn, self._seconds), "data to delete")
        if not workload.once and turn == 0:
            self._loader.send_all(server, workload.requests(turn, self._seconds), "warming up")

    def _write_files(self, root, requests):
        for _, path, _, _, length, _ in requests:
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            with open(root + path, "wb") as file:
                file.write(self._loader.body(length))

    def _cell(self, workload, server, turn):
        self._prepare(workload, server, turn)
        self._progress.show(f"{workload.title}: {server.name}, round {turn + 1}")
        self._loader.write(server, workload.requests(turn, self._seconds))
        os.sync()  # nobody pays for what the server before left unwritten
        before = {part: processes.cpu_seconds(pid) for part, pid in server.pids.items()}
        result = self._loader.send(server, self._seconds, workload.once)
        cpu = {part: processes.cpu_seconds(pid) - before[part]
               for part, pid in server.pids.items()}
        _check(workload, server, result)
        count = result["requests"]
        rate = count / result["seconds"]
        self.runs.setdefault((workload.name, server.name), []).append({
            "requests_per_second": rate, "bytes_per_second": rate * workload.size,
            "p50_us": result["p50_us"], "p99_us": result["p99_us"], "requests": count,
            "cpu_us": {part: seconds / count * 1e6 for part, seconds in cpu.items()}})
        tidy = workload.tidy(turn, self._seconds)[:count]
        self._loader.send_all(server, tidy, "tidying up")


def _can(server, workload):
    return not server.reads_files_of or (workload.size and not workload.once)


def _check(workload, server, result):
    if result["errors"] or not result["requests"]:
        raise Failed(f"{workload.name} on {server.name}: {result['errors']} of "
                     f"{result['requests']} requests failed, first {result['first_error']}")
    if not workload.once and result["bytes_in"] < workload.size * result["requests"]:
        raise Failed(f"{workload.name} on {server.name}: short answers: {result}")


def _medians(runs):
    def of(pick):
        return statistics.median(pick(run) for run in runs)
    return {**{name: of(lambda run, name=name: run[name])
               for name in ("requests_per_second", "bytes_per_second", "p50_us", "p99_us")},
            "cpu_us": {part: of(lambda run, part=part: run["cpu_us"][part])
                       for part in runs[0]["cpu_us"]}}
