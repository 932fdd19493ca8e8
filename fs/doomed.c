#include "fs/doomed.h"

#include "fs/internal.h"
#include "meta/reclaim.h"

#define BATCH     256
#define ARENA_MAX ((size_t)16 << 20)

enum err doomed_round(struct fs *fs, bool (*stop)(void *arg), void *arg, size_t *out_deleted)
{
    struct arena *a = arena_new(ARENA_MAX);
    struct slice_name *slices, *gone;
    size_t count = 0, gone_count = 0;
    enum err failure = OK;
    enum err err = a != NULL ? doomed_take(fs->meta, a, BATCH, &slices, &count)
                             : err_set(ERR_NOMEM, "out of memory");

    *out_deleted = 0;
    if (err != OK) {
        arena_free(a);
        return err == ERR_NOT_FOUND ? OK : err;
    }
    gone = arena_array(a, count + 1, sizeof(*gone));
    if (gone == NULL)
        failure = err_set(ERR_NOMEM, "out of memory for %zu doomed slices", count);
    for (size_t i = 0; i < count && failure == OK && (stop == NULL || !stop(arg)); i++) {
        char name[SLICE_NAME_TEXT];

        slice_name_text(slices[i], name);
        failure = store_del(fs->store, name);
        if (failure == OK)
            gone[gone_count++] = slices[i];
        disk_cache_forget(fs->disk, slices[i]);
    }
    err = gone_count > 0 ? doomed_done(fs->meta, gone, gone_count) : OK;
    *out_deleted = gone_count;
    arena_free(a);
    return err != OK ? err : failure;
}
