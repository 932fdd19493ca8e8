/* Multipart uploads: meta/names/upload.h. */
#include "tests/contract/upload_fixture.h"

/* --- life of an upload ----------------------------------------------------------------------- */

static void test_meta_upload__is_got_as_it_was_created(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    const struct pair headers[] = {{STR("Content-Type"), STR("text/plain")}};
    const struct pair tags[] = {{STR("t"), STR("v")}};
    struct upload up = {.owner = 7,
                        .storage_class = STR("GLACIER"),
                        .headers = {headers, 1},
                        .tags = {tags, 1},
                        .checksum = 5};
    struct upload got;
    enum meta_missing missing;
    assert_ok(upload_create(m, w->arena, BUCKET, STR("k\0ey"), &up));
    assert_true(up.upload.len >= 32);
    for (size_t i = 0; i < up.upload.len; i++)
        assert_non_null(strchr("0123456789abcdef", up.upload.ptr[i]));
    assert_ok(upload_get(m, w->arena, BUCKET, STR("k\0ey"), up.upload, &got, &missing));
    assert_int_equal(got.id, up.id);
    assert_str(up.upload, got.upload);
    assert_str(STR("k\0ey"), got.key);
    assert_int_equal(got.owner, 7);
    assert_true(got.initiated_ms > 1700000000000);
    assert_str(STR("GLACIER"), got.storage_class);
    assert_str(STR("text/plain"), pairs_get(got.headers, STR("content-type")));
    assert_str(STR("v"), pairs_get(got.tags, STR("t")));
    assert_int_equal(got.checksum, 5);
    assert_null(got.result.ptr);

    assert_err(ERR_NOT_FOUND,
               upload_get(m, w->arena, BUCKET, STR("other"), up.upload, &got, &missing));
    assert_int_equal(missing, META_MISSING_UPLOAD);
    assert_err(ERR_NOT_FOUND,
               upload_get(m, w->arena, STR("none"), STR("k\0ey"), up.upload, &got, &missing));
    assert_int_equal(missing, META_MISSING_BUCKET);
    assert_err(ERR_NOT_FOUND, upload_create(m, w->arena, STR("none"), STR("k"), &up));
    meta_close(m);
}

static void test_meta_upload__parts_are_listed_and_replaced(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct upload up = create(w, m, STR("k"));
    static const int numbers[] = {3, 1, 10000, 2};
    for (size_t i = 0; i < 4; i++)
        put_part(m, STR("k"), up.upload, numbers[i], content_of(w, m, 1, MIB));
    uint64_t old = list(w, m, STR("k"), up.upload).parts[1].inode;
    uint64_t new = put_part(m, STR("k"), up.upload, 2, small(STR("tiny")));
    struct listed l = list(w, m, STR("k"), up.upload);
    assert_int_equal(l.count, 4);
    assert_false(l.more);
    assert_int_equal(l.parts[1].inode, new);
    assert_int_equal(l.parts[1].size, 4);
    assert_str(STR("part"), l.parts[1].etag);
    assert_str(STR("sum"), l.parts[1].checksum);
    assert_int_equal(l.parts[1].mtime_ms, 5);
    assert_int_equal(l.parts[3].number, 10000);
    assert_int_equal(ask(w, "SELECT id FROM dead"), old);
    enum meta_missing missing;
    assert_ok(part_list(m, w->arena, BUCKET, STR("k"), up.upload, 1, 2, &l.upload, &l.parts,
                        &l.count, &l.more, &missing));
    assert_int_equal(l.count, 2);
    assert_int_equal(l.parts[0].number, 2);
    assert_true(l.more);
    assert_ok(part_list(m, w->arena, BUCKET, STR("k"), up.upload, 3, 1, &l.upload, &l.parts,
                        &l.count, &l.more, &missing));
    assert_int_equal(l.count, 1);
    assert_false(l.more);
    meta_close(m);
}

