#include "base/pool.h"

#include "base/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

struct worker {
    struct pool *pool;
    pthread_t thread;
    /* guarded by the pool's lock */
    bool busy;
    uint64_t owner; /* of the job that runs */
};

struct pool {
    /* immutable after pool_open */
    struct pool_options options;
    char name[16];
    struct worker *workers;
    size_t thread_count;
    pthread_t clock; /* runs what is late */
    bool has_clock;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* a job came, or stopping */
    pthread_cond_t tick; /* of the clock: something is queued and no thread is idle, or stopping */
    /* guarded by lock */
    struct pool_job *first;
    struct pool_job **last; /* where the next job's address goes */
    size_t queued;
    size_t idle;   /* threads in the condition's wait */
    size_t waking; /* signals that no idle thread has answered yet: at most idle */
    uint64_t late;
    bool clock_idle; /* it waits for something to be queued */
    bool stopping;
};

/* --- choosing a job (under the lock) ---------------------------------------------------------- */

/*
 * One idle thread at a time is on its way; it wakes the next when it finds more than one job. So a
 * burst of short jobs costs one or two switches of threads and not one each, and yet no job waits
 * while an idle thread was not woken.
 */
static void wake_one(struct pool *p)
{
    if (p->waking > 0 || p->idle == 0)
        return;
    p->waking++;
    pthread_cond_signal(&p->wake);
}

static size_t running_of(const struct pool *p, uint64_t owner)
{
    size_t n = 0;

    for (size_t i = 0; i < p->thread_count; i++)
        n += p->workers[i].busy && p->workers[i].owner == owner;
    return n;
}

/* Where the job is linked that is next: of the owner with the fewest jobs running. */
static struct pool_job **fairest(struct pool *p)
{
    struct pool_job **best = &p->first;
    size_t fewest = SIZE_MAX;

    for (struct pool_job **at = &p->first; *at != NULL && fewest > 0; at = &(*at)->next) {
        size_t running = running_of(p, (*at)->owner);

        if (running < fewest) {
            fewest = running;
            best = at;
        }
    }
    return best;
}

static struct pool_job *unlink_job(struct pool *p, struct pool_job **at)
{
    struct pool_job *job = *at;

    *at = job->next;
    if (p->last == &job->next)
        p->last = at;
    p->queued--;
    return job;
}

/* --- threads ---------------------------------------------------------------------------------- */

/* The next job; NULL when the pool stops and none is left. */
static struct pool_job *next_job(struct pool *p, struct worker *w)
{
    struct pool_job *job = NULL;

    pthread_mutex_lock(&p->lock);
    w->busy = false;
    while (p->first == NULL && !p->stopping) {
        p->idle++;
        pthread_cond_wait(&p->wake, &p->lock);
        p->idle--;
        /* Of a thread that woke by itself this is not true, and a signal too many follows. */
        if (p->waking > 0)
            p->waking--;
    }
    if (p->first != NULL) {
        job = unlink_job(p, p->options.fair ? fairest(p) : &p->first);
        if (p->first != NULL)
            wake_one(p);
        w->busy = true;
        w->owner = job->owner;
    }
    pthread_mutex_unlock(&p->lock);
    return job;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;
    struct pool_job *job;

    pthread_setname_np(pthread_self(), p->name);
    if (p->options.nice > 0) /* of this thread alone, on Linux; without it all is only slower */
        (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), p->options.nice);
    for (job = next_job(p, w); job != NULL; job = next_job(p, w))
        job->run(job); /* may free the job */
    return NULL;
}

