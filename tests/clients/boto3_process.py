"""Runs boto3_lane.py in the interpreter that has the wanted boto3, and passes its results on."""

import json
import os
import subprocess

from clients.paths import client
from harness.runner import Lane

LANE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "boto3_lane.py")
SECONDS = 300  # a server that never ends a listing must not hang the whole run


class _Process(Lane):
    python = None

    def run(self, results, pattern=""):
        task = {"label": self.label, "scratch": self.scratch, "full": self.full,
                "pattern": pattern, "endpoint": vars(self.endpoint), "data": vars(self.data)}
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        env.update(HOME=self.scratch, AWS_EC2_METADATA_DISABLED="true")
        child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", "timeout", str(SECONDS),
                                  self.python, LANE, json.dumps(task)], env=env, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with child:
            for line in child.stdout:
                results.add(*json.loads(line))
            errors = child.stderr.read()
        if child.returncode != 0:
            results.add(f"{self.name} process", 0, "FAIL", errors[-1000:])


class OldBoto3(_Process):
    label = "boto3-old"
    python = client("old", "python3")


class NewBoto3(_Process):
    label = "boto3-new"
    python = client("new", "python3")
