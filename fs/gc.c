#include "fs/gc.h"

#include "base/clock.h"
#include "fs/doomed.h"
#include "fs/internal.h"
#include "meta/reclaim.h"
#include "meta/write.h"

#define BUDGET      100000
#define LEASE_MS    120000
#define NAP_MS      100
#define PATIENCE_MS 40000 /* without progress: epochs take two heartbeats of every session */

static bool anything(const struct gc_counts *left, bool wait)
{
    return left->files + left->pieces + left->links > left->kept || left->slices > 0 ||
           left->ranges > 0 || left->sessions > 0 || (wait && left->slices_again > 0);
}

static enum err round_of(struct fs *fs, struct progress *p, bool *out_did)
{
    static const struct {
        const char *name;
        enum err (*round)(struct meta *m, struct job_round *r);
    } rounds[] = {{"sessions", sessions_round}, {"fold", fold_round},
                  {"reclaim", reclaim_round},   {"usage", usage_round},
                  {"buckets", buckets_round},   {"uploads", uploads_round}};
    struct job_round last = {.name = "doomed", .lease_ms = LEASE_MS, .budget = BUDGET};
    enum err err = OK;

    *out_did = false;
    for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]) && err == OK; i++) {
        struct job_round r = {.name = rounds[i].name, .lease_ms = LEASE_MS, .budget = BUDGET};

        err = rounds[i].round(fs->meta, &r);
        *out_did = *out_did || r.done > 0 || r.more;
    }
    if (err == OK)
        err = doomed_round(fs, &last);
    progress_add(p, last.done, 0);
    *out_did = *out_did || last.done > 0;
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
