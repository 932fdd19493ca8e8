/*
 * One battery for every backing store. Runs on a local directory, on the fault-injecting wrapper
 * without faults, and on S3 when these are set (a real server, an existing or new bucket):
 *     KISEKI_TEST_S3=s3://bucket?endpoint=http://127.0.0.1:9000
 *     KISEKI_TEST_S3_ACCESS_KEY, KISEKI_TEST_S3_SECRET_KEY, KISEKI_TEST_S3_CA_FILE (https)
 */
#include "base/clock.h"
#include "base/rand.h"
#include "fs/store/fault.h"
#include "fs/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLICE ((size_t)4 << 20)

struct backend {
    struct store *store;
    char folder[64];
};

static struct store *store_of(void **state)
{
    return ((struct backend *)*state)->store;
}

/* Reproducible bytes, different for each seed. */
static uint8_t *pattern(size_t len, uint64_t seed)
{
    uint8_t *data = malloc(len + 1);
    uint64_t x = seed * 2 + 1;

    assert_non_null(data);
    for (size_t i = 0; i < len; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        data[i] = (uint8_t)(x >> 56);
    }
    return data;
}

static void expect_ok(enum err err)
{
    if (err != OK)
        fail_msg("%s", err_text(err));
}

/* Puts, reads back, compares, deletes. */
static void round_trip(struct store *s, const char *name, size_t len)
{
    uint8_t *data = pattern(len, len);
    uint8_t *back = malloc(len + 1);
    uint64_t size = 0;

    assert_non_null(back);
    expect_ok(store_put_bytes(s, name, data, len));
    expect_ok(store_size(s, name, &size));
    assert_int_equal(size, len);
    memset(back, 0xee, len + 1);
    expect_ok(store_get(s, name, 0, len, back));
    assert_memory_equal(back, data, len);
    assert_int_equal(back[len], 0xee);
    expect_ok(store_del(s, name));
    free(back);
    free(data);
}

/* --- the battery ------------------------------------------------------------------------------ */

static void test_store__gives_back_what_was_put_in_odd_sizes(void **state)
{
    static const size_t sizes[] = {1,     2,     3,      511,   4095,    4096,      65535,
                                   65536, 65537, 131071, 99999, 1048576, SLICE - 1, SLICE};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char name[64];
        snprintf(name, sizeof(name), "odd/sizes/%zu", sizes[i]);
        round_trip(store_of(state), name, sizes[i]);
    }
}

static void test_store__keeps_an_empty_object(void **state)
{
    struct store *s = store_of(state);
    uint64_t size = 99;
    char byte;

    expect_ok(store_put(s, "empty/object", NULL, 0, 0));
    expect_ok(store_size(s, "empty/object", &size));
    assert_int_equal(size, 0);
    expect_ok(store_get(s, "empty/object", 0, 0, &byte));
    assert_int_equal(store_get(s, "empty/object", 0, 1, &byte), ERR_CORRUPT);
    expect_ok(store_del(s, "empty/object"));
    assert_int_equal(store_get(s, "empty/object", 0, 0, &byte), ERR_NOT_FOUND);
}

static void test_store__gathers_a_vector_with_empty_pieces(void **state)
{
    struct store *s = store_of(state);
    uint8_t *data = pattern(300000, 7);
    uint8_t *back = malloc(300000);
    struct iovec iov[STORE_IOV_MAX];
    size_t at = 0;
    int count = 0;

    assert_non_null(back);
    while (at < 300000) {
        size_t n = (size_t)count * 31 % 1000;
        if (n > 300000 - at || count == STORE_IOV_MAX - 1)
            n = 300000 - at;
        iov[count].iov_base = n > 0 ? data + at : NULL;
        iov[count++].iov_len = n;
        at += n;
    }
    expect_ok(store_put(s, "vector", iov, count, 300000));
    expect_ok(store_get(s, "vector", 0, 300000, back));
    assert_memory_equal(back, data, 300000);
    expect_ok(store_del(s, "vector"));
    free(back);
    free(data);
}

