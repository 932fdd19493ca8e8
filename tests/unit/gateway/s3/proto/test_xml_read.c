#include "tests/unit/base/unit.h"

#include "base/buf.h"
#include "gateway/s3/proto/xml_read.h"
#include "gateway/s3/proto/xml_write.h"

static struct arena *arena;

static int make_arena(void **state)
{
    (void)state;
    arena = arena_new(64 << 20);
    return arena != NULL ? 0 : -1;
}

static int drop_arena(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static const struct xml_node *read_text(const char *text)
{
    struct xml_node *root;

    assert_ok(xml_read(arena, str_of(text), &root));
    return root;
}

static void test_xml_read__a_tree_without_namespaces(void **state)
{
    const struct xml_node *root =
        read_text("<?xml version=\"1.0\"?>\n<!-- c --><s:A xmlns:s='u' x='1'> <B>1&amp;2</B>\n"
                  "<s:C><D/></s:C><B>3<![CDATA[<4>]]>5</B></s:A>");

    (void)state;
    assert_true(xml_is(root, "A"));
    assert_str(xml_child_text(root, "B"), STR("1&2"));
    const struct xml_node *c = xml_child(root, "C");
    assert_non_null(c);
    assert_str(xml_child_text(c, "D"), STR(""));
    assert_str(c->next->text, STR("3<4>5"));
    assert_null(xml_child(root, "D"));
    assert_null(xml_child(NULL, "D"));
    assert_null(xml_child_text(root, "D").ptr);
}

static void test_xml_read__characters(void **state)
{
    (void)state;
    assert_str(read_text("<A>&#13;&#xE4;&lt;</A>")->text, STR("\r\xc3\xa4<"));
    assert_str(read_text("<A> a\r\nb </A>")->text, STR(" a\nb "));
    assert_str(read_text("<?xml version='1.0' encoding='ISO-8859-1'?><A>\xe4</A>")->text,
               STR("\xc3\xa4"));
}

static void test_xml_read__refuses_what_is_not_well_formed(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "x",
        "<A>",
        "<A></B>",
        "<A/><B/>",
        "<A>&nbsp;</A>",
        "<A>&#1;</A>",
        "<A>\x01</A>",
        "<A>\xff</A>",
        "<A b=c/>",
        "<A/>x",
        "{\"a\":1}",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        "<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;'>]>"
        "<a>&d;</a>",
    };
    struct xml_node *root;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(bad); i++) {
        if (xml_read(arena, str_of(bad[i]), &root) != ERR_INVALID)
            fail_msg("\"%s\"", bad[i]);
        assert_null(root);
    }
    assert_int_equal(xml_read(arena, STR("<A>\0</A>"), &root), ERR_INVALID);
}

static void test_xml_read__has_limits(void **state)
{
    struct xml_node *root;
    struct buf b;

    (void)state;
    buf_init(&b, 16 << 20);
    for (int i = 0; i < XML_MAX_DEPTH; i++)
        xml_open(&b, "A");
    for (int i = 0; i < XML_MAX_DEPTH; i++)
        xml_close(&b, "A");
    assert_ok(xml_read(arena, buf_str(&b), &root));
    buf_clear(&b);
    for (int i = 0; i < 100000; i++)
        xml_open(&b, "A");
    assert_int_equal(xml_read(arena, buf_str(&b), &root), ERR_TOO_LARGE);
    buf_clear(&b);
    xml_open(&b, "A");
    for (int i = 0; i < XML_MAX_NODES; i++)
        buf_append_cstr(&b, "<B/>");
    xml_close(&b, "A");
    assert_int_equal(xml_read(arena, buf_str(&b), &root), ERR_TOO_LARGE);
    buf_fini(&b);

    struct arena *small = arena_new(64);
    assert_int_equal(xml_read(small, STR("<A><B>12345678901234567890</B></A>"), &root), ERR_NOMEM);
    arena_free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_xml_read__a_tree_without_namespaces, make_arena,
                                        drop_arena),
        cmocka_unit_test_setup_teardown(test_xml_read__characters, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_xml_read__refuses_what_is_not_well_formed, make_arena,
                                        drop_arena),
        cmocka_unit_test_setup_teardown(test_xml_read__has_limits, make_arena, drop_arena),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
