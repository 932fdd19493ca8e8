/* Files of many small range writes are merged; nothing that a client sees changes. */
#include "fs/jobs/merge.h"
#include "meta/files/write.h"
#include "tests/contract/file_fixture.h"

#include <stdatomic.h>

#define KEY    STR("file")
#define INLINE ((size_t)4096)
#define LEN    ((size_t)2 << 20)
#define WRITES 400

/* What may be left: fewer small links than are worth merging, and large ones. */
#define MERGE_LINKS_LEFT 80

static const struct file_write plain = {.bucket = {"bucket", 6}, .key = {"file", 4}};

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/*
 * `count` writes of up to 3,000 bytes anywhere in [lo, hi), of the byte `fill`, kept in the model.
 */
static void scatter(struct volume *v, uint8_t *model, size_t lo, size_t hi, int count,
                    uint64_t *seed)
{
    uint8_t bytes[3000];
    struct file_written r;

    for (int i = 0; i < count; i++) {
        size_t len = 1 + next(seed) % sizeof(bytes), at = lo + next(seed) % (hi - lo - len);

        memset(bytes, (int)next(seed), len);
        memcpy(model + at, bytes, len);
        assert_ok(file_write_bytes(v, &plain, at, bytes, len, &r, NULL));
    }
}

/* Until nothing is left to do. The volume's own job is at it as well: it may have the job. */
static void merge_all(struct volume *v)
{
    bool did = true;

    assert_ok(fold_all(v->meta));
    wait_until((merge_some(v->fs, &did) == OK && !did) &&
               ask(v->world, "SELECT count(*) FROM fragmented") == 0);
}

static int64_t links(struct volume *v)
{
    return ask(v->world, "SELECT count(*) FROM inode_pieces WHERE dead IS NULL");
}

static void test_fs_merge__leaves_few_links_and_the_same_bytes(void **state)
{
    struct volume *v = volume_open(*state, NULL, INLINE);
    uint8_t *model = calloc(1, LEN), *back = malloc(LEN);
    struct arena *a = arena_new(16 * MIB);
    uint64_t seed = 1;
    struct file before, after;
    char etag[64];

    assert_non_null(model);
    assert_non_null(back);
    file_put(v, KEY, model, LEN, "e");
    scatter(v, model, 0, LEN, WRITES, &seed);
    file_get(v, a, KEY, &before);
    snprintf(etag, sizeof(etag), STR_FMT, STR_ARG(before.object.attr.etag));
    merge_all(v);
    assert_in_range(links(v), 1, MERGE_LINKS_LEFT);
    file_is(v, KEY, model, LEN);
    file_get(v, a, KEY, &after);
    assert_str(str_of(etag), after.object.attr.etag);
    file_close(&after);
    file_read(&before, 0, LEN, back); /* as of before the merge */
    assert_memory_equal(back, model, LEN);
    file_close(&before);
    /* and again, on top of what was merged */
    scatter(v, model, 0, LEN, WRITES, &seed);
    merge_all(v);
    assert_in_range(links(v), 1, MERGE_LINKS_LEFT);
    file_is(v, KEY, model, LEN);
    free(back);
    free(model);
    arena_free(a);
    volume_close(v, true);
}

/* A log of small records: only its tail is rewritten. */
static void test_fs_merge__appends_become_few_links(void **state)
{
    struct volume *v = volume_open(*state, NULL, INLINE);
    size_t len = 0;
    uint8_t *model = malloc(LEN), record[100];
    struct file_written r;

    assert_non_null(model);
    file_put(v, KEY, model, 0, "e");
    for (int i = 0; i < 300; i++) {
        memset(record, i, sizeof(record));
        memcpy(model + len, record, sizeof(record));
        assert_ok(file_write_bytes(v, &plain, len, record, sizeof(record), &r, NULL));
        len += sizeof(record);
        if (i % 100 == 99)
            merge_all(v);
    }
    assert_in_range(links(v), 1, MERGE_LINKS_LEFT);
    file_is(v, KEY, model, len);
    free(model);
    volume_close(v, true);
}

