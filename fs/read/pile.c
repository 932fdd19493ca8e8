#include "fs/read/pile.h"

#define PAGE_LINKS 4096
#define PAGE_ARENA ((size_t)4 << 20)

/* --- what is seen (pure) ---------------------------------------------------------------------- */

static struct pile_run part_of(const struct pile_run *r, uint64_t start, uint64_t end)
{
    struct pile_run part = *r;

    part.start = start;
    part.end = end;
    part.piece_off += start - r->start;
    return part;
}

static void keep(struct pile *to, const struct pile_run *r, uint64_t start, uint64_t end)
{
    if (start < end)
        to->runs[to->count++] = part_of(r, start, end);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/*
 * One pass from left to right: of each old run what lies before the new one, under it, behind it;
 * the new one is seen wherever an old one with a higher token is not. Each old run adds at most one
 * to the number of runs, and the new one one.
 */
void pile_add(struct pile *p, const struct object_extent *link)
{
    struct pile_run whole = {link->start, link->start + link->len, link->token, link->piece,
                             link->piece_off};
    struct pile old = *p;
    uint64_t lo = most(whole.start, p->from), hi = least(whole.end, p->until);
    uint64_t at = lo; /* of the new run, all before it is done */
    size_t i = 0;

    if (lo >= hi)
        return;
    p->count = 0;
    for (; i < old.count && old.runs[i].start < hi; i++) {
        const struct pile_run *r = &old.runs[i];

        if (r->end <= lo) {
            keep(p, r, r->start, r->end);
        } else if (r->token > whole.token) {
            keep(p, &whole, at, r->start);
            keep(p, r, r->start, r->end);
            at = most(at, least(r->end, hi));
        } else {
            keep(p, r, r->start, lo);
            if (r->end > hi) {
                keep(p, &whole, at, hi);
                at = hi;
                keep(p, r, hi, r->end);
            }
        }
    }
    keep(p, &whole, at, hi);
    for (; i < old.count; i++)
        p->runs[p->count++] = old.runs[i];
    if (p->count > p->max) {
        p->until = p->runs[p->max].start;
        p->count = p->max;
    }
}

/* --- reading it ------------------------------------------------------------------------------- */

/* All links, in order of (start, token), until those that come begin behind what is kept. */
static enum err add_all(struct meta *m, const struct object *o, struct pile *p)
{
    struct object_extent last = {0};
    enum err err = OK;
    bool more = true;

    while (err == OK && more && last.start < p->until) {
        struct arena *a = arena_new(PAGE_ARENA);
        struct object_extent *links;
        size_t count = 0;

        if (a == NULL)
            return err_set(ERR_NOMEM, "out of memory for a file's links");
        err = object_links(m, a, o, p->from, p->until - p->from, &last, PAGE_LINKS, &links, &count);
        for (size_t i = 0; err == OK && i < count; i++)
            pile_add(p, &links[i]);
        more = count == PAGE_LINKS;
        if (err == OK && count > 0)
            last = links[count - 1];
        arena_free(a);
    }
    return err;
}

enum err pile_extents(struct meta *m, struct arena *a, const struct object *o, uint64_t from,
                      uint64_t to, struct object_extent **out, size_t *out_count,
                      uint64_t *out_until)
{
    struct pile *p = arena_alloc(a, sizeof(*p));
    enum err err;

    *out_count = 0;
    if (p == NULL)
        return err_set(ERR_NOMEM, "out of memory for a file's links");
    *p = (struct pile){.max = PILE_RUNS, .from = from, .until = to};
    err = add_all(m, o, p);
    *out = arena_array(a, p->count + 1, sizeof(**out));
    if (err == OK && *out == NULL)
        err = err_set(ERR_NOMEM, "out of memory for a file's extents");
    for (size_t i = 0; err == OK && i < p->count; i++) {
        const struct pile_run *r = &p->runs[i];

        (*out)[i] = (struct object_extent){.start = r->start,
                                           .len = r->end - r->start,
                                           .piece_off = r->piece_off,
                                           .token = r->token,
                                           .piece = r->piece};
    }
    if (err == OK)
        err = object_records(m, a, *out, p->count);
    *out_count = p->count;
    *out_until = p->until;
    return err;
}