static void test_meta_upload__a_part_without_its_upload_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct upload up = create(w, m, STR("k"));
    enum meta_missing missing;
    int64_t before = rows(w);
    struct part_put p = part_of(m, STR("k"), STR("unknown"), 1, content_of(w, m, 1, MIB));
    assert_err(ERR_NOT_FOUND, part_put(m, &p, &missing));
    assert_int_equal(missing, META_MISSING_UPLOAD);
    p.upload = up.upload;
    p.key = STR("another");
    assert_err(ERR_NOT_FOUND, part_put(m, &p, &missing));
    assert_int_equal(missing, META_MISSING_UPLOAD);
    p.key = STR("k");
    p.bucket = STR("none");
    assert_err(ERR_NOT_FOUND, part_put(m, &p, &missing));
    assert_int_equal(missing, META_MISSING_BUCKET);
    assert_int_equal(rows(w), before);
    p.bucket = BUCKET;
    assert_ok(upload_abort(m, BUCKET, STR("k"), up.upload, &missing));
    assert_err(ERR_NOT_FOUND, part_put(m, &p, &missing));
    assert_int_equal(missing, META_MISSING_UPLOAD);
    assert_int_equal(rows(w), before);
    meta_close(m);
}

static void test_meta_upload__abort_kills_its_parts_and_no_others(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct upload up = create(w, m, STR("k")), other = create(w, m, STR("k"));
    struct upload got;
    enum meta_missing missing;
    put_part(m, STR("k"), up.upload, 1, small(STR("a")));
    put_part(m, STR("k"), up.upload, 2, small(STR("b")));
    put_part(m, STR("k"), other.upload, 1, small(STR("c")));
    assert_err(ERR_NOT_FOUND, upload_abort(m, BUCKET, STR("other"), up.upload, &missing));
    assert_int_equal(missing, META_MISSING_UPLOAD);
    assert_ok(upload_abort(m, BUCKET, STR("k"), up.upload, &missing));
    assert_int_equal(ask(w, "SELECT count(*) FROM dead"), 2);
    assert_err(ERR_NOT_FOUND, upload_abort(m, BUCKET, STR("k"), up.upload, &missing));
    assert_err(ERR_NOT_FOUND, upload_get(m, w->arena, BUCKET, STR("k"), up.upload, &got, &missing));
    assert_int_equal(list(w, m, STR("k"), other.upload).count, 1);
    meta_close(m);
}

/* --- complete -------------------------------------------------------------------------------- */

