#include "tests/unit/base/unit.h"

#include "gateway/app/endpoint.h"

static void test_endpoint__can_be_connected_to(void **state)
{
    static const char *const cases[][2] = {
        {"127.0.0.1:9000", "http://127.0.0.1:9000/x"}, {"*:9000", "http://127.0.0.1:9000/x"},
        {":9000", "http://127.0.0.1:9000/x"},          {"0.0.0.0:9000", "http://127.0.0.1:9000/x"},
        {"[::]:9000", "http://127.0.0.1:9000/x"},      {"[::1]:9000", "http://[::1]:9000/x"},
        {"s3.example:80", "http://s3.example:80/x"},   {"10.0.0.0:80", "http://10.0.0.0:80/x"},
    };
    char url[100];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        endpoint_url("http", cases[i][0], "/x", url, sizeof(url));
        assert_string_equal(url, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoint__can_be_connected_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
