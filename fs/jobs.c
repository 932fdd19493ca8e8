#include "fs/jobs.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/doomed.h"
#include "fs/internal.h"
#include "fs/merge.h"
#include "meta/reclaim.h"
#include "meta/write.h"

#include <stdlib.h>

#define ROUND_MS       1000
#define BACKOFF_MAX_MS 60000
#define FOLD_FILES     64
#define MERGE_RUNS     4 /* of 64 MiB at most, then other work has its turn */

struct jobs {
    struct fs *fs;
    pthread_t thread;
    /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool poked, stopping;
};

static bool is_stopping(void *jobs)
{
    struct jobs *j = jobs;
    bool stopping;

    pthread_mutex_lock(&j->lock);
    stopping = j->stopping;
    pthread_mutex_unlock(&j->lock);
    return stopping;
}

static enum err run_round(struct jobs *j, bool *out_did)
{
    bool folded, merged = false;
    size_t deleted = 0;
    enum err err;

    *out_did = false;
    err = write_fold(j->fs->meta, FOLD_FILES, &folded); /* a round a second is often enough */
    if (err == OK)
        err = reclaim_round(j->fs->meta, out_did);
    if (err == OK)
        err = doomed_round(j->fs, is_stopping, j, &deleted);
    if (err == OK)
        err = merge_round(j->fs, MERGE_RUNS, is_stopping, j, &merged);
    *out_did = *out_did || merged || deleted > 0;
    return err;
}

/* Waits until poked, stopped or `ms` have gone by; false when stopping. */
static bool wait_for_work(struct jobs *j, int64_t ms)
{
    struct timespec until = clock_mono_after(ms);
    bool go_on;

    pthread_mutex_lock(&j->lock);
    while (!j->poked && !j->stopping)
        if (pthread_cond_timedwait(&j->wake, &j->lock, &until) != 0)
            break;
    j->poked = false;
    go_on = !j->stopping;
    pthread_mutex_unlock(&j->lock);
    return go_on;
}

static void *jobs_main(void *arg)
{
    struct jobs *j = arg;
    int64_t pause_ms = ROUND_MS;

    while (wait_for_work(j, pause_ms)) {
        bool did;
        enum err err = run_round(j, &did);

        if (err == OK) {
            pause_ms = did ? 1 : ROUND_MS;
            continue;
        }
        if (err == ERR_CANCELLED)
            continue; /* stopping: the wait says so */
        pause_ms = pause_ms < ROUND_MS ? ROUND_MS : pause_ms * 2;
        if (pause_ms > BACKOFF_MAX_MS)
            pause_ms = BACKOFF_MAX_MS;
        log_warn("background work failed, again in %lld ms: %s", (long long)pause_ms,
                 err_text(err));
    }
    return NULL;
}

enum err jobs_start(struct fs *fs, struct jobs **out)
{
    struct jobs *j = calloc(1, sizeof(*j));
    pthread_condattr_t attr;

    *out = NULL;
    if (j == NULL)
        return err_set(ERR_NOMEM, "out of memory");
    j->fs = fs;
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&j->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&j->thread, NULL, jobs_main, j) != 0) {
        free(j);
        return err_set(ERR_NOMEM, "can not start the thread of background work");
    }
    pthread_setname_np(j->thread, "jobs");
    *out = j;
    return OK;
}

void jobs_poke(struct jobs *j)
{
    if (j == NULL)
        return;
    pthread_mutex_lock(&j->lock);
    j->poked = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

void jobs_cancel(struct jobs *j)
{
    if (j == NULL)
        return;
    pthread_mutex_lock(&j->lock);
    j->stopping = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

void jobs_stop(struct jobs *j)
{
    if (j == NULL)
        return;
    jobs_cancel(j);
    pthread_join(j->thread, NULL);
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    free(j);
}