static void test_meta_upload__completion_links_pieces_and_small_bytes(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct upload up = create(w, m, STR("k")), got;
    struct object o;
    enum meta_missing missing;
    struct str small_bytes = STR("\0\xff\x80 bytes \0");
    uint64_t first = put_part(m, STR("k"), up.upload, 1, content_of(w, m, 3, MIB));
    uint64_t unused = put_part(m, STR("k"), up.upload, 2, content_of(w, m, 1, MIB));
    uint64_t second = put_part(m, STR("k"), up.upload, 5, content_of(w, m, 2, MIB));
    put_part(m, STR("k"), up.upload, 6, small(STR("")));
    put_part(m, STR("k"), up.upload, 7, small(small_bytes));
    struct str map1 = map_of(w, m, first), map2 = map_of(w, m, second);
    struct listed l = list(w, m, STR("k"), up.upload);
    for (size_t i = 1; i + 1 < l.count; i++)
        l.parts[i] = l.parts[i + 1];
    l.count--;
    struct object_put p = put_of(m, STR("k"), small(STR_NONE));
    p.parts = STR("table");
    assert_ok(complete(m, &p, up.upload, &l, &missing));

    assert_ok(get(w, m, STR("k"), &o));
    assert_int_equal(o.attr.size, 5 * MIB + small_bytes.len);
    assert_str(STR("table"), o.parts);
    assert_null(o.data.ptr);
    assert_int_equal(o.extent_count, 6);
    struct str map = map_of(w, m, p.inode);
    assert_str(map1, str_sub(map, 0, map1.len));
    assert_str(map2, str_sub(map, map1.len, map2.len));
    struct record *records;
    size_t count;
    assert_ok(record_unpack(w->arena, o.extents[5].records, &records, &count));
    assert_int_equal(count, 1);
    assert_int_equal(records[0].kind, RECORD_INLINE);
    assert_str(small_bytes, records[0].bytes);
    assert_refs(w);
    assert_int_equal(ask(w, "SELECT count(*) FROM parts"), 0);
    assert_int_equal(ask(w, "SELECT count(*) FROM dead"), 5);
    assert_int_equal(map_of(w, m, first).len, 0);
    assert_true(map_of(w, m, unused).len > 0);

    assert_ok(upload_get(m, w->arena, BUCKET, STR("k"), up.upload, &got, &missing));
    assert_str(STR("result"), got.result);
    assert_int_equal(list(w, m, STR("k"), up.upload).count, 0);
    assert_err(ERR_NOT_FOUND, upload_abort(m, BUCKET, STR("k"), up.upload, &missing));
    struct part_put late = part_of(m, STR("k"), up.upload, 1, small(STR("late")));
    assert_err(ERR_NOT_FOUND, part_put(m, &late, &missing));
    p.inode = next_id(m);
    assert_err(ERR_CONFLICT, complete(m, &p, up.upload, &l, &missing));
    meta_close(m);
}

static void test_meta_upload__a_changed_part_conflicts(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct upload up = create(w, m, STR("k"));
    enum meta_missing missing;
    put_part(m, STR("k"), up.upload, 1, content_of(w, m, 1, MIB));
    put_part(m, STR("k"), up.upload, 2, content_of(w, m, 1, MIB));
    struct listed l = list(w, m, STR("k"), up.upload);
    put_part(m, STR("k"), up.upload, 2, content_of(w, m, 1, 2 * MIB));
    struct object_put p = put_of(m, STR("k"), small(STR_NONE));
    int64_t before = rows(w);
    assert_err(ERR_CONFLICT, complete(m, &p, up.upload, &l, &missing));
    assert_int_equal(rows(w), before);
    l = list(w, m, STR("k"), up.upload);
    assert_null(l.upload.result.ptr);
    struct part swapped[] = {l.parts[1], l.parts[0]};
    assert_err(ERR_INVALID, upload_complete(m, &p, up.upload, swapped, 2, STR("r"), &missing));
    l.parts[0].size--; /* not what the database has */
    assert_err(ERR_CONFLICT, complete(m, &p, up.upload, &l, &missing));
    assert_int_equal(rows(w), before);
    l.parts[0].size++;
    assert_ok(complete(m, &p, up.upload, &l, &missing));
    meta_close(m);
}

static void test_meta_upload__completion_obeys_conditions(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct upload up = create(w, m, STR("k"));
    struct object o;
    enum meta_missing missing;
    put_part(m, STR("k"), up.upload, 1, content_of(w, m, 1, MIB));
    struct listed l = list(w, m, STR("k"), up.upload);
    struct object_put p = put_of(m, STR("k"), small(STR_NONE));
    int64_t before = rows(w);
    p.cond.if_match = STR("e1");
    assert_err(ERR_NOT_FOUND, complete(m, &p, up.upload, &l, &missing));
    assert_int_equal(missing, META_MISSING_KEY);
    assert_int_equal(rows(w), before);
    put(m, STR("k"), small(STR("old")));
    before = rows(w);
    p.cond = (struct object_cond){.if_absent = true};
    assert_err(ERR_CONDITION, complete(m, &p, up.upload, &l, &missing));
    p.cond = (struct object_cond){.if_match = STR("e2")};
    assert_err(ERR_CONDITION, complete(m, &p, up.upload, &l, &missing));
    p.bucket = STR("none");
    assert_err(ERR_NOT_FOUND, complete(m, &p, up.upload, &l, &missing));
    assert_int_equal(missing, META_MISSING_BUCKET);
    p.bucket = BUCKET;
    assert_err(ERR_NOT_FOUND, complete(m, &p, STR("unknown"), &l, &missing));
    assert_int_equal(missing, META_MISSING_UPLOAD);
    assert_int_equal(rows(w), before);
    p.cond = (struct object_cond){.if_match = STR("e1")};
    assert_ok(complete(m, &p, up.upload, &l, &missing));
    assert_ok(get(w, m, STR("k"), &o));
    assert_int_equal(o.attr.size, MIB);
    assert_refs(w);
    meta_close(m);
}

