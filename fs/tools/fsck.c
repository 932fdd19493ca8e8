#include "fs/tools/fsck.h"

#include "fs/volume.h"
#include "fs/tools/scrub.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW      ((uint64_t)1 << 20) /* slice ids counted in one walk: 12 MiB of memory */
#define PAGE_PIECES 64
#define PAGE_SLICES 1000
#define ARENA_MAX   ((size_t)64 << 20)
#define NAMES       256
#define TEXT_MAX    512
#define DOUBTS_MAX  10000

static void find(struct fsck *f, const char *text)
{
    f->findings++;
    f->report(f->arg, text);
}

static void find_of_rows(void *arg, const char *text)
{
    find(arg, text);
}

/* --- counts of slices ------------------------------------------------------------------------- */

/* References of slices first.. in records, by id; and whose tag was seen. */
struct counts {
    uint64_t first;
    uint32_t refs[WINDOW];
    uint64_t tags[WINDOW];
};

/* A slice whose row does not say what the records do. */
struct doubt {
    struct slice_name name;
    int64_t row, records;
};

/* f NULL: what was reported in the walk before is not reported again. */
static enum err count_piece(struct fsck *f, struct arena *a, const struct check_piece *piece,
                            struct counts *c)
{
    struct record *records;
    size_t count;
    char text[TEXT_MAX];
    uint64_t len = 0;
    enum err err = record_unpack(a, piece->records, &records, &count);

    if (err == ERR_CORRUPT) {
        snprintf(text, sizeof(text), "piece %" PRIu64 ": %.400s", piece->id, err_text(err));
        if (f != NULL && c->first == 0)
            find(f, text);
        return OK;
    }
    for (size_t i = 0; err == OK && i < count; i++) {
        const struct record *r = &records[i];

        len += r->len;
        if (r->kind != RECORD_SLICE || r->slice.id < c->first || r->slice.id >= c->first + WINDOW)
            continue;
        c->refs[r->slice.id - c->first]++;
        c->tags[r->slice.id - c->first] = r->slice.tag;
    }
    if (err == OK && len != piece->len && f != NULL && c->first == 0) {
        snprintf(text, sizeof(text),
                 "piece %" PRIu64 " has records of %" PRIu64 " bytes, its row says %" PRIu64,
                 piece->id, len, piece->len);
        find(f, text);
    }
    return err;
}

static enum err count_pieces(struct fs *fs, struct fsck *f, struct counts *c)
{
    uint64_t after = 0;
    bool more = true;
    enum err err = OK;

    while (err == OK && more) {
        struct arena *a = arena_new(ARENA_MAX);
        struct check_piece *pieces;
        size_t count = 0;

        err = check_pieces(fs->meta, a, after, PAGE_PIECES, &pieces, &count);
        for (size_t i = 0; err == OK && i < count; i++) {
            err = count_piece(f, a, &pieces[i], c);
            after = pieces[i].id;
        }
        more = count == PAGE_PIECES;
        arena_free(a);
    }
    return err;
}

static void doubt(struct doubt *doubts, size_t *n, struct slice_name name, int64_t row,
                  int64_t records)
{
    if (row != records && *n < DOUBTS_MAX)
        doubts[(*n)++] = (struct doubt){name, row, records};
}

/* Compares with the rows; what remains in c->refs afterwards has no row. */
static enum err compare(struct fs *fs, struct counts *c, struct doubt *doubts, size_t *n)
{
    uint64_t after = 0;
    bool more = true;
    enum err err = OK;

    while (err == OK && more) {
        struct arena *a = arena_new(ARENA_MAX);
        struct check_slice *rows;
        size_t count = 0;

        err = check_slices(fs->meta, a, c->first, c->first + WINDOW, after, PAGE_SLICES, &rows,
                           &count);
        for (size_t i = 0; err == OK && i < count; i++) {
            uint64_t at = rows[i].name.id - c->first;

            doubt(doubts, n, rows[i].name, rows[i].refs, c->refs[at]);
            c->refs[at] = 0;
            after = rows[i].name.id;
        }
        more = count == PAGE_SLICES;
        arena_free(a);
    }
    for (uint64_t i = 0; err == OK && i < WINDOW; i++)
        doubt(doubts, n, (struct slice_name){c->first + i, c->tags[i]}, 0, c->refs[i]);
    return err;
}

static enum err doubts_of(struct fs *fs, struct fsck *f, struct counts *c, uint64_t first,
                          struct doubt *doubts, size_t *n)
{
    enum err err;

    memset(c, 0, sizeof(*c));
    c->first = first;
    *n = 0;
    err = count_pieces(fs, f, c);
    return err == OK ? compare(fs, c, doubts, n) : err;
}

static bool has(const struct doubt *doubts, size_t n, const struct doubt *d)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&doubts[i], d, sizeof(*d)) == 0)
            return true;
    return false;
}

static enum err report(struct fs *fs, struct fsck *f, const struct doubt *d)
{
    char name[SLICE_NAME_TEXT], text[TEXT_MAX];
    enum err err;

