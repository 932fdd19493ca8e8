/*
 * What becomes of files, slices and sessions that are gone: meta/files/reclaim.h, meta/README.md.
 */
#include "base/codec.h"
#include "meta/names/bucket.h"
#include "meta/files/reclaim.h"

#include "tests/contract/meta_fixture.h"

#define BEAT_MS 50

/* --- files by raw SQL, as object_put() leaves them -------------------------------------------- */

static void add_hex(struct buf *script, struct str bytes)
{
    char *hex = malloc(2 * bytes.len + 1);
    assert_non_null(hex);
    hex_encode(bytes.ptr, bytes.len, hex);
    buf_printf(script, "{PG: '\\x%s'::bytea}{LITE: x'%s'}", hex, hex);
    free(hex);
}

static void run_buf(struct world *w, struct buf *script)
{
    assert_ok(buf_check(script));
    run(w, script->data);
    buf_fini(script);
}

/* A piece of a slice each 64 KiB, linked by nobody yet. */
static void add_piece(struct world *w, uint64_t piece, int refs, const struct slice_name *slices,
                      size_t count)
{
    static const uint64_t crc = 0;
    struct record *r = arena_array(w->arena, count, sizeof(*r));
    struct buf packed, script;
    for (size_t i = 0; i < count; i++)
        r[i] = (struct record){.kind = RECORD_SLICE,
                               .pos = i * META_GRANULE,
                               .len = META_GRANULE,
                               .slice = slices[i],
                               .slice_len = META_GRANULE,
                               .granule_crcs = &crc};
    buf_init(&packed, 1u << 20);
    buf_init(&script, 4u << 20);
    record_pack(&packed, r, count);
    assert_ok(buf_check(&packed));
    buf_printf(&script, "INSERT INTO pieces VALUES (%d, %d, %d, ", (int)piece, refs,
               (int)(count * META_GRANULE));
    add_hex(&script, buf_str(&packed));
    buf_append_cstr(&script, ");");
    for (size_t i = 0; i < count; i++)
        buf_printf(&script,
                   "INSERT INTO slices VALUES (%lld, %lld, 1)"
                   " ON CONFLICT (id) DO UPDATE SET refs = slices.refs + 1;",
                   (long long)slices[i].id, (long long)slices[i].tag);
    buf_fini(&packed);
    run_buf(w, &script);
}

static void add_inode(struct world *w, uint64_t inode)
{
    struct buf script;
    buf_init(&script, 4096);
    buf_printf(&script,
               "INSERT INTO inodes (id, size, mtime_ms, etag, headers)"
               " VALUES (%d, 1, 1, 'e', {PG: ''::bytea}{LITE: x''});",
               (int)inode);
    run_buf(w, &script);
}

static void link_piece(struct world *w, uint64_t inode, int start, uint64_t piece)
{
    struct buf script;
    buf_init(&script, 4096);
    buf_printf(&script,
               "INSERT INTO inode_pieces (inode, start, token, len, piece, piece_off)"
               " VALUES (%d, %d, 0, 1, %d, 0);",
               (int)inode, start, (int)piece);
    run_buf(w, &script);
}

/* Bucket 1's key "k" is that inode from now on. */
static void point_key(struct world *w, uint64_t inode)
{
    struct buf script;
    buf_init(&script, 4096);
    buf_append_cstr(&script, INTO_KEYS "VALUES (1, ");
    add_hex(&script, STR("k"));
    buf_printf(
        &script,
        ", 1, 'null', 0, %d, 100, 'e', 1, 1, '', 0)"
        " ON CONFLICT (bucket, key) DO UPDATE SET inode = excluded.inode, seq = keys.seq + 1,"
        " keep_displaced = -(keys.seq + 1);",
        (int)inode);
    run_buf(w, &script);
}

