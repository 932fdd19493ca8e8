/* Objects: meta/names/object.h but for listing. */
#include "tests/contract/object_fixture.h"

/* --- put and get ----------------------------------------------------------------------------- */

static void test_meta_object__what_is_put_is_got(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    const struct pair headers[] = {{STR("Content-Type"), STR("text/plain")},
                                   {STR("x-amz-meta-a"), STR("\xc3\xa4")}};
    const struct pair tags[] = {{STR("t"), STR("v")}};
    struct object_put p = put_of(m, STR("k/\xf0\x9f\x98\x80\n?"), small(STR("some\0bytes")));
    struct object o;
    enum meta_missing missing;
    p.attr.storage_class = STR("REDUCED_REDUNDANCY");
    p.attr.checksum = 3;
    p.headers = (struct pairs){headers, 2};
    p.tags = (struct pairs){tags, 1};
    p.checksum = STR("\0\1\2");
    p.parts = STR("parts");
    assert_ok(object_put(m, &p, &missing));

    struct object_get q = {.bucket = BUCKET, .key = p.key, .want = OBJECT_DATA, EVERYTHING};
    for (int head = 0; head < 2; head++) {
        q.want = head ? OBJECT_ATTR : OBJECT_DATA;
        assert_ok(object_get(m, w->arena, &q, &o, &missing));
        assert_true(o.bucket_id > 0);
        assert_true(o.bucket_generation != 0); /* random */
        assert_int_equal(o.attr.inode, p.inode);
        assert_int_equal(o.attr.size, 10);
        assert_str(STR("e1"), o.attr.etag);
        assert_int_equal(o.attr.mtime_ms, 1700000000123);
        assert_int_equal(o.attr.owner, 7);
        assert_str(STR("REDUCED_REDUNDANCY"), o.attr.storage_class);
        assert_int_equal(o.attr.checksum, 3);
        assert_str(STR("null"), o.attr.version);
        assert_int_equal(o.headers.count, 2);
        assert_str(STR("\xc3\xa4"), pairs_get(o.headers, STR("X-Amz-Meta-A")));
        assert_str(STR("v"), pairs_get(o.tags, STR("t")));
        assert_str(STR("\0\1\2"), o.checksum);
        assert_str(STR("parts"), o.parts);
        assert_int_equal(o.extent_count, 0);
        assert_false(o.more_extents);
        if (head)
            assert_null(o.data.ptr);
        else
            assert_str(STR("some\0bytes"), o.data);
    }
    q.version = STR("null");
    assert_ok(object_get(m, w->arena, &q, &o, &missing));
    q.version = STR("other");
    assert_err(ERR_NOT_FOUND, object_get(m, w->arena, &q, &o, &missing));
    assert_int_equal(missing, META_MISSING_KEY);
    meta_close(m);
}

static void test_meta_object__says_what_is_missing(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct object o;
    enum meta_missing missing;
    struct object_get q = {.bucket = BUCKET, .key = STR("k"), .want = OBJECT_DATA, EVERYTHING};
    assert_err(ERR_NOT_FOUND, object_get(m, w->arena, &q, &o, &missing));
    assert_int_equal(missing, META_MISSING_KEY);
    assert_true(o.bucket_id > 0);
    q.bucket = STR("none");
    assert_err(ERR_NOT_FOUND, object_get(m, w->arena, &q, &o, &missing));
    assert_int_equal(missing, META_MISSING_BUCKET);
    struct object_put p = put_of(m, STR("k"), content_of(w, m, 1, MIB));
    p.bucket = STR("none");
    int64_t before = rows(w);
    assert_err(ERR_NOT_FOUND, object_put(m, &p, &missing));
    assert_int_equal(missing, META_MISSING_BUCKET);
    assert_int_equal(rows(w), before);
    put(m, STR("k"), small(STR("x")));
    run(w, "UPDATE keys SET marker = 1, inode = NULL, size = 0, seq = 2, keep_displaced = -2");
    q.bucket = BUCKET;
    assert_err(ERR_NOT_FOUND, object_get(m, w->arena, &q, &o, &missing));
    assert_int_equal(missing, META_MISSING_KEY);
    assert_true(o.attr.marker);
    meta_close(m);
}