    slice_name_text(d->name, name);
    snprintf(text, sizeof(text), "%s: records name it %" PRId64 " times, its row says %" PRId64,
             name, d->records, d->row);
    find(f, text);
    if (!f->repair)
        return OK;
    err = check_repair_slice(fs->meta, d->name, d->records);
    f->repaired += err == OK;
    return err;
}

/* What is the same in two walks, between which every running transaction has come or gone. */
static enum err check_window(struct fs *fs, struct fsck *f, struct counts *c, uint64_t first)
{
    struct doubt *once = calloc(DOUBTS_MAX, sizeof(*once));
    struct doubt *twice = calloc(DOUBTS_MAX, sizeof(*twice));
    size_t n = 0, again = 0;
    enum err err = once != NULL && twice != NULL ? OK : err_set(ERR_NOMEM, "out of memory");

    if (err == OK)
        err = doubts_of(fs, f, c, first, once, &n);
    if (err == OK && n > 0)
        err = doubts_of(fs, NULL, c, first, twice, &again);
    for (size_t i = 0; err == OK && i < again; i++)
        if (has(once, n, &twice[i]))
            err = report(fs, f, &twice[i]);
    free(once);
    free(twice);
    return err;
}

static enum err check_counts(struct fs *fs, struct fsck *f, const struct check_totals *totals)
{
    struct counts *c = malloc(sizeof(*c));
    uint64_t windows = totals->last_slice / WINDOW + 1;
    struct progress p;
    enum err err = c != NULL ? OK : err_set(ERR_NOMEM, "out of memory");

    progress_begin(&p, "slices", windows, f->quiet);
    for (uint64_t i = 0; err == OK && i < windows; i++) {
        err = check_window(fs, f, c, i * WINDOW);
        progress_add(&p, 1, 0);
    }
    progress_end(&p, err);
    free(c);
    return err;
}

/* --- the backing store ------------------------------------------------------------------------ */

struct listing {
    struct fs *fs;
    struct fsck *f;
    struct progress *p;
    struct slice_name names[NAMES];
    size_t count;
};

static enum err look_up(struct listing *l)
{
    bool known[NAMES];
    enum err err = l->count > 0 ? check_known(l->fs->meta, l->names, l->count, known) : OK;

    for (size_t i = 0; err == OK && i < l->count; i++) {
        char name[SLICE_NAME_TEXT], text[TEXT_MAX];
        uint64_t size;

        slice_name_text(l->names[i], name);
        if (known[i] || store_size(l->fs->store, name, &size) == ERR_NOT_FOUND)
            continue; /* it was deleted since it was listed */
        snprintf(text, sizeof(text), "%s: is in the store, but nothing names it", name);
        find(l->f, text);
        if (l->f->repair) {
            err = store_del(l->fs->store, name);
            l->f->repaired += err == OK;
        }
    }
    l->count = 0;
    return err;
}

static enum err listed(void *arg, const struct store_entry *entry)
{
    struct listing *l = arg;
    struct slice_name name;
    char text[SLICE_NAME_TEXT];

    progress_add(l->p, 1, 0); /* it is listed, not read */
    if (!slice_name_parse(entry->name, &name))
        return OK; /* not ours: other things may stand there */
    slice_name_text(name, text);
    if (strcmp(text, entry->name) != 0)
        return OK;
    l->names[l->count++] = name;
    return l->count == NAMES ? look_up(l) : OK;
}

static enum err check_store(struct fs *fs, struct fsck *f, const struct check_totals *totals)
{
    struct progress p;
    struct scrub sizes = {.sizes_only = true, .progress = &p, .report = find_of_rows, .arg = f};
    struct listing l = {.fs = fs, .f = f, .p = &p};
    enum err err;

    progress_begin(&p, "slices in the store", totals->slices, f->quiet);
    err = scrub_run(fs, &sizes);
    progress_end(&p, err);
    if (err != OK)
        return err;
    progress_begin(&p, "objects of the store", 0, f->quiet);
    err = store_list(fs->store, "slices/", listed, &l);
    if (err == OK)
        err = look_up(&l);
    progress_end(&p, err);
    return err;
}

/* --- all of it -------------------------------------------------------------------------------- */

struct rows {
    struct fsck *f;
    struct progress p;
};

static void found(void *arg, const char *text)
{
    find(((struct rows *)arg)->f, text);
}

static void checked(void *arg)
{
    progress_add(&((struct rows *)arg)->p, 1, 0);
}

enum err fsck_run(struct fs *fs, struct fsck *f)
{
    struct rows rows = {.f = f};
    struct check_totals totals;
    enum err err;

    progress_begin(&rows.p, "checks of rows", check_row_count(), f->quiet);
    err = check_rows(fs->meta, found, &rows, checked);
    progress_end(&rows.p, err);
    if (err == OK && f->repair)
        err = check_repair_rows(fs->meta, &f->repaired);
    if (err == OK)
        err = check_totals(fs->meta, &totals);
    if (err == OK)
        err = check_counts(fs, f, &totals);
    if (err == OK && f->store)
        err = check_store(fs, f, &totals);
    return err;
}
