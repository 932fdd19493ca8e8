#include "fs/tools/scrub.h"

#include "base/clock.h"
#include "base/hash.h"
#include "fs/volume.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAGE_PIECES 16
#define ARENA_MAX   ((size_t)64 << 20)
#define FINDING_MAX 4096

struct walk {
    struct fs *fs;
    struct scrub *s;
    uint8_t *slice; /* META_SLICE_MAX bytes */
    int64_t begun_us;
    struct slice_name last; /* records of one slice mostly stand side by side */
};

static void keep_to_rate(struct walk *w)
{
    int64_t due_us, now = clock_mono_us();

    if (w->s->rate == 0)
        return;
    due_us = w->begun_us + (int64_t)((double)w->s->bytes * 1e6 / (double)w->s->rate);
    if (due_us > now) {
        struct timespec t = {.tv_sec = (due_us - now) / 1000000,
                             .tv_nsec = (due_us - now) % 1000000 * 1000};

        (void)nanosleep(&t, NULL);
    }
}

/* The first wrong granule; the slice's number of granules when all are right. */
static uint32_t first_bad(const struct walk *w, const struct record *r)
{
    uint32_t count = record_granules(r->slice_len);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i * META_GRANULE, left = r->slice_len - at;

        if (crc64nvme(0, w->slice + at, left < META_GRANULE ? left : META_GRANULE) !=
            r->granule_crcs[i])
            return i;
    }
    return count;
}

/* OK with an empty text: it is as it should be. */
static enum err look_at(struct walk *w, const struct record *r, char *text, size_t size)
{
    char name[SLICE_NAME_TEXT];
    uint64_t length = 0;
    enum err err;

    text[0] = '\0';
    slice_name_text(r->slice, name);
    err = store_size(w->fs->store, name, &length);
    if (err == OK && length != r->slice_len)
        snprintf(text, size, "%s: has %" PRIu64 " bytes, not %u", name, length, r->slice_len);
    else if (err == OK && !w->s->sizes_only)
        err = store_get(w->fs->store, name, 0, r->slice_len, w->slice);
    if (err == ERR_NOT_FOUND || err == ERR_CORRUPT) {
        snprintf(text, size, "%s: %s", name,
                 err == ERR_NOT_FOUND ? "is missing from the store" : err_text(err));
        return OK;
    }
    if (err != OK || text[0] != '\0' || w->s->sizes_only)
        return err;
    w->s->bytes += r->slice_len;
    if (first_bad(w, r) < record_granules(r->slice_len))
        snprintf(text, size, "%s: granule %u has a wrong checksum", name, first_bad(w, r));
    return OK;
}

/* Told only if the piece is still in use after its slice was found wanting. */
static enum err tell(struct walk *w, const struct check_piece *piece, const char *what)
{
    struct arena *a = arena_new((size_t)4 << 20);
    struct str users = STR_NONE;
    bool lives = false;
    char text[FINDING_MAX];
    enum err err = check_piece_lives(w->fs->meta, piece->id, &lives);

    if (err == OK && lives) {
        err = check_users(w->fs->meta, a, piece->id, &users);
        snprintf(text, sizeof(text), "%s (piece %" PRIu64 "; used by: " STR_FMT ")", what,
                 piece->id, STR_ARG(users));
        w->s->bad++;
        w->s->report(w->s->arg, text);
    }
    arena_free(a);
    return err;
}

static enum err check_piece(struct walk *w, struct arena *a, const struct check_piece *piece)
{
    struct record *records;
    size_t count;
    char text[FINDING_MAX];
    enum err err = record_unpack(a, piece->records, &records, &count);

    if (err == ERR_CORRUPT) {
        snprintf(text, sizeof(text), "%s", err_text(err));
        return tell(w, piece, text);
    }
    for (size_t i = 0; err == OK && i < count; i++) {
        const struct record *r = &records[i];

        if (r->kind != RECORD_SLICE || (r->slice.id == w->last.id && r->slice.tag == w->last.tag))
            continue;
        w->last = r->slice;
        err = look_at(w, r, text, sizeof(text));
        if (err == OK && text[0] != '\0')
            err = tell(w, piece, text);
        w->s->slices++;
        progress_add(w->s->progress, 1, w->s->sizes_only ? 0 : r->slice_len);
        keep_to_rate(w);
    }
    return err;
}

/* An epoch tag for each page: what it names stays until it has been looked at. */
static enum err check_page(struct walk *w, uint64_t *after, bool *out_more)
{
    struct arena *a = arena_new(ARENA_MAX);
    struct check_piece *pieces;
    size_t count = 0;
    struct meta_read read;
    enum err err;

    meta_read_begin(w->fs->meta, &read);
    err = check_pieces(w->fs->meta, a, *after, PAGE_PIECES, &pieces, &count);
    for (size_t i = 0; err == OK && i < count; i++) {
        if (pieces[i].refs > 0)
            err = check_piece(w, a, &pieces[i]);
        *after = pieces[i].id;
    }
    meta_read_end(w->fs->meta, &read);
    *out_more = count == PAGE_PIECES;
    arena_free(a);
    return err;
}

enum err scrub_run(struct fs *fs, struct scrub *s)
{
    struct walk w = {
        .fs = fs, .s = s, .slice = malloc(META_SLICE_MAX), .begun_us = clock_mono_us()};
    uint64_t after = 0;
    bool more = true;
    enum err err = w.slice != NULL ? OK : err_set(ERR_NOMEM, "out of memory for a slice");

    while (err == OK && more)
        err = check_page(&w, &after, &more);
    free(w.slice);
    return err;
}
