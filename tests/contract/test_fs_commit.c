/* What changes a file goes by what the caller requires, and a refusal costs nothing (fs/file.h). */
#include "tests/contract/file_fixture.h"

#define SMALL ((size_t)256) /* inline_max */
#define KEY   STR("file")

/*
 * A commit that is refused has done nothing, and the same writer commits elsewhere, once: whether
 * its bytes are in memory or in the store.
 */
static void test_fs_commit__a_refused_commit_leaves_the_writer_as_it_was(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    uint8_t bytes[3 * SMALL];
    const size_t lens[] = {0, SMALL, sizeof(bytes)};
    enum meta_missing missing;

    memset(bytes, 'n', sizeof(bytes));
    for (size_t i = 0; i < 3; i++) {
        struct arena *a = arena_new(MIB);
        struct writer *w = writer_of(v, bytes, lens[i]);
        struct file_new f = file_new_of(KEY, "new");
        struct file_part p = {.bucket = BUCKET, .key = KEY, .upload = STR("none"), .part = {1}};

        file_put(v, KEY, bytes, 1, "old");
        f.guard.cond.if_absent = true;
        assert_err(ERR_CONDITION, file_commit(w, a, &f, &missing));
        f.bucket = STR("other");
        assert_err(ERR_NOT_FOUND, file_commit(w, a, &f, &missing));
        assert_int_equal(missing, META_MISSING_BUCKET);
        assert_err(ERR_NOT_FOUND, file_commit_part(w, a, &p, &missing));
        assert_int_equal(missing, META_MISSING_UPLOAD);
        file_is(v, KEY, bytes, 1);
        f = file_new_of(KEY, "new");
        assert_ok(file_commit(w, a, &f, &missing));
        assert_err(ERR_BUG, file_commit(w, a, &f, &missing));
        writer_free(w);
        file_is(v, KEY, bytes, lens[i]);
        arena_free(a);
    }
    volume_close(v, true);
}

/* What a guard says of a file of 3 and of 3000 bytes, and what the caller reports of it. */
static void test_fs_commit__a_guard_is_evaluated_on_the_file_that_is_written(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    struct file_new make = file_new_of(KEY, "made");
    uint8_t bytes[3000] = {1};
    const struct {
        const char *what;
        struct object_cond cond;
        bool append;
        int off_end;
        enum err expected;
    } cases[] = {
        {"nothing", {0}, false, 0, OK},
        {"the ETag", {.if_match = STR("e")}, false, 0, OK},
        {"another ETag", {.if_match = STR("f")}, false, 0, ERR_CONDITION},
        {"not the ETag", {.if_none_match = STR("e")}, false, 0, ERR_CONDITION},
        {"not another ETag", {.if_none_match = STR("f")}, false, 0, OK},
        {"that it is there", {.if_present = true}, false, 0, OK},
        {"that it is not there", {.if_absent = true}, false, 0, ERR_CONDITION},
        {"no change since", {.has_unmodified = true, .if_unmodified_s = 1}, false, 0, OK},
        {"no change", {.has_unmodified = true, .if_unmodified_s = 0}, false, 0, ERR_CONDITION},
        {"to append", {0}, true, 0, OK},
        {"to append before the end", {0}, true, -1, ERR_CONDITION},
        {"to append behind the end", {0}, true, 1, ERR_CONDITION},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t len = 3; len <= sizeof(bytes); len += sizeof(bytes) - 3) {
            struct file_write w = (struct file_write){.bucket = BUCKET, .key = KEY};
            struct file_written r = {0};
            uint8_t x = 'x';
            enum err got;

            w.guard.cond = cases[i].cond;
            w.append = cases[i].append ? &make : NULL;
            file_put(v, KEY, bytes, len, "e");
            got = file_write_bytes(v, &w, (uint64_t)((int64_t)len + cases[i].off_end), &x, 1, &r,
                                   NULL);
            if (got != cases[i].expected)
                fail_msg("%s, %zu bytes: %s", cases[i].what, len, err_name(got));
            assert_int_equal(r.size, got == OK ? len + 1 : len);
            assert_true(got == OK || r.mtime_ms == 1000);
            assert_false(r.made);
        }
    }
    volume_close(v, true);
}

/* Only at offset 0, and only where no guard wants a file. */
static void test_fs_commit__an_append_makes_what_is_not_there(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    struct file_new make = file_new_of(KEY, "made");
    struct file_write w = (struct file_write){.bucket = BUCKET, .key = KEY};
    struct file_written r;
    uint8_t bytes[2000] = {0};
    char etag[64];

    w.append = &make;
    assert_err(ERR_NOT_FOUND, file_write_bytes(v, &w, 1, bytes, 1000, &r, etag));
    w.guard.cond.if_match = STR("e");
    assert_err(ERR_NOT_FOUND, file_write_bytes(v, &w, 0, bytes, 1000, &r, etag));
    w.guard.cond = (struct object_cond){.if_absent = true};
    assert_ok(file_write_bytes(v, &w, 0, bytes, 1000, &r, etag));
    assert_true(r.made);
    assert_string_equal(etag, "made");
    assert_err(ERR_CONDITION, file_write_bytes(v, &w, 1000, bytes, 1000, &r, etag));
    w.guard.cond.if_absent = false;
    assert_ok(file_write_bytes(v, &w, 1000, bytes, 1000, &r, etag));
    assert_false(r.made);
    file_is(v, KEY, bytes, 2000);
    volume_close(v, true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fs_commit__a_refused_commit_leaves_the_writer_as_it_was),
        cmocka_unit_test(test_fs_commit__a_guard_is_evaluated_on_the_file_that_is_written),
        cmocka_unit_test(test_fs_commit__an_append_makes_what_is_not_there),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
