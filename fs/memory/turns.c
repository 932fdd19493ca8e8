#include "fs/memory/turns.h"

static int class_of(size_t pages)
{
    int class = 0;

    for (; pages > 0 && class < TURN_CLASSES - 1; pages /= 2)
        class ++;
    return class;
}

void turns_add(struct turns *all, struct turn *one)
{
    one->class = class_of(one->pages);
    one->number = all->waits++;
    one->next = NULL;
    one->prev = all->classes[one->class].last;
    *(one->prev != NULL ? &one->prev->next : &all->classes[one->class].first) = one;
    all->classes[one->class].last = one;
    all->count++;
    one->queued = true;
}

void turns_remove(struct turns *all, struct turn *one)
{
    *(one->prev != NULL ? &one->prev->next : &all->classes[one->class].first) = one->next;
    *(one->next != NULL ? &one->next->prev : &all->classes[one->class].last) = one->prev;
    all->count--;
    one->queued = false;
}

struct turn *turns_next(struct turns *all)
{
    bool oldest = all->count > 0 && ++all->taken % TURN_OF_OLDEST == 0;
    struct turn *next = NULL;

    for (int class = 0; class < TURN_CLASSES; class ++) {
        struct turn *one = all->classes[class].first;

        if (one != NULL && (next == NULL || (oldest && one->number < next->number)))
            next = one;
    }
    if (next != NULL)
        turns_remove(all, next);
    return next;
}

struct turn *turns_expired(struct turns *all, int64_t now_boot_ms)
{
    for (int class = 0; class < TURN_CLASSES; class ++) {
        struct turn *one = all->classes[class].first;

        if (one == NULL || one->deadline_ms > now_boot_ms)
            continue;
        turns_remove(all, one);
        return one;
    }
    return NULL;
}
