#include "meta/config/bucket_config.h"

#include "base/rand.h"
#include "meta/core/handle.h"

static struct p_generation new_generation(void)
{
    return p_generation(rand_i63());
}

/* The bucket's row is locked first: it is there to the end of the transaction. */
static enum err change(struct meta *m, struct str bucket, struct str kind, const struct str *body)
{
    if (body != NULL && body->len > BUCKET_DOCUMENT_MAX)
        return err_set(ERR_INVALID, "a document of a bucket has %zu bytes at most",
                       BUCKET_DOCUMENT_MAX);
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.order_name = bucket;
    sql_exclude(&u, access_lock_of_bucket(bucket));
    access_require(&u); /* the state before the change */
    struct sql_call *row = sql_add_bucket_changed(&u, p_bucket(bucket), new_generation());
    if (body != NULL)
        sql_add_bucket_config_put(&u, p_bucket(bucket), p_config_kind(kind), p_document(*body),
                                  new_generation());
    else
        sql_add_bucket_config_remove(&u, p_bucket(bucket), p_config_kind(kind));
    enum err err = access_result(m, meta_write(m, &u));
    if (err == OK && row->changed == 0)
        err = err_set(ERR_NOT_FOUND, "no such bucket");
    arena_free(a);
    return err;
}

enum err bucket_config_put(struct meta *m, struct str bucket, struct str kind, struct str body)
{
    return change(m, bucket, kind, &body);
}

enum err bucket_config_remove(struct meta *m, struct str bucket, struct str kind)
{
    return change(m, bucket, kind, NULL);
}
