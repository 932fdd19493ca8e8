"""aws-cli: Debian's (version 2) and the current one from PyPI. A lane has one process that has
imported it, and forks for each command (aws_server.py)."""

import json
import os
import select
import signal
import subprocess

from clients.command import SECONDS, Command, write_odd_files
from clients.paths import client
from harness.runner import Skip, check, equal
from harness.s3 import md5


SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "aws_server.py")


class _Aws(Command):
    age = None
    server = None

    def run(self, results, pattern=""):
        try:
            super().run(results, pattern)
        finally:
            self._end_server()

    def _end_server(self):
        if self.server:
            os.killpg(self.server.pid, signal.SIGKILL)
            self.server.communicate()
            self.server = None

    def execute(self, command):
        if self.server is None:
            self.server = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", client(self.age, "python3"), SERVER],
                env=self.full_environment(), cwd=self.scratch, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, start_new_session=True)
        out, err = self.path("aws.out"), self.path("aws.err")
        task = {"arguments": command[1:], "out": out, "err": err}
        self.server.stdin.write(json.dumps(task).encode() + b"\n")
        self.server.stdin.flush()
        if not select.select([self.server.stdout], [], [], SECONDS)[0]:
            self._end_server()
            raise subprocess.TimeoutExpired(command, SECONDS)
        line = self.server.stdout.readline()
        check(line, "aws-cli's server has ended")
        with open(out, "rb") as first, open(err, "rb") as second:
            return int(line), first.read(), second.read()

    def setup(self):
        """test_buckets makes the bucket."""

    def environment(self):
        where = self.endpoint
        return {"AWS_ACCESS_KEY_ID": where.access_key, "AWS_SECRET_ACCESS_KEY": where.secret_key,
                "AWS_DEFAULT_REGION": where.region, "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": "",
                **({"AWS_CA_BUNDLE": where.ca} if where.ca else {})}

    def cmd(self, *arguments, **how):
        return self.run_command(client(self.age, "aws"), "--endpoint-url", self.endpoint.url,
                                *arguments, **how)

    def s3cp(self, *arguments, **how):
        return self.cmd("s3", *arguments, "--only-show-errors", **how)

    def api(self, operation, *arguments, bucket=True, **how):
        where = ["--bucket", self.bucket] if bucket else []
        return self.cmd("s3api", operation, *where, "--output", "json", *arguments, **how)

    def refused(self, code, operation, *arguments):
        self.api(operation, *arguments, status=None)
        check(code in self.said, f"{operation} {arguments}: no {code} in {self.said[-200:]!r}")

    def uri(self, key=""):
        return f"s3://{self.bucket}/{key}"

    def need_current(self):
        if self.age == "old":
            raise Skip("this aws-cli does not know it")

    def test_buckets(self):
        self.cmd("s3", "mb", self.uri())
        check(self.bucket in self.cmd("s3", "ls"), "the bucket is not listed")
        self.refused("NoSuchBucket", "list-objects-v2", "--bucket", "no-such-bucket")

    def test_small(self):
        path = self.write("small", b"small content")
        self.s3cp("cp", "--content-type", "text/x-s", "--metadata", "one=1", path,
                  self.uri("small"))
        equal(self.s3cp("cp", self.uri("small"), "-"), "small content", "content")
        head = json.loads(self.api("head-object", "--key", "small"))
        equal((head["ContentLength"], head["ContentType"], head["Metadata"], head["ETag"]),
              (13, "text/x-s", {"one": "1"}, f'"{md5(b"small content")}"'), "head")

    def test_big(self):
        self.s3cp("cp", self.data.big, self.uri("big"))
        check(self.s3.head(self.bucket, "big").headers["ETag"].endswith('-8"'), "not 8 parts")
        self.s3cp("cp", self.uri("big"), self.path("big.back"))
        self.same_big(self.path("big.back"))

    def test_sync(self):
        self.s3cp("sync", self.data.tree, self.uri("tree"))
        self.same_names("tree/")
        self.s3cp("sync", self.uri("tree"), self.path("tree"))
        self.same_tree(self.path("tree"))

    def test_listing(self):
        page = json.loads(self.api("list-objects-v2", "--prefix", "tree/", "--page-size", "37",
                                   "--query", "Contents[].Key"))
        equal([k[5:] for k in page], sorted(self.data.tree_files, key=str.encode), "pages")
        folders = sorted({f"tree/{n.split('/')[0]}/" for n in self.data.tree_files})
        page = json.loads(self.api("list-objects", "--prefix", "tree/", "--delimiter", "/",
                                   "--page-size", "10", "--query", "CommonPrefixes[].Prefix"))
        equal(page, folders, "common prefixes")

    def test_copy_and_move(self):
        """big is copied by parts."""
        self.s3cp("cp", self.uri("big"), self.uri("big copy"))
        self.s3cp("mv", self.uri("big copy"), self.path("big.moved"))
        self.same_big(self.path("big.moved"))
        check("big copy" not in self.keys(), "the source of the move is left")

    def test_signed_url(self):
        url = self.cmd("s3", "presign", self.uri("small"), "--expires-in", "60").strip()
        equal(self.fetch(url), (200, b"small content"), url)

    def test_range(self):
        self.api("get-object", "--key", "small", "--range", "bytes=6-8", self.path("range"))
        with open(self.path("range"), "rb") as file:
            equal(file.read(), b"con", "bytes 6 to 8")

    def test_conditions(self):
        etag = f'"{md5(b"small content")}"'
        self.refused("PreconditionFailed", "get-object", "--key", "small", "--if-match", '"other"', "out")
        self.refused("304", "get-object", "--key", "small", "--if-none-match", etag, "out")
        self.api("get-object", "--key", "small", "--if-match", etag, "out")

    def test_conditional_put(self):
        self.need_current()
        path = self.write("once", b"once")
        once = ("put-object", "--key", "once", "--body", path, "--if-none-match", "*")
        self.api(*once)
        self.refused("PreconditionFailed", *once)
        equal(self.read("once"), b"once", "content")

    def test_checksums(self):
        path = self.write("sum", b"checksum of this")
        names = ["SHA256", "CRC32C"] + (["CRC64NVME"] if self.age == "new" else [])
        for name in names:
            put = json.loads(self.api("put-object", "--key", "sum", "--body", path,
                                      "--checksum-algorithm", name))
            got = self.s3.head(self.bucket, "sum", headers={"x-amz-checksum-mode": "ENABLED"})
            equal(got.headers[f"x-amz-checksum-{name}"], put[f"Checksum{name}"], name)

    def test_odd_names(self):
        names = write_odd_files(self.path("odd"))
        self.s3cp("cp", "--recursive", self.path("odd"), self.uri("odd"))
        equal([k[4:] for k in self.keys("odd/")], names, "keys")
        self.s3cp("cp", "--recursive", self.uri("odd"), self.path("odd.back"))
        for name in names:
            with open(os.path.join(self.path("odd.back"), name), encoding="utf-8") as file:
                equal(file.read(), name, "content")

    def test_recursive_delete(self):
        self.s3cp("rm", "--recursive", self.uri("tree"))
        equal(self.keys("tree/"), [], "left")
        self.cmd("s3", "rb", "--force", self.uri())
        equal(self.s3.head(self.bucket).status, 404, "the bucket")


class OldAws(_Aws):
    label, age = "aws-old", "old"


class NewAws(_Aws):
    label, age = "aws-new", "new"
