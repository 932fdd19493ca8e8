#include "fs/memory/page_queue.h"

static int class_of(size_t had)
{
    int class = 0;

    for (; had > 0 && class < PAGE_CLASSES - 1; had /= 2)
        class ++;
    return class;
}

void page_queue_add(struct page_queue *q, struct pages_waiter *w)
{
    w->class = class_of(w->had);
    w->number = q->waits++;
    w->next = NULL;
    w->prev = q->classes[w->class].last;
    *(w->prev != NULL ? &w->prev->next : &q->classes[w->class].first) = w;
    q->classes[w->class].last = w;
    q->count++;
    w->queued = true;
}

void page_queue_remove(struct page_queue *q, struct pages_waiter *w)
{
    *(w->prev != NULL ? &w->prev->next : &q->classes[w->class].first) = w->next;
    *(w->next != NULL ? &w->next->prev : &q->classes[w->class].last) = w->prev;
    q->count--;
    w->queued = false;
}

struct pages_waiter *page_queue_next(struct page_queue *q)
{
    bool oldest = q->count > 0 && ++q->turns % TURN_OF_OLDEST == 0;
    struct pages_waiter *next = NULL;

    for (int class = 0; class < PAGE_CLASSES; class ++) {
        struct pages_waiter *w = q->classes[class].first;

        if (w != NULL && (next == NULL || (oldest && w->number < next->number)))
            next = w;
    }
    if (next != NULL)
        page_queue_remove(q, next);
    return next;
}

struct pages_waiter *page_queue_expired(struct page_queue *q, int64_t now_boot_ms)
{
    for (int class = 0; class < PAGE_CLASSES; class ++) {
        struct pages_waiter *w = q->classes[class].first;

        if (w == NULL || w->deadline_ms > now_boot_ms)
            continue;
        page_queue_remove(q, w);
        return w;
    }
    return NULL;
}
