"""s3cmd, Debian's and the current one."""

import os

from clients.command import Command, write_odd_files
from clients.paths import client
from harness.runner import check, equal
from harness.s3 import md5


class _S3cmd(Command):
    age = None

    def setup(self):
        where = self.endpoint
        self.write("s3cfg", "\n".join([
            "[default]", f"access_key = {where.access_key}", f"secret_key = {where.secret_key}",
            f"host_base = {self.s3.host}", f"host_bucket = {self.s3.host}",
            f"bucket_location = {where.region}", f"use_https = {bool(where.ca)}",
            f"ca_certs_file = {where.ca or ''}", "signature_v2 = False", "progress_meter = False",
            "max_retries = 1", ""]).encode())

    def cmd(self, *arguments, **how):
        return self.run_command(client(self.age, "s3cmd"), "-c", self.path("s3cfg"), *arguments,
                                **how)

    def uri(self, key=""):
        return f"s3://{self.bucket}/{key}"

    def test_buckets(self):
        self.cmd("mb", self.uri())
        check(self.uri()[:-1] in self.cmd("ls"), "the bucket is not listed")
        self.cmd("mb", f"s3://{self.bucket}-2")
        self.cmd("rb", f"s3://{self.bucket}-2")
        check(f"{self.bucket}-2" not in self.cmd("ls"), "the removed bucket is listed")
        check("Location" in self.cmd("info", self.uri()), "no location")

    def test_small(self):
        path = self.write("small", b"small content")
        self.cmd("put", "--add-header=x-amz-meta-one:1", "--mime-type=text/x-s", path,
                 self.uri("small"))
        self.cmd("get", "--force", self.uri("small"), self.path("small.back"))
        with open(self.path("small.back"), "rb") as file:
            equal(file.read(), b"small content", "content")
        info = self.cmd("info", self.uri("small"))
        for part in ("13", "text/x-s", md5(b"small content")):
            check(part in info, f"{part} is not in {info}")
        self.cmd("get", self.uri("no such key"), self.path("none"), status=None)
        check("does not exist" in self.said or "404" in self.said, f"a missing key: {self.said}")

    def test_big(self):
        self.cmd("put", "--multipart-chunk-size-mb=8", self.data.big, self.uri("big"))
        check(self.s3.head(self.bucket, "big").headers["ETag"].endswith('-8"'), "not 8 parts")
        self.cmd("get", self.uri("big"), self.path("big.back"))
        self.same_big(self.path("big.back"))

    def test_continued_download(self):
        """--continue asks for a range."""
        with open(self.data.big, "rb") as file:
            self.write("big.part", file.read(5000001))
        self.cmd("get", "--continue", self.uri("big"), self.path("big.part"))
        self.same_big(self.path("big.part"))

    def test_sync(self):
        self.cmd("sync", self.data.tree + "/", self.uri("tree/"))
        self.same_names("tree/")
        check("upload:" not in self.cmd("sync", self.data.tree + "/", self.uri("tree/")),
              "a second sync sends files again")
        self.cmd("sync", self.uri("tree/"), self.path("tree") + "/")
        self.same_tree(self.path("tree"))

    def test_listing(self):
        names = self.cmd("ls", "--recursive", self.uri("tree/"))
        equal(len(names.splitlines()), len(self.data.tree_files), "lines of ls --recursive")
        folders = {n.split("/")[0] for n in self.data.tree_files}
        lines = self.cmd("ls", self.uri("tree/")).splitlines()
        equal({l.split("/")[-2] for l in lines if " DIR " in l}, folders, "folders")

    def test_copy_and_move(self):
        self.cmd("cp", self.uri("small"), self.uri("copied here"))
        equal(self.read("copied here"), b"small content", "copy")
        self.cmd("mv", self.uri("copied here"), self.uri("moved"))
        equal(self.read("moved"), b"small content", "moved")
        check("copied here" not in self.keys(), "the source of the move is left")
        self.cmd("modify", "--add-header=Cache-Control:no-cache", self.uri("moved"))
        equal(self.s3.head(self.bucket, "moved").headers["Cache-Control"], "no-cache", "modified")

    def test_signed_url(self):
        """signurl makes version 2 URLs."""
        url = self.cmd("signurl", self.uri("small"), "+60").strip()
        if self.endpoint.ca:
            url = url.replace("http://", "https://")
        equal(self.fetch(url), (200, b"small content"), url)

    def test_odd_names(self):
        names = write_odd_files(self.path("odd"))
        self.cmd("sync", self.path("odd") + "/", self.uri("odd/"))
        equal([k[4:] for k in self.keys("odd/")], names, "keys")
        self.cmd("sync", self.uri("odd/"), self.path("odd.back") + "/")
        for name in names:
            with open(os.path.join(self.path("odd.back"), name), encoding="utf-8") as file:
                equal(file.read(), name, "content")

    def test_recursive_delete(self):
        self.cmd("del", "--recursive", "--force", self.uri("tree/"))
        equal(self.keys("tree/"), [], "left")
        self.cmd("rb", "--recursive", "--force", self.uri()[:-1])
        equal(self.s3.head(self.bucket).status, 404, "the bucket")


class OldS3cmd(_S3cmd):
    label, age = "s3cmd-old", "old"


class NewS3cmd(_S3cmd):
    label, age = "s3cmd-new", "new"
