#include "fs/store/store.h"

#include "base/clock.h"
#include "fs/store/backends.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const op_names[STORE_OPS] = {
    [STORE_PUT] = "put",    [STORE_GET] = "get",   [STORE_SIZE] = "size",
    [STORE_DEL] = "delete", [STORE_LIST] = "list",
};

static const char *const result_names[STORE_RESULTS] = {
    [STORE_RESULT_OK] = "ok",         [STORE_RESULT_NOT_FOUND] = "not_found",
    [STORE_RESULT_DENIED] = "denied", [STORE_RESULT_BUSY] = "busy",
    [STORE_RESULT_ERROR] = "error",
};

static unsigned int or_default(unsigned int value, unsigned int fallback)
{
    return value > 0 ? value : fallback;
}

static struct store_options with_defaults(const struct store_options *opts)
{
    struct store_options o = opts != NULL ? *opts : (struct store_options){0};

    o.connect_timeout_ms = or_default(o.connect_timeout_ms, 5000);
    o.stall_timeout_ms = or_default(o.stall_timeout_ms, 10000);
    o.request_timeout_ms = or_default(o.request_timeout_ms, 30000);
    o.call_timeout_ms = or_default(o.call_timeout_ms, 60000);
    o.max_attempts = or_default(o.max_attempts, 6);
    o.retry_base_ms = or_default(o.retry_base_ms, 100);
    return o;
}

enum err store_open(const char *url, const struct store_options *opts, struct store **out)
{
    *out = NULL;
    if (strncmp(url, "dir:", 4) == 0)
        return store_dir_open(url + 4, opts != NULL ? opts->must_have : NULL, out);
    if (strncmp(url, "s3://", 5) == 0) {
        struct store_options filled = with_defaults(opts);
        return store_s3_open(url + 5, &filled, out);
    }
    return err_set(ERR_INVALID, "the store must be dir:PATH or s3://BUCKET[/PREFIX]?endpoint=URL");
}

void store_init(struct store *s, const struct store_ops *ops, const char *label)
{
    memset(s, 0, sizeof(*s));
    s->ops = ops;
    snprintf(s->label, sizeof(s->label), "%s", label);
}

void store_cancel(struct store *s)
{
    if (s == NULL)
        return;
    atomic_store(&s->cancelled, true);
    if (s->ops->cancel != NULL)
        s->ops->cancel(s);
}

void store_close(struct store *s)
{
    if (s != NULL)
        s->ops->close(s);
}

/* --- names ------------------------------------------------------------------------------------ */

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '/';
}

bool store_prefix_ok(const char *prefix)
{
    size_t len = 0;

    for (; prefix[len] != '\0'; len++) {
        bool begins_segment = len == 0 || prefix[len - 1] == '/';
        if (len == STORE_NAME_MAX || !name_char(prefix[len]) ||
            (prefix[len] == '/' && begins_segment))
            return false;
    }
    return true;
}

bool store_name_ok(const char *name)
{
    size_t len = strnlen(name, STORE_NAME_MAX + 1);

    return len > 0 && name[len - 1] != '/' && store_prefix_ok(name);
}

static enum err bad_name(const char *name)
{
    return err_set(ERR_INVALID, "\"%.*s\" is not an object name", STORE_NAME_MAX, name);
}

/* Before a call: its name is an object's (or the listing's prefix is one), and nobody stops us. */
static enum err check_call(const struct store *s, const char *name, bool ok)
{
    if (!ok)
        return bad_name(name);
    if (atomic_load(&s->cancelled))
        return err_set(ERR_CANCELLED, "%s: not asked any more, the process stops", s->label);
    return OK;
}

/* --- counting --------------------------------------------------------------------------------- */

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static enum store_result result_of(enum err err)
{
    switch (err) {
    case OK:
        return STORE_RESULT_OK;
    case ERR_NOT_FOUND:
        return STORE_RESULT_NOT_FOUND;
    case ERR_DENIED:
        return STORE_RESULT_DENIED;
    case ERR_BUSY:
    case ERR_FULL:
        return STORE_RESULT_BUSY;
    default:
        return STORE_RESULT_ERROR;
    }
}

static enum err counted(struct store *s, enum store_op op, int64_t began_us, enum err err)
{
    int64_t took_us = clock_mono_us() - began_us;

    add(&s->count.calls[op][result_of(err)], 1);
    add(&s->count.micros[op], took_us > 0 ? (uint64_t)took_us : 0);
    return err;
}

void store_count_retry(struct store *s)
{
    add(&s->count.retries, 1);
}

void store_stats(const struct store *s, struct store_stats *out)
{
    for (int op = 0; op < STORE_OPS; op++) {
        for (int result = 0; result < STORE_RESULTS; result++)
            out->calls[op][result] = read_counter(&s->count.calls[op][result]);
        out->micros[op] = read_counter(&s->count.micros[op]);
    }
    out->put_bytes = read_counter(&s->count.put_bytes);
    out->get_bytes = read_counter(&s->count.get_bytes);
    out->retries = read_counter(&s->count.retries);
}

const char *store_op_name(enum store_op op)
{
    return (int)op >= 0 && op < STORE_OPS ? op_names[op] : "unknown";
}

const char *store_result_name(enum store_result result)
{
    return (int)result >= 0 && result < STORE_RESULTS ? result_names[result] : "unknown";
}

const char *store_label(const struct store *s)
{
    return s->label;
}

int64_t store_put_limit_ms(const struct store *s)
{
    return s->put_limit_ms;
}

