/* Parts copied from objects: part_copy() of meta/names/upload.h. */
#include "tests/contract/upload_fixture.h"

static enum err copy_part(struct meta *m, const struct upload *up, int number,
                          const struct object *source, uint64_t offset, uint64_t len,
                          uint64_t *out_inode)
{
    enum meta_missing missing;
    struct part_put p = part_of(m, STR("k"), up->upload, number, small(STR_NONE));
    *out_inode = p.part.inode;
    return part_copy(m, &p, source, offset, len, &missing);
}

static void test_meta_part_copy__a_copied_range_links_parts_of_pieces(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct upload up = create(w, m, STR("k"));
    struct content c = content_of(w, m, 3, MIB);
    struct object source;
    uint64_t inode;
    put(m, STR("source"), c);
    assert_ok(get(w, m, STR("source"), &source));
    const struct {
        uint64_t offset, len;
        const char *map; /* piece 0, 1 or 2 */
    } cases[] = {
        {0, 3 * MIB, "0+0:1048576 1+0:1048576 2+0:1048576 "},
        {0, 1, "0+0:1 "},
        {3 * MIB - 1, 1, "2+1048575:1 "},
        {MIB, MIB, "1+0:1048576 "},
        {MIB - 10, 20, "0+1048566:10 1+0:10 "},
        {100, 2 * MIB, "0+100:1048476 1+0:1048576 2+0:100 "},
        {3 * MIB, 0, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf expected;
        buf_init(&expected, 4096);
        for (const char *t = cases[i].map; *t != '\0'; t++)
            if (t[1] == '+')
                buf_printf(&expected, "%llu", (unsigned long long)c.pieces[*t - '0'].id);
            else
                buf_append_char(&expected, *t);
        assert_ok(copy_part(m, &up, (int)i + 1, &source, cases[i].offset, cases[i].len, &inode));
        assert_str(buf_str(&expected), map_of(w, m, inode));
        buf_fini(&expected);
    }
    assert_refs(w);
    assert_err(ERR_INVALID, copy_part(m, &up, 9, &source, 1, 3 * MIB, &inode));
    assert_err(ERR_INVALID, copy_part(m, &up, 9, &source, 3 * MIB + 1, 0, &inode));

    /* The same piece many times over: a reference each. */
    struct listed l = list(w, m, STR("k"), up.upload);
    struct object_put p = put_of(m, STR("k"), small(STR_NONE));
    enum meta_missing missing;
    struct object o;
    assert_ok(complete(m, &p, up.upload, &l, &missing));
    assert_refs(w);
    assert_ok(get(w, m, STR("k"), &o));
    p = put_of(m, STR("copy"), small(STR_NONE));
    assert_ok(object_copy(m, &p, &o, &missing));
    assert_str(map_of(w, m, o.attr.inode), map_of(w, m, p.inode));
    assert_refs(w);
    meta_close(m);
}

static void test_meta_part_copy__a_copied_range_takes_small_bytes(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct upload up = create(w, m, STR("k"));
    struct object source, o;
    uint64_t inode;
    enum meta_missing missing;
    put(m, STR("source"),
        small(STR("01\0003\xff"
                  "56789")));
    assert_ok(get(w, m, STR("source"), &source));
    assert_ok(copy_part(m, &up, 1, &source, 2, 4, &inode));
    assert_ok(copy_part(m, &up, 2, &source, 0, 10, &inode));
    assert_ok(copy_part(m, &up, 3, &source, 9, 1, &inode));
    struct listed l = list(w, m, STR("k"), up.upload);
    assert_int_equal(l.parts[0].size, 4);
    struct object_put p = put_of(m, STR("k"), small(STR_NONE));
    assert_ok(complete(m, &p, up.upload, &l, &missing));
    assert_ok(get(w, m, STR("k"), &o));
    static const struct str expected[] = {{"\0003\xff"
                                           "5",
                                           4},
                                          {"01\0003\xff"
                                           "56789",
                                           10},
                                          {"9", 1}};
    for (size_t i = 0; i < 3; i++) {
        struct record *records;
        size_t count;
        assert_ok(record_unpack(w->arena, o.extents[i].records, &records, &count));
        assert_str(expected[i], records[0].bytes);
    }
    run(w, "DELETE FROM inodes WHERE data IS NOT NULL");
    assert_err(ERR_NOT_FOUND, copy_part(m, &up, 4, &source, 0, 10, &inode));
    up = create(w, m, STR("k"));
    int64_t before = rows(w);
    assert_err(ERR_CONFLICT, copy_part(m, &up, 4, &source, 0, 10, &inode));
    assert_int_equal(rows(w), before);
    assert_int_equal(list(w, m, STR("k"), up.upload).count, 0);
    meta_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_part_copy__a_copied_range_links_parts_of_pieces),
        cmocka_unit_test(test_meta_part_copy__a_copied_range_takes_small_bytes),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
