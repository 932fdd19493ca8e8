#include "tests/unit/gateway/folder.h"

#include "gateway/app/help.h"

/* Lines of a table stand below each other in the manual page, too, and text behind it fills. */
static void test_help__tables_keep_their_lines(void **state)
{
    char *text = NULL;
    const char *table, *after, *key;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_non_null(out);
    help_man(out);
    assert_int_equal(fclose(out), 0);
    key = strstr(text, ".SS kiseki key");
    assert_non_null(key);
    table = strstr(key, ".nf\nlist  ");
    assert_non_null(table);
    after = strstr(table, ".fi\nAn account");
    assert_non_null(after);
    assert_true(strstr(table, "\nremove KEY  ") < after);
    assert_null(memmem(text, (size_t)(key - text), ".nf\nServes", 10));
    free(text);
}

static void test_help__fits_a_terminal(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);

        assert_non_null(out);
        help_command(&command_rows[i], out);
        assert_int_equal(fclose(out), 0);
        for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
            if (strcspn(line, "\n") > 80)
                fail_msg("%.*s", (int)strcspn(line, "\n"), line);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help__fits_a_terminal),
        cmocka_unit_test(test_help__tables_keep_their_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
