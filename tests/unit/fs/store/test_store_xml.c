#include "fs/store/s3_internal.h"
#include "tests/unit/base/unit.h"

#include <stdlib.h>

struct seen {
    char text[1000];
    enum err answer;
};

static enum err remember(void *user, const struct store_entry *entry)
{
    struct seen *seen = user;
    size_t at = strlen(seen->text);

    snprintf(seen->text + at, sizeof(seen->text) - at, "%s:%llu:%lld ", entry->name,
             (unsigned long long)entry->size_bytes, (long long)entry->modified_ms);
    return seen->answer;
}

static enum err read_page(const char *xml, struct s3_page *page)
{
    buf_init(&page->token, 4096);
    page->each = remember;
    return s3_xml_page(str_of(xml), page);
}

#define ENTRY(key, size)                                                                           \
    "<Contents><Key>" key "</Key><LastModified>1970-01-01T00:00:01.500Z</LastModified>"            \
    "<ETag>&quot;0&quot;</ETag><Size>" size "</Size><StorageClass>STANDARD</StorageClass>"         \
    "</Contents>"

static void test_store_xml__reads_a_page(void **state)
{
    struct seen seen = {0};
    struct s3_page page = {.user = &seen, .prefix = "vol/"};

    (void)state;
    assert_ok(read_page("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"x\">"
                        "<Name>b</Name><Prefix>vol/</Prefix><KeyCount>2</KeyCount>"
                        "<MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>"
                        "<NextContinuationToken>a+/=&amp;b</NextContinuationToken>" ENTRY(
                            "vol/slices/a", "65536") ENTRY("vol/volume", "0") "</ListBucketResult>",
                        &page));
    assert_string_equal(seen.text, "slices/a:65536:1500 volume:0:1500 ");
    assert_true(page.truncated);
    assert_string_equal(page.token.data, "a+/=&b");
    buf_fini(&page.token);
}

static void test_store_xml__passes_over_objects_that_are_not_ours(void **state)
{
    static const char *const foreign[] = {
        ENTRY("volume", "1"),   ENTRY("vol/", "1"),     ENTRY("vol/Photo.jpg", "1"),
        ENTRY("vol/a//b", "1"), ENTRY("vol/../x", "1"), ENTRY("vol/a&#10;b", "1"),
        ENTRY("vol/a", "-1"),   ENTRY("vol/a", "nine"), ENTRY("vol/a", ""),
        ENTRY("", "1"),         ENTRY("vol/a/", "1"),   ENTRY("vol/&#228;", "1"),
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(foreign); i++) {
        struct seen seen = {0};
        struct s3_page page = {.user = &seen, .prefix = "vol/"};
        char xml[1000];
        snprintf(xml, sizeof(xml), "<L>%s%s</L>", foreign[i], ENTRY("vol/ours", "7"));
        print_message("%s\n", foreign[i]);
        assert_ok(read_page(xml, &page));
        assert_string_equal(seen.text, "ours:7:1500 ");
        assert_false(page.truncated);
        buf_fini(&page.token);
    }
}

static void test_store_xml__stops_when_the_callback_says_so(void **state)
{
    struct seen seen = {.answer = ERR_CANCELLED};
    struct s3_page page = {.user = &seen, .prefix = ""};

    (void)state;
    assert_int_equal(read_page("<L>" ENTRY("a", "1") ENTRY("b", "1") "</L>", &page), ERR_CANCELLED);
    assert_string_equal(seen.text, "a:1:1500 ");
    buf_fini(&page.token);
}

static void test_store_xml__refuses_broken_and_hostile_documents(void **state)
{
    static const char *const cases[] = {
        "",
        "not xml",
        "<L><Contents></L>",
        "<L>" ENTRY("a", "1"),
        "<L><IsTruncated>true</IsTruncated></L>",
        "<!DOCTYPE L [<!ENTITY a \"aaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]><L>&b;</L>",
        "<!DOCTYPE L SYSTEM \"file:///etc/passwd\"><L></L>",
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct seen seen = {0};
        struct s3_page page = {.user = &seen, .prefix = "x/"};
        print_message("%s\n", cases[i]);
        assert_int_equal(read_page(cases[i], &page), ERR_IO);
        buf_fini(&page.token);
    }
}

static void test_store_xml__takes_code_and_message_of_an_error(void **state)
{
    struct s3_answer a;

    (void)state;
    s3_answer_init(&a);
    s3_xml_error(STR("<Error><Code>SlowDown</Code><Message>Reduce &lt;it&gt;</Message>"
                     "<Key>k</Key><Details><Code>Other</Code></Details></Error>"),
                 &a);
    assert_string_equal(a.code, "SlowDown");
    assert_string_equal(a.message, "Reduce <it>");
    s3_answer_fini(&a);

    s3_answer_init(&a);
    s3_xml_error(STR("<html><body>502 Bad Gateway"), &a);
    s3_xml_error(STR_NONE, &a);
    assert_string_equal(a.code, "");
    assert_string_equal(a.message, "");
    s3_answer_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_xml__reads_a_page),
        cmocka_unit_test(test_store_xml__passes_over_objects_that_are_not_ours),
        cmocka_unit_test(test_store_xml__stops_when_the_callback_says_so),
        cmocka_unit_test(test_store_xml__refuses_broken_and_hostile_documents),
        cmocka_unit_test(test_store_xml__takes_code_and_message_of_an_error),
    };

    return cmocka_run_group_tests_name("store_xml", tests, NULL, NULL);
}
