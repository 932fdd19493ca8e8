"""Test data: a big file, a real tree, and keys that trip servers over."""

import filecmp
import hashlib
import os
import random
import shutil

from harness.workspace import Failed

BIG_BYTES = 64 * 1024 * 1024

# Every one is a key like any other. The last ones are not nice to shells, XML or file systems.
ODD_KEYS = [
    "a", "a/b", "a//b", "a/", "/leading", "//", "./x", "../../etc/passwd", "x/./y", "x/../y",
    "dir/", "with space", " lead and trail ", "plus+plus", "100%", "%41", "%2F", "q?x=1", "hash#y",
    "amp&amp;", "semi;colon,comma", "<tag>", "quote\"'`", "back\\slash", "dollar$(x)", "star*[a]",
    "caf\u00e9", "cafe\u0301", "\u65e5\u672c\u8a9e", "emoji \U0001f600", "line\nbreak", "tab\there",
    "cr\rhere", "\u007f", "\ue000", "~tilde~", "=", "x" * 300 + "/" + "y" * 300, "k" * 1024,
    "\u00e9" * 512,
]


class Data:
    """Made once, read by all lanes."""

    def __init__(self, ws, full=False):
        self.big = ws.path("big.bin")
        self.big_md5 = _write_big(self.big)
        self.tree = ws.path("tree")
        self.tree_files = _copy_tree(
            "/usr/share/doc", self.tree, *((10 ** 6, 10 ** 10) if full else (100, 15 * 10 ** 6)))


def _write_big(path):
    md5, rng = hashlib.md5(), random.Random(64)
    with open(path, "wb") as file:
        for _ in range(BIG_BYTES // 2 ** 20):
            block = rng.randbytes(2 ** 20)
            md5.update(block)
            file.write(block)
    return md5.hexdigest()


def _copy_tree(source, destination, max_files, max_bytes):
    """Copies the first regular files; returns their names relative to the tree, sorted."""
    names, total = [], 0
    for folder, folders, files in os.walk(source):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            total += os.path.getsize(path)
            if len(names) >= max_files or total > max_bytes:
                return sorted(names)
            relative = os.path.relpath(path, source)
            os.makedirs(os.path.dirname(os.path.join(destination, relative)), exist_ok=True)
            shutil.copyfile(path, os.path.join(destination, relative))
            names.append(relative)
    return sorted(names)


def same_tree(left, right, names):
    """Raises unless right holds exactly the named files with left's bytes."""
    found = sorted(os.path.relpath(os.path.join(d, f), right)
                   for d, _, files in os.walk(right) for f in files)
    if found != names:
        raise Failed(f"other files came back: {sorted(set(found) ^ set(names))[:5]}")
    _, differ, errors = filecmp.cmpfiles(left, right, names, shallow=False)
    if differ or errors:
        raise Failed(f"other bytes came back: {(differ + errors)[:5]}")


def file_md5(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
