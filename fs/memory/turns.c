#include "fs/memory/turns.h"

#define EXACT 8 /* pages: below, each number is a class of its own */

static int class_of(size_t pages)
{
    int class = EXACT - 1;

    if (pages <= EXACT)
        return (int)pages;
    for (; pages >= 2 * (size_t)EXACT; pages /= 2)
        class += 2;
    class += pages >= EXACT + EXACT / 2 ? 2 : 1;
    return class < TURN_CLASSES ? class : TURN_CLASSES - 1;
}

static struct turn_list *list_of(struct turns *all, const struct turn *one)
{
    struct turn_class *class = &all->classes[one->class];

    return one->left > 0 ? &class->begun : &class->fresh;
}

static struct turn *first_of(const struct turn_class *class)
{
    return class->begun.first != NULL ? class->begun.first : class->fresh.first;
}

void turns_add(struct turns *all, struct turn *one)
{
    struct turn_class *class;
    struct turn_list *list;

    one->class = class_of(one->pages);
    class = &all->classes[one->class];
    /* A class that was empty gets no credit for the time in which it asked for nothing. */
    if (first_of(class) == NULL && class->served < all->clock)
        class->served = all->clock;
    list = list_of(all, one);
    one->next = NULL;
    one->prev = list->last;
    *(one->prev != NULL ? &one->prev->next : &list->first) = one;
    list->last = one;
    class->count++;
    all->count++;
    one->queued = true;
}

void turns_remove(struct turns *all, struct turn *one)
{
    struct turn_list *list = list_of(all, one);

    *(one->prev != NULL ? &one->prev->next : &list->first) = one->next;
    *(one->next != NULL ? &one->next->prev : &list->last) = one->prev;
    all->classes[one->class].count--;
    all->count--;
    one->queued = false;
}

struct turn *turns_next(struct turns *all)
{
    struct turn_class *class = NULL;
    struct turn *one;

    for (int i = 0; i < TURN_CLASSES; i++) {
        struct turn_class *other = &all->classes[i];

        if (first_of(other) != NULL && (class == NULL || other->served < class->served))
            class = other;
    }
    if (class == NULL)
        return NULL;
    one = first_of(class);
    turns_remove(all, one);
    all->clock = class->served;
    class->served += one->cost;
    if (one->left == 0)
        one->left = TURN_COST;
    one->left -= one->cost < one->left ? one->cost : one->left;
    return one;
}

struct turn *turns_last(struct turns *all)
{
    struct turn_class *largest = &all->classes[0];
    struct turn *one;

    for (int i = 1; i < TURN_CLASSES; i++)
        if (all->classes[i].count > largest->count)
            largest = &all->classes[i];
    one = largest->fresh.last != NULL ? largest->fresh.last : largest->begun.last;
    turns_remove(all, one);
    return one;
}

static bool is_over(const struct turn *one, int64_t now_boot_ms)
{
    return one != NULL && one->deadline_ms <= now_boot_ms;
}

struct turn *turns_expired(struct turns *all, int64_t now_boot_ms)
{
    for (int i = 0; i < TURN_CLASSES; i++) {
        struct turn_class *class = &all->classes[i];
        struct turn *one = is_over(class->begun.first, now_boot_ms)   ? class->begun.first
                           : is_over(class->fresh.first, now_boot_ms) ? class->fresh.first
                                                                      : NULL;

        if (one == NULL)
            continue;
        turns_remove(all, one);
        return one;
    }
    return NULL;
}
