#include "tests/unit/base/unit.h"

#include "gateway/app/config_file.h"

static char seen[1024];

static enum err see(void *arg, unsigned line, struct str name, const char *value)
{
    size_t len = strlen(seen);

    (void)arg;
    snprintf(seen + len, sizeof(seen) - len, "%u:" STR_FMT "=%s|", line, STR_ARG(name), value);
    return str_eq(name, STR("bad")) ? err_set(ERR_DENIED, "bad") : OK;
}

static enum err parse(const char *text, unsigned *line)
{
    char copy[512];

    seen[0] = '\0';
    snprintf(copy, sizeof(copy), "%s", text);
    return config_file_parse(copy, see, NULL, line);
}

static void test_config_file__has_a_setting_a_line(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"\n\n  \n# only = comments\n   # = x\n", ""},
        {"a=1", "1:a=1|"},
        {"a = 1\r\nb\t=\t2\t\r\n", "1:a=1|2:b=2|"},
        {"a = 1 # one\na-b = x#y # two", "1:a=1|2:a-b=x#y|"},
        {"a = b = c\n", "1:a=b = c|"},
        {"a =\nb = # none\n", "1:a=|2:b=|"},
        {"a = \" x # y \" # z\nb = \"\"", "1:a= x # y |2:b=|"},
        {"a = x\"y\"", "1:a=x\"y\"|"},
        {"a = 'x'", "1:a='x'|"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        unsigned line;

        assert_ok(parse(cases[i][0], &line));
        assert_string_equal(seen, cases[i][1]);
    }
}

static void test_config_file__says_which_line_is_wrong(void **state)
{
    static const struct {
        const char *text, *part;
        unsigned line;
    } cases[] = {
        {"a = 1\nb\n", "\"b\" is no setting", 2},
        {"\nb # c = 1\n", "is no setting", 2},
        {"[a]\n", "is no setting", 1},
        {"a = \"x\n", "not closed", 1},
        {"a = 1\n\na = \"x\" \"y\"\n", "follows", 3},
        {"a = x\x01y", "control", 1},
    };
    unsigned line;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        assert_int_equal(parse(cases[i].text, &line), ERR_INVALID);
        if (strstr(err_text(ERR_INVALID), cases[i].part) == NULL)
            fail_msg("%s: %s", cases[i].text, err_text(ERR_INVALID));
        assert_int_equal(line, cases[i].line);
    }
    assert_int_equal(parse("a = 1\nbad = 2\nc = 3\n", &line), ERR_DENIED);
    assert_int_equal(line, 2);
    assert_string_equal(seen, "1:a=1|2:bad=2|");
}

/* What is printed is read as the same value. */
static void test_config_file__quotes_what_needs_quotes(void **state)
{
    static const char *const cases[][2] = {
        {"plain", "plain"}, {"a b", "a b"},   {" a", "\" a\""}, {"a #b", "\"a #b\""},
        {"a#b", "a#b"},     {"#a", "\"#a\""}, {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        char text[64];
        unsigned line;
        struct buf out;

        buf_init(&out, 100);
        buf_append_cstr(&out, "a = ");
        config_file_quote(str_of(cases[i][0]), &out);
        buf_append_char(&out, '\0');
        assert_string_equal(out.data + 4, cases[i][1]);
        assert_ok(parse(out.data, &line));
        snprintf(text, sizeof(text), "1:a=%s|", cases[i][0]);
        assert_string_equal(seen, text);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_file__has_a_setting_a_line),
        cmocka_unit_test(test_config_file__says_which_line_is_wrong),
        cmocka_unit_test(test_config_file__quotes_what_needs_quotes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