/* A file of one piece with `count` new slices becomes key "k". */
static void put_file(struct world *w, struct meta *m, uint64_t inode, size_t count,
                     struct slice_name *slices)
{
    for (size_t i = 0; i < count; i++)
        slices[i] = next_slice(m);
    add_piece(w, inode, 1, slices, count);
    add_inode(w, inode);
    link_piece(w, inode, 0, inode);
    point_key(w, inode);
}

static struct job_round new_round(const char *name)
{
    return (struct job_round){.name = name, .lease_ms = 30000, .budget = 100000};
}

static void rounds(struct meta *m)
{
    struct job_round sessions = new_round("sessions"), usage = new_round("usage");
    assert_ok(sessions_round(m, &sessions));
    for (bool did = true; did;) {
        struct job_round r = new_round("reclaim");
        assert_ok(reclaim_round(m, &r));
        did = r.done > 0 || r.more;
    }
    assert_ok(usage_round(m, &usage));
}

static int64_t rows(struct world *w, const char *table)
{
    char query[128];
    (void)snprintf(query, sizeof(query), "SELECT count(*) FROM %s", table);
    return ask(w, query);
}

/* Reclaims until the table has that many rows. */
#define reclaim_until(m, w, table, count) wait_until((rounds(m), rows(w, table) == (count)))

/* Several heartbeats of all sessions, with rounds between them. */
static void reclaim_for_a_while(struct meta *m)
{
    for (int i = 0; i < 10; i++) {
        rounds(m);
        nap_ms(BEAT_MS);
    }
}

/* --- epochs ----------------------------------------------------------------------------------- */

static void test_meta_reclaim__a_read_keeps_what_it_reads(void **state)
{
    struct world *w = *state;
    w->beat_ms = BEAT_MS;
    struct meta *writer = open_gateway(w);
    struct meta *reader = open_gateway(w);
    struct slice_name old[3], new[2];
    struct meta_read early, late;
    put_file(w, writer, 100, 3, old);
    meta_read_begin(reader, &early);
    put_file(w, writer, 101, 2, new);
    assert_int_equal(rows(w, "dead"), 1);
    reclaim_for_a_while(writer);
    meta_read_begin(reader, &late);
    assert_true(late.epoch > early.epoch);
    assert_int_equal(rows(w, "inodes"), 2);
    assert_int_equal(rows(w, "slices"), 5);
    assert_int_equal(rows(w, "doomed"), 0);
    meta_read_end(reader, &early);
    reclaim_until(writer, w, "doomed", 3);
    assert_int_equal(rows(w, "dead"), 0);
    assert_int_equal(rows(w, "inodes"), 1);
    assert_int_equal(rows(w, "inode_pieces"), 1);
    assert_int_equal(rows(w, "pieces"), 1);
    assert_int_equal(rows(w, "slices"), 2);
    meta_read_end(reader, &late);
    meta_close(reader);
    meta_close(writer);
}

/* What a read leaves behind protects as much as the read did, whatever younger ones there are. */
static void test_meta_reclaim__a_shared_tag_is_as_old_as_its_origin(void **state)
{
    struct world *w = *state;
    w->beat_ms = BEAT_MS;
    struct meta *m = open_gateway(w);
    struct slice_name old[3], new[2];
    struct meta_read origin, younger, shared, last;
    put_file(w, m, 100, 3, old);
    meta_read_begin(m, &origin);
    put_file(w, m, 101, 2, new);
    reclaim_for_a_while(m);
    meta_read_begin(m, &younger);
    meta_read_share(m, &origin, &shared);
    meta_read_share(m, &younger, &last);
    meta_read_end(m, &origin);
    meta_read_end(m, &younger);
    reclaim_for_a_while(m);
    assert_int_equal(shared.epoch, origin.epoch);
    assert_int_equal(rows(w, "slices"), 5);
    meta_read_end(m, &shared);
    reclaim_until(m, w, "slices", 2);
    meta_read_end(m, &last);
    meta_close(m);
}

