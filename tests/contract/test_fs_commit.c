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

/* --- decisions that are stale ----------------------------------------------------------------- */

enum way { PUT, PART, PATCH, APPEND, APPEND_FIRST, COPY, COPY_PART, COMPLETE, REMOVE, WAYS };

/* A file of KEY, an upload of it with one part, and a writer that has what is to be committed. */
struct decided {
    struct volume *v;
    struct arena *a;
    struct writer *w;
    struct file source;
    struct upload upload;
    struct part *parts;
    size_t part_count;
};

static enum err change(struct decided *d, enum way way)
{
    enum meta_missing missing;
    struct file_written written;
    struct file_new f = file_new_of(KEY, "new");
    struct file_part p = {.bucket = BUCKET, .key = KEY, .upload = d->upload.upload};
    struct file_write where = {.bucket = BUCKET, .key = KEY};
    struct file_upload u = {
        .upload = d->upload.upload, .parts = d->parts, .count = d->part_count, .result = STR("r")};
    struct object_delete item = {.bucket = BUCKET, .key = KEY};

    p.part = (struct part){.number = 2, .etag = STR("p"), .checksum = STR("")};
    if (way == APPEND || way == APPEND_FIRST) {
        where.append = &f;
        where.offset = way == APPEND ? (uint64_t)d->source.object.attr.size : 0;
    }
    if (way == APPEND_FIRST)
        where.key = f.key = STR("first");
    switch (way) {
    case PUT:
        return file_commit(d->w, d->a, &f, &missing);
    case PART:
        return file_commit_part(d->w, d->a, &p, &missing);
    case COPY:
        return file_copy(&d->source, &f, &missing);
    case COPY_PART:
        return file_copy_part(&d->source, 0, 1, &p, &missing);
    case COMPLETE:
        return file_complete(d->v->fs, &f, &u, &missing);
    case REMOVE:
        file_remove(d->v->fs, &item, 1);
        return item.result;
    default:
        return file_write(d->w, d->a, &where, &written, &missing);
    }
}

/* The same, decided by `key` as it was looked up. */
static enum err change_by(struct decided *d, enum way way, const struct access_key *key,
                          enum access_refusal *out_refused)
{
    struct access_proof proof = {.key = key};
    enum err err;

    access_begin(&proof);
    err = change(d, way);
    access_end();
    *out_refused = proof.refused;
    return err;
}

static size_t parts_now(struct decided *d)
{
    struct upload upload;
    enum meta_missing missing;
    bool more;

    assert_ok(part_list(d->v->meta, d->a, BUCKET, KEY, d->upload.upload, 0, 10, &upload, &d->parts,
                        &d->part_count, &more, &missing));
    return d->part_count;
}

static void decide(struct decided *d, struct volume *v, const uint8_t *bytes, size_t len)
{
    struct file_part p = {.bucket = BUCKET, .key = KEY};
    struct writer *w = writer_of(v, bytes, len);
    enum meta_missing missing;

    *d = (struct decided){.v = v, .a = arena_new(16 * MIB), .w = writer_of(v, bytes, len)};
    file_put(v, KEY, bytes, len - 1, "old");
    file_get(v, d->a, KEY, &d->source);
    assert_ok(upload_create(v->meta, d->a, BUCKET, KEY, &d->upload));
    p.upload = d->upload.upload;
    p.part = (struct part){.number = 1, .etag = STR("p"), .checksum = STR("")};
    assert_ok(file_commit_part(w, d->a, &p, &missing));
    writer_free(w);
    assert_int_equal(parts_now(d), 1);
}

static bool is_there(struct decided *d, struct str key)
{
    struct object_get get = {.bucket = BUCKET, .key = key};
    enum meta_missing missing;
    struct object o;

    return file_stat(d->v->fs, d->a, &get, &o, &missing) == OK;
}

static void is_made(struct decided *d, enum way way, const uint8_t *bytes, size_t len)
{
    struct object_delete first = {.bucket = BUCKET, .key = STR("first")};

    if (way == PUT || way == COMPLETE)
        file_is(d->v, KEY, bytes, len);
    if (way == PART || way == COPY_PART)
        assert_int_equal(parts_now(d), 2);
    if (way == APPEND_FIRST) {
        file_is(d->v, first.key, bytes, len);
        file_remove(d->v->fs, &first, 1);
    }
    assert_int_equal(is_there(d, KEY), way != REMOVE);
}

static void test_fs_commit__a_stale_decision_changes_nothing_and_is_made_again(void **state)
{
    struct volume *v = volume_open(*state, NULL, SMALL);
    uint8_t bytes[3 * SMALL];
    const size_t lens[] = {SMALL, sizeof(bytes)};
    struct access_key old, now;
    enum access_refusal refused;

    memset(bytes, 'n', sizeof(bytes));
    assert_ok(account_key_put(v->meta, STR("owner"), STR("OWNER"), STR("secret-0")));
    for (int i = 0; i < 2 * WAYS; i++) {
        enum way way = (enum way)(i / 2);
        struct decided d;
        char secret[16];

        decide(&d, v, bytes, lens[i % 2]);
        assert_ok(account_key_look_up(v->meta, STR("OWNER"), &old));
        snprintf(secret, sizeof(secret), "secret-%d", i + 1);
        assert_ok(account_key_put(v->meta, STR("owner"), STR("OWNER"), str_of(secret)));
        assert_err(ERR_DENIED, change_by(&d, way, &old, &refused));
        assert_int_not_equal(refused, ACCESS_ALLOWED);
        file_is(v, KEY, bytes, lens[i % 2] - 1);
        assert_int_equal(parts_now(&d), 1);
        assert_false(is_there(&d, STR("first")));
        assert_ok(account_key_look_up(v->meta, STR("OWNER"), &now));
        assert_ok(change_by(&d, way, &now, &refused));
        writer_free(d.w);
        is_made(&d, way, bytes, lens[i % 2]);
        file_close(&d.source);
        arena_free(d.a);
    }
    volume_close(v, true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fs_commit__a_refused_commit_leaves_the_writer_as_it_was),
        cmocka_unit_test(test_fs_commit__a_guard_is_evaluated_on_the_file_that_is_written),
        cmocka_unit_test(test_fs_commit__an_append_makes_what_is_not_there),
        cmocka_unit_test(test_fs_commit__a_stale_decision_changes_nothing_and_is_made_again),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
