/*
 * The volume's memory: opens and closes the budget of pages, the cache, which has the pages that
 * nobody holds, and the lists of those who hold pages or reservations.
 */
#include "fs/volume.h"
#include "fs/read/slice_reader.h"

#define PAGE_WAIT_MS 30000

enum err memory_open(struct fs *fs, uint64_t bytes)
{
    enum err err = pages_init(&fs->pages, bytes);

    fs->page_wait_ms = PAGE_WAIT_MS;
    holders_init(&fs->writers);
    holders_init(&fs->readers);
    reservations_init(&fs->reservations);
    if (err == OK)
        err = cache_new(&fs->pages, &fs->cache);
    if (err == OK) {
        pages_set_reclaim(&fs->pages, cache_evict_one, fs->cache);
        readahead_init(&fs->readahead, bytes);
        err = slice_table_new(fs, &fs->slices);
    }
    return err;
}

void memory_close(struct fs *fs)
{
    slice_table_free(fs->slices);
    readahead_fini(&fs->readahead);
    cache_free(fs->cache);
    pages_fini(&fs->pages);
    holders_fini(&fs->writers);
    holders_fini(&fs->readers);
    reservations_fini(&fs->reservations);
}