static void test_meta_object__an_empty_one_has_data_of_no_bytes(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct object o;
    put(m, STR("k"), (struct content){.size = 0});
    assert_ok(get(w, m, STR("k"), &o));
    assert_int_equal(o.attr.size, 0);
    assert_non_null(o.data.ptr);
    assert_int_equal(o.data.len, 0);
    meta_close(m);
}

static void test_meta_object__gives_the_extents_that_a_range_touches(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct content c = content_of(w, m, 20, 4 * MIB);
    uint64_t inode = put(m, STR("k"), c);
    static const struct {
        uint64_t offset, len;
        size_t first, count;
        bool more;
    } cases[] = {
        {0, UINT64_MAX, 0, 8, true},
        {0, 1, 0, 1, false},
        {4 * MIB - 1, 1, 0, 1, false},
        {4 * MIB - 1, 2, 0, 2, false},
        {4 * MIB, 1, 1, 1, false},
        {12 * MIB, UINT64_MAX, 3, 8, true},
        {48 * MIB, UINT64_MAX, 12, 8, false},
        {0, 32 * MIB, 0, 8, false},
        {0, 32 * MIB + 1, 0, 8, true},
        {79 * MIB, UINT64_MAX, 19, 1, false},
        {80 * MIB, UINT64_MAX, 20, 0, false},
        {UINT64_MAX, UINT64_MAX, 20, 0, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct object o;
        enum meta_missing missing;
        struct object_get q = {.bucket = BUCKET,
                               .key = STR("k"),
                               .want = OBJECT_DATA,
                               .offset = cases[i].offset,
                               .len = cases[i].len};
        print_message("offset %llu length %llu\n", (unsigned long long)q.offset,
                      (unsigned long long)q.len);
        assert_ok(object_get(m, w->arena, &q, &o, &missing));
        assert_null(o.data.ptr);
        assert_int_equal(o.extent_count, cases[i].count);
        assert_int_equal(o.more_extents, cases[i].more);
        for (size_t k = 0; k < o.extent_count; k++) {
            assert_int_equal(o.extents[k].piece, c.pieces[cases[i].first + k].id);
            assert_int_equal(o.extents[k].start, (cases[i].first + k) * 4 * MIB);
            assert_str(c.pieces[cases[i].first + k].records, o.extents[k].records);
        }
    }
    struct str map = map_of(w, m, inode);
    size_t spaces = 0;
    for (size_t i = 0; i < map.len; i++)
        spaces += map.ptr[i] == ' ';
    assert_int_equal(spaces, 20);
    assert_refs(w);
    assert_int_equal(ask(w, "SELECT count(*) FROM slices"), 40);
    meta_close(m);
}

static void test_meta_object__finds_a_range_in_full_pieces(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct record hole = {.kind = RECORD_HOLE, .len = META_PIECE_MAX};
    struct buf b;
    buf_init(&b, 4096);
    record_pack(&b, &hole, 1);
    struct content_piece pieces[3];
    for (size_t i = 0; i < 3; i++)
        pieces[i] = (struct content_piece){.id = next_id(m),
                                           .start = i * META_PIECE_MAX,
                                           .len = META_PIECE_MAX,
                                           .records = buf_str(&b)};
    struct content c = {.size = 3 * (uint64_t)META_PIECE_MAX, .pieces = pieces, .piece_count = 3};
    struct object o = {.attr.inode = put(m, STR("k"), c)};
    struct object_extent *e;
    size_t count;
    bool more;
    assert_ok(
        object_extents(m, w->arena, &o, 2 * (uint64_t)META_PIECE_MAX - 1, 1, 8, &e, &count, &more));
    assert_int_equal(count, 1);
    assert_int_equal(e[0].piece, pieces[1].id);
    assert_ok(
        object_extents(m, w->arena, &o, 2 * (uint64_t)META_PIECE_MAX, 1, 8, &e, &count, &more));
    assert_int_equal(count, 1);
    assert_int_equal(e[0].piece, pieces[2].id);
    buf_fini(&b);
    meta_close(m);
}

static void test_meta_object__an_overwrite_queues_the_old_file(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct object o;
    uint64_t first = put(m, STR("k"), content_of(w, m, 1, MIB));
    uint64_t second = put(m, STR("k"), small(STR("new")));
    assert_ok(get(w, m, STR("k"), &o));
    assert_int_equal(o.attr.inode, second);
    assert_str(STR("new"), o.data);
    assert_int_equal(ask(w, "SELECT count(*) FROM dead WHERE kind = 1"), 1);
    assert_int_equal(ask(w, "SELECT id FROM dead"), first);
    assert_int_equal(ask(w, "SELECT seq FROM keys"), 2);
    assert_int_equal(ask(w, "SELECT CAST(sum(bytes) AS BIGINT) FROM usage_deltas"), 3);
    assert_int_equal(ask(w, "SELECT CAST(sum(objects) AS BIGINT) FROM usage_deltas"), 1);
    meta_close(m);
}

static void test_meta_object__a_lost_piece_or_file_is_corruption(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct object o;
    put(m, STR("k"), content_of(w, m, 1, MIB));
    run(w, "DELETE FROM pieces");
    assert_err(ERR_CORRUPT, get(w, m, STR("k"), &o));
    run(w, "DELETE FROM inodes");
    assert_err(ERR_CORRUPT, get(w, m, STR("k"), &o));
    meta_close(m);
}

static void test_meta_object__writes_need_a_session(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct object_put p = put_of(m, STR("k"), small(STR("x")));
    meta_close(m);
    m = open_volume(w);
    enum meta_missing missing;
    struct object_delete d = {.bucket = BUCKET, .key = STR("k")};
    assert_err(ERR_FENCED, object_put(m, &p, &missing));
    object_delete(m, &d, 1);
    assert_int_equal(d.result, ERR_FENCED);
    meta_close(m);
}

/* --- conditions ------------------------------------------------------------------------------ */

static const struct {
    const char *what;
    struct object_cond cond;
    enum err on_missing, on_e1; /* the key has etag e1 */
} conditions[] = {
    {"none", {.if_absent = false}, OK, OK},
    {"if-none-match *", {.if_absent = true}, OK, ERR_CONDITION},
    {"if-match *", {.if_present = true}, ERR_NOT_FOUND, OK},
    {"if-match e1", {.if_match = {"e1", 2}}, ERR_NOT_FOUND, OK},
    {"if-match e2", {.if_match = {"e2", 2}}, ERR_NOT_FOUND, ERR_CONDITION},
    {"if-none-match e1", {.if_none_match = {"e1", 2}}, OK, ERR_CONDITION},
    {"if-none-match e2", {.if_none_match = {"e2", 2}}, OK, OK},
    {"if-match e1, if-none-match e1",
     {.if_match = {"e1", 2}, .if_none_match = {"e1", 2}},
     ERR_NOT_FOUND,
     ERR_CONDITION},
    {"if-match * and if-none-match *",
     {.if_present = true, .if_absent = true},
     ERR_NOT_FOUND,
     ERR_CONDITION},
};

static void try_condition(struct world *w, struct meta *m, size_t i, struct str key,
                          enum err expected)
{
    enum meta_missing missing;
    struct object_put p = put_of(m, key, content_of(w, m, 1, MIB));
    p.cond = conditions[i].cond;
    p.attr.etag = STR("new");
    int64_t before = rows(w);
    assert_err(expected, object_put(m, &p, &missing));
    if (expected != OK)
        assert_int_equal(rows(w), before);
    else
        assert_true(rows(w) > before);
    assert_int_equal(missing, expected == ERR_NOT_FOUND ? META_MISSING_KEY : META_MISSING_NONE);
}

static void test_meta_object__conditions_decide_and_leave_nothing(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        struct str key = str_of(arena_printf(w->arena, "key %zu", i));
        struct str other = str_of(arena_printf(w->arena, "other %zu", i));
        print_message("%s\n", conditions[i].what);
        try_condition(w, m, i, key, conditions[i].on_missing);
        put(m, other, small(STR("old")));
        try_condition(w, m, i, other, conditions[i].on_e1);
    }
    meta_close(m);
}