static void test_store__reads_any_range(void **state)
{
    static const struct {
        uint64_t offset;
        size_t len;
    } ranges[] = {{0, 1},          {0, SLICE},     {1, SLICE - 1},   {SLICE - 1, 1},
                  {65536, 131072}, {65535, 65538}, {1000000, 99999}, {SLICE / 2, SLICE / 2}};
    struct store *s = store_of(state);
    uint8_t *data = pattern(SLICE, 11);
    uint8_t *back = malloc(SLICE);

    assert_non_null(back);
    expect_ok(store_put_bytes(s, "ranges/a", data, SLICE));
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        expect_ok(store_get(s, "ranges/a", ranges[i].offset, ranges[i].len, back));
        assert_memory_equal(back, data + ranges[i].offset, ranges[i].len);
    }
    expect_ok(store_del(s, "ranges/a"));
    free(back);
    free(data);
}

static void test_store__scatters_a_range_over_a_vector(void **state)
{
    static const size_t lens[] = {1, 65536, 0, 65535, 300000, 7};
    struct store *s = store_of(state);
    uint8_t *data = pattern(SLICE, 21), *back = malloc(SLICE);
    struct iovec iov[sizeof(lens) / sizeof(lens[0])];
    size_t count = sizeof(lens) / sizeof(lens[0]), len = 0;

    assert_non_null(back);
    memset(back, 0xee, SLICE);
    for (size_t i = 0; i < count; i++) { /* with a byte between the places */
        iov[i] = (struct iovec){back + len + i, lens[i]};
        len += lens[i];
    }
    expect_ok(store_put_bytes(s, "scattered", data, SLICE));
    expect_ok(store_getv(s, "scattered", 12345, iov, (int)count, len));
    for (size_t i = 0, at = 12345; i < count; at += lens[i++]) {
        assert_memory_equal(iov[i].iov_base, data + at, lens[i]);
        assert_int_equal(((uint8_t *)iov[i].iov_base)[lens[i]], 0xee);
    }
    assert_int_equal(store_getv(s, "scattered", SLICE - 400000, iov, (int)count, len), ERR_CORRUPT);
    expect_ok(store_del(s, "scattered"));
    free(back);
    free(data);
}

static void test_store__says_corrupt_when_the_object_is_shorter_than_asked(void **state)
{
    struct store *s = store_of(state);
    char back[32];

    expect_ok(store_put_bytes(s, "short", "0123456789", 10));
    assert_int_equal(store_get(s, "short", 0, 11, back), ERR_CORRUPT);
    assert_int_equal(store_get(s, "short", 9, 2, back), ERR_CORRUPT);
    assert_int_equal(store_get(s, "short", 10, 1, back), ERR_CORRUPT);
    assert_int_equal(store_get(s, "short", 5000, 1, back), ERR_CORRUPT);
    assert_int_equal(store_get(s, "short", 11, 0, back), ERR_CORRUPT);
    expect_ok(store_get(s, "short", 10, 0, back));
    expect_ok(store_get(s, "short", 9, 1, back));
    assert_int_equal(back[0], '9');
    expect_ok(store_del(s, "short"));
}

static void test_store__says_not_found_for_what_is_not_there(void **state)
{
    struct store *s = store_of(state);
    uint64_t size;
    char byte;

    assert_int_equal(store_get(s, "missing/a/b", 0, 1, &byte), ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(ERR_NOT_FOUND), "missing/a/b"));
    assert_int_equal(store_size(s, "missing/a/b", &size), ERR_NOT_FOUND);
}

static void test_store__deletes_twice_without_complaint(void **state)
{
    struct store *s = store_of(state);
    char byte;

    expect_ok(store_put_bytes(s, "twice/x", "x", 1));
    expect_ok(store_del(s, "twice/x"));
    expect_ok(store_del(s, "twice/x"));
    expect_ok(store_del(s, "never/was/there"));
    assert_int_equal(store_get(s, "twice/x", 0, 1, &byte), ERR_NOT_FOUND);
}

static void test_store__replaces_on_a_second_put(void **state)
{
    struct store *s = store_of(state);
    uint64_t size = 0;
    char back[8] = "";

    expect_ok(store_put_bytes(s, "over", "longer text", 11));
    expect_ok(store_put_bytes(s, "over", "short", 5));
    expect_ok(store_size(s, "over", &size));
    assert_int_equal(size, 5);
    expect_ok(store_get(s, "over", 0, 5, back));
    assert_string_equal(back, "short");
    expect_ok(store_del(s, "over"));
}

