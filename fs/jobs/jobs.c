/*
 * The threads of the background jobs: one a job, which runs rounds, waits out its period or its
 * backoff, and can be poked. What a round does stands in the row's function; here is only when it
 * runs, and what is counted.
 */
#include "fs/jobs.h"

#include "base/clock.h"
#include "base/hooks.h"
#include "base/log.h"
#include "fs/jobs/doomed.h"
#include "fs/volume.h"
#include "fs/jobs/merge.h"
#include "meta/files/reclaim.h"
#include "meta/files/write.h"

#include <stdlib.h>

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 60000
#define YIELD_MS       1 /* between rounds while there is more to do */

/*
 * The jobs. Leases are long enough for the slowest step between two transactions; budgets are about
 * a second's work.
 */
const struct job jobs_table[] = {
    {"sessions", 1000, 30000, 256, .meta_round = sessions_round, .frees = true},
    {"fold", 1000, 30000, 1024, .meta_round = fold_round, .frees = true},
    {"reclaim", 1000, 30000, 16384, .meta_round = reclaim_round, .frees = true},
    {"usage", 1000, 30000, 100000, .meta_round = usage_round, .frees = true},
    {"buckets", 1000, 30000, 10000, .meta_round = buckets_round, .frees = true},
    {"uploads", 60000, 30000, 10000, .meta_round = uploads_round, .frees = true},
    {"doomed", 1000, 120000, 4096, .fs_round = doomed_round, .frees = true},
    {"merge", 1000, 60000, 4, .fs_round = merge_round}, /* of 64 MiB at most */
};
#define TABLE_COUNT (sizeof(jobs_table) / sizeof(jobs_table[0]))
const size_t jobs_table_count = TABLE_COUNT;
_Static_assert(TABLE_COUNT <= JOBS_MAX, "room for them");

struct runner {
    struct jobs *jobs;
    struct job job;
    void *owner;
    pthread_t thread;
    /* guarded by jobs->lock */
    bool poked;
    struct job_stats stats;
};

struct jobs {
    struct fs *fs;
    pthread_mutex_t lock;
    /* guarded by lock */
    pthread_cond_t wake;
    bool stopping;
    size_t count; /* of runners that have a thread */
    struct runner runners[JOBS_MAX];
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

static enum err run_round(struct runner *r, struct job_round *round)
{
    const struct job *job = &r->job;

    *round = (struct job_round){.name = job->name,
                                .lease_ms = job->lease_ms,
                                .budget = job->budget,
                                .stop = is_stopping,
                                .arg = r->jobs};
    if (hook_broken("jobs"))
        return OK;
    if (job->meta_round != NULL)
        return job->meta_round(r->jobs->fs->meta, round);
    if (job->fs_round != NULL)
        return job->fs_round(r->jobs->fs, round);
    return job->round(r->owner, round);
}

/* Waits until poked, stopped or `ms` have gone by; false when stopping. */
static bool wait_for_work(struct runner *r, int64_t ms, bool may_poke)
{
    struct jobs *j = r->jobs;
    struct timespec until = clock_mono_after(ms);
    bool go_on;

    pthread_mutex_lock(&j->lock);
    while (!(may_poke && r->poked) && !j->stopping)
        if (pthread_cond_timedwait(&j->wake, &j->lock, &until) != 0)
            break;
    r->poked = false;
    go_on = !j->stopping;
    pthread_mutex_unlock(&j->lock);
    return go_on;
}

static void count(struct runner *r, enum err err, const struct job_round *round)
{
    pthread_mutex_lock(&r->jobs->lock);
    if (err == OK) {
        r->stats.rounds++;
        r->stats.last_success_ms = clock_wall_ms();
    } else {
        r->stats.failures++;
    }
    r->stats.items += round->done;
    r->stats.set_aside += round->failed;
    pthread_mutex_unlock(&r->jobs->lock);
}

/* The next pause. Only the first of a row of failures is a warning: others say nothing new. */
static int64_t after_failure(const struct runner *r, int64_t backoff_ms, enum err err)
{
    int64_t next = backoff_ms == 0 ? BACKOFF_MIN_MS : backoff_ms * 2;

    if (next > BACKOFF_MAX_MS)
        next = BACKOFF_MAX_MS;
    if (backoff_ms == 0)
        log_warn("the job %s failed, again in %lld ms and then more rarely: %s", r->job.name,
                 (long long)next, err_text(err));
    else
        log_debug("the job %s failed, again in %lld ms: %s", r->job.name, (long long)next,
                  err_text(err));
    return next;
}

static void *runner_main(void *arg)
{
    struct runner *r = arg;
    int64_t pause_ms = r->job.period_ms < BACKOFF_MIN_MS ? r->job.period_ms : BACKOFF_MIN_MS;
    int64_t backoff_ms = 0;

    while (wait_for_work(r, pause_ms, backoff_ms == 0)) {
        struct job_round round;
        enum err err = run_round(r, &round);

        if (err == ERR_CANCELLED)
            continue; /* stopping: the wait says so */
        count(r, err, &round);
        if (err != OK) {
            pause_ms = backoff_ms = after_failure(r, backoff_ms, err);
            continue;
        }
        if (backoff_ms > 0)
            log_info("the job %s works again", r->job.name);
        backoff_ms = 0;
        pause_ms = round.more ? YIELD_MS : r->job.period_ms;
    }
    return NULL;
}

/* --- interface -------------------------------------------------------------------------------- */

enum err jobs_add(struct jobs *j, const struct job *job, void *owner)
{
    struct runner *r;
    char name[16] = "job-";

