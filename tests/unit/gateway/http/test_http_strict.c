#include "tests/unit/base/unit.h"

#include "gateway/http/strict.h"

/* "Name: value" lines, split at the first ": ". */
static size_t split(const char *const *lines, struct http_header *out)
{
    size_t n = 0;
    for (; lines[n] != NULL; n++) {
        const char *colon = strstr(lines[n], ": ");
        out[n].name = (struct str){lines[n], (size_t)(colon - lines[n])};
        out[n].value = str_of(colon + 2);
    }
    return n;
}

static void test_strict__reads_how_the_body_is_framed(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        const char *lines[5];
        enum err result;
        int64_t length;
        bool chunked, wants_100;
    } rows[] = {
        {"HTTP/1.1", {"Host: h"}, OK, -1, false, false},
        {"HTTP/1.0", {NULL}, OK, -1, false, false},
        {"HTTP/1.1", {"Host: h", "content-length: 0"}, OK, 0, false, false},
        {"HTTP/1.1", {"Host: h", "Content-Length: 5497558138880"}, OK, 5497558138880, false, false},
        {"HTTP/1.1", {"Host: h", "Content-Length: 007"}, OK, 7, false, false},
        {"HTTP/1.1", {"Host: h", "transfer-encoding: CHUNKED"}, OK, -1, true, false},
        {"HTTP/1.1", {"Host: h", "Expect: 100-Continue"}, OK, -1, false, true},
        {"HTTP/1.0", {"Host: h", "Expect: 100-continue"}, OK, -1, false, false},
        {"HTTP/1.1", {"Host: h", "Expect: "}, OK, -1, false, false},
        {"HTTP/1.1", {"Host: h", "Expect: , ,"}, OK, -1, false, false},
        {"HTTP/1.1", {"Host: h", "Expect: , 100-continue,"}, OK, -1, false, true},
        {"HTTP/1.1", {"Host: h", "Expect: ", "Expect: 100-continue"}, OK, -1, false, true},
        {"HTTP/1.1", {"Host: h", "Expect: 100-continue, tea"}, ERR_UNSUPPORTED, -1, false, false},
        {"HTTP/1.1", {"Host: h", "Expect: 100-continue", "Expect: tea"}, ERR_UNSUPPORTED, -1, 0, 0},
        {"HTTP/1.1", {"Host: h", "Expect: tea"}, ERR_UNSUPPORTED, -1, false, false},
        {"HTTP/1.1", {"X: y"}, ERR_INVALID, 0, false, false},
        {"HTTP/1.1", {"Host: h", "Host: g"}, ERR_INVALID, 0, false, false},
        {"HTTP/1.0", {"Host: h", "Host: h"}, ERR_INVALID, 0, false, false},
        {"HTTP/1.1", {"Host: a b"}, ERR_INVALID, 0, false, false},
        {"HTTP/1.1", {"Host: h", "Content-Length: 1", "Content-Length: 1"}, ERR_INVALID, 0, 0, 0},
        {"HTTP/1.1", {"Host: h", "Content-Length: 1, 1"}, ERR_INVALID, 0, false, false},
        {"HTTP/1.1", {"Host: h", "Content-Length: "}, ERR_INVALID, 0, false, false},
        {"HTTP/1.1", {"Host: h", "Content-Length: -0"}, ERR_INVALID, 0, false, false},
        {"HTTP/1.1", {"Host: h", "Content-Length: 9223372036854775808"}, ERR_INVALID, 0, 0, 0},
        {"HTTP/1.1",
         {"Host: h", "Transfer-Encoding: chunked", "Content-Length: 1"},
         ERR_INVALID,
         0,
         false,
         false},
        {"HTTP/1.1", {"Host: h", "Transfer-Encoding: gzip, chunked"}, ERR_INVALID, 0, 0, 0},
        {"HTTP/1.1", {"Host: h", "Transfer-Encoding: chunked, chunked"}, ERR_INVALID, 0, 0, 0},
        {"HTTP/1.1", {"Host: h", "Transfer-Encoding: identity"}, ERR_INVALID, 0, false, false},
        {"HTTP/1.0", {"Host: h", "Transfer-Encoding: chunked"}, ERR_INVALID, 0, false, false},
        {"HTTP/1.1", {"Host: h", "Transfer-Encoding : chunked"}, ERR_INVALID, 0, false, false},
        {"HTTP/1.1", {"Host: h", "X Y: z"}, ERR_INVALID, 0, false, false},
        {"HTTP/1.1", {"Host: h", "X: a\x01z"}, ERR_INVALID, 0, false, false},
        {"HTTP/1.1", {"Host: h", "X: a\x7fz"}, ERR_INVALID, 0, false, false},
        {"HTTP/1.1", {"Host: h", "X: a\tz\xff"}, OK, -1, false, false},
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct http_header fields[5];
        size_t count = split(rows[i].lines, fields);
        struct http_framing f;
        enum err err = http_strict_check(STR("PUT"), str_of(rows[i].version), fields, count, &f);
        if (err != rows[i].result)
            fail_msg("row %zu: %s", i, err_name(err));
        if (err == OK) {
            assert_int_equal(f.content_length, rows[i].length);
            assert_int_equal(f.is_chunked, rows[i].chunked);
            assert_int_equal(f.wants_100, rows[i].wants_100);
        }
    }
}