static void test_store__gives_a_small_object_whole(void **state)
{
    struct store *s = store_of(state);
    struct buf b;

    buf_init(&b, 100);
    assert_int_equal(store_get_all(s, "volume", &b), ERR_NOT_FOUND);
    expect_ok(store_put_bytes(s, "volume", "{\"uuid\":1}", 10));
    buf_append_cstr(&b, "> ");
    expect_ok(store_get_all(s, "volume", &b));
    assert_string_equal(b.data, "> {\"uuid\":1}");
    buf_fini(&b);
    buf_init(&b, 9);
    assert_int_equal(store_get_all(s, "volume", &b), ERR_TOO_LARGE);
    buf_fini(&b);
    expect_ok(store_del(s, "volume"));
}

struct seen {
    char names[16][STORE_NAME_MAX + 1];
    uint64_t sizes[16];
    size_t count;
    size_t stop_after;
};

static enum err remember(void *user, const struct store_entry *entry)
{
    struct seen *seen = user;
    int64_t age_ms = clock_wall_ms() - entry->modified_ms;

    assert_true(seen->count < 16);
    assert_true(age_ms > -600000 && age_ms < 600000);
    snprintf(seen->names[seen->count], sizeof(seen->names[0]), "%s", entry->name);
    seen->sizes[seen->count++] = entry->size_bytes;
    return seen->count == seen->stop_after ? err_set(ERR_CANCELLED, "enough") : OK;
}

static bool has(const struct seen *seen, const char *name, uint64_t size)
{
    for (size_t i = 0; i < seen->count; i++)
        if (strcmp(seen->names[i], name) == 0)
            return seen->sizes[i] == size;
    return false;
}

static void expect_listed(struct store *s, const char *prefix, size_t count)
{
    struct seen seen = {0};

    expect_ok(store_list(s, prefix, remember, &seen));
    if (seen.count != count)
        fail_msg("prefix \"%s\": %zu objects, not %zu", prefix, seen.count, count);
}

static void test_store__lists_by_prefix(void **state)
{
    static const char *const names[] = {"volume", "list/ab/1", "list/ab/22", "list/a/1",
                                        "list/ba/1"};
    struct store *s = store_of(state);
    struct seen seen = {0};

    expect_listed(s, "", 0);
    for (size_t i = 0; i < 5; i++)
        expect_ok(store_put_bytes(s, names[i], "0123456789", i));
    expect_listed(s, "", 5);
    expect_listed(s, "list", 4);
    expect_listed(s, "list/", 4);
    expect_listed(s, "list/a", 3);
    expect_listed(s, "list/ab/", 2);
    expect_listed(s, "list/ab/2", 1);
    expect_listed(s, "list/ab/22", 1);
    expect_listed(s, "list/ab/222", 0);
    expect_listed(s, "nothing/here/at/all", 0);
    expect_ok(store_list(s, "", remember, &seen));
    for (size_t i = 0; i < 5; i++)
        assert_true(has(&seen, names[i], i));

    seen = (struct seen){.stop_after = 2};
    assert_int_equal(store_list(s, "", remember, &seen), ERR_CANCELLED);
    assert_string_equal(err_text(ERR_CANCELLED), "enough");
    assert_int_equal(seen.count, 2);
    for (size_t i = 0; i < 5; i++)
        expect_ok(store_del(s, names[i]));
    expect_listed(s, "", 0);
}

static void test_store__refuses_malformed_names(void **state)
{
    static const char *const bad[] = {
        "",    "/", "/a",  "a/",   "a//b", "../a", "a/../b",   ".tmp/x",
        "a.b", "A", "a b", "a%2f", "a\n",  "a_b",  "\xc3\xa4", "a\\b",
    };
    struct store *s = store_of(state);
    char long_name[STORE_NAME_MAX + 2];
    uint64_t size;
    char byte = 0;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(store_put_bytes(s, bad[i], "x", 1), ERR_INVALID);
        assert_int_equal(store_get(s, bad[i], 0, 1, &byte), ERR_INVALID);
        assert_int_equal(store_size(s, bad[i], &size), ERR_INVALID);
        assert_int_equal(store_del(s, bad[i]), ERR_INVALID);
    }
    assert_int_equal(store_list(s, "../", remember, &size), ERR_INVALID);
    memset(long_name, 'a', sizeof(long_name));
    long_name[STORE_NAME_MAX + 1] = '\0';
    assert_int_equal(store_put_bytes(s, long_name, "x", 1), ERR_INVALID);
    long_name[STORE_NAME_MAX] = '\0';
    round_trip(s, long_name, 3);
}

