#include "meta/config/bucket_context.h"

#include "base/hash.h"
#include "meta/config/bucket_config.h"
#include "meta/core/handle.h"
#include "meta/sql/json_array.h"

#include <stdlib.h>
#include <string.h>

/* The cache is a table of sets; a set that is full gives up its entries in turn. */
#define WAYS      4
#define SETS      (BUCKET_CONTEXTS_MAX / WAYS)
#define KEPT_MAX  (BUCKET_CONTEXTS_BYTES / 8)
#define KINDS_MAX 1024 /* bytes of the names of all kinds */
/* A load's rows: a document may be as large as it likes to be in transfer. */
#define LOAD_ARENA ((size_t)BUCKET_KINDS_MAX * 2 * BUCKET_DOCUMENT_MAX)

struct bucket_document {
    /* immutable */
    const struct bucket_kind *kind;
    uint64_t generation;
    void *parsed;
    size_t bytes;

    _Atomic unsigned refs;
};

struct bucket_contexts {
    /* immutable */
    struct meta *meta;
    const struct bucket_kind *kinds;
    size_t kind_count;
    char kinds_text[KINDS_MAX]; /* the names, a JSON array */

    pthread_rwlock_t lock;
    /* guarded by lock */
    struct bucket_context *places[SETS][WAYS];
    size_t count, bytes;
    unsigned next_way, hand;
};

/* --- counted things --------------------------------------------------------------------------- */

static void document_unref(struct bucket_document *d)
{
    if (d == NULL || atomic_fetch_sub(&d->refs, 1) > 1)
        return;
    d->kind->free(d->parsed);
    free(d);
}

void bucket_context_unref(struct bucket_context *context)
{
    if (context == NULL || atomic_fetch_sub(&context->refs, 1) > 1)
        return;
    for (size_t i = 0; i < BUCKET_KINDS_MAX; i++)
        document_unref(context->documents[i]);
    free(context);
}

const void *bucket_context_document(const struct bucket_context *context, size_t kind)
{
    return context->documents[kind] != NULL ? context->documents[kind]->parsed : NULL;
}

/* --- in memory -------------------------------------------------------------------------------- */

static struct bucket_context **set_of(struct bucket_contexts *c, struct str bucket)
{
    return c->places[crc64nvme(0, bucket.ptr, bucket.len) % SETS];
}

static struct bucket_context **find(struct bucket_contexts *c, struct str bucket)
{
    struct bucket_context **set = set_of(c, bucket);
    for (size_t i = 0; i < WAYS; i++)
        if (set[i] != NULL && str_eq(set[i]->name, bucket))
            return &set[i];
    return NULL;
}

static struct bucket_context **free_place(struct bucket_contexts *c, struct str bucket)
{
    struct bucket_context **set = set_of(c, bucket);
    for (size_t i = 0; i < WAYS; i++)
        if (set[i] == NULL)
            return &set[i];
    return &set[c->next_way++ % WAYS];
}

static void clear(struct bucket_contexts *c, struct bucket_context **place)
{
    if (*place == NULL)
        return;
    c->count--;
    c->bytes -= (*place)->bytes;
    bucket_context_unref(*place);
    *place = NULL;
}

/* `context` NULL: the bucket is gone. */
static void replace(struct bucket_contexts *c, struct str bucket, struct bucket_context *context)
{
    pthread_rwlock_wrlock(&c->lock);
    struct bucket_context **place = find(c, bucket);
    if (place != NULL)
        clear(c, place);
    if (context != NULL && context->bytes <= KEPT_MAX) {
        while (c->bytes + context->bytes > BUCKET_CONTEXTS_BYTES) {
            unsigned victim = c->hand++ % (SETS * WAYS);
            clear(c, &c->places[victim / WAYS][victim % WAYS]);
        }
        place = free_place(c, bucket);
        clear(c, place);
        atomic_fetch_add(&context->refs, 1);
        *place = context;
        c->count++;
        c->bytes += context->bytes;
    }
    pthread_rwlock_unlock(&c->lock);
}

