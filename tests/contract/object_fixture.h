/*
 * What the tests of objects, listings and uploads share: buckets, contents of pieces and slices,
 * and a file as a line of text that says which bytes of which piece it consists of.
 */
#ifndef KISEKI_TESTS_CONTRACT_OBJECT_FIXTURE_H
#define KISEKI_TESTS_CONTRACT_OBJECT_FIXTURE_H

#include "meta/names/bucket.h"
#include "meta/names/list.h"
#include "meta/names/part.h"
#include "tests/contract/meta_fixture.h"

#include <pthread.h>

#define MIB        ((uint64_t)1 << 20)
#define BUCKET     STR("bucket")
#define EVERYTHING 0, UINT64_MAX

#define assert_str(expected, actual)                                                               \
    do {                                                                                           \
        struct str assert_a_ = (actual), assert_e_ = (expected);                                   \
        if (!str_eq(assert_a_, assert_e_))                                                         \
            fail_msg("\"" STR_FMT "\" is not \"" STR_FMT "\"", STR_ARG(assert_a_),                 \
                     STR_ARG(assert_e_));                                                          \
    } while (0)

static inline struct meta *open_bucket(struct world *w)
{
    struct meta *m = open_gateway(w);
    struct bucket b;
    assert_ok(bucket_create(m, w->arena, BUCKET, 7, STR("r"), &b));
    return m;
}

/* A content of `count` pieces of `len` bytes, each of two slices. */
static inline struct content content_of(struct world *w, struct meta *m, size_t count, uint64_t len)
{
    static uint64_t crcs[META_GRANULES_MAX];
    struct content_piece *pieces = arena_array(w->arena, count, sizeof(*pieces));
    for (size_t i = 0; i < count; i++) {
        struct slice_name *names = arena_array(w->arena, 2, sizeof(*names));
        struct buf packed;
        names[0] = next_slice(m);
        names[1] = next_slice(m);
        uint32_t half = (uint32_t)(len / 2), rest = (uint32_t)(len - len / 2);
        struct record records[] = {{.kind = RECORD_SLICE,
                                    .len = half,
                                    .slice = names[0],
                                    .slice_len = half,
                                    .granule_crcs = crcs},
                                   {.kind = RECORD_SLICE,
                                    .pos = half,
                                    .len = rest,
                                    .slice = names[1],
                                    .slice_len = rest,
                                    .granule_crcs = crcs}};
        buf_init(&packed, 1 << 20);
        record_pack(&packed, records, 2);
        pieces[i] = (struct content_piece){.id = next_id(m),
                                           .start = i * len,
                                           .len = len,
                                           .records = arena_str(w->arena, buf_str(&packed)),
                                           .slices = names,
                                           .slice_count = 2};
        buf_fini(&packed);
    }
    return (struct content){.size = count * len, .pieces = pieces, .piece_count = count};
}

static inline struct object_put put_of(struct meta *m, struct str key, struct content c)
{
    return (struct object_put){.bucket = BUCKET,
                               .key = key,
                               .inode = next_id(m),
                               .attr = {.etag = STR("e1"), .mtime_ms = 1700000000123, .owner = 7},
                               .content = c};
}

static inline struct content small(struct str data)
{
    return (struct content){.size = data.len, .data = data};
}

static inline uint64_t put(struct meta *m, struct str key, struct content c)
{
    enum meta_missing missing;
    struct object_put p = put_of(m, key, c);
    assert_ok(object_put(m, &p, &missing));
    return p.inode;
}

static inline enum err get(struct world *w, struct meta *m, struct str key, struct object *out)
{
    enum meta_missing missing;
    struct object_get q = {
        .bucket = BUCKET, .key = key, .want = OBJECT_DATA, .offset = 0, .len = UINT64_MAX};
    return object_get(m, w->arena, &q, out, &missing);
}

/* "piece+offset:length" of each extent, side by side; all of them. */
static inline struct str map_of(struct world *w, struct meta *m, uint64_t inode)
{
    struct buf text;
    uint64_t at = 0;
    bool more = true;
    struct object o = {.attr.inode = inode};
    buf_init(&text, 1 << 20);
    while (more) {
        struct object_extent *e;
        size_t count;
        assert_ok(object_extents(m, w->arena, &o, at, UINT64_MAX, 64, &e, &count, &more));
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(e[i].start, at);
            assert_true(e[i].records.len > 5);
            buf_printf(&text, "%llu+%llu:%llu ", (unsigned long long)e[i].piece,
                       (unsigned long long)e[i].piece_off, (unsigned long long)e[i].len);
            at += e[i].len;
        }
    }
    struct str r = arena_str(w->arena, buf_str(&text));
    buf_fini(&text);
    return r;
}

/* Every row that a write makes; a refused write must leave it as it was. */
static inline int64_t rows(struct world *w)
{
    return ask(w, "SELECT (SELECT count(*) FROM keys) + 100 * (SELECT count(*) FROM inodes)"
                  " + 10000 * (SELECT count(*) FROM pieces)"
                  " + 1000000 * (SELECT count(*) FROM inode_pieces)"
                  " + 100000000 * (SELECT count(*) FROM slices)"
                  " + 10000000000 * (SELECT count(*) FROM dead)");
}

/* References of pieces are exactly their links; of slices one each. */
static inline void assert_refs(struct world *w)
{
    assert_int_equal(ask(w, "SELECT count(*) FROM pieces WHERE refs <> (SELECT count(*)"
                            " FROM inode_pieces x WHERE x.piece = pieces.id)"),
                     0);
    assert_int_equal(ask(w, "SELECT count(*) FROM slices WHERE refs <> 1"), 0);
}

/* Runs `body` on `count` threads at once; `arg` has `size` bytes a thread. */
static inline void in_threads(size_t count, void *(*body)(void *), void *args, size_t size)
{
    pthread_t threads[64];
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, (char *)args + i * size), 0);
    for (size_t i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
}

#endif