    if (j->count == JOBS_MAX)
        return err_set(ERR_NOMEM, "more than %d background jobs", JOBS_MAX);
    pthread_mutex_lock(&j->lock);
    r = &j->runners[j->count];
    *r = (struct runner){.jobs = j, .job = *job, .owner = owner, .stats = {.name = job->name}};
    pthread_mutex_unlock(&j->lock);
    if (pthread_create(&r->thread, NULL, runner_main, r) != 0)
        return err_set(ERR_NOMEM, "cannot start the thread of the job %s", job->name);
    for (size_t i = 4; i < sizeof(name) - 1 && job->name[i - 4] != '\0'; i++)
        name[i] = job->name[i - 4];
    pthread_setname_np(r->thread, name);
    pthread_mutex_lock(&j->lock);
    j->count++;
    pthread_mutex_unlock(&j->lock);
    return OK;
}

enum err jobs_start(struct fs *fs, struct jobs **out)
{
    struct jobs *j = calloc(1, sizeof(*j));
    pthread_condattr_t attr;
    enum err err = OK;

    *out = NULL;
    if (j == NULL)
        return err_set(ERR_NOMEM, "out of memory");
    j->fs = fs;
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&j->wake, &attr);
    pthread_condattr_destroy(&attr);
    for (size_t i = 0; i < TABLE_COUNT && err == OK; i++)
        err = jobs_add(j, &jobs_table[i], NULL);
    if (err == OK)
        *out = j;
    else
        jobs_stop(j);
    return err;
}

void jobs_poke(struct jobs *j)
{
    if (j == NULL)
        return;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < j->count; i++)
        j->runners[i].poked = true;
    pthread_cond_broadcast(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

void jobs_cancel(struct jobs *j)
{
    if (j == NULL)
        return;
    pthread_mutex_lock(&j->lock);
    j->stopping = true;
    pthread_cond_broadcast(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

void jobs_stop(struct jobs *j)
{
    if (j == NULL)
        return;
    jobs_cancel(j);
    for (size_t i = 0; i < j->count; i++)
        pthread_join(j->runners[i].thread, NULL);
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

size_t jobs_stats(struct jobs *j, struct job_stats *out, size_t max)
{
    size_t n = 0;

    if (j == NULL)
        return 0;
    pthread_mutex_lock(&j->lock);
    for (; n < j->count && n < max; n++)
        out[n] = j->runners[n].stats;
    pthread_mutex_unlock(&j->lock);
    return n;
}
