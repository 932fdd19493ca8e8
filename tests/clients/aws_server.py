"""Runs commands of aws-cli, each in a fork of a process that has imported it: the imports are most
of what a command costs.

For the interpreter of that aws-cli, in the environment of its commands. Standard input has a line
of JSON for each command: {"arguments": [...], "out": FILE, "err": FILE}; standard output a line with
its exit status.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import sys

del sys.path[0]  # awscli.py there is ours
# pylint: disable=wrong-import-position
import awscli.clidriver

PR_SET_PDEATHSIG = 1


def aws(*arguments):
    """As /usr/bin/aws does."""
    sys.argv = ["aws", *arguments]
    return awscli.clidriver.main()


def import_all():
    """Whatever a child has imported that has run two commands, neither of which reaches a server.
    Here nothing is run, which could leave a thread or a setting behind."""
    reads, writes = os.pipe()
    if os.fork() == 0:
        nobody = ("--endpoint-url", "http://127.0.0.1:1", "--region", "us-east-1")
        with open(os.devnull, "w", encoding="ascii") as null:
            os.dup2(null.fileno(), 1)
            os.dup2(null.fileno(), 2)
        aws(*nobody, "s3api", "head-object", "--bucket", "none", "--key", "none")
        aws(*nobody, "s3", "cp", "--quiet", __file__, "s3://none/none")
        with open(writes, "w", encoding="utf-8") as pipe:
            pipe.write("\n".join(sys.modules))
        os._exit(0)
    os.close(writes)
    with open(reads, encoding="utf-8") as pipe:
        names = pipe.read().split()
    os.wait()
    for name in names:
        with contextlib.suppress(ImportError):  # __main__, and those that others make up
            importlib.import_module(name)
    gc.freeze()


def command(task):
    """In the child."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for fd, path, flags in ((0, os.devnull, os.O_RDONLY), (1, task["out"], os.O_WRONLY),
                            (2, task["err"], os.O_WRONLY)):
        opened = os.open(path, flags | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, fd)
        os.close(opened)
    sys.exit(aws(*task["arguments"]))


def main():
    import_all()
    for line in sys.stdin:
        if len(os.listdir("/proc/self/task")) != 1:
            sys.exit("a thread runs: what is forked now is not what a new process has")
        pid = os.fork()
        if pid == 0:
            command(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
