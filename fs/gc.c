#include "fs/gc.h"

#include "base/clock.h"
#include "fs/doomed.h"
#include "fs/internal.h"
#include "meta/reclaim.h"
#include "meta/write.h"

#define NAP_MS      100
#define PATIENCE_MS 40000 /* without progress: epochs take two heartbeats of every session */

static bool anything(const struct gc_counts *left, bool wait)
{
    return left->files + left->pieces + left->links > left->kept || left->slices > 0 ||
           left->ranges > 0 || left->sessions > 0 || (wait && left->slices_again > 0);
}

static enum err round_of(struct fs *fs, struct progress *p, bool *out_did)
{
    size_t deleted = 0;
    bool folded;
    enum err err = write_fold(fs->meta, 1000, &folded);

    if (err == OK)
        err = reclaim_round(fs->meta, out_did);
    if (err == OK)
        err = doomed_round(fs, NULL, NULL, &deleted);
    progress_add(p, deleted, 0);
    *out_did = *out_did || deleted > 0;
    return err;
}

enum err gc_run(struct fs *fs, bool wait, struct progress *p, struct gc_counts *out_left)
{
    int64_t give_up = clock_boot_ms() + PATIENCE_MS;
    enum err err = OK;

    for (;;) {
        bool did = false;

        err = round_of(fs, p, &did);
        if (err == OK)
            err = gc_count(fs->meta, out_left);
        if (err != OK || !anything(out_left, wait))
            return err;
        if (did || (wait && out_left->slices_again > 0))
            give_up = clock_boot_ms() + PATIENCE_MS;
        if (clock_boot_ms() > give_up)
            return OK; /* what is left is told */
        if (!did)
            clock_nap(NAP_MS);
    }
}
