"""Base of the clients that are commands: runs them, and the tests that all of them share."""

import os
import shutil
import subprocess

from harness.data import file_md5, same_tree
from harness.runner import Lane, check, equal
from harness.workspace import Failed

SECONDS = 120  # for one command


class Command(Lane):
    def environment(self):
        """What the client reads its settings from, beside a home folder of its own."""
        return {}

    def full_environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "RCLONE_"))}
        return {**env, "HOME": self.scratch, **self.environment()}

    def execute(self, command):
        """(exit status, standard output, standard error); raises subprocess.TimeoutExpired."""
        done = subprocess.run(["setpriv", "--pdeathsig", "KILL", "--", *command],
                              env=self.full_environment(), cwd=self.scratch, timeout=SECONDS,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def run_command(self, *command, status=0, text=True):
        """Standard output; anything but the wanted exit status (None: whatever) is a failure."""
        try:
            code, out, err = self.execute(command)
        except subprocess.TimeoutExpired:
            raise Failed(f"not done within {SECONDS} s: {' '.join(command)}") from None
        if status is not None and code != status:
            said = (err or out).decode(errors="replace").strip()
            raise Failed(f"exit {code} of {' '.join(command[1:])}: {said[-400:]}")
        self.said = err.decode(errors="replace") + out.decode(errors="replace")
        return out.decode() if text else out

    def keys(self, prefix=""):
        return self.s3.list_keys(self.bucket, prefix)

    def read(self, key):
        answer = self.s3.get(self.bucket, key)
        equal(answer.status, 200, f"status of {key}")
        return answer.body

    def same_big(self, path):
        equal(file_md5(path), self.data.big_md5, "MD5 of the 64 MiB that came back")
        os.remove(path)

    def same_tree(self, folder):
        same_tree(self.data.tree, folder, self.data.tree_files)
        shutil.rmtree(folder)

    def same_names(self, prefix):
        """The bucket holds the tree's files below prefix, and nothing else there."""
        equal([k[len(prefix):] for k in self.keys(prefix)],
              sorted(self.data.tree_files, key=str.encode), "uploaded names")

    def fetch(self, url):
        """(status, body) of a URL without any signing of ours."""
        target = url[len(self.endpoint.url):]
        check(url.startswith(self.endpoint.url), f"the URL leads elsewhere: {url}")
        answer = self.s3.send("GET", target)
        return answer.status, answer.body


# Names of files that clients turn into keys; what MinIO cannot hold is left out by the caller.
ODD_FILES = ["with space", "plus+plus", "100%", "%41", "q?x=1", "hash#y", "amp&lt;", "quote\"'`",
             "caf\u00e9", "\u65e5\u672c\u8a9e", "emoji \U0001f600", "semi;colon,comma", "=equals",
             "~tilde", "[brackets]", "sub dir/in side", "x" * 200 + "/" + "y" * 200]


def write_odd_files(folder):
    """Each file holds its own name; returns the names in byte order."""
    for name in ODD_FILES:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(name)
    return sorted(ODD_FILES, key=str.encode)
