#include "meta/tools/check.h"

#include "base/codec.h"
#include "meta/sql/json_array.h"
#include "meta/core/handle.h"

#include <stdio.h>

#define FINDING_MAX 4096

static struct sql_call *(*const checks[])(struct sql_unit *u) = {
    sql_add_fsck_key_inode,     sql_add_fsck_key_bucket,   sql_add_fsck_inode_lost,
    sql_add_fsck_inode_both,    sql_add_fsck_link_inode,   sql_add_fsck_link_piece,
    sql_add_fsck_link_bounds,   sql_add_fsck_link_died,    sql_add_fsck_piece_refs,
    sql_add_fsck_piece_lost,    sql_add_fsck_gap,          sql_add_fsck_key_short,
    sql_add_fsck_key_data,      sql_add_fsck_part_upload,  sql_add_fsck_part_inode,
    sql_add_fsck_dead_gone,     sql_add_fsck_dead_used,    sql_add_fsck_token_low,
    sql_add_fsck_write_inode,   sql_add_fsck_slice_doomed, sql_add_fsck_usage,
    sql_add_fsck_version_inode, sql_add_fsck_version_key,  sql_add_fsck_version_shared,
    sql_add_fsck_version_dead,  sql_add_fsck_retention,
};
#define CHECKS (sizeof(checks) / sizeof(checks[0]))

static struct sql_call *(*const repairs[])(struct sql_unit *u) = {
    sql_add_repair_inodes_lost, sql_add_repair_links, sql_add_repair_piece_refs,
    sql_add_repair_pieces_lost, sql_add_repair_dead,  sql_add_repair_tokens,
    sql_add_repair_writes,      sql_add_repair_usage,
};
#define REPAIRS (sizeof(repairs) / sizeof(repairs[0]))

size_t check_row_count(void)
{
    return CHECKS;
}

/* --- findings --------------------------------------------------------------------------------- */

/* "%lld" of the text stands for the two numbers, in order. */
static void put_text(struct buf *out, struct str text, int64_t n1, int64_t n2)
{
    int64_t next = n1;
    for (size_t i = 0; i < text.len; i++) {
        if (str_starts(str_sub(text, i, text.len), STR("%lld"))) {
            buf_printf(out, "%lld", (long long)next);
            next = n2;
            i += 3;
        } else {
            buf_append_char(out, text.ptr[i]);
        }
    }
}

static void put_name(struct buf *out, struct str bucket, struct str key)
{
    percent_encode(out, bucket, PERCENT_KEEP_NONE);
    buf_append_char(out, '/');
    percent_encode(out, key, PERCENT_KEEP_SLASH);
}

static void tell(const struct sql_call *c, size_t row, check_report *report, void *arg)
{
    struct buf text;
    buf_init(&text, FINDING_MAX);
    if (!sql_is_null(c, row, 2)) {
        put_name(&text, sql_str(c, row, 1), sql_str(c, row, 2));
        buf_append_cstr(&text, ": ");
    }
    put_text(&text, sql_str(c, row, 0), sql_int(c, row, 3), sql_int(c, row, 4));
    buf_append_char(&text, '\0');
    if (buf_check(&text) == OK)
        report(arg, text.data);
    buf_fini(&text);
}

enum err check_rows(struct meta *m, check_report *report, void *arg, void (*each)(void *arg))
{
    enum err err = OK;
    for (size_t i = 0; err == OK && i < CHECKS; i++) {
        struct arena *a = arena_new(META_ROUND_ARENA);
        struct sql_unit u;
        sql_unit_init(&u, SQL_READ, a);
        struct sql_call *c = checks[i](&u);
        err = sql_read(m->sql, &u);
        for (size_t row = 0; err == OK && row < c->rows; row++)
            tell(c, row, report, arg);
        if (err == OK && each != NULL)
            each(arg);
        arena_free(a);
    }
    return err;
}

/* --- repairs ---------------------------------------------------------------------------------- */

static enum err alone(struct meta *m)
{
    struct gc_counts now;
    enum err err = gc_count(m, &now);
    if (err == OK && now.live_sessions > 1)
        err = err_set(ERR_BUSY, "gateways or tools are at work on this volume: stop them before"
                                " anything is repaired");
    return err;
}

enum err check_repair_rows(struct meta *m, uint64_t *out_repaired)
{
    *out_repaired = 0;
    enum err err = alone(m);
    if (err != OK)
        return err;
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.alone = true;
    struct sql_call *calls[REPAIRS];
    for (size_t i = 0; i < REPAIRS; i++)
        calls[i] = repairs[i](&u);
    err = meta_write(m, &u);
    for (size_t i = 0; err == OK && i < REPAIRS; i++)
        *out_repaired += (uint64_t)calls[i]->changed;
    arena_free(a);
    return err;
}

enum err check_repair_slice(struct meta *m, struct slice_name name, int64_t refs)
{
    enum err err = alone(m);
    if (err != OK)
        return err;
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    struct p_slice slice = p_slice((int64_t)name.id);
    struct p_tag tag = p_tag((int64_t)name.tag);
    if (refs > 0) {
        sql_add_repair_slice(&u, slice, tag, p_refs(refs));
    } else {
        sql_add_repair_slice_lost(&u, slice, tag);
        sql_add_repair_slice_drop(&u, slice, tag);
    }
    err = meta_write(m, &u);
    arena_free(a);
    return err;
}

/* --- pages ------------------------------------------------------------------------------------ */

