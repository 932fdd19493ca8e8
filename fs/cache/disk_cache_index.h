/*
 * The inside of fs/cache/disk_cache.h: which slot has which granule (in memory, guarded by the
 * cache's lock), and the two files. The index in memory is made from the file when the folder is
 * opened.
 */
#ifndef KISEKI_FS_CACHE_DISK_CACHE_INDEX_H
#define KISEKI_FS_CACHE_DISK_CACHE_INDEX_H

#include "base/err.h"
#include "meta/files/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* len 0: the slot is free. */
struct disk_slot {
    struct slice_name slice;
    uint32_t granule, len;
};

struct disk_index {
    struct disk_slot *slots;
    uint8_t *hits;
    uint32_t *buckets, *chain; /* slot + 1; 0 ends */
    uint32_t count, mask;
    uint32_t hand; /* the slot to be looked at next, when one is needed */
    size_t used;
};

MUST_USE enum err disk_index_init(struct disk_index *x, uint32_t slots);
void disk_index_fini(struct disk_index *x);
/* The slot that has this granule, of this length; of any length. */
bool disk_index_find(const struct disk_index *x, const struct disk_slot *want, uint32_t *out);
bool disk_index_find_any(const struct disk_index *x, const struct disk_slot *want, uint32_t *out);
void disk_index_hit(struct disk_index *x, uint32_t slot, uint8_t most);
/* A slot for something new: a free one, or the next that was not hit since the hand came by. */
uint32_t disk_index_take(struct disk_index *x);
/* Into a free slot; passed over if the granule is there. */
void disk_index_add(struct disk_index *x, uint32_t slot, const struct disk_slot *entry);
void disk_index_remove(struct disk_index *x, uint32_t slot);

struct disk_files {
    int lock, data, index; /* -1: not open */
};

/* See disk_cache_open(). Fills the index with what the files have. */
MUST_USE enum err disk_files_open(const char *folder, uint64_t bytes, const char *volume_uuid,
                                  struct disk_files *out, struct disk_index *out_index);
void disk_files_close(struct disk_files *f);
/* False with errno when the disk failed or the file is too short. */
bool disk_files_read(const struct disk_files *f, uint32_t slot, void *data, uint32_t len);
bool disk_files_write(const struct disk_files *f, uint32_t slot, const void *data, uint32_t len);
bool disk_files_write_entry(const struct disk_files *f, uint32_t slot,
                            const struct disk_slot *entry);

#endif
