/*
 * Tags of the reads that run here, so that the heartbeat can publish the oldest one
 * (meta/README.md, "Epochs").
 */
#include "meta/core/handle.h"

#include "base/hooks.h"

/*
 * Tags are given in order of begin, and the fetched epoch never goes back: so the list is sorted
 * by epoch and its head has the smallest. A shared tag stands beside the one it is a copy of.
 */
void meta_read_begin(struct meta *m, struct meta_read *r)
{
    struct meta_reads *reads = &m->reads;
    pthread_mutex_lock(&reads->lock);
    r->epoch = reads->fetched;
    r->next = NULL;
    r->prev = reads->last;
    if (reads->last != NULL)
        reads->last->next = r;
    else
        reads->first = r;
    reads->last = r;
    pthread_mutex_unlock(&reads->lock);
}

void meta_read_share(struct meta *m, const struct meta_read *of, struct meta_read *r)
{
    struct meta_reads *reads = &m->reads;
    struct meta_read *before = (struct meta_read *)(uintptr_t)of;

    pthread_mutex_lock(&reads->lock);
    r->epoch = of->epoch;
    r->prev = before;
    r->next = before->next; /* beside it: the list stays sorted */
    if (before->next != NULL)
        before->next->prev = r;
    else
        reads->last = r;
    before->next = r;
    pthread_mutex_unlock(&reads->lock);
}

void meta_read_end(struct meta *m, struct meta_read *r)
{
    struct meta_reads *reads = &m->reads;
    pthread_mutex_lock(&reads->lock);
    if (r->prev != NULL)
        r->prev->next = r->next;
    else
        reads->first = r->next;
    if (r->next != NULL)
        r->next->prev = r->prev;
    else
        reads->last = r->prev;
    r->next = NULL;
    r->prev = NULL;
    pthread_mutex_unlock(&reads->lock);
}

uint64_t reads_published(struct meta *m)
{
    pthread_mutex_lock(&m->reads.lock);
    bool running = m->reads.first != NULL && !hook_broken("epochs");
    uint64_t epoch = running ? m->reads.first->epoch : m->reads.fetched;
    pthread_mutex_unlock(&m->reads.lock);
    return epoch;
}

uint64_t reads_oldest(struct meta *m)
{
    pthread_mutex_lock(&m->reads.lock);
    uint64_t epoch = m->reads.first != NULL ? m->reads.first->epoch : 0;
    pthread_mutex_unlock(&m->reads.lock);
    return epoch;
}

void reads_fetched(struct meta *m, uint64_t epoch)
{
    pthread_mutex_lock(&m->reads.lock);
    if (epoch > m->reads.fetched)
        m->reads.fetched = epoch;
    pthread_mutex_unlock(&m->reads.lock);
}