/* A head as libmicrohttpd leaves it: NULs over the colon and the line ends. */
static void test_strict__finds_what_the_parser_hid(void **state)
{
    (void)state;
    static const struct {
        struct str memory;
        size_t name[2], value[2]; /* where the parser says that they begin */
        size_t count, end;
        enum err result;
    } rows[] = {
        /* GET / HTTP/1.1\r\nA: b\r\nC:d\r\n\r\n */
        {STR("GET\0/\0HTTP/1.1\0\0A\0 b\0\0C\0d\0\0\0\0"), {16, 22}, {19, 24}, 2, 29, OK},
        {STR("GET\0/\0HTTP/1.1\0\0\0\0"), {0}, {0}, 0, 18, OK},
        /* a bare LF after the request line, after a field, as the empty line */
        {STR("GET\0/\0HTTP/1.1\0A\0 b\0\0\0\0"), {15}, {18}, 1, 23, ERR_INVALID},
        {STR("GET\0/\0HTTP/1.1\0\0A\0 b\0C\0d\0\0\0\0"), {16, 21}, {19, 23}, 2, 28, ERR_INVALID},
        {STR("GET\0/\0HTTP/1.1\0\0A\0 b\0\0\0"), {16}, {19}, 1, 23, ERR_INVALID},
        /* a NUL in a value: it would end early */
        {STR("GET\0/\0HTTP/1.1\0\0A\0 b\0x\0\0\0\0"), {16}, {19}, 1, 26, ERR_INVALID},
        /* something between name and value (a folded line moves the name elsewhere) */
        {STR("GET\0/\0HTTP/1.1\0\0A\0xb\0\0\0\0"), {16}, {19}, 1, 24, ERR_INVALID},
        {STR("A\0GET\0/\0HTTP/1.1\0\0A\0 b\0\0\0\0"), {0}, {21}, 1, 26, ERR_INVALID},
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        const char *m = rows[i].memory.ptr;
        size_t start = i == 7 ? 2 : 0;
        struct http_layout head = {str_of(m + start), str_of(m + start + 4), str_of(m + start + 6),
                                   m + rows[i].end};
        struct http_header fields[2];
        for (size_t n = 0; n < rows[i].count; n++) {
            fields[n].name = str_of(m + rows[i].name[n]);
            fields[n].value = str_of(m + rows[i].value[n]);
        }
        enum err err = http_strict_layout(&head, fields, rows[i].count);
        if (err != rows[i].result)
            fail_msg("row %zu: %s", i, err_name(err));
    }
}

static void test_strict__finds_doubled_blanks_in_the_request_line(void **state)
{
    (void)state;
    static const char line[] = "GET\0 /\0HTTP/1.1\0\0\0\0";
    struct http_layout head = {str_of(line), str_of(line + 5), str_of(line + 7), line + 19};
    assert_int_equal(http_strict_layout(&head, NULL, 0), ERR_INVALID);
    static const char nul[] = "GET\0/a\0b\0HTTP/1.1\0\0\0\0";
    head = (struct http_layout){str_of(nul), str_of(nul + 4), str_of(nul + 9), nul + 21};
    assert_int_equal(http_strict_layout(&head, NULL, 0), ERR_INVALID);
}

/* What libmicrohttpd has read of a body, and where the chunk's first byte is: at the '@'. */
static void test_chunk__lines_are_seen_from_behind(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err want;
    } cases[] = {
        {"@hello", OK},
        {"5\r\n@hello", OK},
        {"5;a=b\r\n@hello", OK},
        {"5;a=\"b\tc\"\r\n@hello", OK},
        {"\r\n5\r\n@hello", OK},
        {"5\r\nhello\r\n5\r\n@hello", OK},
        {"5\r\nhel\nlo\r\n5\r\n@hello", OK},
        {"5\n@hello", ERR_INVALID},
        {"\n@", ERR_INVALID},
        {"\r\n@", ERR_INVALID},
        {"5;a=b\n@hello", ERR_INVALID},
        {"5;a\rb\r\n@hello", ERR_INVALID},
        {"5\r\r\n@hello", ERR_INVALID},
        {"5;a\x01\r\n@hello", ERR_INVALID},
        {"5;a\x7f\r\n@hello", ERR_INVALID},
        {"\n5\r\n@hello", ERR_INVALID},
        {"5\r\nhello\n5\r\n@hello", ERR_INVALID},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        const char *at = strchr(cases[i].text, '@');
        enum err err = http_strict_chunk(cases[i].text, at);
        if (err != cases[i].want)
            fail_msg("case %zu: %s", i, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunk__lines_are_seen_from_behind),
        cmocka_unit_test(test_strict__reads_how_the_body_is_framed),
        cmocka_unit_test(test_strict__finds_what_the_parser_hid),
        cmocka_unit_test(test_strict__finds_doubled_blanks_in_the_request_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
