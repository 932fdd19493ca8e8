"""rclone, Debian's and the current one."""

import json
import os

from clients.command import Command, write_odd_files
from clients.paths import client
from harness.runner import check, equal
from harness.s3 import md5


class _Rclone(Command):
    age = None

    def setup(self):
        """test_buckets makes the bucket."""

    def environment(self):
        where = self.endpoint
        return {"RCLONE_CONFIG": self.path("none.conf"), "RCLONE_RETRIES": "1",
                "RCLONE_LOW_LEVEL_RETRIES": "1", **({"RCLONE_CA_CERT": where.ca} if where.ca else {}),
                "RCLONE_CONFIG_T_TYPE": "s3", "RCLONE_CONFIG_T_PROVIDER": "Other",
                "RCLONE_CONFIG_T_ENDPOINT": where.url, "RCLONE_CONFIG_T_REGION": where.region,
                "RCLONE_CONFIG_T_ACCESS_KEY_ID": where.access_key,
                "RCLONE_CONFIG_T_SECRET_ACCESS_KEY": where.secret_key,
                "RCLONE_CONFIG_T_CHUNK_SIZE": "8Mi", "RCLONE_CONFIG_T_UPLOAD_CUTOFF": "16Mi",
                "RCLONE_CONFIG_T_COPY_CUTOFF": "24Mi", "RCLONE_CONFIG_T_LIST_CHUNK": "37"}

    def cmd(self, *arguments, **how):
        return self.run_command(client(self.age, "rclone"), *arguments, **how)

    def at(self, key=""):
        return f"t:{self.bucket}/{key}"

    def test_buckets(self):
        self.cmd("mkdir", self.at())
        self.cmd("mkdir", f"t:{self.bucket}-2")
        check(f"{self.bucket}-2/" in self.cmd("lsf", "t:"), "the bucket is not listed")
        self.cmd("rmdir", f"t:{self.bucket}-2")
        check(f"{self.bucket}-2/" not in self.cmd("lsf", "t:"), "the removed bucket is listed")

    def test_small(self):
        path = self.write("small", b"small content")
        self.cmd("copyto", path, self.at("small"))
        equal(self.cmd("cat", self.at("small")), "small content", "content")
        entry, = json.loads(self.cmd("lsjson", "--hash", self.at("small")))
        equal((entry["Size"], entry["Hashes"]["md5"]), (13, md5(b"small content")), "entry")
        self.cmd("cat", self.at("no such key"), status=None)
        check("not found" in self.said, f"a missing key: {self.said}")

    def test_big(self):
        self.cmd("copyto", self.data.big, self.at("big"))
        check(self.s3.head(self.bucket, "big").headers["ETag"].endswith('-8"'), "not 8 parts")
        self.cmd("copyto", self.at("big"), self.path("big.back"))
        self.same_big(self.path("big.back"))

    def test_ranges(self):
        with open(self.data.big, "rb") as file:
            file.seek(9000001)
            want = file.read(100001)
        got = self.cmd("cat", "--offset", "9000001", "--count", "100001", self.at("big"),
                       text=False)
        check(got == want, "a range from the middle")
        check(self.cmd("cat", "--tail", "7", self.at("small")) == "content", "the tail")

    def test_sync(self):
        self.cmd("sync", self.data.tree, self.at("tree"))
        self.same_names("tree/")
        self.cmd("check", "--download", self.data.tree, self.at("tree"))
        self.cmd("sync", self.at("tree"), self.path("tree"))
        self.same_tree(self.path("tree"))

    def test_listing(self):
        names = self.cmd("lsf", "-R", "--files-only", self.at("tree")).splitlines()
        equal(sorted(names), self.data.tree_files, "names")
        folders = sorted({n.split("/")[0] + "/" for n in self.data.tree_files})
        equal(sorted(self.cmd("lsf", "--dirs-only", self.at("tree")).splitlines()), folders,
              "folders")

    def test_copy_and_move(self):
        """big is above the copy cutoff: UploadPartCopy."""
        self.cmd("copyto", self.at("small"), self.at("copied here"))
        self.cmd("moveto", self.at("copied here"), self.at("moved"))
        equal(self.read("moved"), b"small content", "moved")
        check("copied here" not in self.keys(), "the source of the move is left")
        self.cmd("moveto", self.at("big"), self.at("big moved"))
        self.cmd("copyto", self.at("big moved"), self.path("big.moved"))
        self.same_big(self.path("big.moved"))

    def test_signed_url(self):
        url = self.cmd("link", "--expire", "60s", self.at("small")).strip()
        equal(self.fetch(url), (200, b"small content"), url)

    def test_times(self):
        """rclone keeps a file's time in its metadata, and copies onto itself to change it."""
        self.cmd("touch", "--timestamp", "2020-01-02T03:04:05", self.at("small"))
        entry, = json.loads(self.cmd("lsjson", self.at("small")))
        check(entry["ModTime"].startswith("2020-01-02T03:04:05"), f"time {entry['ModTime']}")
        equal(self.read("small"), b"small content", "content")

    def test_odd_names(self):
        names = write_odd_files(self.path("odd"))
        self.cmd("copy", self.path("odd"), self.at("odd"))
        equal([k[4:] for k in self.keys("odd/")], names, "keys")
        self.cmd("copy", self.at("odd"), self.path("odd.back"))
        for name in names:
            with open(os.path.join(self.path("odd.back"), name), encoding="utf-8") as file:
                equal(file.read(), name, "content")

    def test_recursive_delete(self):
        self.cmd("delete", self.at("tree"))
        equal(self.keys("tree/"), [], "left")
        self.cmd("purge", self.at())
        equal(self.s3.head(self.bucket).status, 404, "the bucket")


class OldRclone(_Rclone):
    label, age = "rclone-old", "old"


class NewRclone(_Rclone):
    label, age = "rclone-new", "new"
