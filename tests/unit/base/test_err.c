#include "tests/unit/base/unit.h"

#include <errno.h>
#include <pthread.h>

static void test_err__text_belongs_to_its_code(void **state)
{
    (void)state;
    assert_int_equal(err_set(ERR_IO, "disk %d is gone", 7), ERR_IO);
    assert_string_equal(err_text(ERR_IO), "disk 7 is gone");
    assert_string_equal(err_text(ERR_BUSY), "busy");
    assert_string_equal(err_text(OK), "ok");
    err_set(ERR_BUSY, "later");
    assert_string_equal(err_text(ERR_IO), "i/o error");
}

static void test_err__every_code_has_a_name(void **state)
{
    (void)state;
    for (int code = OK; code < ERR_COUNT; code++) {
        assert_non_null(err_name((enum err)code));
        for (int other = OK; other < code; other++)
            assert_string_not_equal(err_name((enum err)code), err_name((enum err)other));
    }
    assert_non_null(err_name((enum err)ERR_COUNT));
    assert_non_null(err_name((enum err) - 1));
    assert_string_equal(err_name(ERR_NOT_FOUND), "not found");
}

static void test_err__prefix_goes_before_the_text(void **state)
{
    (void)state;
    err_set(ERR_IO, "no space");
    assert_int_equal(err_prefix(ERR_IO, "writing %s", "x"), ERR_IO);
    assert_string_equal(err_text(ERR_IO), "writing x: no space");
    err_prefix(ERR_TIMEOUT, "waiting");
    assert_string_equal(err_text(ERR_TIMEOUT), "waiting: timed out");
    assert_int_equal(err_prefix(OK, "nothing"), OK);
}

static void test_err__text_may_be_made_of_the_last_one(void **state)
{
    (void)state;
    err_set(ERR_IO, "inner");
    err_set(ERR_BUSY, "outer: %s", err_text(ERR_IO));
    assert_string_equal(err_text(ERR_BUSY), "outer: inner");
    err_prefix(ERR_BUSY, "%s", err_text(ERR_BUSY));
    assert_string_equal(err_text(ERR_BUSY), "outer: inner: outer: inner");
}

static void test_err__long_text_is_cut(void **state)
{
    char text[2 * ERR_TEXT_MAX];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    err_set(ERR_IO, "%s", text);
    assert_int_equal(strlen(err_text(ERR_IO)), ERR_TEXT_MAX - 1);
    err_prefix(ERR_IO, "%s", text);
    assert_int_equal(strlen(err_text(ERR_IO)), ERR_TEXT_MAX - 1);
}

static void test_err__leaves_errno_alone(void **state)
{
    (void)state;
    errno = ENOSPC;
    err_set(ERR_IO, "%s", strerror(ENOSPC));
    assert_int_equal(errno, ENOSPC);
}

static void *in_another_thread(void *arg)
{
    struct err_info *info = arg;

    assert_string_equal(err_text(ERR_DENIED), "denied");
    assert_int_equal(err_restore(info), ERR_DENIED);
    assert_string_equal(err_text(ERR_DENIED), "not yours");
    err_set(ERR_IO, "the thread's own");
    return NULL;
}

static void test_err__moves_between_threads_by_copy(void **state)
{
    struct err_info info;
    pthread_t thread;

    (void)state;
    err_set(ERR_DENIED, "not yours");
    err_save(ERR_DENIED, &info);
    assert_int_equal(pthread_create(&thread, NULL, in_another_thread, &info), 0);
    pthread_join(thread, NULL);
    assert_string_equal(err_text(ERR_DENIED), "not yours");
    err_save(ERR_IO, &info);
    assert_string_equal(info.text, "i/o error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err__text_belongs_to_its_code),
        cmocka_unit_test(test_err__every_code_has_a_name),
        cmocka_unit_test(test_err__prefix_goes_before_the_text),
        cmocka_unit_test(test_err__text_may_be_made_of_the_last_one),
        cmocka_unit_test(test_err__long_text_is_cut),
        cmocka_unit_test(test_err__leaves_errno_alone),
        cmocka_unit_test(test_err__moves_between_threads_by_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
