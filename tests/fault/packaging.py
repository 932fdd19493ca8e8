#!/usr/bin/python3
"""What packagers and containers start from: make install, the systemd unit, docker/.

    tests/fault/packaging.py

The last line is "N passed, N failed".
"""

import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from harness.kiseki import BINARY
from harness.runner import check, equal
from harness.suite import Suite
from harness.workspace import ROOT

EXPOSURE_MAX = 3.0
SECRETS = ("POSTGRES_PASSWORD", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "KISEKI_ACCESS_KEY",
           "KISEKI_SECRET_KEY", "KISEKI_MASTER_KEY")
PRINTABLE = "".join(chr(c) for c in range(33, 127) if chr(c) not in "'\\")


def run(*command, code=0, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **more)
    equal(done.returncode, code, f"{command}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


class Packaging:
    def __init__(self, ws):
        self.ws = ws
        self.root = ws.make_dir("destdir")
        self.unit = f"{self.root}/usr/lib/systemd/system/kiseki.service"

    def installed(self):
        """Under DESTDIR and PREFIX, and the unit starts what was put there."""
        build = self.ws.make_dir("objects")
        # Under `make check`, too, where make would say which folders it enters and leaves.
        recipe = run("make", "--no-print-directory", "-n", "install", "PREFIX=/usr",
                     f"DESTDIR={self.root}", f"BUILD={build}", cwd=ROOT)
        steps = recipe[recipe.index("install -D"):].splitlines()
        equal(len(steps), 5, f"steps of make install: {steps}")
        for step in steps:  # not `make install` itself: it would build anew
            run("sh", "-c", re.sub(r"(^| )build/kiseki ", rf"\1{BINARY} ", step), cwd=ROOT)
        found = sorted(os.path.relpath(os.path.join(folder, name), self.root)
                       for folder, _, names in os.walk(self.root) for name in names)
        equal(found, ["usr/bin/kiseki", "usr/lib/systemd/system/kiseki.service",
                      "usr/share/man/man1/kiseki.1"], "installed files")
        with open(self.unit, encoding="ascii") as file:
            unit = file.read()
        check("ExecStart=/usr/bin/kiseki serve\n" in unit, unit)
        check("@" not in re.sub(r"@(system-service|privileged)", "", unit), "a gap is not filled")
        delay = int(re.search(r"TimeoutStopSec=(\d+)", unit)[1])
        check(delay > 30, f"TimeoutStopSec={delay} is not above --stop-timeout")
        said = run(f"{self.root}/usr/bin/kiseki", "version")
        check(said.startswith("kiseki "), said)
        page = run("man", "--warnings", "-E", "UTF-8", "-l",
                   f"{self.root}/usr/share/man/man1/kiseki.1", env={**os.environ, "MANWIDTH": "80"})
        check("warning" not in page.lower().split("name", 1)[0], page[:300])

    def unit_is_confined(self):
        """By systemd's own measure: 0 is locked up, 10 is free."""
        said = run("systemd-analyze", "security", "--offline=true", "--no-pager", self.unit)
        exposure = float(re.search(r"exposure level for kiseki.service: ([0-9.]+)", said)[1])
        check(exposure < EXPOSURE_MAX, f"exposure {exposure}: {said}")

    def compose(self, env, code=0):
        folder = self.ws.path("docker")
        if not os.path.exists(folder):
            shutil.copytree(os.path.join(ROOT, "docker"), folder,
                            ignore=shutil.ignore_patterns(".env"))
        with open(f"{folder}/.env", "w", encoding="utf-8") as file:
            file.write(env)
        clean = {k: v for k, v in os.environ.items() if k not in SECRETS}
        return run("docker-compose", "-f", "docker/docker-compose.yml", "config", code=code,
                   cwd=os.path.dirname(folder), env=clean)

    def compose_file(self):
        """Debian's docker-compose takes it; the example has no secret that could be used as it is;
        any printable password arrives as it was written."""
        with open(os.path.join(ROOT, "docker/example.env"), encoding="utf-8") as file:
            example = file.read()
        for name in SECRETS:
            check(f"\n{name}=\n" in example, f"example.env gives {name} a value, or leaves it out")
        check("see docker/example.env" in self.compose(example, code=1), "empty secrets are taken")
        said = self.compose("".join(f"{name}='{PRINTABLE}'\n" for name in SECRETS))
        check("name:" not in said.splitlines()[0], "a name at the top")
        # `config` writes $ as $$, and YAML quotes a text that has quotes as JSON or '' does.
        for name in ("KISEKI_META_PASSWORD", "POSTGRES_PASSWORD", "KISEKI_STORE_SECRET_KEY"):
            value = re.search(rf"^ *{name}: (.*(?:\n {{8,}}.*)*)", said, re.M)[1]
            value = re.sub(r"\n\s+", " ", value).replace("$$", "$")
            if value.startswith('"'):
                value = json.loads(value)
            elif value.startswith("'"):
                value = value[1:-1].replace("''", "'")
            equal(value, PRINTABLE, name)
        equal(said.count("dockerfile: docker/Dockerfile"), 1, "builds of the gateway's image")
        with open(os.path.join(ROOT, ".dockerignore"), encoding="ascii") as file:
            check("docker/.env" in file.read().split(), "docker/.env would be in the image")

    def proxy_file(self):
        run("haproxy", "-c", "-f", os.path.join(ROOT, "docker/haproxy.cfg"))


TESTS = ("installed", "unit_is_confined", "compose_file", "proxy_file")


def main():
    suite = Suite(__doc__, "packaging", ways=("pg",), seeded=False)
    return suite.run(lambda s: s.methods(Packaging(s.ws), TESTS))


if __name__ == "__main__":
    sys.exit(main())
