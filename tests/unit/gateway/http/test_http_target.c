#include "tests/unit/base/unit.h"

#include "gateway/http/target.h"

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(1024 * 1024);
    return arena != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static void test_target__decodes_the_path_once_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        struct str raw, path;
    } rows[] = {
        {STR("/"), STR("/")},
        {STR("/b/a%2Fb"), STR("/b/a/b")},
        {STR("/b/a%252Fb"), STR("/b/a%2Fb")},
        {STR("/b//x/./../y"), STR("/b//x/./../y")},
        {STR("//b"), STR("//b")},
        {STR("/b/a+b%20c"), STR("/b/a+b c")},
        {STR("/b/%e3%81%82"), STR("/b/\xe3\x81\x82")},
        {STR("/b/\xe3\x81\x82"), STR("/b/\xe3\x81\x82")},
        {STR("/b/%0a%0D%7f%ff"), STR("/b/\n\r\x7f\xff")},
        {STR("/b/%3F%23%26"), STR("/b/?#&")},
        {STR("/b/k?q"), STR("/b/k")},
        {STR("/b/k?q=/x?y"), STR("/b/k")},
        {STR("*"), STR("*")},
        {STR("http://h:9000/b/k"), STR("/b/k")},
        {STR("HTTPS://h"), STR("/")},
        {STR("http://h?x"), STR("/")},
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct http_target t;
        print_message("%s\n", rows[i].raw.ptr);
        assert_ok(http_target_parse(rows[i].raw, arena, &t));
        assert_str(t.path, rows[i].path);
        assert_str(t.raw, rows[i].raw);
    }
}

static void test_target__refuses_what_is_malformed(void **state)
{
    (void)state;
    static const struct str rows[] = {
        STR(""),          STR("b/k"),      STR("/b/%"),         STR("/b/%4"),    STR("/b/%zz"),
        STR("/b/%00"),    STR("/b/a%00b"), STR("/a b"),         STR("/a\tb"),    STR("/a\x7f"),
        STR("/a\0b"),     STR("/b#frag"),  STR("/b?x=%"),       STR("/b?%zz=1"), STR("ftp://h/"),
        STR("http:///b"), STR("h:443"),    STR("http://u@h/b"), STR("**"),       STR("/b?a b"),
        STR("/b?a=%4"),
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct http_target t;
        print_message("%s\n", rows[i].ptr);
        assert_int_equal(http_target_parse(rows[i], arena, &t), ERR_INVALID);
    }
}

static void test_target__keeps_arguments_in_order_with_their_raw_forms(void **state)
{
    (void)state;
    struct http_target t;
    assert_ok(http_target_parse(STR("/b?uploads&prefix=a+b%2B&&x=&x=1=2&=v&%70=%00"), arena, &t));
    static const struct {
        struct str name, value, raw_name, raw_value;
        bool has_value;
    } rows[] = {
        {STR("uploads"), STR(""), STR("uploads"), STR(""), false},
        {STR("prefix"), STR("a b+"), STR("prefix"), STR("a+b%2B"), true},
        {STR("x"), STR(""), STR("x"), STR(""), true},
        {STR("x"), STR("1=2"), STR("x"), STR("1=2"), true},
        {STR(""), STR("v"), STR(""), STR("v"), true},
        {STR("p"), STR("\0"), STR("%70"), STR("%00"), true},
    };
    assert_int_equal(t.arg_count, LENGTH_OF(rows));
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        assert_str(t.args[i].name, rows[i].name);
        assert_str(t.args[i].value, rows[i].value);
        assert_str(t.args[i].raw_name, rows[i].raw_name);
        assert_str(t.args[i].raw_value, rows[i].raw_value);
        assert_int_equal(t.args[i].has_value, rows[i].has_value);
    }
    assert_true(t.has_query);
    assert_ptr_equal(http_target_arg(&t, "x"), &t.args[2]);
    assert_null(http_target_arg(&t, "X"));
}

static void test_target__tells_no_query_from_an_empty_one(void **state)
{
    (void)state;
    struct http_target t;
    assert_ok(http_target_parse(STR("/b"), arena, &t));
    assert_false(t.has_query);
    assert_ok(http_target_parse(STR("/b?"), arena, &t));
    assert_true(t.has_query);
    assert_int_equal(t.arg_count, 0);
    assert_ok(http_target_parse(STR("/b?&&"), arena, &t));
    assert_int_equal(t.arg_count, 0);
}

static void test_target__takes_the_host_of_the_absolute_form(void **state)
{
    (void)state;
    struct http_target t;
    assert_ok(http_target_parse(STR("http://b.s3.example:9000/k?x"), arena, &t));
    assert_str(t.authority, STR("b.s3.example:9000"));
    assert_str(t.raw_path, STR("/k"));
    assert_str(t.raw_query, STR("x"));
}

static void test_target__bounds_the_number_of_arguments(void **state)
{
    (void)state;
    char text[2 + 2 * (HTTP_ARGS_MAX + 1)];
    size_t len = 0;
    text[len++] = '/';
    text[len++] = '?';
    for (int i = 0; i < HTTP_ARGS_MAX; i++) {
        text[len++] = 'a';
        text[len++] = '&';
    }
    struct http_target t;
    assert_ok(http_target_parse((struct str){text, len}, arena, &t));
    assert_int_equal(t.arg_count, HTTP_ARGS_MAX);
    text[len++] = 'a';
    assert_int_equal(http_target_parse((struct str){text, len}, arena, &t), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_target__decodes_the_path_once_and_nothing_else),
        cmocka_unit_test(test_target__refuses_what_is_malformed),
        cmocka_unit_test(test_target__keeps_arguments_in_order_with_their_raw_forms),
        cmocka_unit_test(test_target__tells_no_query_from_an_empty_one),
        cmocka_unit_test(test_target__takes_the_host_of_the_absolute_form),
        cmocka_unit_test(test_target__bounds_the_number_of_arguments),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