static void test_meta_reclaim__an_unstamped_death_waits_for_its_epoch(void **state)
{
    struct world *w = *state;
    w->beat_ms = BEAT_MS;
    struct meta *m = open_gateway(w);
    struct slice_name slices[2];
    put_file(w, m, 100, 1, &slices[0]);
    put_file(w, m, 101, 1, &slices[1]);
    /* the read is as young as can be: it begins after the deletion, before the stamp */
    struct meta_read read;
    meta_read_begin(m, &read);
    rounds(m);
    assert_int_equal(ask(w, "SELECT stamp FROM dead"), (int64_t)read.epoch);
    assert_int_equal(ask(w, "SELECT next FROM counters WHERE name = 'epoch'"),
                     (int64_t)read.epoch + 1);
    reclaim_for_a_while(m);
    assert_int_equal(rows(w, "slices"), 2);
    meta_read_end(m, &read);
    reclaim_until(m, w, "slices", 1);
    meta_close(m);
}

static void test_meta_reclaim__what_is_kept_deleted_stays(void **state)
{
    struct world *w = *state;
    w->beat_ms = BEAT_MS;
    w->options.keep_deleted_ms = 3600000;
    struct meta *m = open_gateway(w);
    struct slice_name slices[2];
    put_file(w, m, 100, 1, &slices[0]);
    put_file(w, m, 101, 1, &slices[1]);
    reclaim_for_a_while(m);
    assert_int_equal(rows(w, "slices"), 2);
    run(w, "UPDATE dead SET at_ms = at_ms - 3600000");
    reclaim_until(m, w, "slices", 1);
    meta_close(m);
}

/* --- references ------------------------------------------------------------------------------- */

static void test_meta_reclaim__shared_pieces_and_slices_stay_while_one_refers(void **state)
{
    struct world *w = *state;
    w->beat_ms = BEAT_MS;
    struct meta *m = open_gateway(w);
    struct slice_name s[3] = {next_slice(m), next_slice(m), next_slice(m)};
    struct slice_name both[3] = {s[1], s[2], s[1]};
    add_piece(w, 50, 3, s, 2);    /* s0 s1, linked twice by inode 100 and once by 101 */
    add_piece(w, 51, 1, both, 3); /* s1 s2 s1 */
    for (uint64_t inode = 100; inode < 102; inode++)
        add_inode(w, inode);
    link_piece(w, 100, 0, 50);
    link_piece(w, 100, 1, 50);
    link_piece(w, 100, 2, 51);
    link_piece(w, 101, 0, 50);
    point_key(w, 100);
    point_key(w, 101);
    reclaim_until(m, w, "doomed", 1); /* s2 */
    assert_int_equal(ask(w, "SELECT refs FROM pieces WHERE id = 50"), 1);
    assert_int_equal(rows(w, "pieces"), 1);
    assert_int_equal(rows(w, "slices"), 2);
    assert_int_equal(ask(w, "SELECT min(refs) FROM slices"), 1);
    assert_int_equal(ask(w, "SELECT max(refs) FROM slices"), 1);
    assert_int_equal(ask(w, "SELECT slice FROM doomed"), (int64_t)s[2].id);
    run(w, "DELETE FROM keys");
    reclaim_until(m, w, "doomed", 3);
    assert_int_equal(rows(w, "slices") + rows(w, "pieces") + rows(w, "inodes"), 0);
    meta_close(m);
}

static void test_meta_reclaim__a_file_of_many_pieces_goes_bit_by_bit(void **state)
{
    enum { LINKS = 2500 };
    struct world *w = *state;
    w->beat_ms = BEAT_MS;
    struct meta *m = open_gateway(w);
    struct slice_name slice = next_slice(m);
    add_piece(w, 50, LINKS + 1, &slice, 1);
    add_inode(w, 100);
    struct buf script;
    buf_init(&script, 1u << 20);
    for (int i = 0; i < LINKS; i++)
        buf_printf(&script,
                   "INSERT INTO inode_pieces (inode, start, token, len, piece, piece_off)"
                   " VALUES (100, %d, 0, 1, 50, 0);",
                   i);
    run_buf(w, &script);
    point_key(w, 100);
    run(w, "DELETE FROM keys");
    reclaim_until(m, w, "inodes", 0);
    assert_int_equal(rows(w, "inode_pieces"), 0);
    assert_int_equal(ask(w, "SELECT refs FROM pieces"), 1);
    assert_int_equal(rows(w, "dead"), 0);
    meta_close(m);
}