static void test_store__refuses_wrong_sizes(void **state)
{
    struct store *s = store_of(state);
    struct iovec iov[2] = {{"abc", 3}, {"def", 3}};
    char byte = 0;

    assert_int_equal(store_put(s, "sizes", iov, 2, 5), ERR_INVALID);
    assert_int_equal(store_put(s, "sizes", iov, 2, 7), ERR_INVALID);
    assert_int_equal(store_put(s, "sizes", iov, -1, 0), ERR_INVALID);
    assert_int_equal(store_put(s, "sizes", iov, STORE_IOV_MAX + 1, 6), ERR_INVALID);
    assert_int_equal(store_put_bytes(s, "sizes", &byte, STORE_OBJECT_MAX + 1), ERR_TOO_LARGE);
    assert_int_equal(store_get(s, "sizes", UINT64_MAX, 1, &byte), ERR_TOO_LARGE);
    assert_int_equal(store_get(s, "sizes", 0, SIZE_MAX, &byte), ERR_TOO_LARGE);
    assert_int_equal(store_get(s, "sizes", 0, 1, &byte), ERR_NOT_FOUND);
}

#define THREADS 8

struct worker {
    struct store *store;
    const uint8_t *shared;
    int number;
    char failure[ERR_TEXT_MAX];
};

static enum err work_once(struct worker *w, int round, uint8_t *back)
{
    uint8_t *data = pattern(200000, (uint64_t)(w->number * 100 + round));
    size_t len = 70000 + (size_t)(w->number * 1000 + round);
    char name[64];

    snprintf(name, sizeof(name), "threads/%02x/%d-%d", round * 7 % 5, w->number, round);
    enum err err = store_put_bytes(w->store, name, data, len);
    if (err == OK)
        err = store_get(w->store, name, 0, len, back);
    if (err == OK && memcmp(back, data, len) != 0)
        err = err_set(ERR_BUG, "%s: other bytes came back", name);
    if (err == OK)
        err = store_get(w->store, "threads/shared", (uint64_t)round * 1000, 65536, back);
    if (err == OK && memcmp(back, w->shared + round * 1000, 65536) != 0)
        err = err_set(ERR_BUG, "the shared object: other bytes came back");
    if (err == OK)
        err = store_del(w->store, name);
    free(data);
    return err;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    uint8_t *back = malloc(200000);
    enum err err = back != NULL ? OK : ERR_NOMEM;

    for (int round = 0; round < 10 && err == OK; round++)
        err = work_once(w, round, back);
    if (err != OK)
        snprintf(w->failure, sizeof(w->failure), "%s", err_text(err));
    free(back);
    return NULL;
}

static void test_store__serves_many_threads_at_once(void **state)
{
    struct store *s = store_of(state);
    uint8_t *shared = pattern(100000, 5);
    struct worker workers[THREADS] = {0};
    pthread_t threads[THREADS];

    expect_ok(store_put_bytes(s, "threads/shared", shared, 100000));
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = s, .shared = shared, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        assert_string_equal(workers[i].failure, "");
    expect_ok(store_del(s, "threads/shared"));
    expect_listed(s, "threads", 0);
    free(shared);
}

