/* The files of a disk cache: see fs/cache/disk_cache.h. */
#include "base/hash.h"
#include "base/log.h"
#include "fs/cache/disk_cache_index.h"
#include "fs/memory/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC      "KISEKIC1"
#define SLOTS_MIN  16
#define SLOTS_MAX  (UINT32_MAX / 2)
#define READ_SLOTS 4096

/* As they stand in the file, in this machine's byte order: the cache does not move. */
struct file_header {
    char magic[8];
    char uuid[40];
    uint64_t slots;
    uint64_t crc; /* of what is before */
};

struct file_entry {
    uint64_t id, tag;
    uint32_t granule, len;
    uint64_t crc; /* of what is before it: a torn entry does not count */
};

static uint64_t entry_crc(const struct file_entry *e)
{
    return crc64nvme(1, e, offsetof(struct file_entry, crc));
}

static off_t entry_at(uint32_t slot)
{
    return (off_t)(sizeof(struct file_header) + (size_t)slot * sizeof(struct file_entry));
}

/* --- whole reads and writes ------------------------------------------------------------------- */

static bool read_at(int fd, void *data, size_t len, off_t at)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(fd, (char *)data + done, len - done, at + (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENODATA;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool write_at(int fd, const void *data, size_t len, off_t at)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, (const char *)data + done, len - done, at + (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

bool disk_files_read(const struct disk_files *f, uint32_t slot, void *data, uint32_t len)
{
    return read_at(f->data, data, len, (off_t)slot * (off_t)PAGE_BYTES);
}

bool disk_files_write(const struct disk_files *f, uint32_t slot, const void *data, uint32_t len)
{
    return write_at(f->data, data, len, (off_t)slot * (off_t)PAGE_BYTES);
}

bool disk_files_write_entry(const struct disk_files *f, uint32_t slot,
                            const struct disk_slot *entry)
{
    struct file_entry e = {entry->slice.id, entry->slice.tag, entry->granule, entry->len, 0};

    e.crc = entry_crc(&e);
    return write_at(f->index, &e, sizeof(e), entry_at(slot));
}

/* --- opening ---------------------------------------------------------------------------------- */

static enum err open_file(const char *folder, const char *name, int *out)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return err_set(ERR_INVALID, "the cache folder's name is too long");
    *out = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return *out >= 0 ? OK : err_set(ERR_IO, "disk cache: cannot open %s: %m", path);
}

static enum err open_folder(const char *folder, struct disk_files *f)
{
    enum err err = OK;

    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return err_set(ERR_IO, "disk cache: cannot make the folder %s: %m", folder);
    err = open_file(folder, "lock", &f->lock);
    if (err == OK && flock(f->lock, LOCK_EX | LOCK_NB) != 0)
        err =
            err_set(ERR_DENIED,
                    "the cache folder %s is used by another process: give each gateway one of its "
                    "own (--cache-dir)",
                    folder);
    if (err == OK)
        err = open_file(folder, "data", &f->data);
    if (err == OK)
        err = open_file(folder, "index", &f->index);
    return err;
}

static void make_header(struct file_header *h, const char *uuid, uint32_t slots)
{
    memset(h, 0, sizeof(*h));
    memcpy(h->magic, MAGIC, sizeof(h->magic));
    snprintf(h->uuid, sizeof(h->uuid), "%s", uuid);
    h->slots = slots;
    h->crc = crc64nvme(1, h, offsetof(struct file_header, crc));
}

/* What the index says; entries whose data is not there are found out when they are read. */
static void take_entries(const struct disk_files *f, struct disk_index *x)
{
    struct file_entry *page = malloc(READ_SLOTS * sizeof(*page));

    for (uint32_t from = 0; page != NULL && from < x->count; from += READ_SLOTS) {
        uint32_t count = x->count - from < READ_SLOTS ? x->count - from : READ_SLOTS;
        ssize_t n = pread(f->index, page, count * sizeof(*page), entry_at(from));

        for (uint32_t i = 0; n > 0 && i < (size_t)n / sizeof(*page); i++) {
            struct disk_slot s = {{page[i].id, page[i].tag}, page[i].granule, page[i].len};

            if (page[i].crc == entry_crc(&page[i]) && s.len > 0 && s.len <= PAGE_BYTES)
                disk_index_add(x, from + i, &s);
        }
    }
    free(page);
}

enum err disk_files_open(const char *folder, uint64_t bytes, const char *volume_uuid,
                         struct disk_files *out, struct disk_index *out_index)
{
    uint64_t room = bytes > sizeof(struct file_header) ? bytes - sizeof(struct file_header) : 0;
    uint64_t slots = room / (PAGE_BYTES + sizeof(struct file_entry));
    struct file_header wanted, found;
    enum err err;

    *out = (struct disk_files){-1, -1, -1};
    if (slots < SLOTS_MIN)
        return err_set(ERR_INVALID,
                       "a disk cache of %llu bytes is too small: give it %d MiB at least",
                       (unsigned long long)bytes, SLOTS_MIN / 16 + 1);
    slots = slots < SLOTS_MAX ? slots : SLOTS_MAX;
    err = disk_index_init(out_index, (uint32_t)slots);
    if (err == OK)
        err = open_folder(folder, out);
    if (err != OK)
        return err;
    make_header(&wanted, volume_uuid, (uint32_t)slots);
    if (read_at(out->index, &found, sizeof(found), 0) &&
        memcmp(&found, &wanted, sizeof(found)) == 0)
        take_entries(out, out_index);
    else if (ftruncate(out->index, 0) != 0 || ftruncate(out->data, 0) != 0 ||
             !write_at(out->index, &wanted, sizeof(wanted), 0))
        return err_set(ERR_IO, "disk cache: cannot write to %s: %m", folder);
    log_info("disk cache: %s has %zu of at most %u granules", folder, out_index->used,
             out_index->count);
    return OK;
}

void disk_files_close(struct disk_files *f)
{
    int files[] = {f->lock, f->data, f->index};

    for (size_t i = 0; i < 3; i++)
        if (files[i] >= 0)
            close(files[i]);
}
