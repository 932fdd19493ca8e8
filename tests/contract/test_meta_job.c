/*
 * Holding a job, and the jobs of doomed slices and completed uploads: meta/jobs/job.h, reclaim.h.
 */
#include "meta/tools/check.h"
#include "meta/files/reclaim.h"
#include "meta/files/write.h"

#include "tests/contract/meta_fixture.h"

static struct job_round new_round(const char *name)
{
    return (struct job_round){.name = name, .lease_ms = 30000, .budget = 100000};
}

static int64_t rows(struct world *w, const char *table)
{
    char query[128];
    (void)snprintf(query, sizeof(query), "SELECT count(*) FROM %s", table);
    return ask(w, query);
}

static void run_buf(struct world *w, struct buf *script)
{
    assert_ok(buf_check(script));
    run(w, script->data);
    buf_fini(script);
}

static enum err take_doomed(struct world *w, struct meta *m, size_t max, struct doomed *out)
{
    struct job_round r = new_round("doomed");
    return doomed_take(m, &r, w->arena, max, out);
}

static void deleted(struct meta *m, const struct doomed *d)
{
    struct job_round r = new_round("doomed");
    assert_ok(doomed_done(m, &r, d->token, d->slices, d->count));
}

static void test_meta_job__doomed_slices_are_deleted_twice(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct slice_name mine[3] = {next_slice(m), next_slice(m), next_slice(m)};
    struct doomed d;
    assert_err(ERR_NOT_FOUND, take_doomed(w, m, 10, &d));
    assert_ok(slices_doom(m, mine, 3));
    assert_ok(slices_doom(m, mine, 3));
    assert_ok(slices_doom(m, mine, 0));
    assert_int_equal(rows(w, "doomed"), 3);
    for (int pass = 0; pass < 2; pass++) {
        wait_until(take_doomed(w, m, 2, &d) == OK);
        assert_int_equal(d.count, 2);
        wait_until(take_doomed(w, m, 10, &d) == OK && d.count == 3);
        for (size_t i = 0; i < 3; i++)
            assert_true(d.slices[i].tag == mine[0].tag);
        deleted(m, &d);
        assert_int_equal(rows(w, "doomed"), pass == 0 ? 3 : 0);
    }
    assert_err(ERR_NOT_FOUND, take_doomed(w, m, 10, &d));
    meta_close(m);
}

static void test_meta_job__the_second_deletion_waits_for_late_uploads(void **state)
{
    struct world *w = *state;
    w->options.late_put_ms = 3600000;
    struct meta *m = open_gateway(w);
    struct meta *other = open_gateway(w);
    struct slice_name mine = next_slice(m);
    struct doomed d, none;
    assert_ok(slices_doom(m, &mine, 1));
    assert_ok(take_doomed(w, m, 10, &d));
    assert_err(ERR_NOT_FOUND, take_doomed(w, other, 10, &none));
    deleted(m, &d);
    deleted(m, &d); /* said twice: still the first pass only */
    assert_int_equal(rows(w, "doomed"), 1);
    assert_err(ERR_NOT_FOUND, take_doomed(w, m, 10, &d));
    meta_close(other);
    meta_close(m);
}

/* One that cannot be deleted is in nobody's way, and comes up again, more and more rarely. */
static void test_meta_job__a_slice_that_stays_is_set_aside(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct job_round r = new_round("doomed");
    struct slice_name mine[2] = {next_slice(m), next_slice(m)};
    struct doomed d;
    struct gc_counts counts;
    int64_t pauses[3];
    assert_ok(slices_doom(m, mine, 2));
    assert_ok(take_doomed(w, m, 10, &d));
    for (int i = 0; i < 3; i++) {
        size_t fresh = 0;
        assert_ok(doomed_set_aside(m, &r, d.token, mine, 1, "AccessDenied", &fresh));
        assert_int_equal(fresh, i == 0);
        pauses[i] = ask(w, "SELECT max(due_ms) FROM doomed") - clock_wall_ms();
    }
    assert_in_range(pauses[0], 50000, 60000);
    assert_in_range(pauses[1], 110000, 120000);
    assert_in_range(pauses[2], 230000, 240000);
    assert_ok(take_doomed(w, m, 10, &d));
    assert_int_equal(d.count, 1);
    assert_true(d.slices[0].id == mine[1].id);
    assert_ok(gc_count(m, &counts));
    assert_int_equal(counts.set_aside, 1);
    assert_int_equal(counts.slices, 1);
    assert_string_equal(counts.why, "AccessDenied");
    run(w, "UPDATE doomed SET failures = 40 WHERE failures > 0");
    size_t fresh = 0;
    assert_ok(doomed_set_aside(m, &r, d.token, mine, 1, "AccessDenied", &fresh));
    assert_in_range(ask(w, "SELECT max(due_ms) FROM doomed") - clock_wall_ms(), 86300000, 86400000);
    assert_ok(gc_retry(m));
    assert_ok(take_doomed(w, m, 10, &d));
    assert_int_equal(d.count, 2);
    deleted(m, &d);
    assert_int_equal(ask(w, "SELECT max(failures) FROM doomed"), 0);
    meta_close(m);
}

