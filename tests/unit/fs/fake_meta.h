/*
 * A volume without a database and without a disk, for unit tests of fs/: the functions of meta/
 * that files need, and a backing store in memory that counts. Included once a test program; these
 * definitions win over libmeta.a, and jobs_poke() over the file that would pull the rest of it in.
 */
#ifndef KISEKI_TESTS_UNIT_FS_FAKE_META_H
#define KISEKI_TESTS_UNIT_FS_FAKE_META_H

#include "base/hash.h"
#include "base/log.h"
#include "fs/volume.h"
#include "fs/file.h"
#include "fs/read/slice_reader.h"
#include "fs/store/fault.h"
#include "fs/write/writer.h"
#include "meta/files/reclaim.h"
#include "tests/unit/base/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* --- meta/ ------------------------------------------------------------------------------------ */

struct fake_meta {
    _Atomic bool fenced;
    _Atomic uint64_t next_id;
    _Atomic int reads; /* epoch tags held */
    pthread_mutex_t lock;
    /* guarded by lock */
    struct slice_name doomed[4096];
    size_t doomed_count;
    /* what object_get() and object_extents() answer; set by a test before threads start */
    struct object object;
    const struct object_extent *extents; /* sorted by (start, token) */
    size_t extent_count;
    size_t first_extents; /* as many come with the object */
    _Atomic int extent_calls;
};
static struct fake_meta fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool meta_session_alive(struct meta *m)
{
    (void)m;
    return !fake.fenced;
}

enum err meta_next_id(struct meta *m, uint64_t *out)
{
    (void)m;
    *out = atomic_fetch_add(&fake.next_id, 1) + 1;
    return OK;
}

enum err slice_name_next(struct meta *m, struct slice_name *out)
{
    out->tag = UINT64_C(0xfeedbeef12345678);
    return meta_next_id(m, &out->id);
}

enum err slices_doom(struct meta *m, const struct slice_name *slices, size_t count)
{
    (void)m;
    pthread_mutex_lock(&fake.lock);
    for (size_t i = 0; i < count && fake.doomed_count < 4096; i++)
        fake.doomed[fake.doomed_count++] = slices[i];
    pthread_mutex_unlock(&fake.lock);
    return OK;
}

void meta_read_begin(struct meta *m, struct meta_read *r)
{
    (void)m;
    *r = (struct meta_read){0};
    fake.reads++;
}

void meta_read_share(struct meta *m, const struct meta_read *of, struct meta_read *r)
{
    (void)m;
    *r = *of;
    fake.reads++;
}

void meta_read_end(struct meta *m, struct meta_read *r)
{
    (void)m, (void)r;
    fake.reads--;
}

void jobs_poke(struct jobs *j)
{
    (void)j;
}

static enum err fake_extents(struct arena *a, uint64_t offset, uint64_t end, size_t max,
                             struct object_extent **out, size_t *out_count, bool *out_more)
{
    *out_count = 0;
    *out_more = false;
    *out = arena_array(a, fake.extent_count + 1, sizeof(**out));
    if (*out == NULL)
        return err_set(ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < fake.extent_count && !*out_more; i++) {
        const struct object_extent *e = &fake.extents[i];

        if (e->start + e->len <= offset || e->start >= end)
            continue;
        *out_more = *out_count == max;
        if (!*out_more)
            (*out)[(*out_count)++] = *e;
    }
    return OK;
}

enum err object_extents(struct meta *m, struct arena *a, const struct object *o, uint64_t offset,
                        uint64_t len, size_t max, struct object_extent **out, size_t *out_count,
                        bool *out_more)
{
    (void)m, (void)o;
    fake.extent_calls++;
    return fake_extents(a, offset, offset + len, max, out, out_count, out_more);
}

enum err object_links(struct meta *m, struct arena *a, const struct object *o, uint64_t offset,
                      uint64_t len, const struct object_extent *after, size_t max,
                      struct object_extent **out, size_t *out_count)
{
    size_t n = 0;

    (void)m, (void)o;
    *out = arena_array(a, max + 1, sizeof(**out));
    for (size_t i = 0; *out != NULL && i < fake.extent_count && n < max; i++) {
        const struct object_extent *e = &fake.extents[i];
        bool behind = after->len == 0 || e->start > after->start ||
                      (e->start == after->start && e->token > after->token);

        if (behind && e->start < offset + len && e->start + e->len > offset)
            (*out)[n++] = *e;
    }
    *out_count = n;
    return *out != NULL ? OK : err_set(ERR_NOMEM, "no memory");
}

