"""What stands behind a gateway: its rows, its backing objects, its memory and its threads."""

import os
import sqlite3

from harness.runner import check
from harness.s3 import S3
from harness.workspace import Failed, wait_for

MARKER = "volume"


def sql(volume, text):
    """The rows of one statement, as tuples of integers and texts; empty columns are texts."""
    if volume.way == "sqlite":
        db = sqlite3.connect(f"{volume.dir}/meta.db", isolation_level=None, timeout=20)
        try:
            return [tuple(row) for row in db.execute(text).fetchall()]
        finally:
            db.close()
    lines = volume.postgres.sql(text, volume.database).splitlines()
    return [tuple(int(v) if v.lstrip("-").isdigit() else v for v in line.split("|"))
            for line in lines]


def value(volume, text):
    return sql(volume, text)[0][0]


def objects(volume):
    """The names of all backing objects, of unfinished files too."""
    if volume.way == "sqlite":
        return {os.path.relpath(os.path.join(folder, name), volume.store_dir)
                for folder, _, names in os.walk(volume.store_dir) for name in names
                if not (folder.endswith("/.tmp") and name.endswith(".lock"))}
    s3 = _store(volume)
    try:
        return {key.removeprefix("slices/") for key in s3.list_keys(volume.database)}
    finally:
        s3.close()


def name(slice_id, tag):
    """The object of a slice."""
    tag &= 2 ** 64 - 1  # rows keep it signed
    return (f"slices/{slice_id & 0xff:02x}/{slice_id >> 8 & 0xff:02x}/"
            f"{slice_id:016x}-{tag:016x}")


def referenced(volume):
    """The names that the rows say should be there."""
    return {name(*row) for row in sql(volume, "SELECT id, tag FROM slices")} | {MARKER}


def _store(volume):
    return S3(volume.minio.endpoint, volume.minio.access_key, volume.minio.secret_key)


def _path(volume, object_name):
    return os.path.join(volume.store_dir, object_name)


def get_object(volume, object_name):
    if volume.way == "sqlite":
        with open(_path(volume, object_name), "rb") as file:
            return file.read()
    s3 = _store(volume)
    try:
        return s3.get(volume.database, "slices/" + object_name).body
    finally:
        s3.close()


def put_object(volume, object_name, body):
    """Whatever the store had there."""
    if volume.way == "sqlite":
        path = _path(volume, object_name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(body)
        return
    s3 = _store(volume)
    try:
        check(s3.put(volume.database, "slices/" + object_name, body).status == 200, "PUT behind")
    finally:
        s3.close()


def delete_object(volume, object_name):
    if volume.way == "sqlite":
        os.remove(_path(volume, object_name))
        return
    s3 = _store(volume)
    try:
        check(s3.delete(volume.database, "slices/" + object_name).status == 204, "DELETE behind")
    finally:
        s3.close()


def no_trace(volume, seconds=60):
    """Waits for the background jobs; then exactly what is referenced is in the store. The slices
    of a broken upload that are on their way are stored first, then doomed, then deleted: until
    then no row speaks of them."""
    def settled():
        freed = value(volume, "SELECT (SELECT count(*) FROM dead) + "
                              "(SELECT count(*) FROM doomed WHERE passes = 0)") == 0
        return freed and not objects(volume) - referenced(volume)

    try:
        wait_for("what died is freed", settled, seconds)
    except Failed:
        pass  # the check says what is left
    there, wanted = objects(volume), referenced(volume)
    check(there == wanted, f"{len(there - wanted)} objects too many {sorted(there - wanted)[:3]}, "
                           f"{len(wanted - there)} missing {sorted(wanted - there)[:3]}")


def _status(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    raise OSError(f"/proc/{pid}/status has no {field}")


def peak_mib(gateway):
    """The most memory that was ever resident; reset_peak() starts anew."""
    return _status(gateway.process.pid, "VmHWM") / 1024


def rss_mib(gateway):
    return _status(gateway.process.pid, "VmRSS") / 1024


def reset_peak(gateway):
    with open(f"/proc/{gateway.process.pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def threads(gateway):
    return len(os.listdir(f"/proc/{gateway.process.pid}/task"))