struct racer {
    struct world *w;
    struct meta *m;
    struct object_put put;
    enum err result;
    int rounds;
};

static void *race_to_create(void *arg)
{
    struct racer *r = arg;
    enum meta_missing missing;
    r->result = object_put(r->m, &r->put, &missing);
    return NULL;
}

static void test_meta_object__one_of_sixteen_creators_wins(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct meta *other = open_gateway(w);
    for (int round = 0; round < 10; round++) {
        struct racer racers[16];
        struct str key = str_of(arena_printf(w->arena, "key %d", round));
        int won = 0;
        for (size_t i = 0; i < 16; i++) {
            struct meta *through = i % 2 == 0 ? m : other;
            racers[i] = (struct racer){.m = through, .put = put_of(through, key, small(STR("x")))};
            racers[i].put.cond.if_absent = true;
        }
        in_threads(16, race_to_create, racers, sizeof(racers[0]));
        for (size_t i = 0; i < 16; i++) {
            won += racers[i].result == OK;
            if (racers[i].result != OK)
                assert_int_equal(racers[i].result, ERR_CONDITION);
        }
        assert_int_equal(won, 1);
    }
    assert_int_equal(ask(w, "SELECT count(*) FROM inodes"), 10);
    meta_close(other);
    meta_close(m);
}

