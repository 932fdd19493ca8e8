#include "tests/unit/base/unit.h"

#include "gateway/s3/proto/xml_bodies.h"

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

#define NS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static void test_xml_bodies__delete(void **state)
{
    struct delete_body d;

    (void)state;
    assert_int_equal(
        xml_parse_delete(arena,
                         STR("<Delete" NS "><Quiet>true</Quiet><Unknown/>"
                             "<Object><Key> a&amp;b </Key></Object>"
                             "<Object><Key>c</Key><VersionId>v</VersionId><ETag>\"e\"</ETag>"
                             "<LastModifiedTime>2009-10-12T17:50:00Z</LastModifiedTime>"
                             "<Size>12</Size></Object>"
                             "<Object><Key>d</Key><LastModifiedTime>Mon, 12 Oct 2009 17:50:00 GMT"
                             "</LastModifiedTime></Object><Object><Key/></Object></Delete>"),
                         &d, NULL),
        S3_OK);
    assert_true(d.quiet);
    assert_int_equal(d.count, 4);
    assert_str(d.items[0].key, STR(" a&b "));
    assert_int_equal(d.items[0].version_id.len, 0);
    assert_false(d.items[0].has_etag || d.items[0].has_mtime || d.items[0].has_size);
    assert_str(d.items[1].version_id, STR("v"));
    assert_str(d.items[1].etag, STR("\"e\""));
    assert_true(d.items[1].has_mtime && d.items[1].mtime_ms == INT64_C(1255369800000));
    assert_true(d.items[1].has_size && d.items[1].size == 12);
    assert_int_equal(d.items[2].mtime_ms, INT64_C(1255369800000));
    assert_int_equal(d.items[3].key.len, 0);
}

static void test_xml_bodies__delete_has_a_thousand_keys_at_most(void **state)
{
    struct delete_body d;
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    for (size_t count = XML_DELETE_MAX; count <= XML_DELETE_MAX + 1; count++) {
        buf_clear(&b);
        buf_append_cstr(&b, "<Delete>");
        for (size_t i = 0; i < count; i++)
            buf_append_cstr(&b, "<Object><Key>k</Key></Object>");
        buf_append_cstr(&b, "</Delete>");
        assert_int_equal(xml_parse_delete(arena, buf_str(&b), &d, NULL),
                         count > XML_DELETE_MAX ? S3_MALFORMED_XML : S3_OK);
    }
    buf_fini(&b);
}

static void test_xml_bodies__malformed_deletes(void **state)
{
    static const char *const bad[] = {
        "",
        "<Delete/>",
        "<Delete><Quiet>true</Quiet></Delete>",
        "<Remove><Object><Key>k</Key></Object></Remove>",
        "<Delete><Object/></Delete>",
        "<Delete><Object><VersionId>v</VersionId></Object></Delete>",
        "<Delete><Object><Key><b/></Key></Object></Delete>",
        "<Delete><Object><Key>k</Key><Size>-1</Size></Object></Delete>",
        "<Delete><Object><Key>k</Key><Size>99999999999999999999</Size></Object></Delete>",
        "<Delete><Object><Key>k</Key><LastModifiedTime>x</LastModifiedTime></Object></Delete>",
        "<Delete><Object><Key>k</Key></Object>",
    };
    struct delete_body d;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        if (xml_parse_delete(arena, str_of(bad[i]), &d, NULL) != S3_MALFORMED_XML)
            fail_msg("%s", bad[i]);
}

static void test_xml_bodies__complete(void **state)
{
    struct complete_body c;

    (void)state;
    assert_int_equal(
        xml_parse_complete(arena,
                           STR("<CompleteMultipartUpload" NS ">"
                               "<Part><PartNumber>2</PartNumber><ETag>\"e2\"</ETag></Part>"
                               "<Part><ETag>e1</ETag><ChecksumCRC32>y/Q5Jg==</ChecksumCRC32>"
                               "<PartNumber> 1 </PartNumber></Part></CompleteMultipartUpload>"),
                           &c, NULL),
        S3_OK);
    assert_int_equal(c.count, 2);
    assert_int_equal(c.parts[0].number, 2);
    assert_str(c.parts[0].etag, STR("e2"));
    assert_int_equal(c.parts[0].sum.algo, CHECKSUM_NONE);
    assert_str(c.parts[1].etag, STR("e1"));
    assert_int_equal(c.parts[1].sum.algo, CHECKSUM_CRC32);
    assert_int_equal(c.parts[1].sum.bytes[0], 0xcb);
}