struct bucket_context *bucket_context_find(struct bucket_contexts *c, struct str bucket)
{
    pthread_rwlock_rdlock(&c->lock);
    struct bucket_context **place = find(c, bucket);
    struct bucket_context *context = place != NULL ? *place : NULL;
    if (context != NULL)
        atomic_fetch_add(&context->refs, 1);
    pthread_rwlock_unlock(&c->lock);
    return context;
}

size_t bucket_contexts_count(struct bucket_contexts *c, size_t *out_bytes)
{
    pthread_rwlock_rdlock(&c->lock);
    size_t count = c->count;
    *out_bytes = c->bytes;
    pthread_rwlock_unlock(&c->lock);
    return count;
}

/* --- from the database ------------------------------------------------------------------------ */

/* Columns of bucket_context; a row a document, or one without. */
enum {
    COL_ID,
    COL_OWNER,
    COL_OWNER_CANONICAL,
    COL_REGION,
    COL_CREATED,
    COL_GENERATION,
    COL_VERSIONING,
    COL_OBJECT_LOCK,
    COL_KIND,
    COL_DOCUMENT_GENERATION,
    COL_BODY
};

/* Copies `s` to *end, which moves on. */
static struct str append(char **end, struct str s)
{
    struct str copy = {*end, s.len};
    memcpy(*end, s.ptr, s.len);
    *end += s.len;
    return copy;
}

static struct bucket_context *new_context(struct str name, const struct sql_call *c)
{
    struct str texts[] = {name, sql_str(c, 0, COL_REGION), sql_str(c, 0, COL_OWNER_CANONICAL)};
    struct bucket_context *context =
        calloc(1, sizeof(*context) + texts[0].len + texts[1].len + texts[2].len);
    if (context == NULL)
        return NULL;
    char *end = (char *)(context + 1);
    context->name = append(&end, texts[0]);
    context->region = append(&end, texts[1]);
    context->owner_canonical_id = append(&end, texts[2]);
    context->id = (uint64_t)sql_int(c, 0, COL_ID);
    context->generation = (uint64_t)sql_int(c, 0, COL_GENERATION);
    context->owner = (uint64_t)sql_int(c, 0, COL_OWNER);
    context->versioning = (int)sql_int(c, 0, COL_VERSIONING);
    context->object_lock = sql_int(c, 0, COL_OBJECT_LOCK) != 0;
    context->created_ms = sql_int(c, 0, COL_CREATED);
    atomic_store(&context->refs, 1);
    return context;
}

static enum err parse(const struct bucket_kind *kind, uint64_t generation, struct str body,
                      struct bucket_document **out)
{
    struct bucket_document *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return err_set(ERR_NOMEM, "no memory for a bucket's configuration");
    *d = (struct bucket_document){.kind = kind, .generation = generation, .refs = 1};
    enum err err = kind->parse(body, &d->parsed, &d->bytes);
    if (err != OK) {
        free(d);
        return err;
    }
    *out = d;
    return OK;
}

/* A row without a body: what `old` has of that kind, which the statement was told of. */
static enum err take_document(const struct bucket_contexts *c, const struct sql_call *call,
                              size_t row, const struct bucket_context *old,
                              struct bucket_context *context)
{
    uint64_t generation = (uint64_t)sql_int(call, row, COL_DOCUMENT_GENERATION);
    size_t i = 0;
    while (i < c->kind_count && !str_eq(str_of(c->kinds[i].name), sql_str(call, row, COL_KIND)))
        i++;
    if (i == c->kind_count || context->documents[i] != NULL)
        return err_set(ERR_BUG, "a bucket's document that was not asked for");
    struct bucket_document *known = old != NULL ? old->documents[i] : NULL;
    enum err err = OK;
    if (!sql_is_null(call, row, COL_BODY)) {
        err = parse(&c->kinds[i], generation, sql_str(call, row, COL_BODY), &context->documents[i]);
    } else if (known != NULL && known->generation == generation) {
        atomic_fetch_add(&known->refs, 1);
        context->documents[i] = known;
    } else { /* two kinds with one generation */
        err = err_set(ERR_CORRUPT, "two documents of a bucket have one generation");
    }
    if (err == OK)
        context->bytes += context->documents[i]->bytes;
    return err;
}

