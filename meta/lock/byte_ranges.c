#include "meta/lock/byte_ranges.h"

#include <stddef.h>

static bool conflict(const struct byte_range *a, const struct byte_range *b)
{
    return (a->exclusive || b->exclusive) && a->lo < b->hi && b->lo < a->hi;
}

static bool must_wait(const struct byte_range *r)
{
    for (const struct byte_range *b = r->prev; b != NULL; b = b->prev)
        if (conflict(b, r))
            return true;
    return false;
}

void byte_ranges_add(struct byte_ranges *s, struct byte_range *r)
{
    r->next = NULL;
    r->prev = s->last;
    *(s->last != NULL ? &s->last->next : &s->first) = r;
    s->last = r;
    r->granted = !must_wait(r);
}

void byte_ranges_remove(struct byte_ranges *s, struct byte_range *r)
{
    *(r->prev != NULL ? &r->prev->next : &s->first) = r->next;
    *(r->next != NULL ? &r->next->prev : &s->last) = r->prev;
    r->next = NULL;
    r->prev = NULL;
}

struct byte_range *byte_ranges_next(struct byte_ranges *s)
{
    for (struct byte_range *r = s->first; r != NULL; r = r->next) {
        if (r->granted || must_wait(r))
            continue;
        r->granted = true;
        return r;
    }
    return NULL;
}