static void test_xml_bodies__refused_completes(void **state)
{
#define PARTS(parts) "<CompleteMultipartUpload>" parts "</CompleteMultipartUpload>"
#define PART(inner)  PARTS("<Part><ETag>e</ETag>" inner "</Part>")
    static const struct {
        const char *body;
        enum s3_code code;
    } rows[] = {
        {"", S3_MALFORMED_XML},
        {PARTS(""), S3_MALFORMED_XML},
        {"<Complete><Part/></Complete>", S3_MALFORMED_XML},
        {PARTS("<Part><PartNumber>1</PartNumber></Part>"), S3_MALFORMED_XML},
        {PART(""), S3_MALFORMED_XML},
        {PART("<PartNumber>one</PartNumber>"), S3_MALFORMED_XML},
        {PART("<PartNumber>-1</PartNumber>"), S3_MALFORMED_XML},
        {PART("<PartNumber>99999999999999999999</PartNumber>"), S3_MALFORMED_XML},
        {PART("<PartNumber>0</PartNumber>"), S3_INVALID_ARGUMENT},
        {PART("<PartNumber>10001</PartNumber>"), S3_INVALID_ARGUMENT},
        {PART("<PartNumber>10000</PartNumber>"), S3_OK},
        {PART("<PartNumber>1</PartNumber><ChecksumCRC32>x</ChecksumCRC32>"), S3_BAD_DIGEST},
        {PART("<PartNumber>1</PartNumber><ChecksumSHA512>x</ChecksumSHA512>"), S3_INVALID_REQUEST},
        {PART("<PartNumber>1</PartNumber><ChecksumCRC32>y/Q5Jg==</ChecksumCRC32>"
              "<ChecksumCRC32C>y/Q5Jg==</ChecksumCRC32C>"),
         S3_INVALID_REQUEST},
        {PART("<PartNumber>1</PartNumber><Unknown>x</Unknown>"), S3_OK},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct complete_body c;
        enum s3_code code = xml_parse_complete(arena, str_of(rows[i].body), &c, NULL);
        if (code != rows[i].code)
            fail_msg("%s: %s", rows[i].body, s3_code_name(code));
    }
}

static void test_xml_bodies__ten_thousand_parts_with_checksums(void **state)
{
    struct complete_body c;
    struct buf b;

    (void)state;
    buf_init(&b, XML_BODY_MAX);
    buf_append_cstr(&b, "<CompleteMultipartUpload" NS ">");
    for (unsigned i = 1; i <= XML_COMPLETE_MAX; i++)
        buf_printf(&b,
                   "<Part><ChecksumSHA256>FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="
                   "</ChecksumSHA256><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag>"
                   "<PartNumber>%u</PartNumber></Part>",
                   i);
    buf_append_cstr(&b, "</CompleteMultipartUpload>");
    assert_ok(buf_check(&b));
    assert_int_equal(xml_parse_complete(arena, buf_str(&b), &c, NULL), S3_OK);
    assert_int_equal(c.count, XML_COMPLETE_MAX);
    assert_int_equal(c.parts[9999].number, 10000);
    buf_fini(&b);
}

static void test_xml_bodies__create_bucket(void **state)
{
#define CREATE(inner) "<CreateBucketConfiguration" NS ">" inner "</CreateBucketConfiguration>"
    static const struct {
        const char *body;
        enum s3_code code;
        const char *location;
    } rows[] = {
        {"", S3_OK, ""},
        {" \t", S3_OK, ""},
        {CREATE(""), S3_OK, ""},
        {CREATE("<LocationConstraint>eu-west-1</LocationConstraint>"), S3_OK, "eu-west-1"},
        {CREATE("<LocationConstraint/>"), S3_OK, ""},
        {CREATE("<Unknown>1</Unknown>"), S3_OK, ""},
        {CREATE("<Bucket><Type>Directory</Type></Bucket>"), S3_NOT_IMPLEMENTED, ""},
        {CREATE("<Tags><Tag/></Tags>"), S3_NOT_IMPLEMENTED, ""},
        {"<Other/>", S3_MALFORMED_XML, ""},
        {"eu-west-1", S3_MALFORMED_XML, ""},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct str location;
        assert_int_equal(xml_parse_create_bucket(arena, str_of(rows[i].body), &location, NULL),
                         rows[i].code);
        assert_str(location, str_of(rows[i].location));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_xml_bodies__delete, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_xml_bodies__delete_has_a_thousand_keys_at_most,
                                        make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_xml_bodies__malformed_deletes, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_xml_bodies__complete, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_xml_bodies__refused_completes, make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_xml_bodies__ten_thousand_parts_with_checksums,
                                        make_arena, drop_arena),
        cmocka_unit_test_setup_teardown(test_xml_bodies__create_bucket, make_arena, drop_arena),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
