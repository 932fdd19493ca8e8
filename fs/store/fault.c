#include "fs/store/fault.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RULES_MAX 16

struct rule {
    struct fault_rule what;
    char prefix[STORE_NAME_MAX + 1];
    uint64_t seen; /* calls that matched */
};

struct named_count {
    char name[STORE_NAME_MAX + 1];
    uint64_t calls[STORE_OPS];
};

struct fault_store {
    struct store base;
    struct store *inner; /* immutable */
    pthread_mutex_t lock;
    pthread_cond_t released;
    /* guarded by lock */
    struct rule rules[RULES_MAX];
    size_t rule_count;
    uint64_t random;
    uint64_t release_round;
    size_t held;
    struct named_count *names; /* looked through one by one: tests have few */
    size_t name_count;
    uint64_t calls[STORE_OPS];
};

static struct fault_store *fault_of(struct store *s)
{
    return (struct fault_store *)s;
}

/* xorshift64*: the same seed gives the same failures. */
static uint64_t next_random(struct fault_store *f)
{
    f->random ^= f->random >> 12;
    f->random ^= f->random << 25;
    f->random ^= f->random >> 27;
    return f->random * 2685821657736338717u;
}

/* --- which rule fires ------------------------------------------------------------------------- */

static void count_call(struct fault_store *f, enum store_op op, const char *name)
{
    size_t i = 0;

    f->calls[op]++;
    while (i < f->name_count && strcmp(f->names[i].name, name) != 0)
        i++;
    if (i == f->name_count) {
        struct named_count *more = realloc(f->names, (i + 1) * sizeof(*more));
        if (more == NULL)
            return;
        f->names = more;
        memset(&more[i], 0, sizeof(more[i]));
        memcpy(more[i].name, name, strlen(name) + 1);
        f->name_count++;
    }
    f->names[i].calls[op]++;
}

static bool fires(struct fault_store *f, struct rule *r, enum store_op op, const char *name)
{
    const struct fault_rule *what = &r->what;

    if (what->ops != 0 && !(what->ops & 1u << op))
        return false;
    if (strncmp(name, r->prefix, strlen(r->prefix)) != 0)
        return false;
    r->seen++;
    if (what->nth > 0)
        return r->seen >= what->nth && r->seen - what->nth < (what->count ? what->count : 1);
    return what->per_mille == 0 || next_random(f) % 1000 < what->per_mille;
}

/* Counts the call and copies the rule that fires; false when none does. */
static bool consult(struct fault_store *f, enum store_op op, const char *name,
                    struct fault_rule *out)
{
    bool found = false;

    pthread_mutex_lock(&f->lock);
    count_call(f, op, name);
    for (size_t i = 0; i < f->rule_count && !found; i++) {
        found = fires(f, &f->rules[i], op, name);
        if (found)
            *out = f->rules[i].what;
    }
    pthread_mutex_unlock(&f->lock);
    return found;
}

static void hold(struct fault_store *f)
{
    pthread_mutex_lock(&f->lock);
    uint64_t round = f->release_round;
    f->held++;
    while (f->release_round == round)
        pthread_cond_wait(&f->released, &f->lock);
    f->held--;
    pthread_mutex_unlock(&f->lock);
}

static enum err failure(const struct fault_rule *r, enum store_op op, const char *name)
{
    return err_set(r->code == OK ? ERR_IO : r->code, "injected: %s of %s", store_op_name(op), name);
}

/* What happens before a call and its result after it. */
struct plan {
    struct fault_rule rule;
    bool fired;
    enum store_op op;
    const char *name;
};

/* False when the call must not be done; *out is its result then. */
static bool before(struct fault_store *f, enum store_op op, const char *name, struct plan *p,
                   enum err *out)
{
    *p = (struct plan){.op = op, .name = name};
    p->fired = consult(f, op, name, &p->rule);
    if (!p->fired)
        return true;
    switch (p->rule.kind) {
    case FAULT_HOLD:
        hold(f);
        return true;
    case FAULT_SLOW: {
        struct timespec ts = {.tv_sec = p->rule.delay_ms / 1000,
                              .tv_nsec = (long)(p->rule.delay_ms % 1000) * 1000000};
        nanosleep(&ts, NULL);
        return true;
    }
    case FAULT_CUT:
        if (op == STORE_PUT)
            return true;
        *out = op == STORE_GET ? err_set(ERR_CORRUPT, "injected: %s ends early", name)
                               : failure(&p->rule, op, name);
        return false;
    case FAULT_FAIL:
        *out = failure(&p->rule, op, name);
        return false;
    default:
        return true;
    }
}

static enum err after(const struct plan *p, enum err err)
{
    if (p->fired && p->rule.kind == FAULT_LOST && err == OK)
        return failure(&p->rule, p->op, p->name);
    return err;
}

/* --- operations ------------------------------------------------------------------------------- */

/* Puts a damaged copy: half of it, or with its middle byte changed. */
static enum err put_damaged(struct store *inner, const char *name, const struct iovec *iov,
                            int count, size_t len, enum fault_kind kind)
{
    uint8_t *copy = malloc(len + 1);
    size_t at = 0;

    if (copy == NULL)
        return err_set(ERR_NOMEM, "no memory for a copy");
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > 0)
            memcpy(copy + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    if (kind == FAULT_CUT)
        len /= 2;
    else
        copy[len / 2] ^= 1;
    enum err err = store_put_bytes(inner, name, copy, len);
    free(copy);
    return err;
}

