#include "fs/store/fault.h"
#include "tests/unit/base/unit.h"

#include <ftw.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    struct store *s;
    char root[64];
};

static struct store *store_of(void **state)
{
    return ((struct fixture *)*state)->s;
}

static int set_up(void **state)
{
    static struct fixture f;
    struct store *inner;
    char url[128];

    snprintf(f.root, sizeof(f.root), "/tmp/kiseki-fault-XXXXXX");
    if (mkdtemp(f.root) == NULL)
        return -1;
    snprintf(url, sizeof(url), "dir:%s", f.root);
    *state = &f;
    if (store_open(url, NULL, &inner) != OK || store_fault_new(inner, 42, &f.s) != OK)
        return -1;
    return store_put_bytes(f.s, "a/1", "0123456789", 10) == OK ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    store_close(f->s);
    return nftw(f->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static enum err get(struct store *s, char back[16])
{
    memset(back, 0, 16);
    return store_get(s, "a/1", 0, 10, back);
}

static void test_store_fault__fails_the_nth_calls_only(void **state)
{
    struct store *s = store_of(state);
    char back[16];

    assert_ok(store_fault_add(
        s,
        &(struct fault_rule){
            .kind = FAULT_FAIL, .ops = 1u << STORE_GET, .nth = 2, .count = 2, .code = ERR_BUSY}));
    assert_ok(get(s, back));
    assert_int_equal(get(s, back), ERR_BUSY);
    assert_non_null(strstr(err_text(ERR_BUSY), "injected: get of a/1"));
    assert_ok(store_put_bytes(s, "b/1", "x", 1));
    assert_int_equal(get(s, back), ERR_BUSY);
    assert_ok(get(s, back));
    assert_string_equal(back, "0123456789");
}

static void test_store_fault__matches_by_prefix_and_clears(void **state)
{
    struct store *s = store_of(state);
    char back[16];

    assert_ok(store_fault_add(s, &(struct fault_rule){.kind = FAULT_FAIL, .prefix = "a/"}));
    assert_int_equal(get(s, back), ERR_IO);
    assert_int_equal(store_del(s, "a/1"), ERR_IO);
    assert_ok(store_put_bytes(s, "b/1", "x", 1));
    store_fault_clear(s);
    assert_ok(get(s, back));
    assert_int_equal(store_fault_add(s, &(struct fault_rule){.prefix = "A"}), ERR_INVALID);
}

static void test_store_fault__loses_answers_of_what_was_done(void **state)
{
    struct store *s = store_of(state);
    uint64_t size = 0;

    assert_ok(store_fault_add(
        s, &(struct fault_rule){.kind = FAULT_LOST, .ops = 1u << STORE_PUT, .code = ERR_TIMEOUT}));
    assert_int_equal(store_put_bytes(s, "b/1", "abc", 3), ERR_TIMEOUT);
    assert_ok(store_size(s, "b/1", &size));
    assert_int_equal(size, 3);
}

static void test_store_fault__corrupts_and_cuts_in_silence(void **state)
{
    struct store *s = store_of(state);
    char back[16];
    uint64_t size = 0;

    assert_ok(store_fault_add(
        s, &(struct fault_rule){.kind = FAULT_CORRUPT, .ops = 1u << STORE_GET, .nth = 1}));
    assert_ok(get(s, back));
    assert_string_equal(back, "0123446789");
    assert_ok(get(s, back));
    assert_string_equal(back, "0123456789");

    store_fault_clear(s);
    assert_ok(store_fault_add(
        s, &(struct fault_rule){.kind = FAULT_CORRUPT, .ops = 1u << STORE_PUT, .nth = 1}));
    assert_ok(store_fault_add(
        s, &(struct fault_rule){.kind = FAULT_CUT, .ops = 1u << STORE_PUT, .nth = 1}));
    assert_ok(store_put_bytes(s, "a/1", "0123456789", 10));
    assert_ok(get(s, back));
    assert_string_equal(back, "0123446789");
    assert_ok(store_put_bytes(s, "a/1", "0123456789", 10));
    assert_ok(store_size(s, "a/1", &size));
    assert_int_equal(size, 5);
    assert_int_equal(get(s, back), ERR_CORRUPT);
}

static size_t failures_of(struct store *s)
{
    size_t failed = 0;
    char back[16];

    for (int i = 0; i < 1000; i++)
        failed += get(s, back) != OK;
    return failed;
}

static void test_store_fault__fails_a_share_of_calls_at_random(void **state)
{
    struct store *s = store_of(state);

    assert_ok(store_fault_add(s, &(struct fault_rule){.kind = FAULT_FAIL, .per_mille = 100}));
    size_t failed = failures_of(s);
    assert_in_range(failed, 60, 140);
    assert_int_equal(failed, 106); /* the seed decides */
}

static void test_store_fault__counts_calls_by_name(void **state)
{
    struct store *s = store_of(state);
    char back[16];

    for (int i = 0; i < 3; i++)
        assert_ok(get(s, back));
    assert_ok(store_put_bytes(s, "b/1", "x", 1));
    assert_int_equal(store_fault_calls(s, STORE_GET, "a/1"), 3);
    assert_int_equal(store_fault_calls(s, STORE_GET, "b/1"), 0);
    assert_int_equal(store_fault_calls(s, STORE_PUT, "b/1"), 1);
    assert_int_equal(store_fault_calls(s, STORE_PUT, NULL), 2);
    assert_int_equal(store_fault_calls(s, STORE_DEL, NULL), 0);
}

static void *get_in_thread(void *arg)
{
    char back[16];

    return get(arg, back) == OK ? NULL : arg;
}

static void test_store_fault__holds_calls_until_released(void **state)
{
    struct store *s = store_of(state);
    pthread_t threads[3];
    void *result = s;

    assert_ok(store_fault_add(s, &(struct fault_rule){.kind = FAULT_HOLD, .nth = 1, .count = 3}));
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_in_thread, s), 0);
    while (store_fault_held(s) < 3)
        usleep(1000);
    store_fault_release(s);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    assert_int_equal(store_fault_held(s), 0);
}

#define IN_NEW_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_NEW_STORE(test_store_fault__fails_the_nth_calls_only),
        IN_NEW_STORE(test_store_fault__matches_by_prefix_and_clears),
        IN_NEW_STORE(test_store_fault__loses_answers_of_what_was_done),
        IN_NEW_STORE(test_store_fault__corrupts_and_cuts_in_silence),
        IN_NEW_STORE(test_store_fault__fails_a_share_of_calls_at_random),
        IN_NEW_STORE(test_store_fault__counts_calls_by_name),
        IN_NEW_STORE(test_store_fault__holds_calls_until_released),
    };

    return cmocka_run_group_tests_name("store_fault", tests, NULL, NULL);
}