static enum err take_all(struct bucket_contexts *c, struct str bucket, const struct sql_call *call,
                         const struct bucket_context *old, struct bucket_context **out)
{
    struct bucket_context *context = new_context(bucket, call);
    enum err err = context != NULL ? OK : err_set(ERR_NOMEM, "no memory for a bucket");
    for (size_t row = 0; err == OK && row < call->rows; row++)
        if (!sql_is_null(call, row, COL_KIND))
            err = take_document(c, call, row, old, context);
    if (err != OK) {
        bucket_context_unref(context);
        return err;
    }
    *out = context;
    return OK;
}

static size_t generations_of(const struct bucket_context *old, uint64_t out[BUCKET_KINDS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; old != NULL && i < BUCKET_KINDS_MAX; i++)
        if (old->documents[i] != NULL)
            out[count++] = old->documents[i]->generation;
    return count;
}

static enum err load(struct bucket_contexts *c, struct arena *a, struct str bucket,
                     const struct bucket_context *old, struct bucket_context **out)
{
    uint64_t known[BUCKET_KINDS_MAX];
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct str generations = sql_json_array(a, known, generations_of(old, known));
    struct sql_call *call = sql_add_bucket_context(
        &u, p_bucket(bucket), p_kinds(str_of(c->kinds_text)), p_ids(generations));
    enum err err = sql_read(c->meta->sql, &u);
    if (err != OK)
        return err;
    if (call->rows == 0)
        return err_set(ERR_NOT_FOUND, "no such bucket");
    return take_all(c, bucket, call, old, out);
}

enum err bucket_context_load(struct bucket_contexts *c, struct str bucket,
                             struct bucket_context **out)
{
    *out = NULL;
    struct arena *a = arena_new(LOAD_ARENA);
    struct bucket_context *old = bucket_context_find(c, bucket);
    enum err err = a != NULL ? load(c, a, bucket, old, out)
                             : err_set(ERR_NOMEM, "no memory to look at a bucket");
    if (err == OK || err == ERR_NOT_FOUND)
        replace(c, bucket, *out);
    bucket_context_unref(old);
    arena_free(a);
    return err;
}

/* --- the cache itself ------------------------------------------------------------------------- */

static enum err write_kinds(struct bucket_contexts *c)
{
    struct buf text;
    buf_init(&text, KINDS_MAX - 1);
    buf_append_char(&text, '[');
    for (size_t i = 0; i < c->kind_count; i++)
        buf_printf(&text, "%s\"%s\"", i > 0 ? "," : "", c->kinds[i].name);
    buf_append_char(&text, ']');
    enum err err = buf_check(&text);
    if (err == OK)
        memcpy(c->kinds_text, buf_str(&text).ptr, buf_str(&text).len);
    buf_fini(&text);
    return err;
}

enum err bucket_contexts_new(struct meta *m, const struct bucket_kind *kinds, size_t count,
                             struct bucket_contexts **out)
{
    struct bucket_contexts *c = count <= BUCKET_KINDS_MAX ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL || pthread_rwlock_init(&c->lock, NULL) != 0) {
        free(c);
        return err_set(ERR_NOMEM, "no memory for buckets");
    }
    c->meta = m;
    c->kinds = kinds;
    c->kind_count = count;
    enum err err = write_kinds(c);
    if (err != OK) {
        bucket_contexts_free(c);
        return err;
    }
    *out = c;
    return OK;
}

void bucket_contexts_free(struct bucket_contexts *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < SETS; i++)
        for (size_t way = 0; way < WAYS; way++)
            bucket_context_unref(c->places[i][way]);
    pthread_rwlock_destroy(&c->lock);
    free(c);
}
