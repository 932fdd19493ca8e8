#include "tests/unit/base/unit.h"

#include "gateway/app/routes_print.h"
#include "gateway/s3/core/op.h"

#include <jansson.h>

static char *text_of_all(size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);

    assert_non_null(out);
    routes_print_text(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* Below a line of headings each row has its own, in the order of the table. */
static void test_routes__a_line_for_each_row(void **state)
{
    size_t len = 0;
    char *text = text_of_all(&len);
    struct str rest = {text, len}, line;

    (void)state;
    assert_true(str_split(&rest, '\n', &line) && str_starts(line, STR("METHOD  REQUEST ")));
    for (const struct s3_op *op = s3_ops; op->name != NULL; op++) {
        assert_true(str_split(&rest, '\n', &line));
        if (!str_starts(line, str_of(op->method)) ||
            memmem(line.ptr, line.len, op->name, strlen(op->name)) == NULL ||
            memmem(line.ptr, line.len, op->action, strlen(op->action)) == NULL)
            fail_msg("%s has the line " STR_FMT, op->name, STR_ARG(line));
    }
    assert_int_equal(rest.len, 0);
    free(text);
}

static void test_routes__what_selects_and_what_is_needed(void **state)
{
    static const char *const parts[] = {
        "PUT     /BUCKET/KEY?uploadId&partNumber x-amz-copy-source  UploadPartCopy ",
        " s3:PutObject+s3:GetObject ",
        " s3:GetObject|s3:GetObjectVersion ",
        " object,source ",
        " conditions,offset",
        " new bucket ",
        " never set ",
    };
    size_t len = 0;
    char *text = text_of_all(&len);

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(parts); i++)
        if (strstr(text, parts[i]) == NULL)
            fail_msg("nowhere: \"%s\"", parts[i]);
    assert_non_null(strstr(text, "versionId,conditions,delete-conditions\n"));
    free(text);
}

static void test_routes__json_has_the_same_rows(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    json_t *rows;

    (void)state;
    assert_non_null(out);
    assert_true(routes_print_json(out));
    assert_int_equal(fclose(out), 0);
    rows = json_loads(text, 0, NULL);
    assert_int_equal(json_array_size(rows), s3_op_count());
    for (size_t i = 0; i < s3_op_count(); i++) {
        const json_t *row = json_array_get(rows, i);

        assert_string_equal(json_string_value(json_object_get(row, "operation")), s3_ops[i].name);
        assert_string_equal(json_string_value(json_object_get(row, "action")), s3_ops[i].action);
        assert_true(json_is_true(json_object_get(row, "built")) == (s3_ops[i].handle != NULL));
    }
    json_decref(rows);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes__a_line_for_each_row),
        cmocka_unit_test(test_routes__what_selects_and_what_is_needed),
        cmocka_unit_test(test_routes__json_has_the_same_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