/* --- while others read and write -------------------------------------------------------------- */

struct half {
    struct volume *v;
    uint8_t *model;
    size_t lo, hi;
    uint64_t seed;
    _Atomic bool *stop;
    pthread_t thread;
};

static void *write_half(void *arg)
{
    struct half *h = arg;

    for (int i = 0; i < 30; i++)
        scatter(h->v, h->model, h->lo, h->hi, 20, &h->seed);
    return NULL;
}

/* Each byte of the file is that of some write to its half: never zero once it was not. */
static void *read_all(void *arg)
{
    struct half *h = arg;
    uint8_t *back = malloc(LEN);

    assert_non_null(back);
    while (!atomic_load(h->stop)) {
        struct arena *a = arena_new(16 * MIB);
        struct file f;

        file_get(h->v, a, KEY, &f);
        assert_int_equal(f.object.attr.size, LEN);
        file_read(&f, 0, LEN, back);
        file_close(&f);
        arena_free(a);
    }
    free(back);
    return NULL;
}

static void test_fs_merge__readers_and_writers_go_on(void **state)
{
    struct volume *v = volume_open(*state, NULL, INLINE);
    uint8_t *model = calloc(1, LEN);
    _Atomic bool stop = false;
    struct half halves[] = {{v, model, 0, LEN / 2, 2, &stop, 0},
                            {v, model, LEN / 2, LEN, 3, &stop, 0},
                            {v, model, 0, LEN, 4, &stop, 0}};
    uint64_t seed = 5;

    assert_non_null(model);
    file_put(v, KEY, model, LEN, "e");
    scatter(v, model, 0, LEN, 100, &seed);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            pthread_create(&halves[i].thread, NULL, i < 2 ? write_half : read_all, &halves[i]), 0);
    for (int i = 0; i < 10; i++) {
        bool did;

        assert_ok(fold_all(v->meta));
        assert_ok(merge_some(v->fs, &did));
        nap_ms(20);
    }
    pthread_join(halves[0].thread, NULL);
    pthread_join(halves[1].thread, NULL);
    merge_all(v);
    atomic_store(&stop, true);
    pthread_join(halves[2].thread, NULL);
    assert_in_range(links(v), 1, MERGE_LINKS_LEFT);
    file_is(v, KEY, model, LEN);
    free(model);
    volume_close(v, true);
}

static void test_fs_merge__a_replaced_file_is_left_alone(void **state)
{
    struct volume *v = volume_open(*state, NULL, INLINE);
    uint8_t *model = calloc(1, LEN);
    uint64_t seed = 1;

    assert_non_null(model);
    file_put(v, KEY, model, LEN, "e");
    scatter(v, model, 0, LEN, 100, &seed);
    assert_ok(fold_all(v->meta));
    file_put(v, KEY, (const uint8_t *)"new", 3, "f");
    merge_all(v);
    file_is(v, KEY, (const uint8_t *)"new", 3);
    free(model);
    volume_close(v, true);
}

static bool always(void *arg)
{
    (void)arg;
    return true;
}

/* The volume's own job may be faster, now and then. */
static void test_fs_merge__stops_when_it_is_told_to(void **state)
{
    struct volume *v = volume_open(*state, NULL, INLINE);
    uint8_t *model = calloc(1, LEN);
    enum err err = OK;
    uint64_t seed = 1;

    assert_non_null(model);
    file_put(v, KEY, model, LEN, "e");
    for (int i = 0; i < 10 && err == OK; i++) {
        scatter(v, model, 0, LEN, 100, &seed);
        assert_ok(fold_all(v->meta));
        struct job_round r = {.name = "merge", .lease_ms = 30000, .budget = 4, .stop = always};
        err = merge_round(v->fs, &r);
    }
    assert_int_equal(err, ERR_CANCELLED);
    file_is(v, KEY, model, LEN);
    merge_all(v);
    assert_in_range(links(v), 1, MERGE_LINKS_LEFT);
    file_is(v, KEY, model, LEN);
    free(model);
    volume_close(v, true);
}