/* The queue is in order of arrival, hence of due_us. */
static void *clock_main(void *arg)
{
    struct pool *p = arg;

    pthread_setname_np(pthread_self(), p->name);
    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        int64_t left_ms = p->first != NULL ? (p->first->due_us - clock_mono_us()) / 1000 + 1 : 0;

        if (p->first == NULL) {
            p->clock_idle = true;
            pthread_cond_wait(&p->tick, &p->lock);
            p->clock_idle = false;
        } else if (p->first->due_us > clock_mono_us()) {
            struct timespec until = clock_mono_after(left_ms);

            pthread_cond_clockwait(&p->tick, &p->lock, CLOCK_MONOTONIC, &until);
        } else {
            struct pool_job *job = unlink_job(p, &p->first);

            p->late++;
            pthread_mutex_unlock(&p->lock);
            job->late = true;
            job->run(job);
            pthread_mutex_lock(&p->lock);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Signals are the main thread's: workers start with all of them blocked. */
static int start_threads(struct pool *p, size_t count)
{
    sigset_t all, before;
    int failure = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (p->thread_count < count && failure == 0) {
        struct worker *w = &p->workers[p->thread_count];

        w->pool = p;
        failure = pthread_create(&w->thread, NULL, work, w);
        if (failure == 0) {
            pthread_mutex_lock(&p->lock);
            p->thread_count++;
            pthread_mutex_unlock(&p->lock);
        }
    }
    if (failure == 0 && p->options.wait_ms > 0) {
        failure = pthread_create(&p->clock, NULL, clock_main, p);
        p->has_clock = failure == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

/* --- interface -------------------------------------------------------------------------------- */

enum err pool_open(const struct pool_options *o, struct pool **out)
{
    struct pool *p = calloc(1, sizeof(*p));
    size_t threads = o->threads > 0 ? o->threads : 1;

    *out = NULL;
    if (p == NULL)
        return err_set(ERR_NOMEM, "no memory for the thread pool %s", o->name);
    p->options = *o;
    p->last = &p->first;
    memcpy(p->name, o->name, strnlen(o->name, sizeof(p->name) - 1));
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->tick, NULL);
    p->workers = calloc(threads, sizeof(*p->workers));
    if (p->workers == NULL) {
        pool_free(p);
        return err_set(ERR_NOMEM, "no memory for the thread pool %s", o->name);
    }
    int failure = start_threads(p, threads);
    if (failure != 0) {
        size_t started = p->thread_count;
        pool_free(p);
        return err_set(ERR_BUSY, "thread %zu of %zu of the pool %s did not start: %s", started + 1,
                       threads, o->name, strerror(failure));
    }
    *out = p;
    return OK;
}

enum err pool_new(const char *name, size_t threads, size_t max_queued, struct pool **out)
{
    struct pool_options o = {.name = name, .threads = threads, .max_queued = max_queued};

    return pool_open(&o, out);
}

static bool submit(struct pool *p, struct pool_job *job, bool always)
{
    pthread_mutex_lock(&p->lock);
    bool fits = always || p->queued < p->options.max_queued;
    if (fits) {
        job->next = NULL;
        job->late = false;
        if (p->has_clock)
            job->due_us = clock_mono_us() + p->options.wait_ms * 1000;
        *p->last = job;
        p->last = &job->next;
        p->queued++;
        /* Under the lock: once it is let go, the job may run and cause the pool's end. */
        wake_one(p);
        if (p->clock_idle && p->queued > p->idle)
            pthread_cond_signal(&p->tick);
    }
    pthread_mutex_unlock(&p->lock);
    return fits;
}

enum err pool_submit(struct pool *p, struct pool_job *job)
{
    if (submit(p, job, false))
        return OK;
    return err_set(ERR_BUSY, "%zu jobs wait already for the pool %s", p->options.max_queued,
                   p->name);
}

void pool_submit_always(struct pool *p, struct pool_job *job)
{
    submit(p, job, true);
}

size_t pool_queued(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    size_t queued = p->queued;
    pthread_mutex_unlock(&p->lock);
    return queued;
}

uint64_t pool_late(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    uint64_t late = p->late;
    pthread_mutex_unlock(&p->lock);
    return late;
}

void pool_free(struct pool *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->wake);
    pthread_cond_signal(&p->tick);
    pthread_mutex_unlock(&p->lock);
    if (p->has_clock)
        pthread_join(p->clock, NULL);
    for (size_t i = 0; i < p->thread_count; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->tick);
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
}
