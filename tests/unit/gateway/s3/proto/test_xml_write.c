#include "tests/unit/base/unit.h"

#include "gateway/s3/proto/xml_write.h"

#define CHECK(call, expected)                                                                      \
    do {                                                                                           \
        struct buf b;                                                                              \
        buf_init(&b, 4096);                                                                        \
        call;                                                                                      \
        assert_ok(buf_check(&b));                                                                  \
        assert_str(buf_str(&b), STR(expected));                                                    \
        buf_fini(&b);                                                                              \
    } while (0)

static void test_xml_write__elements(void **state)
{
    (void)state;
    CHECK(xml_text(&b, "Key", STR("a")), "<Key>a</Key>");
    CHECK(xml_text(&b, "Key", STR_NONE), "<Key></Key>");
    CHECK(xml_cstr(&b, "Key", NULL), "<Key></Key>");
    CHECK(xml_u64(&b, "Size", UINT64_MAX), "<Size>18446744073709551615</Size>");
    CHECK(xml_bool(&b, "IsTruncated", false), "<IsTruncated>false</IsTruncated>");
    CHECK(xml_etag(&b, "ETag", STR("abc-2")), "<ETag>&quot;abc-2&quot;</ETag>");
    CHECK(xml_time(&b, "LastModified", INT64_C(1255369800123)),
          "<LastModified>2009-10-12T17:50:00.123Z</LastModified>");
    CHECK(xml_open_root(&b, "R"), "<R xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    CHECK(xml_name(&b, "Key", STR("a b+/\xc3\xa4&"), true), "<Key>a%20b%2B/%C3%A4%26</Key>");
    CHECK(xml_name(&b, "Key", STR("a&b"), false), "<Key>a&amp;b</Key>");
}

static void test_xml_write__text_can_not_break_the_document(void **state)
{
    (void)state;
    CHECK(xml_escape(&b, STR("<&>\"'")), "&lt;&amp;&gt;&quot;'");
    CHECK(xml_escape(&b, STR("]]>")), "]]&gt;");
    CHECK(xml_escape(&b, STR("a\tb\nc\rd")), "a\tb\nc&#13;d");
    CHECK(xml_escape(&b, STR("\x01\x1f\x00\x7f")), "&#x1;&#x1f;&#x0;\x7f");
    CHECK(xml_escape(&b, STR("\xc3\xa4\xf0\x9f\x98\x80")), "\xc3\xa4\xf0\x9f\x98\x80");
    CHECK(xml_escape(&b, STR("\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd")),
          "&#xfffe;&#xffff;\xef\xbf\xbd");
    CHECK(xml_escape(&b, STR("a\xff\xc3")), "a\xef\xbf\xbd\xef\xbf\xbd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xml_write__elements),
        cmocka_unit_test(test_xml_write__text_can_not_break_the_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
