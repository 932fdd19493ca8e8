#include "tests/unit/base/unit.h"

#include "gateway/http/address.h"

static void test_http_address__takes_the_forms_of_listen(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port;
        bool is_any;
    } rows[] = {
        {"127.0.0.1:9000", "127.0.0.1", 9000, false},
        {":9000", "", 9000, true},
        {"*:9000", "*", 9000, true},
        {"0.0.0.0:0", "0.0.0.0", 0, true},
        {"[::]:9000", "::", 9000, true},
        {"[::1]:65535", "::1", 65535, false},
        {"s3.example.org:80", "s3.example.org", 80, false},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct http_address a;

        assert_ok(http_address_parse(str_of(rows[i].text), &a));
        assert_true(str_eq(a.host, str_of(rows[i].host)));
        assert_int_equal(a.port, rows[i].port);
        assert_int_equal(http_address_is_any(&a), rows[i].is_any);
    }
}

static void test_http_address__refuses_all_others(void **state)
{
    static const char *const texts[] = {
        "",           "9000",     "host",   "host:",     ":",       "host:-1",
        "host:65536", "::1:9000", "host:x", "[::1]9000", "host: 80"};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(texts); i++) {
        struct http_address a;

        if (http_address_parse(str_of(texts[i]), &a) != ERR_INVALID)
            fail_msg("\"%s\" was taken", texts[i]);
    }
}

/* As the kernel would refuse them, and by any of their spellings. */
static void test_http_address__two_listeners_need_two_ports(void **state)
{
    static const struct {
        const char *a, *b;
        bool collide;
    } rows[] = {
        {"127.0.0.1:9000", "127.0.0.1:9001", false}, {"127.0.0.1:9000", "127.0.0.1:9000", true},
        {"127.0.0.1:9000", "127.0.0.1:09000", true}, {"localhost:9000", "127.0.0.1:9000", true},
        {"127.1:9000", "127.0.0.1:9000", true},      {"0.0.0.0:9000", "127.0.0.1:9000", true},
        {":9000", "127.0.0.1:9000", true},           {"*:9000", "[::1]:9000", true},
        {"[::]:9000", "[::1]:9000", true},           {"[::]:9000", "10.0.0.1:9000", true},
        {"10.0.0.1:9000", "127.0.0.1:9000", false},  {"0.0.0.0:9000", "[::1]:9000", false},
        {"127.0.0.1:0", "127.0.0.1:0", false},       {"[::ffff:127.0.0.1]:1", "127.0.0.1:1", true},
        {"no such host:9000", ":9000", false},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        if (http_addresses_collide(rows[i].a, rows[i].b) != rows[i].collide ||
            http_addresses_collide(rows[i].b, rows[i].a) != rows[i].collide)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_address__takes_the_forms_of_listen),
        cmocka_unit_test(test_http_address__refuses_all_others),
        cmocka_unit_test(test_http_address__two_listeners_need_two_ports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
