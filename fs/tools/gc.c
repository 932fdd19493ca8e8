#include "fs/tools/gc.h"

#include "base/clock.h"
#include "fs/volume.h"
#include "fs/jobs.h"

#define BUDGET      100000
#define LEASE_MS    120000
#define NAP_MS      100
#define PATIENCE_MS 40000 /* without progress: epochs take two heartbeats of every session */

static bool anything(const struct gc_counts *left, bool wait)
{
    return left->files + left->pieces + left->links > left->kept || left->slices > 0 ||
           left->ranges > 0 || left->sessions > 0 || (wait && left->slices_again > 0);
}

/* A round of each job that frees something. */
static enum err round_of(struct fs *fs, struct progress *p, bool *out_did)
{
    enum err err = OK;

    *out_did = false;
    for (size_t i = 0; i < jobs_table_count && err == OK; i++) {
        const struct job *job = &jobs_table[i];
        struct job_round r = {.name = job->name, .lease_ms = LEASE_MS, .budget = BUDGET};

        if (!job->frees)
            continue;
        err = job->fs_round != NULL ? job->fs_round(fs, &r) : job->meta_round(fs->meta, &r);
        if (job->fs_round != NULL)
            progress_add(p, r.done, 0); /* slices deleted */
        *out_did = *out_did || r.done > 0 || (r.more && job->fs_round == NULL);
    }
    return err;
}

static void say_what_is_awaited(struct progress *p, const struct gc_counts *left)
{
    if (left->files + left->pieces + left->links > left->kept || left->slices > 0)
        progress_wait(p, "waiting for readers of gateways to move on");
    else if (left->slices_again > 0)
        progress_wait(p, "waiting up to %lld s to delete %lld slices a second time",
                      (long long)(left->again_in_ms > 0 ? left->again_in_ms / 1000 + 1 : 0),
                      (long long)left->slices_again);
    else
        progress_wait(p, "waiting for sessions whose lease is over");
}

enum err gc_run(struct fs *fs, bool wait, struct progress *p, struct gc_counts *out_left)
{
    int64_t give_up = clock_boot_ms() + PATIENCE_MS;
    enum err err = gc_retry(fs->meta);

    while (err == OK) {
        bool did = false;

        err = round_of(fs, p, &did);
        if (err == OK)
            err = gc_count(fs->meta, out_left);
        if (err != OK || !anything(out_left, wait))
            return err;
        if (did || (wait && out_left->slices_again > 0))
            give_up = clock_boot_ms() + PATIENCE_MS;
        if (clock_boot_ms() > give_up)
            return OK; /* what is left is reported */
        if (!did) {
            say_what_is_awaited(p, out_left);
            clock_nap(NAP_MS);
        }
    }
    return err;
}