enum err check_totals(struct meta *m, struct check_totals *out)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_check_totals(&u);
    enum err err = sql_read(m->sql, &u);
    *out = (struct check_totals){0};
    if (err == OK)
        *out = (struct check_totals){(uint64_t)sql_int(c, 0, 0), (uint64_t)sql_int(c, 0, 1),
                                     (uint64_t)sql_int(c, 0, 2)};
    arena_free(a);
    return err;
}

enum err check_pieces(struct meta *m, struct arena *a, uint64_t after, size_t max,
                      struct check_piece **out, size_t *out_count)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_check_pieces(&u, p_after_id((int64_t)after), p_most((int64_t)max));
    enum err err = sql_read(m->sql, &u);
    struct check_piece *list = err == OK ? arena_array(a, c->rows + 1, sizeof(*list)) : NULL;
    if (err == OK && list == NULL)
        err = err_set(ERR_NOMEM, "no memory for a page of pieces");
    *out_count = 0;
    for (size_t i = 0; err == OK && i < c->rows; i++, (*out_count)++)
        list[i] = (struct check_piece){.id = (uint64_t)sql_int(c, i, 0),
                                       .refs = sql_int(c, i, 1),
                                       .len = (uint64_t)sql_int(c, i, 2),
                                       .records = sql_str(c, i, 3)};
    *out = list;
    return err;
}

enum err check_slices(struct meta *m, struct arena *a, uint64_t from, uint64_t to, uint64_t after,
                      size_t max, struct check_slice **out, size_t *out_count)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_check_slices(&u, p_from_id((int64_t)from), p_to_id((int64_t)to),
                                              p_after_id((int64_t)after), p_most((int64_t)max));
    enum err err = sql_read(m->sql, &u);
    struct check_slice *list = err == OK ? arena_array(a, c->rows + 1, sizeof(*list)) : NULL;
    if (err == OK && list == NULL)
        err = err_set(ERR_NOMEM, "no memory for a page of slices");
    *out_count = 0;
    for (size_t i = 0; err == OK && i < c->rows; i++, (*out_count)++)
        list[i] =
            (struct check_slice){.name = {(uint64_t)sql_int(c, i, 0), (uint64_t)sql_int(c, i, 1)},
                                 .refs = sql_int(c, i, 2)};
    *out = list;
    return err;
}

enum err check_known(struct meta *m, const struct slice_name *names, size_t count, bool *out)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    uint64_t *ids = arena_array(a, count + 1, sizeof(*ids));
    if (ids == NULL) {
        arena_free(a);
        return err_set(ERR_NOMEM, "no memory for %zu slices", count);
    }
    for (size_t i = 0; i < count; i++)
        ids[i] = names[i].id;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_check_known(&u, p_ids(sql_json_array(a, ids, count)));
    enum err err = sql_read(m->sql, &u);
    for (size_t i = 0; i < count; i++)
        out[i] = false;
    for (size_t row = 0; err == OK && row < c->rows; row++)
        for (size_t i = 0; i < count; i++)
            if (names[i].id == (uint64_t)sql_int(c, row, 0) &&
                ((int64_t)names[i].tag == sql_int(c, row, 1) || sql_int(c, row, 2) > 0))
                out[i] = true;
    arena_free(a);
    return err;
}

enum err check_users(struct meta *m, struct arena *a, uint64_t piece, struct str *out)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_check_users(&u, p_piece((int64_t)piece));
    struct buf text;
    enum err err = sql_read(m->sql, &u);
    buf_init(&text, 1 << 20);
    for (size_t i = 0; err == OK && i < c->rows; i++) {
        if (i > 0)
            buf_append_char(&text, ' ');
        put_name(&text, sql_str(c, i, 0), sql_str(c, i, 1));
    }
    *out = arena_str(a, buf_str(&text));
    buf_fini(&text);
    return err;
}

enum err check_piece_lives(struct meta *m, uint64_t piece, bool *out)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_check_piece_lives(&u, p_piece((int64_t)piece));
    enum err err = sql_read(m->sql, &u);
    *out = err == OK && sql_int(c, 0, 0) > 0;
    arena_free(a);
    return err;
}

enum err gc_count(struct meta *m, struct gc_counts *out)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_gc_counts(&u, p_keep_ms(m->keep_deleted_ms));
    enum err err = sql_read(m->sql, &u);
    *out = (struct gc_counts){0};
    if (err == OK)
        *out = (struct gc_counts){.files = sql_int(c, 0, 0),
                                  .pieces = sql_int(c, 0, 1),
                                  .links = sql_int(c, 0, 2),
                                  .slices = sql_int(c, 0, 3),
                                  .slices_again = sql_int(c, 0, 4),
                                  .again_in_ms = sql_int(c, 0, 5),
                                  .sessions = sql_int(c, 0, 6),
                                  .ranges = sql_int(c, 0, 7),
                                  .live_sessions = sql_int(c, 0, 8),
                                  .kept = m->keep_deleted_ms > 0 ? sql_int(c, 0, 9) : 0,
                                  .set_aside = sql_int(c, 0, 10)};
    if (err == OK)
        snprintf(out->why, sizeof(out->why), STR_FMT, STR_ARG(sql_str(c, 0, 11)));
    arena_free(a);
    return err;
}

enum err gc_retry(struct meta *m)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    sql_add_gc_retry(&u);
    enum err err = meta_write(m, &u);
    arena_free(a);
    return err;
}
