#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct pool {
    /* immutable after pool_new */
    size_t max_queued;
    char name[16];
    pthread_t *threads;
    size_t thread_count;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* a job came, or stopping */
    /* guarded by lock */
    struct pool_job *first;
    struct pool_job **last; /* where the next job's address goes */
    size_t queued;
    size_t idle;   /* threads in the condition's wait */
    size_t waking; /* signals that no idle thread has answered yet: at most idle */
    bool stopping;
};

/*
 * Under the lock. One idle thread at a time is on its way; it wakes the next when it finds more
 * than one job. So a burst of short jobs costs one or two switches of threads and not one each,
 * and yet no job waits while a thread idles that nobody has called.
 */
static void wake_one(struct pool *p)
{
    if (p->waking > 0 || p->idle == 0)
        return;
    p->waking++;
    pthread_cond_signal(&p->wake);
}

/* The next job; NULL when the pool stops and none is left. */
static struct pool_job *next_job(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->first && !p->stopping) {
        p->idle++;
        pthread_cond_wait(&p->wake, &p->lock);
        p->idle--;
        /* Of a thread that woke by itself this is not true, and a signal too many follows. */
        if (p->waking > 0)
            p->waking--;
    }
    struct pool_job *job = p->first;
    if (job) {
        p->first = job->next;
        if (!p->first)
            p->last = &p->first;
        else
            wake_one(p);
        p->queued--;
    }
    pthread_mutex_unlock(&p->lock);
    return job;
}

static void *work(void *arg)
{
    struct pool *p = arg;
    struct pool_job *job;

    pthread_setname_np(pthread_self(), p->name);
    for (job = next_job(p); job; job = next_job(p))
        job->run(job); /* may free the job */
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
        failure = pthread_create(&p->threads[p->thread_count], NULL, work, p);
        if (failure == 0)
            p->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

enum err pool_new(const char *name, size_t threads, size_t max_queued, struct pool **out)
{
    struct pool *p = calloc(1, sizeof(*p));

    *out = NULL;
    if (!p)
        return err_set(ERR_NOMEM, "no memory for the thread pool %s", name);
    p->max_queued = max_queued;
    p->last = &p->first;
    memcpy(p->name, name, strnlen(name, sizeof(p->name) - 1));
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->threads = calloc(threads ? threads : 1, sizeof(*p->threads));
    if (!p->threads) {
        pool_free(p);
        return err_set(ERR_NOMEM, "no memory for the thread pool %s", name);
    }
    int failure = start_threads(p, threads ? threads : 1);
    if (failure != 0) {
        size_t started = p->thread_count;
        pool_free(p);
        return err_set(ERR_BUSY, "thread %zu of %zu of the pool %s did not start: %s", started + 1,
                       threads, name, strerror(failure));
    }
    *out = p;
    return OK;
}

static bool submit(struct pool *p, struct pool_job *job, bool always)
{
    pthread_mutex_lock(&p->lock);
    bool fits = always || p->queued < p->max_queued;
    if (fits) {
        job->next = NULL;
        *p->last = job;
        p->last = &job->next;
        p->queued++;
        /* Under the lock: once it is let go, the job may run and cause the pool's end. */
        wake_one(p);
    }
    pthread_mutex_unlock(&p->lock);
    return fits;
}

enum err pool_submit(struct pool *p, struct pool_job *job)
{
    if (submit(p, job, false))
        return OK;
    return err_set(ERR_BUSY, "%zu jobs wait already for the pool %s", p->max_queued, p->name);
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

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->thread_count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p);
}