static void test_store__counts_calls_bytes_and_time(void **state)
{
    struct store *s = store_of(state);
    struct store_stats before, after;
    char back[8];

    store_stats(s, &before);
    expect_ok(store_put_bytes(s, "counted", "12345", 5));
    expect_ok(store_get(s, "counted", 1, 3, back));
    assert_int_equal(store_get(s, "uncounted", 1, 3, back), ERR_NOT_FOUND);
    expect_ok(store_del(s, "counted"));
    store_stats(s, &after);
    assert_int_equal(after.put_bytes - before.put_bytes, 5);
    assert_int_equal(after.get_bytes - before.get_bytes, 3);
    for (int op = 0; op < STORE_OPS; op++) {
        uint64_t ok = after.calls[op][STORE_RESULT_OK] - before.calls[op][STORE_RESULT_OK];
        assert_int_equal(ok, op == STORE_PUT || op == STORE_GET || op == STORE_DEL);
    }
    assert_int_equal(after.calls[STORE_GET][STORE_RESULT_NOT_FOUND] -
                         before.calls[STORE_GET][STORE_RESULT_NOT_FOUND],
                     1);
    assert_true(after.micros[STORE_PUT] > before.micros[STORE_PUT]);
    assert_true(store_put_limit_ms(s) > 0);
    assert_true(strlen(store_label(s)) > 4);
}

/* --- where it runs ---------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int open_dir(void **state)
{
    static struct backend b;
    char url[128];

    snprintf(b.folder, sizeof(b.folder), "/tmp/kiseki-store-XXXXXX");
    if (mkdtemp(b.folder) == NULL)
        return -1;
    snprintf(url, sizeof(url), "dir:%s/new/folder", b.folder);
    *state = &b;
    return store_open(url, NULL, &b.store) == OK ? 0 : -1;
}

static int open_fault(void **state)
{
    if (open_dir(state) != 0)
        return -1;
    struct backend *b = *state;
    return store_fault_new(b->store, 1, &b->store) == OK ? 0 : -1;
}

/* Every run has a prefix of its own, so that a bucket may be used again. */
static int open_s3(void **state)
{
    static struct backend b;
    const char *url = getenv("KISEKI_TEST_S3");
    struct store_options opts = {
        .access_key = getenv("KISEKI_TEST_S3_ACCESS_KEY"),
        .secret_key = getenv("KISEKI_TEST_S3_SECRET_KEY"),
        .ca_file = getenv("KISEKI_TEST_S3_CA_FILE"),
    };
    char random[17];
    char own[1024];
    size_t head = strcspn(url, "?");

    rand_hex(random, 16);
    snprintf(own, sizeof(own), "%.*s/contract/%s%s", (int)head, url, random, url + head);
    enum err err = store_open(own, &opts, &b.store);
    if (err != OK)
        print_error("%s\n", err_text(err));
    *state = &b;
    return err == OK ? 0 : -1;
}

static int close_backend(void **state)
{
    struct backend *b = *state;

    store_close(b->store);
    if (b->folder[0])
        nftw(b->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    memset(b, 0, sizeof(*b));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store__gives_back_what_was_put_in_odd_sizes),
        cmocka_unit_test(test_store__keeps_an_empty_object),
        cmocka_unit_test(test_store__gathers_a_vector_with_empty_pieces),
        cmocka_unit_test(test_store__reads_any_range),
        cmocka_unit_test(test_store__scatters_a_range_over_a_vector),
        cmocka_unit_test(test_store__says_corrupt_when_the_object_is_shorter_than_asked),
        cmocka_unit_test(test_store__says_not_found_for_what_is_not_there),
        cmocka_unit_test(test_store__deletes_twice_without_complaint),
        cmocka_unit_test(test_store__replaces_on_a_second_put),
        cmocka_unit_test(test_store__gives_a_small_object_whole),
        cmocka_unit_test(test_store__lists_by_prefix),
        cmocka_unit_test(test_store__refuses_malformed_names),
        cmocka_unit_test(test_store__refuses_wrong_sizes),
        cmocka_unit_test(test_store__serves_many_threads_at_once),
        cmocka_unit_test(test_store__counts_calls_bytes_and_time),
    };
    int failed = cmocka_run_group_tests_name("dir", tests, open_dir, close_backend);

    failed += cmocka_run_group_tests_name("fault", tests, open_fault, close_backend);
    if (getenv("KISEKI_TEST_S3") != NULL)
        failed += cmocka_run_group_tests_name("s3", tests, open_s3, close_backend);
    else
        print_message("skipped: s3 (KISEKI_TEST_S3 is not set)\n");
    return failed;
}
