/* Files written at ranges, in a real volume: against a model of bytes, views, conditions. */
#include "meta/files/write.h"
#include "tests/contract/file_fixture.h"

#define KEY       STR("file")
#define SMALL     ((size_t)256) /* inline_max: bytes in the row, inline records, slices all occur */
#define MODEL_MAX ((size_t)1 << 20)

static struct file_write unconditional(void)
{
    return (struct file_write){.bucket = BUCKET, .key = KEY};
}

/* --- a file and its model --------------------------------------------------------------------- */

struct model {
    struct volume *v;
    uint8_t *bytes;
    size_t len;
    uint64_t seed;
    char etag[64];
};

static uint64_t draw(struct model *m, uint64_t below)
{
    m->seed = m->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (m->seed >> 33) % below;
}

static void fill(struct model *m, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)draw(m, 256);
}

static size_t draw_len(struct model *m)
{
    static const size_t most[] = {10, 200, 3000, 70000, 200000};

    return 1 + (size_t)draw(m, most[draw(m, 5)]);
}

static void model_put(struct model *m)
{
    m->len = draw(m, 4) == 0 ? 0 : draw_len(m);
    fill(m, m->bytes, m->len);
    snprintf(m->etag, sizeof(m->etag), "put-%llu", (unsigned long long)m->seed);
    file_put(m->v, KEY, m->bytes, m->len, m->etag);
}

static void grow_to(struct model *m, size_t len)
{
    if (len > m->len) {
        memset(m->bytes + m->len, 0, len - m->len);
        m->len = len;
    }
}

static void expect_new_etag(struct model *m, const struct file_written *r, const char *etag)
{
    assert_int_equal(r->size, m->len);
    assert_non_null(strchr(etag, '-'));
    assert_string_not_equal(etag, m->etag);
    snprintf(m->etag, sizeof(m->etag), "%s", etag);
}

static void model_write(struct model *m)
{
    size_t len = draw_len(m), offset = (size_t)draw(m, m->len + 1);
    uint8_t *bytes = malloc(len);
    struct file_write w = unconditional();
    struct file_written r;
    char etag[64];

    assert_non_null(bytes);
    if (draw(m, 8) == 0)
        offset = m->len + (size_t)draw(m, 100000); /* a gap, mostly */
    if (offset + len <= MODEL_MAX) {
        fill(m, bytes, len);
        grow_to(m, offset + len);
        memcpy(m->bytes + offset, bytes, len);
        assert_ok(file_write_bytes(m->v, &w, offset, bytes, len, &r, etag));
        expect_new_etag(m, &r, etag);
    }
    free(bytes);
}

static void model_resize(struct model *m)
{
    struct arena *a = arena_new(MIB);
    struct file_write w = unconditional();
    size_t size = draw(m, 2) == 0 ? (size_t)draw(m, m->len + 1) : (size_t)draw(m, MODEL_MAX / 2);
    struct file_written r;
    enum meta_missing missing;
    char etag[64];

    grow_to(m, size);
    m->len = size;
    w.offset = size;
    assert_ok(file_resize(m->v->fs, a, &w, &r, &missing));
    snprintf(etag, sizeof(etag), STR_FMT, STR_ARG(r.etag));
    expect_new_etag(m, &r, etag);
    arena_free(a);
}

/* Copied, by copies of ranges into a multipart upload or whole, and written back from there. */
static void model_copy(struct model *m)
{
    struct arena *a = arena_new(16 * MIB);
    struct object_put p = {.bucket = BUCKET, .key = STR("copy"), .inode = next_id(m->v->meta)};
    enum meta_missing missing;
    struct file f;

    file_get(m->v, a, KEY, &f);
    p.attr = f.object.attr;
    p.attr.inode = 0;
    assert_ok(object_copy(m->v->meta, &p, &f.object, &missing));
    file_close(&f);
    file_is(m->v, STR("copy"), m->bytes, m->len);
    /* and the copy back: what has links with tokens is written at ranges again */
    file_get(m->v, a, STR("copy"), &f);
    p = (struct object_put){
        .bucket = BUCKET, .key = KEY, .inode = next_id(m->v->meta), .attr = f.object.attr};
    assert_ok(object_copy(m->v->meta, &p, &f.object, &missing));
    file_close(&f);
    arena_free(a);
}

