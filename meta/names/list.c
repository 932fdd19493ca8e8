/*
 * Lists keys page by page. With a delimiter a common prefix is skipped by a probe of the index
 * behind it, so a page costs the same however many keys share a prefix.
 */
#include "meta/names/list.h"

#include "meta/names/object_internal.h"

#include <string.h>

/* With a delimiter, so many keys are looked at before it is decided how to go on. */
#define SAMPLE 64

/* Columns of both statements. */
enum { COL_BUCKET, COL_GENERATION, COL_OWNER, COL_VERSIONING, COL_KEY, COL_CUT, COL_ATTR };

struct str object_joined(struct arena *a, struct str s, char byte)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (copy == NULL)
        return STR_NONE;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = byte;
    return (struct str){copy, s.len + 1};
}

/* The keys to look at: [from, to). */
static enum err bounds(struct arena *a, const struct object_list_query *q, struct str *out_from,
                       struct str *out_to)
{
    struct str from = q->prefix;
    *out_to = object_joined(a, q->prefix, OBJECT_AFTER_ALL);
    if (q->after.len > 0) {
        struct str behind =
            object_joined(a, q->after, q->after_is_prefix ? OBJECT_AFTER_ALL : OBJECT_NEXT);
        if (behind.ptr == NULL)
            return err_set(ERR_NOMEM, "no memory for a listing");
        if (str_cmp(behind, from) > 0)
            from = behind;
    }
    *out_from = from;
    return out_to->ptr != NULL ? OK : err_set(ERR_NOMEM, "no memory for a listing");
}

/* The keys as they are: one range scan. */
static struct sql_call *ask_keys(struct sql_unit *u, struct str bucket, struct str from,
                                 struct str to, size_t limit)
{
    struct sql_call *c = sql_add_object_list(u, p_bucket(bucket), p_from(from), p_to(to),
                                             p_most(object_position(limit)));
    return c;
}

/* Keys and common prefixes: one probe each. */
static struct sql_call *ask_folded(struct sql_unit *u, const struct object_list_query *q,
                                   struct str from, struct str to, size_t limit)
{
    struct sql_call *c = sql_add_object_list_folded(
        u, p_bucket(q->bucket), p_from(from), p_to(to), p_most(object_position(limit)),
        p_delimiter(q->delimiter), p_prefix_len((int64_t)q->prefix.len));
    return c;
}

/* Length of the common prefix that stands for this key; 0: it stands for itself. */
static size_t cut_of(struct str key, const struct object_list_query *q)
{
    struct str rest = str_sub(key, q->prefix.len, key.len);
    if (q->delimiter.len == 0 || rest.len < q->delimiter.len)
        return 0;
    const char *at = memmem(rest.ptr, rest.len, q->delimiter.ptr, q->delimiter.len);
    return at != NULL ? (size_t)(at - key.ptr) + q->delimiter.len : 0;
}

/* A page being made: room for one entry more than asked for, which tells that there is more. */
struct page {
    struct object_entry *entries;
    size_t count;
};

static void add(struct page *p, const struct sql_call *c, size_t row, size_t cut)
{
    struct str key = sql_str(c, row, COL_KEY);
    if (cut > 0)
        key = str_sub(key, 0, cut);
    const struct object_entry *last = p->count > 0 ? &p->entries[p->count - 1] : NULL;
    if (cut > 0 && last != NULL && last->is_prefix && str_eq(last->key, key))
        return;
    struct object_entry *entry = &p->entries[p->count++];
    *entry = (struct object_entry){.is_prefix = cut > 0, .key = key};
    if (cut == 0)
        object_attr_of(c, row, COL_ATTR, &entry->attr);
}