/* Ten thousand parts of one piece each, put there by hand. */
static void make_parts(struct world *w, const struct upload *up)
{
    struct buf s;
    buf_init(&s, 8 << 20);
    for (unsigned i = 1; i <= 10000; i++) {
        buf_printf(&s, "INSERT INTO parts VALUES (%llu, %u, %u, 5242880, 'e', 5, NULL);",
                   (unsigned long long)up->id, i, 1000000 + i);
        buf_printf(&s, "INSERT INTO inode_pieces VALUES (%u, 0, 0, 5242880, %u, 0, 0, NULL, NULL);",
                   1000000 + i, 2000000 + i);
        if (i % 2000 == 0) { /* a script has a limit */
            assert_ok(buf_check(&s));
            run(w, s.data);
            buf_clear(&s);
        }
    }
    buf_fini(&s);
}

static void test_meta_upload__ten_thousand_parts_are_completed_at_once(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct upload up = create(w, m, STR("k"));
    enum meta_missing missing;
    make_parts(w, &up);
    struct listed l = list(w, m, STR("k"), up.upload);
    assert_int_equal(l.count, 10000);
    struct object_put p = put_of(m, STR("k"), small(STR_NONE));
    int64_t begun = clock_mono_us();
    assert_ok(complete(m, &p, up.upload, &l, &missing));
    int64_t ms = (clock_mono_us() - begun) / 1000;
    print_message("10,000 parts completed in %lld ms\n", (long long)ms);
    assert_true(ms < 5000); /* sanitizers and busy machines; else some 300 */
    assert_int_equal(ask(w, "SELECT size FROM keys"), 10000 * (int64_t)5242880);
    assert_int_equal(ask(w, "SELECT start FROM inode_pieces WHERE piece = 2010000"),
                     9999 * (int64_t)5242880);
    assert_int_equal(ask(w, "SELECT count(DISTINCT start) FROM inode_pieces"), 10000);
    meta_close(m);
}

/* --- races ----------------------------------------------------------------------------------- */

struct racer {
    struct world *w;
    struct meta *m;
    struct object_put put;
    struct part_put part;
    struct str upload;
    struct listed *parts;
    enum err result;
    bool abort;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    enum meta_missing missing;
    if (r->parts != NULL)
        r->result = complete(r->m, &r->put, r->upload, r->parts, &missing);
    else if (r->abort)
        r->result = upload_abort(r->m, BUCKET, STR("k"), r->upload, &missing);
    else
        r->result = part_put(r->m, &r->part, &missing);
    return NULL;
}

static void test_meta_upload__completed_by_one_of_many(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct meta *other = open_gateway(w);
    for (int round = 0; round < 10; round++) {
        struct upload up = create(w, m, STR("k"));
        struct racer racers[8];
        int won = 0;
        put_part(m, STR("k"), up.upload, 1, content_of(w, m, 2, MIB));
        put_part(m, STR("k"), up.upload, 2, small(STR("tail")));
        struct listed l = list(w, m, STR("k"), up.upload);
        for (size_t i = 0; i < 8; i++) {
            struct meta *through = i % 2 == 0 ? m : other;
            racers[i] = (struct racer){.m = through,
                                       .put = put_of(through, STR("k"), small(STR_NONE)),
                                       .upload = up.upload,
                                       .parts = &l};
        }
        in_threads(8, race, racers, sizeof(racers[0]));
        for (size_t i = 0; i < 8; i++) {
            won += racers[i].result == OK;
            if (racers[i].result != OK)
                assert_int_equal(racers[i].result, ERR_CONFLICT);
        }
        assert_int_equal(won, 1);
    }
    assert_int_equal(ask(w, "SELECT seq FROM keys"), 10);
    assert_refs(w);
    meta_close(other);
    meta_close(m);
}

