#include "tests/unit/gateway/s3_given.h"

#include "gateway/s3/core/request.h"

static void test_request__versions_are_null_or_refused(void **state)
{
    struct s3_given g;
    struct str version;

    (void)state;
    given(&g, "GET /b/k?versionId=null");
    assert_int_equal(s3_version_id(&g.r, &version), S3_OK);
    assert_str(version, STR("null"));
    given_free(&g);
    given(&g, "GET /b/k?versionId=abc");
    assert_int_equal(s3_version_id(&g.r, &version), S3_INVALID_ARGUMENT);
    given_free(&g);
    given(&g, "GET /b/k?versionId=");
    assert_int_equal(s3_version_id(&g.r, &version), S3_INVALID_ARGUMENT);
    given_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request__versions_are_null_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