static void test_meta_reclaim__a_corrupt_piece_holds_up_nobody(void **state)
{
    struct world *w = *state;
    w->beat_ms = BEAT_MS;
    struct meta *m = open_gateway(w);
    struct slice_name slices[3];
    put_file(w, m, 100, 1, &slices[0]);
    run(w, "UPDATE pieces SET records = {PG: '\\x63'::bytea}{LITE: x'63'}");
    put_file(w, m, 101, 1, &slices[1]);
    put_file(w, m, 102, 1, &slices[2]);
    reclaim_until(m, w, "doomed", 1);
    reclaim_for_a_while(m);
    assert_int_equal(rows(w, "pieces"), 2);
    assert_int_equal(rows(w, "slices"), 2);
    assert_int_equal(ask(w, "SELECT id FROM dead"), 100);
    meta_close(m);
}

struct helper {
    pthread_t thread;
    struct meta *m;
    atomic_bool *stop;
    enum err result;
};

static void *reclaim_on(void *arg)
{
    struct helper *h = arg;
    while (h->result == OK && !atomic_load(h->stop)) {
        struct job_round r = new_round("reclaim");
        h->result = reclaim_round(h->m, &r);
    }
    return NULL;
}

static void test_meta_reclaim__two_at_once_count_nothing_twice(void **state)
{
    enum { FILES = 150 };
    struct world *w = *state;
    w->beat_ms = BEAT_MS;
    struct meta *m[2] = {open_gateway(w), open_gateway(w)};
    struct slice_name shared = next_slice(m[0]);
    struct buf script;
    buf_init(&script, 4u << 20);
    add_piece(w, 50, FILES + 1, &shared, 1);
    for (int i = 0; i < FILES; i++) { /* each links the shared piece and one of its own */
        struct slice_name pair[2] = {shared, next_slice(m[0])};
        add_piece(w, (uint64_t)(1000 + i), 1, pair, 2);
        buf_printf(&script,
                   "INSERT INTO inode_pieces (inode, start, token, len, piece, piece_off)"
                   " VALUES (%d, 0, 0, 1, 50, 0), (%d, 1, 0, 1, %d, 0);"
                   "INSERT INTO dead VALUES (1, %d, 0, 0);",
                   1000 + i, 1000 + i, 1000 + i, 1000 + i);
    }
    run_buf(w, &script);
    atomic_bool stop = false;
    struct helper h[2] = {{.m = m[0], .stop = &stop}, {.m = m[1], .stop = &stop}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&h[i].thread, NULL, reclaim_on, &h[i]), 0);
    /* neither may rely on the job's lease */
    wait_until((run(w, "UPDATE jobs SET lease_until_ms = 0"), rows(w, "doomed") == FILES));
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(h[i].thread, NULL);
        assert_int_equal(h[i].result, OK);
    }
    assert_int_equal(ask(w, "SELECT refs FROM pieces WHERE id = 50"), 1);
    assert_int_equal(rows(w, "pieces"), 1);
    assert_int_equal(ask(w, "SELECT refs FROM slices"), 1);
    assert_int_equal(rows(w, "slices"), 1);
    assert_int_equal(rows(w, "dead"), 0);
    meta_close(m[0]);
    meta_close(m[1]);
}

/* --- sessions --------------------------------------------------------------------------------- */