enum err object_records(struct meta *m, struct arena *a, struct object_extent *extents,
                        size_t count)
{
    (void)m, (void)a;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < fake.extent_count; k++)
            if (fake.extents[k].piece == extents[i].piece)
                extents[i].records = fake.extents[k].records;
    return OK;
}

enum err object_get(struct meta *m, struct arena *a, const struct object_get *q, struct object *out,
                    enum meta_missing *out_missing)
{
    uint64_t end = q->len < UINT64_MAX - q->offset ? q->offset + q->len : UINT64_MAX;
    struct object_extent *extents;
    enum err err;

    (void)m;
    *out_missing = META_MISSING_NONE;
    *out = (struct object){.data = STR_NONE};
    if (str_eq(q->key, STR("missing"))) {
        *out_missing = META_MISSING_KEY;
        return err_set(ERR_NOT_FOUND, "no such key");
    }
    *out = fake.object;
    err = fake_extents(a, q->offset, end, fake.first_extents, &extents, &out->extent_count,
                       &out->more_extents);
    out->extents = extents;
    return err;
}

/* --- a store in memory ------------------------------------------------------------------------ */

struct mem_object {
    char name[STORE_NAME_MAX + 1];
    struct mem_object *next;
    size_t len;
    _Atomic uint64_t got_bytes, gets;
    uint8_t data[];
};

struct mem_store {
    struct store base;
    pthread_mutex_t lock;
    struct mem_object *objects[1024]; /* guarded by lock; never removed */
    _Atomic uint64_t gets, got_bytes, puts;
    _Atomic int fail_gets; /* so many gets answer ERR_BUSY */
    bool discard;          /* keeps no bytes */
    unsigned nap_us;       /* each call takes so long */
};

static struct mem_object **mem_bucket(struct mem_store *s, const char *name)
{
    unsigned h = 5381;

    for (const char *c = name; *c != '\0'; c++)
        h = h * 33 + (unsigned char)*c;
    return &s->objects[h % 1024];
}

static struct mem_object *mem_find(struct mem_store *s, const char *name)
{
    struct mem_object *o;

    pthread_mutex_lock(&s->lock);
    for (o = *mem_bucket(s, name); o != NULL && strcmp(o->name, name) != 0;)
        o = o->next;
    pthread_mutex_unlock(&s->lock);
    return o;
}

static void mem_nap(struct mem_store *s)
{
    struct timespec t = {.tv_nsec = (long)s->nap_us * 1000};

    if (s->nap_us > 0)
        nanosleep(&t, NULL);
}

static enum err mem_put(struct store *base, const char *name, const struct iovec *iov, int count,
                        size_t len)
{
    struct mem_store *s = (struct mem_store *)base;
    struct mem_object *o;
    size_t at = 0;

    mem_nap(s);
    s->puts++;
    if (s->discard)
        return OK;
    o = calloc(1, sizeof(*o) + len);
    if (o == NULL)
        return ERR_NOMEM;
    snprintf(o->name, sizeof(o->name), "%s", name);
    o->len = len;
    for (int i = 0; i < count; at += iov[i++].iov_len)
        memcpy(o->data + at, iov[i].iov_base, iov[i].iov_len);
    pthread_mutex_lock(&s->lock);
    o->next = *mem_bucket(s, name);
    *mem_bucket(s, name) = o;
    pthread_mutex_unlock(&s->lock);
    return OK;
}

static enum err mem_get(struct store *base, const char *name, uint64_t offset,
                        const struct iovec *iov, int count, size_t len)
{
    struct mem_store *s = (struct mem_store *)base;
    struct mem_object *o = mem_find(s, name);

    mem_nap(s);
    s->gets++;
    s->got_bytes += len;
    if (s->fail_gets > 0 && atomic_fetch_sub(&s->fail_gets, 1) > 0)
        return err_set(ERR_BUSY, "the store is away");
    if (o == NULL)
        return err_set(ERR_NOT_FOUND, "%s is not there", name);
    if (offset + len > o->len)
        return err_set(ERR_CORRUPT, "%s is too short", name);
    o->gets++;
    o->got_bytes += len;
    for (int i = 0; i < count; offset += iov[i++].iov_len)
        memcpy(iov[i].iov_base, o->data + offset, iov[i].iov_len);
    return OK;
}