/* Adds one to the number in the object, if nobody did so meanwhile. */
static void *increment(void *arg)
{
    struct racer *r = arg;
    enum meta_missing missing;
    while (r->rounds > 0 && r->result == OK) {
        struct arena *a = arena_new(1 << 20);
        struct object_get q = {.bucket = BUCKET, .key = STR("n"), .want = OBJECT_DATA, EVERYTHING};
        struct object o;
        uint64_t n = 0;
        r->result = object_get(r->m, a, &q, &o, &missing);
        if (r->result == OK)
            r->result = str_to_u64(o.data, &n);
        if (r->result == OK)
            r->result = meta_next_id(r->m, &r->put.inode);
        r->put.content = small(str_of(arena_printf(a, "%llu", (unsigned long long)n + 1)));
        r->put.attr.etag = str_of(arena_printf(a, "etag of %llu", (unsigned long long)n + 1));
        r->put.cond.if_match = o.attr.etag;
        if (r->result == OK) {
            enum err err = object_put(r->m, &r->put, &missing);
            r->rounds -= err == OK;
            r->result = err == ERR_CONDITION ? OK : err;
        }
        arena_free(a);
    }
    return NULL;
}

static void test_meta_object__compare_and_swap_loses_no_update(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct meta *other = open_gateway(w);
    struct racer racers[8];
    struct object o;
    put(m, STR("n"), small(STR("0")));
    for (size_t i = 0; i < 8; i++) {
        struct meta *through = i % 2 == 0 ? m : other;
        racers[i] = (struct racer){
            .m = through, .rounds = 10, .put = put_of(through, STR("n"), small(STR("")))};
    }
    in_threads(8, increment, racers, sizeof(racers[0]));
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(racers[i].result, OK);
    assert_ok(get(w, m, STR("n"), &o));
    assert_str(STR("80"), o.data);
    assert_int_equal(ask(w, "SELECT seq FROM keys"), 81);
    assert_int_equal(ask(w, "SELECT count(*) FROM dead"), 80);
    meta_close(other);
    meta_close(m);
}

static void *delete_bucket(void *arg)
{
    struct racer *r = arg;
    if (r->rounds > 0)
        r->result = bucket_delete(r->m, BUCKET);
    else
        race_to_create(r);
    return NULL;
}

static void test_meta_object__no_key_outlives_its_bucket(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct meta *other = open_gateway(w);
    int deletions = 0;
    for (int round = 0; round < 40; round++) {
        struct racer racers[4];
        struct bucket b;
        assert_ok(bucket_create(m, w->arena, BUCKET, 7, STR("r"), &b));
        for (size_t i = 0; i < 4; i++) {
            struct meta *through = i % 2 == 0 ? m : other;
            struct str key = str_of(arena_printf(w->arena, "%d %zu", round, i));
            racers[i] = (struct racer){.m = through, .put = put_of(through, key, small(STR("x")))};
        }
        size_t deleter = (size_t)round % 2; /* threads begin in this order */
        racers[deleter].rounds = 1;
        in_threads(4, delete_bucket, racers, sizeof(racers[0]));
        bool deleted = racers[deleter].result == OK;
        assert_true(deleted || racers[deleter].result == ERR_NOT_EMPTY);
        for (size_t i = 0; i < 4; i++)
            if (i != deleter)
                assert_int_equal(racers[i].result, deleted ? ERR_NOT_FOUND : OK);
        deletions += deleted;
        assert_int_equal(ask(w, "SELECT count(*) FROM keys"), deleted ? 0 : 3);
        run(w, "DELETE FROM keys; DELETE FROM buckets");
    }
    print_message("the bucket was deleted in %d of 40 rounds\n", deletions);
    meta_close(other);
    meta_close(m);
}