/* Who lost the job to another session writes nothing more, whatever it read before. */
static void test_meta_job__a_lost_job_writes_nothing(void **state)
{
    struct world *w = *state;
    w->options.late_put_ms = 3600000;
    struct meta *m = open_gateway(w), *other = open_gateway(w);
    struct slice_name mine = next_slice(m);
    struct doomed old, new;
    assert_ok(slices_doom(m, &mine, 1));
    assert_ok(take_doomed(w, m, 10, &old));
    run(w, "UPDATE jobs SET lease_until_ms = 0");
    assert_ok(take_doomed(w, other, 10, &new));
    deleted(m, &old);
    assert_int_equal(ask(w, "SELECT passes FROM doomed"), 0);
    assert_true(ask(w, "SELECT session FROM jobs") == (int64_t)session_id(other));
    deleted(other, &new);
    assert_int_equal(ask(w, "SELECT passes FROM doomed"), 1);
    meta_close(other);
    meta_close(m);
}

static void test_meta_job__a_completed_upload_goes_after_its_week(void **state)
{
    enum { UPLOADS = 1200 };
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct job_round r = new_round("uploads"), again = new_round("uploads");
    struct buf script;
    buf_init(&script, 1u << 20);
    for (int i = 0; i < UPLOADS; i++)
        buf_printf(&script,
                   "INSERT INTO uploads (id, upload, bucket, key, owner, initiated_ms, class,"
                   " headers, checksum, completed_ms) VALUES (%d, 'u%d', 1,"
                   " {PG: 'k'::bytea}{LITE: x'6b'}, 1, 0, '', {PG: ''::bytea}{LITE: x''}, 0, %s);",
                   i + 1, i,
                   i % 4 == 0   ? "NULL"
                   : i % 4 == 1 ? "{NOW_MS} - 6 * 86400000::bigint"
                                : "{NOW_MS} - 7 * 86400000::bigint - 1");
    char *cast;
    while (!sql_is_postgres(w->raw) && (cast = strstr(script.data, "::bigint")) != NULL)
        memset(cast, ' ', strlen("::bigint"));
    run_buf(w, &script);
    assert_ok(uploads_round(m, &r));
    assert_int_equal(r.done, UPLOADS / 2);
    assert_false(r.more);
    assert_int_equal(rows(w, "uploads"), UPLOADS / 2);
    assert_int_equal(rows(w, "uploads WHERE completed_ms IS NULL"), UPLOADS / 4);
    m->upload_keep_ms = 5 * 86400000ll;
    assert_ok(uploads_round(m, &again));
    assert_int_equal(rows(w, "uploads"), UPLOADS / 4);
    meta_close(m);
}

static void write_at_ranges(struct world *w, int files)
{
    struct buf script;
    buf_init(&script, 1u << 20);
    for (int i = 1; i <= files; i++)
        buf_printf(&script,
                   "INSERT INTO inode_writes (inode, token, bucket, key, hi, mtime_ms)"
                   " VALUES (%d, 1, 1, {PG: 'k'::bytea}{LITE: x'6b'}, 1, 1);",
                   i);
    run_buf(w, &script);
}

/* Files that are always written keep nobody waiting: each round begins behind the last one's. */
static void test_meta_job__folding_goes_on_where_it_ended(void **state)
{
    enum { AT_ONCE = 64, FILES = 100 };
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct job_round r = new_round("fold"), again = r;
    r.budget = again.budget = 1;
    write_at_ranges(w, FILES);
    assert_ok(fold_round(m, &r));
    assert_int_equal(r.done, AT_ONCE);
    assert_int_equal(rows(w, "inode_writes"), FILES - AT_ONCE);
    write_at_ranges(w, AT_ONCE);
    assert_ok(fold_round(m, &again));
    assert_int_equal(again.done, FILES - AT_ONCE);
    assert_int_equal(rows(w, "inode_writes WHERE inode > 64"), 0);
    assert_int_equal(rows(w, "inode_writes"), AT_ONCE);
    meta_close(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_job__doomed_slices_are_deleted_twice),
        cmocka_unit_test(test_meta_job__the_second_deletion_waits_for_late_uploads),
        cmocka_unit_test(test_meta_job__a_slice_that_stays_is_set_aside),
        cmocka_unit_test(test_meta_job__a_lost_job_writes_nothing),
        cmocka_unit_test(test_meta_job__a_completed_upload_goes_after_its_week),
        cmocka_unit_test(test_meta_job__folding_goes_on_where_it_ended),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