static void mem_close(struct store *base)
{
    struct mem_store *s = (struct mem_store *)base;

    for (size_t i = 0; i < 1024; i++) {
        while (s->objects[i] != NULL) {
            struct mem_object *o = s->objects[i];

            s->objects[i] = o->next;
            free(o);
        }
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static inline struct mem_store *mem_store_new(void)
{
    static const struct store_ops ops = {.put = mem_put, .get = mem_get, .close = mem_close};
    struct mem_store *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    store_init(&s->base, &ops, "memory");
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

/* --- a volume --------------------------------------------------------------------------------- */

struct volume {
    struct fs fs;
    struct mem_store *mem; /* behind fs.store */
};

static inline struct volume *volume_new(size_t memory_bytes)
{
    struct volume *v = calloc(1, sizeof(*v));
    struct fs *fs;

    assert_non_null(v);
    fs = &v->fs;
    log_set_level(LOG_LEVELS); /* expected errors stay out of the tests' output */
    fake = (struct fake_meta){.lock = PTHREAD_MUTEX_INITIALIZER, .first_extents = 8};
    v->mem = mem_store_new();
    assert_ok(store_fault_new(&v->mem->base, 1, &fs->store));
    fs->meta = (struct meta *)&fake;
    fs->inline_max = 64 << 10;
    assert_ok(memory_open(fs, memory_bytes));
    assert_ok(pressure_start(fs));
    assert_ok(slice_queue_init(&fs->storing, &fs->io, 8));
    assert_ok(pool_new("io", 8, 4096, &fs->io));
    return v;
}

/* Everything out of the cache. */
static inline void volume_cold(struct volume *v)
{
    while (cache_evict_one(v->fs.cache))
        ;
}

static inline void volume_free(struct volume *v)
{
    struct pages_stats s;

    pool_free(v->fs.io);
    slice_queue_fini(&v->fs.storing);
    pressure_stop(&v->fs);
    volume_cold(v);
    pages_stats(&v->fs.pages, &s);
    assert_int_equal(s.in_use, 0); /* nothing leaked */
    assert_int_equal(s.used[PAGE_UPLOAD] + s.used[PAGE_READ] + s.reserved, 0);
    assert_int_equal(s.waiting[PAGE_UPLOAD] + s.waiting[PAGE_READ], 0);
    assert_int_equal(v->fs.coming, 0);
    assert_int_equal(fake.reads, 0);
    memory_close(&v->fs);
    store_close(v->fs.store);
    free(v);
}

/* Eight bytes of the file with this seed. */
static inline uint64_t word_of(uint64_t seed, uint64_t at)
{
    uint64_t h = (at / 8 + seed * 1000003 + 1) * UINT64_C(0x9E3779B97F4A7C15);

    return h ^ h >> 29;
}

static inline uint8_t byte_of(uint64_t seed, uint64_t at)
{
    return (uint8_t)(word_of(seed, at) >> at % 8 * 8);
}

static inline void fill(uint8_t *out, uint64_t seed, uint64_t at, size_t len)
{
    size_t i = 0;

    while (i < len && (at + i) % 8 != 0)
        out[i] = byte_of(seed, at + i), i++;
    for (uint64_t word; i + 8 <= len; i += 8) {
        word = word_of(seed, at + i);
        memcpy(out + i, &word, 8);
    }
    for (; i < len; i++)
        out[i] = byte_of(seed, at + i);
}

/* Stores a slice of these bytes and describes it; the CRCs are malloc'ed. */
static inline struct record make_slice(struct volume *v, const uint8_t *bytes, uint32_t len)
{
    struct record r = {.kind = RECORD_SLICE, .len = len, .slice_len = len};
    uint64_t *crcs = calloc(META_GRANULES_MAX, sizeof(*crcs));
    char name[SLICE_NAME_TEXT];

    assert_non_null(crcs);
    assert_ok(slice_name_next(v->fs.meta, &r.slice));
    for (uint32_t g = 0; g < record_granules(len); g++) {
        uint32_t start = g * META_GRANULE, left = len - start;

        crcs[g] = crc64nvme(0, bytes + start, left < META_GRANULE ? left : META_GRANULE);
    }
    r.granule_crcs = crcs;
    slice_name_text(r.slice, name);
    assert_ok(store_put_bytes(v->fs.store, name, bytes, len));
    return r;
}

#endif