static enum err fault_put(struct store *s, const char *name, const struct iovec *iov, int count,
                          size_t len)
{
    struct fault_store *f = fault_of(s);
    struct plan p;
    enum err err;

    if (!before(f, STORE_PUT, name, &p, &err))
        return err;
    if (p.fired && (p.rule.kind == FAULT_CORRUPT || p.rule.kind == FAULT_CUT))
        return put_damaged(f->inner, name, iov, count, len, p.rule.kind);
    return after(&p, store_put(f->inner, name, iov, count, len));
}

/* The byte at `at` of a vector. */
static uint8_t *byte_at(const struct iovec *iov, size_t at)
{
    while (at >= iov->iov_len)
        at -= iov++->iov_len;
    return (uint8_t *)iov->iov_base + at;
}

static enum err fault_get(struct store *s, const char *name, uint64_t offset,
                          const struct iovec *iov, int count, size_t len)
{
    struct fault_store *f = fault_of(s);
    struct plan p;
    enum err err;

    if (!before(f, STORE_GET, name, &p, &err))
        return err;
    err = store_getv(f->inner, name, offset, iov, count, len);
    if (err == OK && p.fired && p.rule.kind == FAULT_CORRUPT)
        *byte_at(iov, len / 2) ^= 1;
    return after(&p, err);
}

static enum err fault_size(struct store *s, const char *name, uint64_t *out)
{
    struct fault_store *f = fault_of(s);
    struct plan p;
    enum err err;

    if (!before(f, STORE_SIZE, name, &p, &err))
        return err;
    return after(&p, store_size(f->inner, name, out));
}

static enum err fault_del(struct store *s, const char *name)
{
    struct fault_store *f = fault_of(s);
    struct plan p;
    enum err err;

    if (!before(f, STORE_DEL, name, &p, &err))
        return err;
    return after(&p, store_del(f->inner, name));
}

static enum err fault_list(struct store *s, const char *prefix, store_list_fn *each, void *user)
{
    struct fault_store *f = fault_of(s);
    struct plan p;
    enum err err;

    if (!before(f, STORE_LIST, prefix, &p, &err))
        return err;
    return after(&p, store_list(f->inner, prefix, each, user));
}

static void fault_close(struct store *s)
{
    struct fault_store *f = fault_of(s);

    store_close(f->inner);
    pthread_cond_destroy(&f->released);
    pthread_mutex_destroy(&f->lock);
    free(f->names);
    free(f);
}

static const struct store_ops fault_ops = {
    .put = fault_put,
    .get = fault_get,
    .size = fault_size,
    .del = fault_del,
    .list = fault_list,
    .close = fault_close,
};

/* --- control ---------------------------------------------------------------------------------- */

enum err store_fault_new(struct store *inner, uint64_t seed, struct store **out)
{
    struct fault_store *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return err_set(ERR_NOMEM, "no memory for the store");
    store_init(&f->base, &fault_ops, inner->label);
    f->base.put_limit_ms = inner->put_limit_ms;
    f->inner = inner;
    f->random = seed | 1;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->released, NULL);
    *out = &f->base;
    return OK;
}

enum err store_fault_add(struct store *s, const struct fault_rule *rule)
{
    struct fault_store *f = fault_of(s);
    const char *prefix = rule->prefix != NULL ? rule->prefix : "";
    enum err err = OK;

    if (!store_prefix_ok(prefix))
        return err_set(ERR_INVALID, "not a prefix of names");
    pthread_mutex_lock(&f->lock);
    if (f->rule_count == RULES_MAX) {
        err = err_set(ERR_NOMEM, "more than %d rules", RULES_MAX);
    } else {
        struct rule *r = &f->rules[f->rule_count++];
        memset(r, 0, sizeof(*r));
        r->what = *rule;
        r->what.prefix = NULL;
        memcpy(r->prefix, prefix, strlen(prefix) + 1);
    }
    pthread_mutex_unlock(&f->lock);
    return err;
}

void store_fault_clear(struct store *s)
{
    struct fault_store *f = fault_of(s);

    pthread_mutex_lock(&f->lock);
    f->rule_count = 0;
    pthread_mutex_unlock(&f->lock);
    store_fault_release(s);
}

size_t store_fault_held(struct store *s)
{
    struct fault_store *f = fault_of(s);

    pthread_mutex_lock(&f->lock);
    size_t held = f->held;
    pthread_mutex_unlock(&f->lock);
    return held;
}

void store_fault_release(struct store *s)
{
    struct fault_store *f = fault_of(s);

    pthread_mutex_lock(&f->lock);
    f->release_round++;
    pthread_cond_broadcast(&f->released);
    pthread_mutex_unlock(&f->lock);
}

uint64_t store_fault_calls(struct store *s, enum store_op op, const char *name)
{
    struct fault_store *f = fault_of(s);
    uint64_t calls = 0;

    pthread_mutex_lock(&f->lock);
    if (name == NULL)
        calls = f->calls[op];
    for (size_t i = 0; name != NULL && i < f->name_count; i++)
        if (strcmp(f->names[i].name, name) == 0)
            calls = f->names[i].calls[op];
    pthread_mutex_unlock(&f->lock);
    return calls;
}