/* A part is replaced, or the upload aborted, while it is completed: nothing is half done. */
static void test_meta_upload__races_of_parts_and_abort_end_whole(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct meta *other = open_gateway(w);
    for (int round = 0; round < 30; round++) {
        struct upload up = create(w, m, STR("k"));
        struct racer racers[4];
        for (int i = 1; i <= 3; i++)
            put_part(m, STR("k"), up.upload, i, content_of(w, m, 1, MIB));
        struct listed l = list(w, m, STR("k"), up.upload);
        for (size_t i = 0; i < 4; i++) {
            struct meta *through = i % 2 == 0 ? m : other;
            racers[i] = (struct racer){.m = through, .upload = up.upload};
            racers[i].put = put_of(through, STR("k"), small(STR_NONE));
            racers[i].part =
                part_of(through, STR("k"), up.upload, (int)i, content_of(w, through, 1, MIB));
        }
        racers[0].parts = &l;
        racers[3].abort = round % 3 == 0;
        in_threads(4, race, racers, sizeof(racers[0]));
        enum err err = racers[0].result;
        assert_true(err == OK || err == ERR_CONFLICT || err == ERR_NOT_FOUND);
        for (size_t i = 1; i < 4; i++)
            assert_true(racers[i].result == OK || racers[i].result == ERR_NOT_FOUND);
        if (err == OK)
            assert_int_equal(ask(w, "SELECT CAST(sum(x.len) AS BIGINT) FROM inode_pieces x"
                                    " JOIN keys k ON k.inode = x.inode"),
                             3 * MIB);
        assert_refs(w);
    }
    /* Every file is a key's, a part's or dead: none was lost. */
    assert_int_equal(ask(w, "SELECT count(*) FROM inodes WHERE id NOT IN (SELECT inode FROM keys)"
                            " AND id NOT IN (SELECT inode FROM parts)"
                            " AND id NOT IN (SELECT id FROM dead WHERE kind = 1)"),
                     0);
    assert_int_equal(ask(w, "SELECT count(*) FROM parts WHERE upload NOT IN"
                            " (SELECT id FROM uploads WHERE completed_ms IS NULL)"),
                     0);
    assert_int_equal(ask(w, "SELECT count(*) FROM inode_pieces"
                            " WHERE inode NOT IN (SELECT id FROM inodes)"),
                     0);
    meta_close(other);
    meta_close(m);
}

/* --- listing --------------------------------------------------------------------------------- */

static struct str uploads_of(struct world *w, struct meta *m, const struct upload_list_query *q,
                             const struct upload *known, size_t known_count)
{
    struct upload_entry *e;
    size_t count;
    bool more;
    struct buf text;
    buf_init(&text, 4096);
    assert_ok(upload_list(m, w->arena, q, &e, &count, &more));
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, STR_FMT, STR_ARG(e[i].key));
        for (size_t k = 0; k < known_count && !e[i].is_prefix; k++)
            if (str_eq(known[k].upload, e[i].upload.upload))
                buf_printf(&text, ":%zu", k);
        buf_append_cstr(&text, e[i].is_prefix ? "* " : " ");
    }
    if (more)
        buf_append_cstr(&text, "...");
    struct str s = text.len > 0 ? arena_str(w->arena, buf_str(&text)) : STR("");
    buf_fini(&text);
    return s;
}

