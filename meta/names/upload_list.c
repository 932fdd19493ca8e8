/*
 * Lists the uploads in progress of a bucket, by key and then by the upload's number, which is the
 * order of their creation.
 */
#include "meta/names/upload_internal.h"

#include <string.h>

/* Columns of upload_list. */
enum { COL_KEY, COL_CUT, COL_ID, COL_UPLOAD, COL_OWNER, COL_INITIATED, COL_CLASS, COL_CHECKSUM };

/* What to look at: keys [from, to), of `from` itself only uploads with greater ids. */
struct range {
    struct str from, to;
    int64_t after_id;
};

/* The number in an upload's name; 0 when it is not one of ours. */
static uint64_t number_of(struct str upload)
{
    uint64_t n = 0;
    if (upload.len != UPLOAD_NUMBER_DIGITS + UPLOAD_RANDOM_DIGITS)
        return 0;
    for (size_t i = 0; i < UPLOAD_NUMBER_DIGITS; i++) {
        char c = upload.ptr[i];
        if (c >= '0' && c <= '9')
            n = n << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n << 4 | (uint64_t)(c - 'a' + 10);
        else
            return 0;
    }
    return n <= INT64_MAX ? n : 0;
}

/* ptr NULL in out->from or out->to: no memory. */
static void range_of(struct arena *a, const struct upload_list_query *q, struct range *out)
{
    uint64_t number = number_of(q->upload_marker);
    struct str marker = q->key_marker;
    *out = (struct range){
        .from = q->prefix, .to = object_joined(a, q->prefix, OBJECT_AFTER_ALL), .after_id = -1};
    if (marker.len == 0 || str_cmp(marker, q->prefix) < 0)
        return;
    if (number != 0) { /* the same key again, but younger uploads */
        out->from = marker;
        out->after_id = (int64_t)number;
    } else {
        out->from = object_joined(a, marker, OBJECT_NEXT);
    }
}

/*
 * A marker within a common prefix: that one was listed already (a listing names prefixes as its
 * last key), so it is passed over.
 */
static void skip_listed_prefix(struct arena *a, const struct upload_list_query *q, struct range *r)
{
    struct str marker = q->key_marker;
    if (q->delimiter.len == 0 || !str_starts(marker, q->prefix) ||
        !str_ends(marker, q->delimiter) || marker.len < q->prefix.len + q->delimiter.len)
        return;
    struct str rest = str_sub(marker, q->prefix.len, marker.len);
    const char *first = memmem(rest.ptr, rest.len, q->delimiter.ptr, q->delimiter.len);
    if (first == NULL || first + q->delimiter.len != rest.ptr + rest.len)
        return;
    r->from = object_joined(a, marker, OBJECT_AFTER_ALL);
    r->after_id = -1;
}

static enum err take(struct arena *a, const struct sql_call *c, size_t max,
                     struct upload_entry **out, size_t *out_count, bool *out_more)
{
    struct upload_entry *entries = arena_array(a, c->rows, sizeof(*entries));
    if (entries == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu uploads", c->rows);
    *out = entries;
    for (size_t row = 1; row < c->rows; row++) { /* row 0 is the bucket */
        if (*out_count == max) {
            *out_more = max > 0;
            break;
        }
        struct upload_entry *entry = &entries[(*out_count)++];
        size_t cut = (size_t)sql_int(c, row, COL_CUT);
        entry->is_prefix = cut > 0;
        entry->key = sql_str(c, row, COL_KEY);
        if (entry->is_prefix)
            entry->key = str_sub(entry->key, 0, cut);
        else
            entry->upload = (struct upload){.id = (uint64_t)sql_int(c, row, COL_ID),
                                            .upload = sql_str(c, row, COL_UPLOAD),
                                            .key = entry->key,
                                            .owner = (uint64_t)sql_int(c, row, COL_OWNER),
                                            .initiated_ms = sql_int(c, row, COL_INITIATED),
                                            .storage_class = sql_str(c, row, COL_CLASS),
                                            .checksum = (int)sql_int(c, row, COL_CHECKSUM)};
    }
    return OK;
}

enum err upload_list(struct meta *m, struct arena *a, const struct upload_list_query *q,
                     struct upload_entry **out, size_t *out_count, bool *out_more)
{
    *out = NULL;
    *out_count = 0;
    *out_more = false;
    struct range r;
    range_of(a, q, &r);
    skip_listed_prefix(a, q, &r);
    if (r.to.ptr == NULL || (r.from.ptr == NULL && r.from.len > 0))
        return err_set(ERR_NOMEM, "no memory for a listing");
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_upload_list(
        &u, p_bucket(q->bucket), p_from(r.from), p_to(r.to),
        p_most(q->max < INT64_MAX ? (int64_t)q->max + 1 : INT64_MAX), p_delimiter(q->delimiter),
        p_prefix_len((int64_t)q->prefix.len), p_after_id(r.after_id));
    enum err err = access_read(m, &u);
    if (err != OK)
        return err;
    if (c->rows == 0)
        return err_set(ERR_NOT_FOUND, "no such bucket");
    return take(a, c, q->max, out, out_count, out_more);
}
