/*
 * The job "fold": range writes, added up in the rows of their keys; many files a transaction, and
 * on from where the last round ended, so that no file waits for ever behind those that are always
 * written.
 */
#include "meta/jobs/job_internal.h"
#include "meta/files/write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FILES_MAX 64 /* a transaction: their keys' rows are locked to its end */

struct file {
    int64_t inode, bucket;
    struct str key;
};

static int by_key(const void *left, const void *right)
{
    const struct file *a = left, *b = right;
    int c = (a->bucket > b->bucket) - (a->bucket < b->bucket);
    return c != 0 ? c : str_cmp(a->key, b->key);
}

/* Files that come after inode `after`. */
static enum err look(struct meta *m, struct arena *a, int64_t after, size_t max, struct file **out,
                     size_t *out_count)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_fold_look(&u, p_after_inode(after), p_most((int64_t)max));
    enum err err = sql_read(m->sql, &u);
    *out_count = err == OK ? c->rows : 0;
    *out = arena_array(a, *out_count + 1, sizeof(**out));
    if (*out == NULL)
        return err_set(ERR_NOMEM, "no memory to fold range writes");
    for (size_t i = 0; i < *out_count; i++)
        (*out)[i] = (struct file){sql_int(c, i, 0), sql_int(c, i, 1), sql_str(c, i, 2)};
    return err;
}

typedef struct sql_call *(*statement)(struct sql_unit *u, struct p_inode inode);

static void add_each(struct sql_unit *u, statement add, const struct file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(u, p_inode(files[i].inode));
}

/* The keys' rows are locked first, in the order of all transactions that lock several. */
static enum err fold(struct meta *m, struct job_hold *h, struct arena *a, struct file *files,
                     size_t count)
{
    static const statement statements[] = {sql_add_fold_lock, sql_add_fold_note, sql_add_fold_key,
                                           sql_add_fold_gone};
    struct sql_unit u;
    qsort(files, count, sizeof(*files), by_key);
    job_begin(h, &u, a);
    u.alone = true; /* the keys' rows are locked, whose place among others is not known */
    u.results_optional = true;
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        add_each(&u, statements[i], files, count);
    return job_write(m, h, &u);
}

/* *after moves on; back to the beginning after the last file. */
static enum err fold_some(struct meta *m, struct job_hold *h, int64_t *after, size_t *out_count)
{
    struct arena *a = arena_new(META_ROUND_ARENA);
    struct file *files = NULL;
    enum err err = a != NULL ? look(m, a, *after, FILES_MAX, &files, out_count)
                             : err_set(ERR_NOMEM, "no memory to fold range writes");
    if (err == OK) {
        *after = *out_count == FILES_MAX ? files[FILES_MAX - 1].inode : 0;
        snprintf(h->state, sizeof(h->state), "%" PRId64, *after);
    }
    if (err == OK && *out_count > 0)
        err = fold(m, h, a, files, *out_count);
    arena_free(a);
    return err;
}

static enum err anything(struct meta *m, bool *out_any)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct file *files;
    size_t count = 0;
    enum err err = a != NULL ? look(m, a, 0, 1, &files, &count)
                             : err_set(ERR_NOMEM, "no memory to fold range writes");
    *out_any = err == OK && count > 0;
    arena_free(a);
    return err;
}

enum err fold_round(struct meta *m, struct job_round *r)
{
    struct job_hold h = {.held = false};
    bool any = false;
    size_t count = FILES_MAX;
    int64_t after = 0;
    enum err err = anything(m, &any);
    if (err == OK && any)
        err = job_take(m, r, &h);
    if (err == OK && h.held)
        after = strtoll(h.state, NULL, 10);
    bool wrapped = after == 0;
    while (err == OK && h.held && r->done < r->budget && !job_stops(r)) {
        err = fold_some(m, &h, &after, &count);
        r->done += err == OK && h.held ? count : 0;
        if (after == 0 && wrapped)
            break;
        wrapped = wrapped || after == 0;
    }
    r->more = err == OK && h.held && count == FILES_MAX;
    return err;
}