static void test_meta_upload__listed_by_key_then_age(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    static const char *const keys[] = {"b", "a", "b", "d/1", "d/2", "d/2", "e", "b", "gone"};
    struct upload up[9];
    enum meta_missing missing;
    for (size_t i = 0; i < 9; i++)
        up[i] = create(w, m, str_of(keys[i]));
    assert_ok(upload_abort(m, BUCKET, STR("gone"), up[8].upload, &missing));
    const struct {
        struct upload_list_query q;
        const char *expected;
    } cases[] = {
        {{.max = 100}, "a:1 b:0 b:2 b:7 d/1:3 d/2:4 d/2:5 e:6 "},
        {{.max = 3}, "a:1 b:0 b:2 ..."},
        {{.max = 100, .key_marker = STR("b"), .upload_marker = up[0].upload},
         "b:2 b:7 d/1:3 d/2:4 d/2:5 e:6 "},
        {{.max = 1, .key_marker = STR("b"), .upload_marker = up[7].upload}, "d/1:3 ..."},
        {{.max = 100, .key_marker = STR("b")}, "d/1:3 d/2:4 d/2:5 e:6 "},
        {{.max = 100, .key_marker = STR("b"), .upload_marker = STR("nonsense")},
         "d/1:3 d/2:4 d/2:5 e:6 "},
        {{.max = 100, .key_marker = STR("gone"), .upload_marker = up[8].upload}, ""},
        {{.max = 100, .upload_marker = up[8].upload}, "a:1 b:0 b:2 b:7 d/1:3 d/2:4 d/2:5 e:6 "},
        {{.max = 100, .prefix = STR("d/")}, "d/1:3 d/2:4 d/2:5 "},
        {{.max = 100, .prefix = STR("d/"), .key_marker = STR("a")}, "d/1:3 d/2:4 d/2:5 "},
        {{.max = 100, .prefix = STR("d/"), .key_marker = STR("e")}, ""},
        {{.max = 100, .delimiter = STR("/")}, "a:1 b:0 b:2 b:7 d/* e:6 "},
        {{.max = 5, .delimiter = STR("/")}, "a:1 b:0 b:2 b:7 d/* ..."},
        {{.max = 5, .delimiter = STR("/"), .key_marker = STR("d/")}, "e:6 "},
        {{.max = 5, .delimiter = STR("/"), .prefix = STR("d/")}, "d/1:3 d/2:4 d/2:5 "},
        {{.max = 0}, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct upload_list_query q = cases[i].q;
        q.bucket = BUCKET;
        print_message("%s\n", cases[i].expected);
        assert_str(str_of(cases[i].expected), uploads_of(w, m, &q, up, 9));
    }
    struct upload_entry *e;
    size_t count;
    bool more;
    struct upload_list_query none = {.bucket = STR("none"), .max = 1};
    assert_err(ERR_NOT_FOUND, upload_list(m, w->arena, &none, &e, &count, &more));
    meta_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_upload__is_got_as_it_was_created),
        cmocka_unit_test(test_meta_upload__parts_are_listed_and_replaced),
        cmocka_unit_test(test_meta_upload__a_part_without_its_upload_leaves_nothing),
        cmocka_unit_test(test_meta_upload__abort_kills_its_parts_and_no_others),
        cmocka_unit_test(test_meta_upload__completion_links_pieces_and_small_bytes),
        cmocka_unit_test(test_meta_upload__a_changed_part_conflicts),
        cmocka_unit_test(test_meta_upload__completion_obeys_conditions),
        cmocka_unit_test(test_meta_upload__ten_thousand_parts_are_completed_at_once),
        cmocka_unit_test(test_meta_upload__completed_by_one_of_many),
        cmocka_unit_test(test_meta_upload__races_of_parts_and_abort_end_whole),
        cmocka_unit_test(test_meta_upload__listed_by_key_then_age),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
