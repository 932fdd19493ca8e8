/*
 * A store whose gets a test lets go one by one, in any order and with any outcome: for tests that
 * say in which order things happen. It serves a few slices that the test knows the bytes of.
 *
 * Threads: gate_get() runs in those of the code under test, the rest in the test's own.
 */
#ifndef KISEKI_TESTS_UNIT_FS_GATE_STORE_H
#define KISEKI_TESTS_UNIT_FS_GATE_STORE_H

#include "tests/unit/fs/fake_meta.h"

#define GATE_SLICES   4
#define GATE_REQUESTS 64

enum verdict { VERDICT_NONE, VERDICT_OK, VERDICT_CORRUPT, VERDICT_ERROR };

/* One get that waits. */
struct gate_request {
    bool waits;
    uint64_t number; /* in order of coming, from 1 */
    size_t slice;
    uint32_t start, end; /* bytes */
    enum verdict verdict;
    enum err error;        /* of VERDICT_ERROR */
    uint32_t flipped_byte; /* of the slice, of VERDICT_CORRUPT */
};

struct gate_slice {
    char name[SLICE_NAME_TEXT];
    const uint8_t *bytes;
};

struct gate_store {
    struct store base;
    struct gate_slice slices[GATE_SLICES]; /* immutable once threads run */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* asked for each request as it comes, under the lock; NULL is fine */
    void (*came)(struct gate_store *g, const struct gate_request *r);
    /* guarded by lock */
    struct gate_request requests[GATE_REQUESTS];
    uint64_t count; /* of all requests */
    size_t waiting;
};

static size_t gate_slice_of(const struct gate_store *g, const char *name)
{
    size_t i = 0;

    while (i < GATE_SLICES && strcmp(g->slices[i].name, name) != 0)
        i++;
    return i;
}

/* Waits for the test's word, which it returns. */
static struct gate_request gate_wait(struct gate_store *g, size_t slice, uint32_t start,
                                     uint32_t end)
{
    struct gate_request *r = &g->requests[0], decided;

    pthread_mutex_lock(&g->lock);
    while (r->waits)
        r++; /* there are more places than threads */
    *r = (struct gate_request){
        .waits = true, .number = ++g->count, .slice = slice, .start = start, .end = end};
    g->waiting++;
    if (g->came != NULL)
        g->came(g, r);
    pthread_cond_broadcast(&g->changed);
    while (r->verdict == VERDICT_NONE)
        pthread_cond_wait(&g->changed, &g->lock);
    decided = *r;
    r->waits = false;
    g->waiting--;
    pthread_mutex_unlock(&g->lock);
    return decided;
}

static enum err gate_get(struct store *s, const char *name, uint64_t offset,
                         const struct iovec *iov, int count, size_t len)
{
    struct gate_store *g = (struct gate_store *)s;
    size_t slice = gate_slice_of(g, name);
    uint32_t at = (uint32_t)offset;
    struct gate_request r;

    if (slice == GATE_SLICES)
        return err_set(ERR_NOT_FOUND, "%s is not there", name);
    r = gate_wait(g, slice, at, at + (uint32_t)len);
    if (r.verdict == VERDICT_ERROR)
        return err_set(r.error, "the store fails");
    for (int i = 0; i < count; at += (uint32_t)iov[i++].iov_len) {
        memcpy(iov[i].iov_base, g->slices[slice].bytes + at, iov[i].iov_len);
        if (r.verdict == VERDICT_CORRUPT && r.flipped_byte - at < iov[i].iov_len)
            ((uint8_t *)iov[i].iov_base)[r.flipped_byte - at] ^= 16;
    }
    return OK;
}

static void gate_close(struct store *s)
{
    (void)s;
}

static inline void gate_init(struct gate_store *g)
{
    static const struct store_ops ops = {.get = gate_get, .close = gate_close};

    memset(g, 0, sizeof(*g));
    store_init(&g->base, &ops, "gate");
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
}

static inline void gate_fini(struct gate_store *g)
{
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->changed);
}

/* With the lock held. */
static inline void gate_decide(struct gate_store *g, struct gate_request *r, enum verdict verdict,
                               enum err error, uint32_t flipped_byte)
{
    r->verdict = verdict;
    r->error = error;
    r->flipped_byte = flipped_byte;
    pthread_cond_broadcast(&g->changed);
}

#endif
