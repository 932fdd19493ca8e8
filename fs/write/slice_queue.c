#include "fs/write/slice_queue.h"

#include "fs/volume.h"

#include <stddef.h>
#include <stdlib.h>

struct slice_storer {
    struct pool_job job;
    struct slice_queue *queue;
    struct pool **io;
    struct slice_storer *next_idle;
};

static struct slice_job *next_job(struct slice_queue *q)
{
    struct turn *turn;

    pthread_mutex_lock(&q->lock);
    turn = turns_next(&q->waiting);
    pthread_mutex_unlock(&q->lock);
    return turn != NULL ? (struct slice_job *)((char *)turn - offsetof(struct slice_job, turn))
                        : NULL;
}

static void run(struct pool_job *pool_job)
{
    struct slice_storer *one = (struct slice_storer *)pool_job;
    struct slice_queue *q = one->queue;
    struct slice_job *job = next_job(q);
    bool more;

    if (job != NULL)
        job->run(job);
    pthread_mutex_lock(&q->lock);
    more = q->waiting.count > 0;
    if (!more) {
        one->next_idle = q->idle;
        q->idle = one;
    }
    pthread_mutex_unlock(&q->lock);
    if (more)
        pool_submit_always(*one->io, &one->job);
}

enum err slice_queue_init(struct slice_queue *q, struct pool **io, size_t threads)
{
    *q = (struct slice_queue){.storers = calloc(threads, sizeof(*q->storers))};
    if (q->storers == NULL)
        return err_set(ERR_NOMEM, "out of memory for %zu writes to the store", threads);
    pthread_mutex_init(&q->lock, NULL);
    for (size_t i = 0; i < threads; i++) {
        q->storers[i] = (struct slice_storer){
            .job = {.run = run, .owner = IO_WRITES}, .queue = q, .io = io, .next_idle = q->idle};
        q->idle = &q->storers[i];
    }
    return OK;
}

void slice_queue_fini(struct slice_queue *q)
{
    if (q->storers == NULL)
        return;
    free(q->storers);
    q->storers = NULL;
    pthread_mutex_destroy(&q->lock);
}

void slice_queue_submit(struct slice_queue *q, struct slice_job *job)
{
    struct slice_storer *one;

    pthread_mutex_lock(&q->lock);
    turns_add(&q->waiting, &job->turn);
    one = q->idle;
    if (one != NULL)
        q->idle = one->next_idle;
    pthread_mutex_unlock(&q->lock);
    if (one != NULL)
        pool_submit_always(*one->io, &one->job);
}
