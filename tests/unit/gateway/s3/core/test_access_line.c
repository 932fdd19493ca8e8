#include "tests/unit/base/unit.h"

#include "gateway/s3/core/access_line.h"

static void test_access_line__no_secret_of_a_query_is_kept(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"list-type=2&prefix=a%2Fb", "list-type=2&prefix=a%2Fb"},
        {"X-Amz-Signature=00ff&x=1", "X-Amz-Signature=REDACTED&x=1"},
        {"a&x-amz-signature=00ff", "a&x-amz-signature=REDACTED"},
        {"X%2DAmz%2dSignatur%65=00ff", "X%2DAmz%2dSignatur%65=REDACTED"},
        {"X-Amz-Security-Token=abc%2B&X-Amz-Credential=AK/d",
         "X-Amz-Security-Token=REDACTED&X-Amz-Credential=AK/d"},
        {"AWSAccessKeyId=AK&Signature=a=b=&Expires=1",
         "AWSAccessKeyId=AK&Signature=REDACTED&Expires=1"},
        {"x-amz-server-side-encryption-customer-key=k",
         "x-amz-server-side-encryption-customer-key=REDACTED"},
        {"Signature", "Signature"},
        {"=Signature&x", "=Signature&x"},
    };
    char out[200];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        size_t len = access_line_query(str_of(cases[i][0]), out, sizeof(out));

        assert_str(((struct str){out, len}), str_of(cases[i][1]));
    }
}

static void test_access_line__a_cut_query_shows_no_part_of_a_secret(void **state)
{
    const char *query = "prefix=0123456789&X-Amz-Signature=secret&z=1";
    char out[64];

    (void)state;
    for (size_t size = 0; size <= sizeof(out); size++) {
        size_t len = access_line_query(str_of(query), out, size);

        assert_in_range(len, 0, size);
        for (size_t at = 0; at + 3 <= len; at++)
            assert_true(memcmp(out + at, "sec", 3) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access_line__no_secret_of_a_query_is_kept),
        cmocka_unit_test(test_access_line__a_cut_query_shows_no_part_of_a_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