static void test_meta_reclaim__a_dead_session_is_reaped_and_cleaned_up(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    w->options.lease_ms = 3000;
    w->beat_ms = 2 * BEAT_MS;
    struct meta *dead = open_gateway(w);
    struct slice_name kept, lost[2];
    put_file(w, dead, 100, 1, &kept);
    lost[0] = next_slice(dead);
    lost[1] = next_slice(dead);
    session_stop(dead); /* no heartbeat any more */
    reclaim_until(m, w, "sessions", 1);
    rounds(m);
    assert_int_equal(rows(w, "slice_ranges"), 0);
    assert_int_equal(rows(w, "slices"), 1);
    assert_int_equal(rows(w, "doomed"), 255);
    char query[256];
    (void)snprintf(query, sizeof(query),
                   "SELECT count(*) FROM doomed WHERE slice IN (%lld, %lld) AND tag = %lld",
                   (long long)lost[0].id, (long long)lost[1].id, (long long)lost[0].tag);
    assert_int_equal(ask(w, query), 2);
    (void)snprintf(query, sizeof(query), "SELECT count(*) FROM doomed WHERE slice = %lld",
                   (long long)kept.id);
    assert_int_equal(ask(w, query), 0);
    /* what was dead can write nothing */
    struct bucket b;
    assert_false(meta_session_alive(dead));
    assert_err(ERR_FENCED, bucket_create(dead, w->arena, STR("late"), 1, STR("r"), &b));
    assert_err(ERR_FENCED, slices_doom(dead, lost, 2));
    meta_close(dead);
    meta_close(m);
}

/* The local lease believes in time; the proof in the transaction does not need to. */
static void test_meta_reclaim__the_proof_stops_one_whose_clock_stood_still(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct meta *paused = open_gateway(w);
    session_stop(paused);
    struct bucket b;
    assert_ok(bucket_create(paused, w->arena, STR("early"), 1, STR("r"), &b));
    struct buf script;
    buf_init(&script, 4096);
    buf_printf(&script, "UPDATE sessions SET lease_until_ms = 1 WHERE id = %d",
               (int)session_id(paused));
    run_buf(w, &script);
    rounds(m);
    assert_int_equal(rows(w, "sessions"), 1);
    assert_true(meta_session_alive(paused));
    assert_err(ERR_FENCED, bucket_create(paused, w->arena, STR("late"), 1, STR("r"), &b));
    assert_int_equal(rows(w, "buckets"), 1);
    meta_close(paused);
    meta_close(m);
}

static void test_meta_reclaim__a_clean_close_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct slice_name kept;
    put_file(w, m, 100, 1, &kept);
    next_slice(m);
    next_slice(m);
    assert_int_equal(rows(w, "slice_ranges"), 1);
    meta_close(m);
    assert_int_equal(rows(w, "sessions"), 0);
    assert_int_equal(rows(w, "slice_ranges"), 0);
    assert_int_equal(rows(w, "doomed"), 2); /* not the 253 that were never given out */
    assert_int_equal(rows(w, "txns"), 0);
}

static void test_meta_reclaim__a_range_whose_names_are_all_used_needs_no_reaper(void **state)
{
    enum { NAMES = 3000 };
    struct world *w = *state;
    w->beat_ms = BEAT_MS;
    struct meta *m = open_gateway(w);
    struct slice_name *names = arena_array(w->arena, NAMES, sizeof(*names));
    for (size_t i = 0; i < NAMES; i++)
        names[i] = next_slice(m);
    int64_t ranges = rows(w, "slice_ranges");
    assert_true(ranges >= 3);
    assert_ok(slices_doom(m, names, 255));
    assert_ok(slices_doom(m, names, 255)); /* twice is not two */
    nap_ms(3 * BEAT_MS);
    assert_int_equal(rows(w, "slice_ranges"), ranges);
    struct content_piece piece = {.slices = names + 255, .slice_count = NAMES - 255};
    struct content c = {.pieces = &piece, .piece_count = 1};
    assert_ok(meta_content_begin(m, &c));
    meta_content_end(m, &c, false);
    nap_ms(3 * BEAT_MS);
    assert_int_equal(rows(w, "slice_ranges"), ranges);
    assert_ok(meta_content_begin(m, &c));
    meta_content_end(m, &c, true);
    /* the range that names are still given from stays, and the one that was fetched ahead */
    wait_until(rows(w, "slice_ranges") <= 2);
    assert_true(rows(w, "slice_ranges") >= 1);
    meta_close(m);
    assert_int_equal(rows(w, "slice_ranges"), 0);
}

