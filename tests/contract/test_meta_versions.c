/*
 * What the triggers do with versions (meta/core/triggers.sql), and what fsck finds wrong about
 * them. Nothing writes versions yet: the statements stand here as meta/README.md ("Versions") has
 * them.
 */
#include "meta/tools/check.h"

#include "tests/contract/meta_fixture.h"

#define HEX(digits) "{PG: '\\x" digits "'::bytea}{LITE: x'" digits "'}"

/* Bucket 1, key "k" with inode 100 of 5 bytes, seq 10; inodes 100 to 103. */
static void make(struct world *w)
{
    meta_close(open_volume(w));
    run(w,
        "INSERT INTO accounts (id, name, canonical_id, created_ms) VALUES (7, 'root', 'c', 1);"
        "INSERT INTO buckets (id, name, owner, region, created_ms, generation)"
        " VALUES (1, " HEX(
            "62") ", 7, 'r', 0, 1);"
                  "INSERT INTO inodes (id, size, mtime_ms, etag, headers, data) VALUES"
                  " (100, 5, 1, 'e', " HEX("") ", " HEX(
                      "6161616161") "),"
                                    " (101, 1, 1, 'e', " HEX("") ", " HEX(
                                        "62") "),"
                                              " (102, 1, 1, 'e', " HEX("") ", " HEX(
                                                  "63") ");"
                                                        "INSERT INTO keys ({KEY_COLUMNS}) VALUES "
                                                        "(1, " HEX(
                                                            "6b") ", 10, 'v10', 0, 100, 5, 'e', 3,"
                                                                  " 7, 'STANDARD', 9, '', 4, 11, "
                                                                  "2, 12, 1, " HEX(
                                                                      "ac") ");"
                                                                            "CREATE TABLE was AS "
                                                                            "SELECT {KEY_COLUMNS} "
                                                                            "FROM keys");
}

static void put(struct world *w, const char *inode, const char *keep)
{
    char script[512];
    (void)snprintf(
        script, sizeof(script),
        "UPDATE keys SET seq = seq + 1, version = 'v' || (seq + 1), inode = %s, size = 1,"
        " keep_displaced = %s",
        inode, keep);
    run(w, script);
}

/* What check_rows() reports: all of it, and whether the text that is looked for is in there. */
struct report {
    const char *wanted;
    size_t count;
    bool found;
    char last[512];
};

static void note(void *arg, const char *text)
{
    struct report *r = arg;
    r->count++;
    r->found = r->found || (r->wanted != NULL && strstr(text, r->wanted) != NULL);
    (void)snprintf(r->last, sizeof(r->last), "%s", text);
}

static void check(struct world *w, struct report *r)
{
    struct meta *m = open_volume(w);
    assert_ok(check_rows(m, note, r, NULL));
    meta_close(m);
}

static void assert_well(struct world *w)
{
    struct report r = {.wanted = NULL};
    check(w, &r);
    if (r.count > 0)
        fail_msg("%s", r.last);
}

static void test_meta_versions__a_kept_row_is_moved_with_all_its_columns(void **state)
{
    struct world *w = *state;
    make(w);
    put(w, "101", "seq + 1");
    assert_int_equal(ask(w, "SELECT count(*) FROM versions"), 1);
    assert_int_equal(ask(w, "SELECT count(*) FROM (SELECT {KEY_COLUMNS} FROM versions"
                            " EXCEPT SELECT {KEY_COLUMNS} FROM was) AS other"),
                     0);
    assert_true(ask(w, "SELECT noncurrent_ms FROM versions") > 1000000000000);
    assert_int_equal(ask(w, "SELECT count(*) FROM dead"), 0);
    run(w, "DROP TABLE was; DELETE FROM inodes WHERE id = 102");
    assert_well(w);
}

static void test_meta_versions__a_row_that_is_not_kept_goes(void **state)
{
    struct world *w = *state;
    make(w);
    put(w, "101", "-(seq + 1)");
    assert_int_equal(ask(w, "SELECT count(*) FROM versions"), 0);
    assert_int_equal(ask(w, "SELECT count(*) FROM dead WHERE kind = 1 AND id = 100"), 1);
}

static void test_meta_versions__a_statement_that_does_not_say_is_refused(void **state)
{
    struct world *w = *state;
    make(w);
    put(w, "101", "seq + 1");
    static const char *const forgot[] = {
        "UPDATE keys SET seq = seq + 1, inode = 102",
        "UPDATE keys SET seq = seq + 1, inode = 102, keep_displaced = 0",
        "UPDATE keys SET seq = seq + 1, inode = 102, keep_displaced = NULL"};
    for (size_t i = 0; i < sizeof(forgot) / sizeof(forgot[0]); i++)
        assert_int_not_equal(sql_script(w->raw, NULL, forgot[i]), OK);
    assert_int_equal(ask(w, "SELECT inode FROM keys"), 101);
    assert_int_equal(ask(w, "SELECT count(*) FROM dead"), 0);
}

