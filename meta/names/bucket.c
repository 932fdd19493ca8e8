#include "meta/names/bucket.h"

#include "base/rand.h"
#include "meta/core/handle.h"

#include <string.h>

/* A delete between our insert and our look is rare; more than a few in a row are not. */
#define CREATE_TRIES 5

#define BUCKET_ARENA (1u << 20) /* a few statements, and a row with whatever region it was given */

static void row_to_bucket(const struct sql_call *c, size_t row, struct bucket *out)
{
    *out = (struct bucket){
        .id = (uint64_t)sql_int(c, row, 0),
        .name = sql_str(c, row, 1),
        .owner = (uint64_t)sql_int(c, row, 2),
        .region = sql_str(c, row, 3),
        .created_ms = sql_int(c, row, 4),
        .generation = (uint64_t)sql_int(c, row, 5),
        .versioning = (int)sql_int(c, row, 6),
        .object_lock = sql_int(c, row, 7) != 0,
    };
}

static enum err create_once(struct meta *m, struct arena *a, struct str name, uint64_t owner,
                            struct str region, struct bucket *out)
{
    uint64_t id;
    enum err err = meta_next_id(m, &id);
    if (err != OK)
        return err;
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.order_name = name;
    struct sql_call *insert =
        sql_add_bucket_insert(&u, p_bucket_id((int64_t)id), p_bucket(name), p_owner((int64_t)owner),
                              p_region(region), p_generation(rand_i63()));
    struct sql_call *made = sql_add_bucket_made(&u, p_bucket(name));
    err = access_write(m, &u);
    if (err != OK)
        return err;
    if (made->rows == 0)
        return err_set(ERR_CONFLICT, "the bucket was deleted meanwhile");
    row_to_bucket(made, 0, out);
    return insert->changed == 1 ? OK : err_set(ERR_EXISTS, "the bucket exists");
}

enum err bucket_create(struct meta *m, struct arena *a, struct str name, uint64_t owner,
                       struct str region, struct bucket *out)
{
    enum err err = ERR_CONFLICT;
    for (int i = 0; i < CREATE_TRIES && err == ERR_CONFLICT; i++)
        err = create_once(m, a, name, owner, region, out);
    return err;
}

enum err bucket_get(struct meta *m, struct arena *a, struct str name, struct bucket *out)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_bucket_get(&u, p_bucket(name));
    enum err err = access_read(m, &u);
    if (err != OK)
        return err;
    if (c->rows == 0)
        return err_set(ERR_NOT_FOUND, "no such bucket");
    row_to_bucket(c, 0, out);
    return OK;
}

/* One that was deleted and made again between the two round trips counts as deleted. */
enum err bucket_delete(struct meta *m, struct str name)
{
    struct arena *a = arena_new(BUCKET_ARENA);
    struct bucket b;
    enum err err = bucket_get(m, a, name, &b);
    if (err != OK)
        goto out;
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.frees = true;
    u.order_name = name;
    struct p_bucket_id id = p_bucket_id((int64_t)b.id);
    struct sql_call *lock = sql_add_bucket_lock(&u, id);
    access_require(&u); /* while it is there */
    struct sql_call *drop = sql_add_bucket_drop(&u, id);
    sql_add_bucket_drop_config(&u, id);
    sql_add_bucket_queue(&u, id);
    err = access_result(m, meta_write(m, &u));
    if (err == OK && lock->rows == 0)
        err = err_set(ERR_NOT_FOUND, "no such bucket");
    else if (err == OK && drop->changed == 0)
        err = err_set(ERR_NOT_EMPTY, "the bucket holds keys");
out:
    arena_free(a);
    return err;
}

/* What comes after all names with that prefix: 0xFF is in no name. */
static struct str prefix_end(struct arena *a, struct str prefix)
{
    char *end = arena_alloc(a, prefix.len + 1);
    if (end == NULL)
        return STR_NONE;
    if (prefix.len > 0)
        memcpy(end, prefix.ptr, prefix.len);
    end[prefix.len] = (char)0xFF;
    return (struct str){end, prefix.len + 1};
}

enum err bucket_list(struct meta *m, struct arena *a, uint64_t owner, struct str prefix,
                     struct str after, size_t max, struct bucket **out, size_t *out_count,
                     bool *out_more)
{
    *out = NULL;
    *out_count = 0;
    *out_more = false;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct p_prefix_end end = p_prefix_end(prefix_end(a, prefix));
    struct p_most most = p_most((int64_t)max + 1);
    struct sql_call *c = owner == 0
                             ? sql_add_bucket_list(&u, p_after(after), p_prefix(prefix), end, most)
                             : sql_add_bucket_list_of(&u, p_after(after), p_prefix(prefix), end,
                                                      most, p_owner((int64_t)owner));
    enum err err = access_read(m, &u);
    if (err != OK)
        return err;
    size_t count = c->rows > max ? max : c->rows;
    struct bucket *list = arena_array(a, count > 0 ? count : 1, sizeof(*list));
    if (list == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu buckets", count);
    for (size_t i = 0; i < count; i++)
        row_to_bucket(c, i, &list[i]);
    *out = list;
    *out_count = count;
    *out_more = c->rows > max;
    return OK;
}