/* --- delete ---------------------------------------------------------------------------------- */

static void test_meta_object__deletes_many_on_their_own_merits(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct object_delete d[1000];
    for (size_t i = 0; i < 1000; i++) {
        struct str key = str_of(arena_printf(w->arena, "key %zu", i));
        d[i] = (struct object_delete){.bucket = BUCKET, .key = key};
        if (i % 2 == 0)
            put(m, key, small(STR("x")));
    }
    d[1].bucket = STR("none");
    d[2].cond.if_match = STR("e2");
    d[3].cond.if_match = STR("e1");
    d[4].cond.if_match = STR("e1");
    d[5].cond.if_present = true;
    d[6].cond = (struct object_cond){.has_size = true, .if_size = 2};
    d[8].cond = (struct object_cond){.has_size = true, .if_size = 1};
    d[10].cond = (struct object_cond){.has_mtime = true, .if_mtime_s = 1700000000};
    d[12].cond = (struct object_cond){.has_mtime = true, .if_mtime_s = 1700000001};
    d[14].version = STR("null");
    d[16].cond = (struct object_cond){.if_none_match = {"e1", 2}};
    object_delete(m, d, 1000);
    for (size_t i = 0; i < 1000; i++) {
        enum err expected = i == 1 || i == 3 || i == 5               ? ERR_NOT_FOUND
                            : i == 2 || i == 6 || i == 12 || i == 16 ? ERR_CONDITION
                                                                     : OK;
        if (d[i].result != expected)
            fail_msg("item %zu: %s", i, err_name(d[i].result));
        assert_int_equal(d[i].missing, i == 1             ? META_MISSING_BUCKET
                                       : i == 3 || i == 5 ? META_MISSING_KEY
                                                          : META_MISSING_NONE);
    }
    assert_int_equal(ask(w, "SELECT count(*) FROM keys"), 4);
    assert_int_equal(ask(w, "SELECT count(*) FROM dead"), 496);
    assert_int_equal(ask(w, "SELECT CAST(sum(objects) AS BIGINT) FROM usage_deltas"), 4);
    object_delete(m, NULL, 0);
    meta_close(m);
}

/* --- copy ------------------------------------------------------------------------------------ */

static enum err copy(struct world *w, struct meta *m, struct str from, struct str to,
                     struct object_cond cond, uint64_t *out_inode)
{
    struct object source;
    enum meta_missing missing;
    assert_ok(get(w, m, from, &source));
    struct object_put p = put_of(m, to, small(STR_NONE));
    p.cond = cond;
    *out_inode = p.inode;
    return object_copy(m, &p, &source, &missing);
}

static void test_meta_object__a_copy_shares_pieces_and_takes_small_bytes(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    const struct object_cond none = {.if_absent = false};
    struct object o;
    uint64_t from = put(m, STR("large"), content_of(w, m, 10, MIB)), to;
    assert_ok(copy(w, m, STR("large"), STR("large copy"), none, &to));
    assert_str(map_of(w, m, from), map_of(w, m, to));
    assert_ok(get(w, m, STR("large copy"), &o));
    assert_int_equal(o.attr.size, 10 * MIB);
    assert_int_equal(ask(w, "SELECT count(*) FROM pieces WHERE refs = 2"), 10);
    assert_refs(w);
    put(m, STR("small"), small(STR("a\0b")));
    assert_ok(copy(w, m, STR("small"), STR("small copy"), none, &to));
    assert_ok(get(w, m, STR("small copy"), &o));
    assert_str(STR("a\0b"), o.data);
    put(m, STR("empty"), small(STR("")));
    assert_ok(copy(w, m, STR("empty"), STR("empty copy"), none, &to));
    assert_ok(get(w, m, STR("empty copy"), &o));
    assert_int_equal(o.attr.size, 0);
    meta_close(m);
}