/* The latest version is deleted: the one before becomes it, and keeps its inode. */
static void test_meta_versions__a_promoted_version_lives_on(void **state)
{
    struct world *w = *state;
    make(w);
    put(w, "101", "seq + 1");
    put(w, "102", "seq + 1");
    run(w, "UPDATE keys SET last_seq = {PG: greatest}{LITE: max}(last_seq, seq), seq = 11,"
           " version = 'v11', inode = 101, size = 1, keep_displaced = -11;"
           "DELETE FROM versions WHERE seq = 11");
    assert_int_equal(ask(w, "SELECT count(*) FROM dead"), 1);
    assert_int_equal(ask(w, "SELECT id FROM dead"), 102);
    assert_int_equal(ask(w, "SELECT last_seq FROM keys"), 12);
    assert_int_equal(ask(w, "SELECT count(*) FROM versions"), 1);
    run(w, "DROP TABLE was");
    assert_well(w); /* usage, too */
}

static void test_meta_versions__a_deleted_version_is_queued_and_counted(void **state)
{
    struct world *w = *state;
    make(w);
    put(w, "101", "seq + 1");
    run(w, "UPDATE versions SET size = 6; UPDATE versions SET size = 5;"
           "DELETE FROM versions WHERE inode = 100; DROP TABLE was");
    assert_int_equal(ask(w, "SELECT id FROM dead"), 100);
    run(w, "INSERT INTO dead VALUES (1, 102, NULL, 1)"); /* which nothing names */
    assert_well(w);
    assert_int_equal(ask(w, "SELECT sum(bytes){PG: ::bigint} FROM usage_deltas"), 1);
}

static void test_meta_versions__one_null_version_of_a_key(void **state)
{
    struct world *w = *state;
    make(w);
    put(w, "101", "seq + 1");
    run(w, "UPDATE versions SET version = 'null'");
    assert_err(ERR_EXISTS,
               sql_script(w->raw, NULL,
                          "INSERT INTO versions (bucket, key, seq, version, marker, size, etag,"
                          " mtime_ms, owner, class, checksum) SELECT bucket, key, seq - 1, 'null',"
                          " 1, 0, '', 1, 7, '', 0 FROM versions"));
}

static void test_meta_versions__fsck_finds_what_is_wrong(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *breaks, *finding;
    } all[] = {
        {"UPDATE versions SET inode = 555 WHERE seq = 10", "a version names inode 555"},
        {"UPDATE versions SET seq = 13 WHERE seq = 10", "a version is not below"},
        {"UPDATE versions SET inode = 102 WHERE seq = 10", "inode 102 is named by 2 versions"},
        {"INSERT INTO dead VALUES (1, 100, NULL, 1)", "names inode 100, which is queued"},
        {"UPDATE versions SET retain_until_ms = NULL WHERE seq = 10", "retention has no mode"},
        {"UPDATE keys SET lock_mode = 3, retain_until_ms = 1", "retention has no mode"}};
    make(w);
    put(w, "101", "seq + 1");
    put(w, "102", "seq + 1");
    run(w, "DROP TABLE was");
    assert_well(w);
    run(w, "CREATE TABLE kept AS SELECT * FROM versions");
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        run(w, all[i].breaks);
        struct report r = {.wanted = all[i].finding};
        check(w, &r);
        if (!r.found)
            fail_msg("not found: %s; but %s", all[i].finding, r.last);
        run(w, "DELETE FROM dead; DELETE FROM versions; DELETE FROM dead;"
               "INSERT INTO versions SELECT * FROM kept;"
               "UPDATE keys SET lock_mode = NULL, retain_until_ms = NULL;"
               "DELETE FROM usage_deltas; INSERT INTO usage_deltas VALUES (1, 3, 7)");
    }
    assert_well(w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_versions__a_kept_row_is_moved_with_all_its_columns),
        cmocka_unit_test(test_meta_versions__a_row_that_is_not_kept_goes),
        cmocka_unit_test(test_meta_versions__a_statement_that_does_not_say_is_refused),
        cmocka_unit_test(test_meta_versions__a_promoted_version_lives_on),
        cmocka_unit_test(test_meta_versions__a_deleted_version_is_queued_and_counted),
        cmocka_unit_test(test_meta_versions__one_null_version_of_a_key),
        cmocka_unit_test(test_meta_versions__fsck_finds_what_is_wrong),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