/* `c` is a range scan of at most `limit` keys. */
static enum err take_keys(struct arena *a, const struct sql_call *c,
                          const struct object_list_query *q, struct page *out)
{
    out->count = 0;
    out->entries = arena_array(a, c->rows, sizeof(*out->entries));
    if (out->entries == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu entries of a listing", c->rows);
    for (size_t row = 0; row < c->rows; row++)
        if (!sql_is_null(c, row, COL_KEY)) /* an empty bucket's row */
            add(out, c, row, cut_of(sql_str(c, row, COL_KEY), q));
    return OK;
}

/* Asks for the keys of [from, to), at most `limit`, and makes a page of them. */
static enum err scan(struct meta *m, struct arena *a, const struct object_list_query *q,
                     struct str from, struct str to, size_t limit, struct page *page,
                     struct sql_call **out)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    *out = ask_keys(&u, q->bucket, from, to, limit);
    enum err err = access_read(m, &u);
    if (err == OK && (*out)->rows == 0)
        err = err_set(ERR_NOT_FOUND, "no such bucket");
    return err == OK ? take_keys(a, *out, q, page) : err;
}

/*
 * The scan's keys were folded into fewer entries than asked for, and there are others: goes on
 * behind the last entry by probes, so that a prefix of a million keys costs one.
 */
static enum err go_on(struct meta *m, struct arena *a, const struct object_list_query *q,
                      struct str to, size_t limit, struct page *page)
{
    const struct object_entry *last = &page->entries[page->count - 1];
    struct str from = object_joined(a, last->key, last->is_prefix ? OBJECT_AFTER_ALL : OBJECT_NEXT);
    if (from.ptr == NULL)
        return err_set(ERR_NOMEM, "no memory for a listing");
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = ask_folded(&u, q, from, to, limit - page->count);
    enum err err = access_read(m, &u);
    if (err != OK)
        return err;
    struct object_entry *entries = arena_array(a, page->count + c->rows, sizeof(*entries));
    if (entries == NULL)
        return err_set(ERR_NOMEM, "no memory for a listing");
    memcpy(entries, page->entries, page->count * sizeof(*entries));
    page->entries = entries;
    for (size_t row = 1; row < c->rows; row++) /* row 0 is the bucket */
        add(page, c, row, (size_t)sql_int(c, row, COL_CUT));
    return OK;
}

/* The first rows, *out_sample of them at most. */
static enum err scan_first(struct meta *m, struct arena *a, const struct object_list_query *q,
                           struct str from, struct str to, size_t limit, size_t *out_sample,
                           struct page *page, struct sql_call **out)
{
    size_t sample = q->delimiter.len > 0 && limit > SAMPLE ? SAMPLE : limit;
    enum err err = scan(m, a, q, from, to, sample, page, out);
    /* Few of them share a prefix: a scan of all is cheaper than a probe for each. */
    if (err == OK && sample < limit && (*out)->rows == sample && page->count > sample / 4) {
        sample = limit;
        err = scan(m, a, q, from, to, sample, page, out);
    }
    *out_sample = sample;
    return err;
}

enum err object_list(struct meta *m, struct arena *a, const struct object_list_query *q,
                     struct object_list *out)
{
    *out = (struct object_list){.entries = NULL};
    size_t limit = q->max < SIZE_MAX ? q->max + 1 : SIZE_MAX;
    struct str from, to;
    struct page page;
    enum err err = bounds(a, q, &from, &to);
    if (err != OK)
        return err;
    struct sql_call *c = NULL;
    size_t sample = 0;
    err = scan_first(m, a, q, from, to, limit, &sample, &page, &c);
    if (err != OK)
        return err;
    out->bucket = (struct bucket_ref){.id = (uint64_t)sql_int(c, 0, COL_BUCKET),
                                      .generation = (uint64_t)sql_int(c, 0, COL_GENERATION),
                                      .owner = (uint64_t)sql_int(c, 0, COL_OWNER),
                                      .versioning = (int)sql_int(c, 0, COL_VERSIONING)};
    if (q->max > 0 && c->rows == sample && page.count > 0 && page.count < limit)
        err = go_on(m, a, q, to, limit, &page);
    if (err != OK)
        return err;
    out->entries = page.entries;
    out->count = page.count < q->max ? page.count : q->max;
    out->more = q->max > 0 && page.count > q->max;
    return OK;
}