/* Any range reads as the model has it. */
static void model_read(struct model *m)
{
    struct arena *a = arena_new(16 * MIB);
    size_t offset = (size_t)draw(m, m->len + 1), len = (size_t)draw(m, m->len - offset + 1);
    struct object_get q = {
        .bucket = BUCKET, .key = KEY, .want = OBJECT_DATA, .offset = offset, .len = len};
    enum meta_missing missing;
    uint8_t *back = malloc(len + 1);
    struct file f;

    assert_non_null(back);
    assert_ok(file_open(m->v->fs, a, &q, &f, &missing));
    assert_int_equal(f.object.attr.size, m->len);
    file_read(&f, offset, len, back);
    assert_memory_equal(back, m->bytes + offset, len);
    file_close(&f);
    free(back);
    arena_free(a);
}

static void step(struct model *m)
{
    switch (draw(m, 12)) {
    case 0:
        if (draw(m, 4) == 0)
            model_put(m);
        break;
    case 1:
        model_resize(m);
        break;
    case 2:
        model_copy(m);
        break;
    case 3:
        assert_ok(fold_all(m->v->meta));
        break;
    case 4:
    case 5:
        model_read(m);
        break;
    default:
        model_write(m);
    }
}

static uint64_t seed_of_test(void)
{
    const char *given = getenv("KISEKI_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : rand_u64();

    print_message("KISEKI_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void test_fs_write__equals_a_model_of_bytes(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    struct model m = {.v = v, .bytes = malloc(MODEL_MAX), .seed = seed_of_test()};

    assert_non_null(m.bytes);
    model_put(&m);
    for (int i = 0; i < 300; i++) {
        step(&m);
        if (i % 4 == 0)
            file_is(v, KEY, m.bytes, m.len);
    }
    file_is(v, KEY, m.bytes, m.len);
    free(m.bytes);
    volume_close(v, true);
}

/* --- what a client is answered ---------------------------------------------------------------- */

static void test_fs_write__drops_checksum_and_parts_and_changes_the_etag_each_time(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    uint8_t bytes[3000] = {1};
    struct arena *a = arena_new(MIB);
    struct file_write w = unconditional();
    char etags[3][64];
    struct file_written r;
    struct file f;

    for (size_t len = 100; len <= sizeof(bytes); len += 2900) {
        file_put(v, KEY, bytes, len, "e");
        file_get(v, a, KEY, &f);
        assert_str(STR("sum"), f.object.checksum);
        file_close(&f);
        for (size_t i = 0; i < 3; i++)
            assert_ok(file_write_bytes(v, &w, i, bytes, 1, &r, etags[i]));
        assert_string_not_equal(etags[0], etags[1]);
        assert_string_not_equal(etags[1], etags[2]);
        for (int i = 0; i < 2; i++) {
            file_get(v, a, KEY, &f);
            assert_int_equal(f.object.checksum.len, 0);
            assert_int_equal(f.object.attr.checksum, 0);
            assert_str(str_of(etags[2]), f.object.attr.etag);
            assert_true(f.object.attr.mtime_ms > 1000);
            file_close(&f);
            assert_ok(fold_all(v->meta)); /* which must change nothing */
        }
    }
    arena_free(a);
    volume_close(v, true);
}

static void test_fs_write__an_empty_one_changes_nothing(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    uint8_t bytes[3000] = {1};
    struct file_write w = unconditional();
    struct file_written r;
    char etag[64];

    file_put(v, KEY, bytes, sizeof(bytes), "e");
    assert_ok(file_write_bytes(v, &w, 1, bytes, 0, &r, etag));
    assert_string_equal(etag, "e");
    file_is(v, KEY, bytes, sizeof(bytes));
    volume_close(v, true);
}

/* One writer: what was refused left it as it was. */
static void test_fs_write__says_what_is_missing_or_too_large(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    struct arena *a = arena_new(MIB);
    struct writer *writer = writer_of(v, (const uint8_t *)"x", 1);
    struct file_write w = unconditional();
    struct file_written r;
    enum meta_missing missing;

    assert_err(ERR_NOT_FOUND, file_write(writer, a, &w, &r, &missing));
    assert_int_equal(missing, META_MISSING_KEY);
    w.offset = FILE_SIZE_MAX;
    assert_err(ERR_TOO_LARGE, file_write(writer, a, &w, &r, &missing));
    w.offset = 0;
    w.bucket = STR("other");
    assert_err(ERR_NOT_FOUND, file_write(writer, a, &w, &r, &missing));
    assert_int_equal(missing, META_MISSING_BUCKET);
    writer_free(writer);
    arena_free(a);
    volume_close(v, true);
}

/* --- views ------------------------------------------------------------------------------------ */

/* A file of more links than come with its first look-up, written over behind the reader's back. */
static void test_fs_write__an_open_file_stays_as_it_was(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    struct arena *a = arena_new(16 * MIB);
    size_t len = 40000;
    uint8_t *bytes = malloc(len), *back = malloc(len), x[400];
    struct file_write w = unconditional();
    struct file_written r;
    struct file old;
    enum meta_missing missing;

    assert_non_null(bytes);
    assert_non_null(back);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7);
    file_put(v, KEY, bytes, len, "e");
    for (size_t at = 0; at < len; at += 1000) {
        memset(bytes + at + 3, 'a', 200);
        memset(x, 'a', sizeof(x));
        assert_ok(file_write_bytes(v, &w, at + 3, x, 200, &r, NULL));
    }
    file_get(v, a, KEY, &old);
    memset(x, 'b', sizeof(x));
    for (size_t at = 0; at < len - 1000; at += 1000) /* wholly, in part, beside */
        assert_ok(file_write_bytes(v, &w, at + 3 * (at % 3), x, at % 2 == 0 ? 400 : 100, &r, NULL));
    w.offset = 30000;
    assert_ok(file_resize(v->fs, a, &w, &r, &missing));
    file_read(&old, 0, len, back);
    assert_memory_equal(back, bytes, len);
    file_close(&old);
    file_get(v, a, KEY, &old);
    assert_int_equal(old.object.attr.size, 30000);
    file_read(&old, 0, 1, back);
    assert_int_equal(back[0], 'b');
    file_close(&old);
    free(back);
    free(bytes);
    arena_free(a);
    volume_close(v, true);
}

/* A write whose lock is granted but that is not committed yet is in no view, though others with
 * higher tokens are. */
static void test_fs_write__a_view_leaves_out_what_is_under_way(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    struct arena *a = arena_new(16 * MIB);
    uint8_t bytes[3000] = {0}, x[10] = "xxxxxxxxx", back[3000];
    struct file_write fw = unconditional();
    struct range_lock lock;
    struct file_written r;
    struct file before, now;
    bool done;

    file_put(v, KEY, bytes, sizeof(bytes), "e");
    assert_ok(file_write_bytes(v, &fw, 2000, x, 10, &r, NULL));
    file_get(v, a, KEY, &now);
    assert_ok(lock_take(v->meta, now.object.attr.inode, 0, 10, LOCK_EXCLUSIVE,
                        clock_boot_ms() + 10000, &lock));
    assert_ok(file_write_bytes(v, &fw, 1000, x, 10, &r, NULL));
    file_get(v, a, KEY, &before);
    assert_true(before.object.view.token > lock.token);
    struct record record = {
        .kind = RECORD_INLINE, .len = 10, .bytes = {(const char *)x, sizeof(x)}};
    struct buf packed;
    buf_init(&packed, 1000);
    record_pack(&packed, &record, 1);
    struct content_piece piece = {.id = next_id(v->meta), .len = 10, .records = buf_str(&packed)};
    struct range_write w = {.bucket = BUCKET,
                            .key = KEY,
                            .now = &now.object,
                            .content = {.size = 10, .pieces = &piece, .piece_count = 1},
                            .mtime_ms = 5000,
                            .lock = &lock};
    struct write_result plain;
    assert_ok(write_plain(v->meta, a, &w, &plain, &done));
    assert_true(done);
    lock_release(v->meta, &lock, true);
    struct object o = before.object;
    struct object_extent *e;
    size_t count;
    bool more;
    assert_ok(object_extents(v->meta, a, &o, 0, 1, 8, &e, &count, &more));
    assert_int_equal(count, 1);
    assert_int_equal(e[0].token, 0);
    file_close(&before);
    file_close(&now);
    file_get(v, a, KEY, &now);
    file_read(&now, 0, sizeof(back), back);
    assert_memory_equal(back, x, 10);
    assert_memory_equal(back + 1000, x, 10);
    file_close(&now);
    buf_fini(&packed);
    arena_free(a);
    volume_close(v, true);
}

/* Reads take no lock: somebody has the whole file to himself, and is in no hurry. */
static void test_fs_write__reads_go_on_under_a_held_lock(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    uint8_t bytes[3000] = {7};
    struct arena *a = arena_new(MIB);
    struct range_lock lock;
    struct file f;

    file_put(v, KEY, bytes, sizeof(bytes), "e");
    file_get(v, a, KEY, &f);
    assert_ok(lock_take(v->meta, f.object.attr.inode, 0, LOCK_TO_END, LOCK_EXCLUSIVE,
                        clock_boot_ms() + 10000, &lock));
    file_close(&f);
    file_is(v, KEY, bytes, sizeof(bytes));
    lock_release(v->meta, &lock, false);
    arena_free(a);
    volume_close(v, true);
}

/* --- conditions ------------------------------------------------------------------------------- */

struct appender {
    struct volume *v;
    pthread_t thread;
    int number;
};

/* Appends records, each at the size that it has seen last, until its own are all in. */
static void *append(void *arg)
{
    struct appender *x = arg;

    for (int i = 0; i < 20; i++) {
        uint8_t record[100];
        enum err err = ERR_CONDITION;

        memset(record, x->number * 20 + i, sizeof(record));
        while (err == ERR_CONDITION) {
            struct arena *a = arena_new(MIB);
            struct file_written r;
            struct file f;
            int64_t size;
            struct file_new make = file_new_of(KEY, "made");
            struct file_write w = {.bucket = BUCKET, .key = KEY, .append = &make};

            file_get(x->v, a, KEY, &f);
            size = f.object.attr.size;
            file_close(&f);
            err = file_write_bytes(x->v, &w, (uint64_t)size, record, sizeof(record), &r, NULL);
            arena_free(a);
        }
        assert_ok(err);
    }
    return NULL;
}

static void test_fs_write__appenders_of_two_gateways_lose_nothing(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    bool two = ((struct world *)*state)->schema[0] != '\0';
    struct volume *other = two ? volume_open(*state, v, SMALL) : v;
    struct appender appenders[4];
    struct arena *a = arena_new(MIB);
    uint8_t back[8000];
    int seen[80] = {0};
    struct file f;

    file_put(v, KEY, back, 0, "e");
    for (int i = 0; i < 4; i++) {
        appenders[i] = (struct appender){.v = i % 2 == 0 ? v : other, .number = i};
        assert_int_equal(pthread_create(&appenders[i].thread, NULL, append, &appenders[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(appenders[i].thread, NULL);
    file_get(v, a, KEY, &f);
    assert_int_equal(f.object.attr.size, 8000);
    file_read(&f, 0, 8000, back);
    file_close(&f);
    for (int i = 0; i < 80; i++) {
        for (int k = 1; k < 100; k++)
            assert_int_equal(back[i * 100 + k], back[i * 100]);
        seen[back[i * 100]]++;
    }
    for (int i = 0; i < 80; i++)
        assert_int_equal(seen[i], 1);
    arena_free(a);
    if (two)
        volume_close(other, false);
    volume_close(v, true);
}

/* PUT and DELETE under If-Match of a file that is written at ranges. */
static void test_fs_write__conditions_of_other_writes_see_it(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    uint8_t bytes[3000] = {0};
    char old[64], now[64];
    struct file_write w = unconditional();
    struct file_written r;
    enum meta_missing missing;
    struct object_put p = put_of(v->meta, KEY, small(STR("new")));
    struct object_delete d = {.bucket = BUCKET, .key = KEY};

    file_put(v, KEY, bytes, sizeof(bytes), "e");
    assert_ok(file_write_bytes(v, &w, 0, bytes, 10, &r, old));
    assert_ok(file_write_bytes(v, &w, 100, bytes, 10, &r, now));
    p.cond.if_match = str_of(old);
    assert_err(ERR_CONDITION, object_put(v->meta, &p, &missing));
    p.cond.if_match = STR("e");
    assert_err(ERR_CONDITION, object_put(v->meta, &p, &missing));
    p.cond.if_match = STR_NONE;
    p.cond.if_none_match = str_of(now);
    assert_err(ERR_CONDITION, object_put(v->meta, &p, &missing));
    d.cond.if_match = str_of(old);
    object_delete(v->meta, &d, 1);
    assert_int_equal(d.result, ERR_CONDITION);
    d.cond = (struct object_cond){.has_size = true, .if_size = 1};
    object_delete(v->meta, &d, 1);
    assert_int_equal(d.result, ERR_CONDITION);
    p.cond = (struct object_cond){.if_match = str_of(now)};
    assert_ok(object_put(v->meta, &p, &missing));
    file_is(v, KEY, (const uint8_t *)"new", 3);

    file_put(v, KEY, bytes, sizeof(bytes), "e");
    assert_ok(file_write_bytes(v, &w, 0, bytes, 10, &r, now));
    d.cond = (struct object_cond){.if_match = str_of(now), .has_size = true, .if_size = 3000};
    object_delete(v->meta, &d, 1);
    assert_int_equal(d.result, OK);
    assert_int_equal(ask(v->world, "SELECT count(*) FROM keys"), 0);
    assert_int_equal(ask(v->world, "SELECT count(*) FROM range_locks"), 0);
    volume_close(v, true);
}

/* --- what is left ----------------------------------------------------------------------------- */

static void test_fs_write__all_of_it_is_freed(void **state)
{
    struct world *w = *state;
    w->options.lease_ms = 900; /* heartbeats, hence epochs, come quickly */
    struct volume *v = volume_open(w, NULL, SMALL);
    struct model m = {.v = v, .bytes = malloc(MODEL_MAX), .seed = seed_of_test()};
    struct object_delete d[] = {{.bucket = BUCKET, .key = KEY},
                                {.bucket = BUCKET, .key = STR("copy")}};

    assert_non_null(m.bytes);
    model_put(&m);
    for (int i = 0; i < 100; i++)
        step(&m);
    object_delete(v->meta, d, 2);
    wait_until(ask(w, "SELECT count(*) FROM dead") == 0);
    assert_int_equal(ask(w, "SELECT (SELECT count(*) FROM inodes) + (SELECT count(*) FROM pieces)"
                            " + (SELECT count(*) FROM inode_pieces) + (SELECT count(*) FROM slices)"
                            " + (SELECT count(*) FROM range_tokens)"
                            " + (SELECT count(*) FROM inode_writes)"
                            " + (SELECT count(*) FROM fragmented)"
                            " + (SELECT count(*) FROM range_locks)"),
                     0);
    free(m.bytes);
    volume_close(v, true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fs_write__equals_a_model_of_bytes),
        cmocka_unit_test(test_fs_write__drops_checksum_and_parts_and_changes_the_etag_each_time),
        cmocka_unit_test(test_fs_write__an_empty_one_changes_nothing),
        cmocka_unit_test(test_fs_write__says_what_is_missing_or_too_large),
        cmocka_unit_test(test_fs_write__an_open_file_stays_as_it_was),
        cmocka_unit_test(test_fs_write__a_view_leaves_out_what_is_under_way),
        cmocka_unit_test(test_fs_write__reads_go_on_under_a_held_lock),
        cmocka_unit_test(test_fs_write__appenders_of_two_gateways_lose_nothing),
        cmocka_unit_test(test_fs_write__conditions_of_other_writes_see_it),
        cmocka_unit_test(test_fs_write__all_of_it_is_freed),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