static void test_meta_object__a_copy_onto_itself_keeps_the_bytes(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    const struct object_cond none = {.if_absent = false};
    uint64_t from = put(m, STR("k"), content_of(w, m, 3, MIB)), to;
    assert_ok(copy(w, m, STR("k"), STR("k"), none, &to));
    assert_str(map_of(w, m, from), map_of(w, m, to));
    assert_int_equal(ask(w, "SELECT id FROM dead"), from);
    assert_refs(w);
    struct object o;
    put(m, STR("s"), small(STR("bytes")));
    assert_ok(copy(w, m, STR("s"), STR("s"), none, &to));
    assert_ok(get(w, m, STR("s"), &o));
    assert_int_equal(o.attr.inode, to);
    assert_str(STR("bytes"), o.data);
    meta_close(m);
}

static void test_meta_object__a_refused_copy_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    uint64_t to;
    put(m, STR("k"), content_of(w, m, 3, MIB));
    put(m, STR("there"), small(STR("old")));
    int64_t before = rows(w);
    assert_err(ERR_CONDITION,
               copy(w, m, STR("k"), STR("there"), (struct object_cond){.if_absent = true}, &to));
    assert_err(ERR_NOT_FOUND, copy(w, m, STR("k"), STR("not there"),
                                   (struct object_cond){.if_present = true}, &to));
    assert_int_equal(rows(w), before);
    assert_refs(w);
    meta_close(m);
}

static void test_meta_object__a_copy_of_what_is_gone_conflicts_and_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct object source;
    enum meta_missing missing;
    struct content c = content_of(w, m, 3, MIB);
    put(m, STR("k"), c);
    put(m, STR("there"), small(STR("old")));
    assert_ok(get(w, m, STR("k"), &source));
    struct object_put p = put_of(m, STR("there"), small(STR_NONE));
    int64_t before = rows(w);
    source.attr.size++; /* a link is missing, as if dropped already */
    assert_err(ERR_CONFLICT, object_copy(m, &p, &source, &missing));
    assert_int_equal(rows(w), before);
    source.attr.size--;
    run(w, "UPDATE pieces SET refs = 0 WHERE id = (SELECT max(id) FROM pieces)");
    before = rows(w);
    assert_err(ERR_CONFLICT, object_copy(m, &p, &source, &missing));
    assert_int_equal(rows(w), before);
    assert_int_equal(ask(w, "SELECT count(*) FROM pieces WHERE refs = 1"), 2);
    run(w, "DELETE FROM pieces WHERE refs = 0");
    assert_err(ERR_CONFLICT, object_copy(m, &p, &source, &missing));
    run(w, "DELETE FROM pieces; DELETE FROM inode_pieces; DELETE FROM inodes WHERE data IS NULL");
    before = rows(w);
    assert_err(ERR_CONFLICT, object_copy(m, &p, &source, &missing));
    assert_int_equal(rows(w), before);
    assert_ok(get(w, m, STR("there"), &source));
    assert_str(STR("old"), source.data);
    meta_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_object__what_is_put_is_got),
        cmocka_unit_test(test_meta_object__says_what_is_missing),
        cmocka_unit_test(test_meta_object__an_empty_one_has_data_of_no_bytes),
        cmocka_unit_test(test_meta_object__gives_the_extents_that_a_range_touches),
        cmocka_unit_test(test_meta_object__finds_a_range_in_full_pieces),
        cmocka_unit_test(test_meta_object__an_overwrite_queues_the_old_file),
        cmocka_unit_test(test_meta_object__a_lost_piece_or_file_is_corruption),
        cmocka_unit_test(test_meta_object__writes_need_a_session),
        cmocka_unit_test(test_meta_object__conditions_decide_and_leave_nothing),
        cmocka_unit_test(test_meta_object__one_of_sixteen_creators_wins),
        cmocka_unit_test(test_meta_object__compare_and_swap_loses_no_update),
        cmocka_unit_test(test_meta_object__no_key_outlives_its_bucket),
        cmocka_unit_test(test_meta_object__deletes_many_on_their_own_merits),
        cmocka_unit_test(test_meta_object__a_copy_shares_pieces_and_takes_small_bytes),
        cmocka_unit_test(test_meta_object__a_copy_onto_itself_keeps_the_bytes),
        cmocka_unit_test(test_meta_object__a_refused_copy_leaves_nothing),
        cmocka_unit_test(test_meta_object__a_copy_of_what_is_gone_conflicts_and_leaves_nothing),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