/* --- checked calls ---------------------------------------------------------------------------- */

static enum err check_vector(const struct iovec *iov, int count, size_t len)
{
    size_t sum = 0;

    if (count < 0 || count > STORE_IOV_MAX)
        return err_set(ERR_INVALID, "a put of %d pieces; at most %d", count, STORE_IOV_MAX);
    if (len > STORE_OBJECT_MAX)
        return err_set(ERR_TOO_LARGE, "an object of %zu bytes; at most %zu", len, STORE_OBJECT_MAX);
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > len - sum)
            return err_set(ERR_INVALID, "a put of %zu bytes whose pieces are longer", len);
        sum += iov[i].iov_len;
    }
    if (sum != len)
        return err_set(ERR_INVALID, "a put of %zu bytes whose pieces are shorter", len);
    return OK;
}

enum err store_put(struct store *s, const char *name, const struct iovec *iov, int count,
                   size_t len)
{
    enum err err = check_call(s, name, store_name_ok(name));
    if (err == OK)
        err = check_vector(iov, count, len);
    if (err != OK)
        return err;
    int64_t began = clock_mono_us();
    err = s->ops->put(s, name, iov, count, len);
    if (err == OK)
        add(&s->count.put_bytes, len);
    return counted(s, STORE_PUT, began, err);
}

enum err store_put_bytes(struct store *s, const char *name, const void *data, size_t len)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};

    return store_put(s, name, &iov, 1, len);
}

enum err store_size(struct store *s, const char *name, uint64_t *out)
{
    enum err err = check_call(s, name, store_name_ok(name));
    if (err != OK)
        return err;
    int64_t began = clock_mono_us();
    return counted(s, STORE_SIZE, began, s->ops->size(s, name, out));
}

/* Nothing is asked for, but a missing or shorter object is still an error. */
static enum err get_nothing(struct store *s, const char *name, uint64_t offset)
{
    uint64_t size = 0;
    enum err err = store_size(s, name, &size);

    if (err == OK && offset > size)
        err =
            err_set(ERR_CORRUPT, "%s: %" PRIu64 " bytes, asked from %" PRIu64, name, size, offset);
    return err;
}

enum err store_get(struct store *s, const char *name, uint64_t offset, size_t len, void *out)
{
    struct iovec iov = {out, len};

    return store_getv(s, name, offset, &iov, 1, len);
}

enum err store_getv(struct store *s, const char *name, uint64_t offset, const struct iovec *iov,
                    int count, size_t len)
{
    enum err err = check_call(s, name, store_name_ok(name));
    if (err != OK)
        return err;
    if (len > STORE_OBJECT_MAX || offset > STORE_OBJECT_MAX)
        return err_set(ERR_TOO_LARGE, "a get of %zu bytes from %" PRIu64 "; at most %zu", len,
                       offset, STORE_OBJECT_MAX);
    if (len == 0)
        return get_nothing(s, name, offset);
    int64_t began = clock_mono_us();
    err = s->ops->get(s, name, offset, iov, count, len);
    if (err == OK)
        add(&s->count.get_bytes, len);
    return counted(s, STORE_GET, began, err);
}

enum err store_get_all(struct store *s, const char *name, struct buf *out)
{
    uint64_t size = 0;
    enum err err = store_size(s, name, &size);

    if (err != OK)
        return err;
    if (size > out->max - out->len || size > STORE_OBJECT_MAX)
        return err_set(ERR_TOO_LARGE, "%s has %" PRIu64 " bytes", name, size);
    if (size == 0)
        return OK;
    char *room = buf_reserve(out, (size_t)size);
    if (room == NULL)
        return buf_check(out);
    err = store_get(s, name, 0, (size_t)size, room);
    if (err == OK)
        buf_added(out, (size_t)size);
    return err;
}

enum err store_del(struct store *s, const char *name)
{
    enum err err = check_call(s, name, store_name_ok(name));
    if (err != OK)
        return err;
    int64_t began = clock_mono_us();
    return counted(s, STORE_DEL, began, s->ops->del(s, name));
}

static void count_each(struct store *s, size_t count, const struct err_info *results,
                       int64_t began_us)
{
    int64_t took_us = clock_mono_us() - began_us;

    for (size_t i = 0; i < count; i++)
        add(&s->count.calls[STORE_DEL][result_of(results[i].code)], 1);
    add(&s->count.micros[STORE_DEL], took_us > 0 ? (uint64_t)took_us : 0);
}

void store_del_many(struct store *s, const char *const *names, size_t count,
                    struct err_info *results)
{
    int64_t began = clock_mono_us();
    bool good = count <= STORE_DEL_MAX;

    for (size_t i = 0; i < count; i++)
        good = good && store_name_ok(names[i]);
    if (good && count > 1 && s->ops->del_many != NULL &&
        s->ops->del_many(s, names, count, results)) {
        count_each(s, count, results, began);
        return;
    }
    for (size_t i = 0; i < count; i++)
        err_save(store_del(s, names[i]), &results[i]);
}

size_t store_del_chunk(const struct store *s)
{
    return s->ops->del_many != NULL ? STORE_DEL_MAX : 1;
}

enum err store_list(struct store *s, const char *prefix, store_list_fn *each, void *user)
{
    enum err err = check_call(s, prefix, store_prefix_ok(prefix));
    if (err != OK)
        return err;
    int64_t began = clock_mono_us();
    return counted(s, STORE_LIST, began, s->ops->list(s, prefix, each, user));
}