/*
 * 20,000 writes at one offset, each a byte shorter than the one before, so that each is seen with
 * one byte. Made by SQL from one real write: it would take a minute otherwise.
 */
static void test_fs_merge__a_pile_of_nested_writes_is_read_and_merged(void **state)
{
    enum { NESTED = 20000 };
    struct volume *v = volume_open(*state, NULL, INLINE);
    uint8_t *model = calloc(1, LEN), *bytes = malloc(NESTED);
    struct file_written r;
    uint64_t seed = 9;

    assert_non_null(model);
    assert_non_null(bytes);
    file_put(v, KEY, model, LEN, "e");
    for (size_t i = 0; i < NESTED; i++)
        bytes[i] = (uint8_t)next(&seed);
    assert_ok(file_write_bytes(v, &plain, 0, bytes, NESTED, &r, NULL));
    run(v->world,
        "INSERT INTO inode_pieces (inode, start, token, len, piece, piece_off, born)"
        " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 19999)"
        " SELECT x.inode, 0, x.token + n.i, 20000 - n.i, x.piece, n.i / 2, x.token"
        " FROM inode_pieces x, n WHERE x.start = 0 AND x.token > 0;"
        "UPDATE pieces SET refs = refs + 19999 WHERE len = 20000;"
        "UPDATE range_tokens SET token = token + 20000;");
    for (size_t i = 0; i < NESTED; i++) { /* seen with its last byte is link 19999 - i */
        size_t link = NESTED - 1 - i;

        model[i] = bytes[(link > 0 ? link / 2 : 0) + i];
    }
    file_is(v, KEY, model, LEN);
    assert_ok(file_write_bytes(v, &plain, LEN - 1, bytes, 1, &r, NULL));
    model[LEN - 1] = bytes[0];
    merge_all(v);
    assert_in_range(links(v), 1, MERGE_LINKS_LEFT);
    file_is(v, KEY, model, LEN);
    free(bytes);
    free(model);
    volume_close(v, true);
}

/* What cannot be read is not merged, and holds up nothing else. */
static void test_fs_merge__a_damaged_file_is_passed_over(void **state)
{
    struct volume *v = volume_open(*state, NULL, INLINE);
    uint8_t *model = calloc(1, LEN);
    char slices[100];
    uint64_t seed = 1;
    bool did;

    assert_non_null(model);
    file_put(v, KEY, model, LEN, "e");
    struct volume *again = volume_open(*state, v, INLINE); /* which has nothing in memory */
    volume_close(v, false);
    v = again;
    scatter(v, model, 0, LEN, 100, &seed);
    snprintf(slices, sizeof(slices), "%s/slices", v->folder);
    assert_int_equal(nftw(slices, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    log_set_level(LOG_LEVELS);
    assert_ok(fold_all(v->meta));
    wait_until((merge_some(v->fs, &did) == OK && !did) &&
               ask(v->world, "SELECT count(*) FROM fragmented") == 0);
    free(model);
    volume_close(v, true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fs_merge__leaves_few_links_and_the_same_bytes),
        cmocka_unit_test(test_fs_merge__appends_become_few_links),
        cmocka_unit_test(test_fs_merge__readers_and_writers_go_on),
        cmocka_unit_test(test_fs_merge__a_replaced_file_is_left_alone),
        cmocka_unit_test(test_fs_merge__stops_when_it_is_told_to),
        cmocka_unit_test(test_fs_merge__a_pile_of_nested_writes_is_read_and_merged),
        cmocka_unit_test(test_fs_merge__a_damaged_file_is_passed_over),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