/* --- doomed, usage ---------------------------------------------------------------------------- */

static void test_meta_reclaim__a_slice_in_use_is_never_doomed(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct slice_name used;
    put_file(w, m, 100, 1, &used);
    assert_ok(slices_doom(m, &used, 1));
    assert_int_equal(rows(w, "doomed"), 0);
    meta_close(m);
}

static void test_meta_reclaim__usage_is_folded(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    run(w, INTO_BUCKETS
        "VALUES (1, {PG: 'b'}{LITE: x'62'}, 1, 'r', 0, 1);"
        "INSERT INTO usage VALUES (1, 10, 1000);"
        "INSERT INTO usage_deltas VALUES (1, 1, 24);"
        "INSERT INTO usage_deltas VALUES (1, -2, -100);"
        "INSERT INTO usage_deltas VALUES (2, 1, 5);"
        "INSERT INTO usage_deltas VALUES (3, 1, 5); INSERT INTO usage_deltas VALUES (3, -1, -5)");
    rounds(m);
    assert_int_equal(rows(w, "usage_deltas"), 0);
    assert_int_equal(ask(w, "SELECT objects FROM usage WHERE bucket = 1"), 9);
    assert_int_equal(ask(w, "SELECT bytes FROM usage WHERE bucket = 1"), 924);
    assert_int_equal(ask(w, "SELECT bytes FROM usage WHERE bucket = 2"), 5);
    assert_int_equal(rows(w, "usage"), 2); /* 3 is no bucket and counts nothing */
    struct meta_status s;
    assert_ok(meta_status(m, w->arena, &s));
    assert_int_equal(s.objects, 10);
    assert_int_equal(s.bytes, 929);
    meta_close(m);
}

static void test_meta_reclaim__with_nothing_to_do_nothing_is_written(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    rounds(m);
    assert_int_equal(rows(w, "jobs"), 0);
    assert_int_equal(ask(w, "SELECT next FROM counters WHERE name = 'epoch'"), 1);
    meta_close(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_reclaim__a_read_keeps_what_it_reads),
        cmocka_unit_test(test_meta_reclaim__a_shared_tag_is_as_old_as_its_origin),
        cmocka_unit_test(test_meta_reclaim__an_unstamped_death_waits_for_its_epoch),
        cmocka_unit_test(test_meta_reclaim__what_is_kept_deleted_stays),
        cmocka_unit_test(test_meta_reclaim__shared_pieces_and_slices_stay_while_one_refers),
        cmocka_unit_test(test_meta_reclaim__a_file_of_many_pieces_goes_bit_by_bit),
        cmocka_unit_test(test_meta_reclaim__a_corrupt_piece_holds_up_nobody),
        cmocka_unit_test(test_meta_reclaim__two_at_once_count_nothing_twice),
        cmocka_unit_test(test_meta_reclaim__a_dead_session_is_reaped_and_cleaned_up),
        cmocka_unit_test(test_meta_reclaim__the_proof_stops_one_whose_clock_stood_still),
        cmocka_unit_test(test_meta_reclaim__a_clean_close_leaves_nothing),
        cmocka_unit_test(test_meta_reclaim__a_range_whose_names_are_all_used_needs_no_reaper),
        cmocka_unit_test(test_meta_reclaim__a_slice_in_use_is_never_doomed),
        cmocka_unit_test(test_meta_reclaim__usage_is_folded),
        cmocka_unit_test(test_meta_reclaim__with_nothing_to_do_nothing_is_written),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
