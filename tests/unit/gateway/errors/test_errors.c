#include "tests/unit/base/unit.h"

#include "gateway/errors/errors.h"

static void test_errors__every_code_has_name_status_and_message(void **state)
{
    (void)state;
    for (unsigned i = 1; i < S3_CODES; i++) {
        enum s3_code code = (enum s3_code)i;
        assert_true(strlen(s3_code_name(code)) > 0);
        assert_true(strlen(s3_code_message(code)) > 0);
        assert_in_range(s3_code_status(code), 300, 599);
        for (unsigned j = 1; j < i; j++)
            assert_string_not_equal(s3_code_name(code), s3_code_name((enum s3_code)j));
    }
    assert_int_equal(s3_code_status(S3_NO_SUCH_KEY), 404);
    assert_int_equal(s3_code_status(S3_SLOW_DOWN), 503);
    assert_string_equal(s3_code_name((enum s3_code)9999), "InternalError");
}

static void test_errors__every_failure_below_has_an_answer(void **state)
{
    (void)state;
    assert_int_equal(s3_code_of(OK), S3_OK);
    for (int e = OK + 1; e < ERR_COUNT; e++)
        assert_int_not_equal(s3_code_of((enum err)e), S3_OK);
    assert_int_equal(s3_code_of(ERR_FENCED), S3_SLOW_DOWN);
    assert_int_equal(s3_code_of(ERR_CORRUPT), S3_INTERNAL_ERROR);
    assert_int_equal(s3_code_of((enum err)12345), S3_INTERNAL_ERROR);
}

static void test_errors__the_document_is_whole_and_escaped(void **state)
{
    struct s3_error e;
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    assert_int_equal(s3_fail_argument(&e, "Bad <thing>", "x", STR("a&b")), S3_INVALID_ARGUMENT);
    s3_error_write(&b, &e, STR("/b/\x01"), STR("ID"), STR("H"));
    assert_ok(buf_check(&b));
    assert_str(buf_str(&b),
               STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                   "<Error><Code>InvalidArgument</Code>"
                   "<Message>Bad &lt;thing&gt;</Message><ArgumentName>x</ArgumentName>"
                   "<ArgumentValue>a&amp;b</ArgumentValue><Resource>/b/&#x1;</Resource>"
                   "<RequestId>ID</RequestId><HostId>H</HostId></Error>"));
    buf_fini(&b);
}

static void test_errors__too_many_extras_are_dropped(void **state)
{
    struct s3_error e;

    (void)state;
    s3_fail(&e, S3_NO_SUCH_KEY, NULL);
    for (int i = 0; i < 20; i++)
        s3_error_add(&e, "Key", STR("k"));
    assert_int_equal(e.extra_count, S3_ERROR_EXTRAS);
    s3_error_add(NULL, "Key", STR("k"));
    assert_int_equal(s3_fail(NULL, S3_NO_SUCH_KEY, NULL), S3_NO_SUCH_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors__every_code_has_name_status_and_message),
        cmocka_unit_test(test_errors__every_failure_below_has_an_answer),
        cmocka_unit_test(test_errors__the_document_is_whole_and_escaped),
        cmocka_unit_test(test_errors__too_many_extras_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
