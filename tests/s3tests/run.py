#!/usr/bin/python3
"""The public suite ceph/s3-tests against Kiseki (or, to compare, MinIO).

    tests/s3tests/run.py DIR [--target sqlite|pg|minio] [--only PATTERN] [--jobs N]

DIR is a checkout, read only. groups.txt says which of its tests are ours. Prints what failed and
why, the counts by group, and last "N passed, N failed". --list prints the selection.
"""

import argparse
import fnmatch
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

# pylint: disable=wrong-import-position
from harness.kiseki import REGION
from harness.minio import Minio
from harness.s3 import S3
from harness.targets import WAYS, Volume
from harness.workspace import ROOT, Failed, Workspace

SUITE = "s3tests/functional/test_s3.py"
USERS = {name: (f"S3TESTS{name.upper().replace(' ', '')}", f"secret-of-{name.replace(' ', '-')}")
         for name in ("main", "alt", "tenant", "iam", "iam root", "iam alt root")}
SECONDS = 1500


def selection(checkout):
    """{test: group} in the order of the suite."""
    rules = []
    with open(os.path.join(HERE, "groups.txt"), encoding="utf-8") as file:
        for line in file:
            group, colon, patterns = line.partition(":")
            if colon and not line.startswith("#"):
                rules += [(pattern, group) for pattern in patterns.split()]
    with open(os.path.join(checkout, SUITE), encoding="utf-8") as file:
        tests = re.findall(r"^def (test_\w+)", file.read(), re.M)
    chosen = {}
    for test in tests:
        group = next((g for p, g in rules if fnmatch.fnmatchcase(test, p)), "skip")
        if group != "skip":
            chosen[test] = group
    return chosen


def start(ws, target):
    """(endpoint URL, {user: (access key, secret)})"""
    if target == "minio":
        minio = Minio(ws)  # its users cannot be made without its own tools: all are root
        return minio.endpoint, {u: (minio.access_key, minio.secret_key) for u in USERS}
    listed = ",".join(f"{u.replace(' ', '-')}:{a}:{s}" for u, (a, s) in USERS.items())
    gateway = Volume(ws, target, "s3tests").gateway(env={"KISEKI_TEST_USERS": listed})
    return gateway.endpoint, USERS


def write_config(path, endpoint, users):
    """Owners are asked for: their form is the server's own."""
    host, port = endpoint.rpartition("/")[2].split(":")
    lines = ["[DEFAULT]", f"host = {host}", f"port = {port}", "is_secure = False",
             "ssl_verify = False", "[fixtures]", "bucket prefix = s3t-{random}-",
             "iam name prefix = s3-tests-", "iam path prefix = /s3-tests/"]
    for user, (access_key, secret_key) in users.items():
        owner = S3(endpoint, access_key, secret_key, REGION).request("GET")
        if owner.status != 200:
            raise Failed(f"user {user} cannot list buckets: {owner!r}")
        name = user if user.startswith("iam") else f"s3 {user}"
        lines += [f"[{name}]", f"access_key = {access_key}", f"secret_key = {secret_key}",
                  f"display_name = {owner.text('DisplayName') or ''}",
                  f"user_id = {owner.text('ID') or ''}", f"email = {user.replace(' ', '')}@example.com"]
        if user == "main":
            lines.append("api_name = ")
        if user == "tenant":
            lines.append("tenant = ")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def run_suite(ws, checkout, tests, jobs):
    """{test: "" or why it failed}"""
    needs = subprocess.run([os.path.join(ROOT, "tests/harness/install-needs"), "s3tests", checkout],
                           check=True, stdout=subprocess.PIPE, text=True)
    report = ws.path("report.xml")
    command = [
        "setpriv", "--pdeathsig", "KILL", "--", "timeout", str(SECONDS),
        os.path.join(needs.stdout.strip(), "bin/python"), "-m", "pytest", "-q", "--no-header",
        "--tb=line", "-p", "no:cacheprovider", f"--junitxml={report}", "-n", str(jobs)]
    with open(os.path.join(ws.logs, "pytest.log"), "wb") as log:
        subprocess.run(command + [f"{SUITE}::{t}" for t in tests], cwd=checkout, check=False,
                       stdout=log, stderr=log, env={
                           **os.environ, "S3TEST_CONF": ws.path("s3tests.conf"),
                           "PYTHONDONTWRITEBYTECODE": "1", "AWS_EC2_METADATA_DISABLED": "true"})
    outcome = dict.fromkeys(tests, "did not run")
    if os.path.exists(report):
        for case in ElementTree.parse(report).iter("testcase"):
            broken = [e for e in case if e.tag in ("failure", "error")]
            if case.find("skipped") is not None:
                del outcome[case.get("name")]
                print(f"skip {case.get('name')}: {case.find('skipped').get('message')}")
                continue
            outcome[case.get("name")] = "; ".join(
                e.get("message", "").splitlines()[0] if e.get("message") else e.tag
                for e in broken)
    return outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", metavar="DIR")
    parser.add_argument("--target", choices=WAYS, default="sqlite")
    parser.add_argument("--only", default="*", metavar="PATTERN")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    checkout = os.path.abspath(args.checkout)
    groups = {t: g for t, g in selection(checkout).items() if fnmatch.fnmatchcase(t, args.only)}
    if args.list:
        for test, group in groups.items():
            print(group, test)
        return 0
    with Workspace("s3tests") as ws:
        endpoint, users = start(ws, args.target)
        write_config(ws.path("s3tests.conf"), endpoint, users)
        outcome = run_suite(ws, checkout, list(groups), args.jobs)
        ws.failed = any(outcome.values())
    for test, why in outcome.items():
        if why:
            print(f"FAIL {groups[test]} {test}: {why[:240]}")
    print(f"\n{'group':12} {'passed':>6} {'failed':>6}")
    for group in dict.fromkeys(sorted(groups.values())):
        mine = [why for test, why in outcome.items() if groups[test] == group]
        print(f"{group:12} {sum(not w for w in mine):6} {sum(bool(w) for w in mine):6}")
    failed = sum(bool(w) for w in outcome.values())
    print(f"{len(outcome) - failed} passed, {failed} failed")
    return 1 if failed or not outcome else 0


if __name__ == "__main__":
    sys.exit(main())
