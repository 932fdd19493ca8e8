/* A volume's schema, sessions and ids: meta/core/meta.h. */
#include "meta/names/bucket.h"

#include "tests/contract/meta_fixture.h"

#include <sys/wait.h>

static void test_meta_session__the_first_open_makes_the_volume(void **state)
{
    struct world *w = *state;
    struct meta_volume first, second;
    struct meta *m = open_volume(w);
    meta_volume(m, &first);
    meta_close(m);
    assert_true(first.created_now);
    assert_int_equal(strlen(first.uuid), 36);
    assert_true(first.created_ms > 1700000000000);
    m = open_volume(w);
    meta_volume(m, &second);
    meta_close(m);
    assert_false(second.created_now);
    assert_string_equal(first.uuid, second.uuid);
    assert_int_equal(second.generation, 1);
}

/* In a process of its own: opens, and says by its exit code whether it made the volume. */
static int open_in_child(const char *url)
{
    struct meta_options o = {.url = url, .host = "child"};
    struct meta *m = NULL;
    struct meta_volume v;
    log_set_level(LOG_ERROR);
    enum err err = meta_open(&o, &m);
    if (err != OK) {
        print_error("%s\n", err_text(err));
        return 2;
    }
    meta_volume(m, &v);
    err = meta_session_open(m, "live");
    meta_close(m);
    return err != OK ? 3 : v.created_now ? 1 : 0;
}

static pid_t spawn_child(const char *url)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "test_meta_session", "--open", url, (char *)NULL);
        _exit(4);
    }
    return pid;
}

static void test_meta_session__processes_that_start_at_once_all_succeed(void **state)
{
    enum { PROCESSES = 4 };
    struct world *w = *state;
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = spawn_child(w->url);
    int made = 0;
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status));
        assert_in_range(WEXITSTATUS(status), 0, 1);
        made += WEXITSTATUS(status);
    }
    assert_int_equal(made, 1);
    assert_int_equal(ask(w, "SELECT count(*) FROM volume"), 1);
    assert_int_equal(ask(w, "SELECT count(*) FROM sessions"), 0);
}

static void test_meta_session__a_newer_schema_is_refused(void **state)
{
    struct world *w = *state;
    meta_close(open_volume(w));
    run(w, "UPDATE volume SET schema_version = 99, readable_from = 99");
    struct meta *m = NULL;
    assert_err(ERR_UNSUPPORTED, meta_open(&w->options, &m));
    assert_non_null(strstr(err_text(ERR_UNSUPPORTED), "newer kiseki"));
    assert_null(m);
    run(w, "UPDATE volume SET schema_version = 0");
    assert_err(ERR_UNSUPPORTED, meta_open(&w->options, &m));
}

/* What tools ask for: they neither make a volume nor migrate one. */
static void test_meta_session__must_exist_makes_and_migrates_nothing(void **state)
{
    struct world *w = *state;
    struct meta_options o = w->options;
    struct meta *m = NULL;
    o.must_exist = true;
    assert_err(ERR_NOT_FOUND, meta_open(&o, &m));
    assert_null(m);
    run(w, "CREATE TABLE another_program (id BIGINT)");
    assert_err(ERR_NOT_FOUND, meta_open(&o, &m));
    run(w, "DROP TABLE another_program");
    meta_close(open_volume(w));
    assert_ok(meta_open(&o, &m));
    meta_close(m);
    run(w, "UPDATE volume SET schema_version = 1");
    assert_err(ERR_UNSUPPORTED, meta_open(&o, &m));
    assert_int_equal(ask(w, "SELECT schema_version FROM volume"), 1);
}

static void test_meta_session__without_one_nothing_is_written(void **state)
{
    struct world *w = *state;
    struct meta *m = open_volume(w);
    uint64_t id;
    struct slice_name name;
    assert_err(ERR_FENCED, meta_next_id(m, &id));
    assert_err(ERR_FENCED, slice_name_next(m, &name));
    assert_false(meta_session_alive(m));
    assert_ok(meta_ping(m));
    meta_close(m);
}

static void test_meta_session__ids_never_repeat(void **state)
{
    struct world *w = *state;
    uint64_t last_id = 0, last_slice = 0, last_tag = 0;
    for (int round = 0; round < 3; round++) {
        struct meta *m = open_gateway(w);
        for (int i = 0; i < 10000; i++) {
            uint64_t id = next_id(m);
            assert_true(id > last_id);
            last_id = id;
        }
        for (int i = 0; i < 1500; i++) {
            struct slice_name name = next_slice(m);
            assert_true(name.id > last_slice);
            assert_true(i == 0 ? name.tag != last_tag : name.tag == last_tag);
            last_slice = name.id;
            last_tag = name.tag;
        }
        meta_close(m);
    }
}

static void test_meta_session__a_database_that_went_back_does_not_repeat_ids(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    uint64_t last_id = 0, last_slice = 0, id = 0;
    struct slice_name name = {0};
    int given = 0;
    for (int i = 0; i < 300; i++) {
        last_id = next_id(m);
        last_slice = next_slice(m).id;
    }
    run(w, "UPDATE counters SET next = 1000 WHERE name = 'id';"
           " UPDATE counters SET next = 1 WHERE name = 'slice'; DELETE FROM slice_ranges");
    for (int i = 0; i < 20000; i++) {
        enum err err = meta_next_id(m, &id);
        assert_true(err == ERR_BUSY || (err == OK && id > last_id));
        last_id = err == OK ? id : last_id;
        err = slice_name_next(m, &name);
        assert_true(err == ERR_BUSY || (err == OK && name.id > last_slice));
        last_slice = err == OK ? name.id : last_slice;
        given += err == OK;
    }
    assert_true(given > 19000);
    meta_close(m);
}

struct taker {
    pthread_t thread;
    struct meta *m;
    uint64_t ids[3000];
};

static void *take_ids(void *arg)
{
    struct taker *t = arg;
    for (size_t i = 0; i < 3000; i++) {
        struct slice_name name = {0};
        if (slice_name_next(t->m, &name) == OK)
            t->ids[i] = name.id;
    }
    return NULL;
}

static int order(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void test_meta_session__threads_and_gateways_share_ids(void **state)
{
    enum { TAKERS = 6 };
    struct world *w = *state;
    struct meta *m[2] = {open_gateway(w), open_gateway(w)};
    struct taker *t = calloc(TAKERS, sizeof(*t));
    uint64_t *all = calloc(TAKERS * 3000, sizeof(*all));
    for (int i = 0; i < TAKERS; i++) {
        t[i].m = m[i % 2];
        assert_int_equal(pthread_create(&t[i].thread, NULL, take_ids, &t[i]), 0);
    }
    for (int i = 0; i < TAKERS; i++) {
        pthread_join(t[i].thread, NULL);
        memcpy(&all[i * 3000], t[i].ids, sizeof(t[i].ids));
    }
    qsort(all, TAKERS * 3000, sizeof(*all), order);
    for (size_t i = 0; i < TAKERS * 3000; i++)
        assert_true(all[i] != 0 && (i == 0 || all[i] != all[i - 1]));
    free(all);
    free(t);
    meta_close(m[0]);
    meta_close(m[1]);
}

static void test_meta_session__heartbeats_keep_the_lease(void **state)
{
    static const char lease[] = "SELECT min(lease_until_ms) FROM sessions";
    struct world *w = *state;
    w->beat_ms = 30;
    struct meta *m = open_gateway(w);
    uint64_t id = session_id(m);
    int64_t until = ask(w, lease);
    int64_t fence = atomic_load(&m->session.fence_boot_ms);
    run(w, "UPDATE counters SET next = 77 WHERE name = 'epoch'");
    wait_until(ask(w, "SELECT min(published) FROM sessions") == 77);
    wait_until(ask(w, lease) > until + 100);
    assert_true(atomic_load(&m->session.fence_boot_ms) > fence);
    assert_true(atomic_load(&m->session.fence_boot_ms) < clock_boot_ms() + 15000);
    assert_true(meta_session_alive(m));
    assert_int_equal(session_id(m), id);
    meta_close(m);
    assert_int_equal(ask(w, "SELECT count(*) FROM sessions"), 0);
}

static void test_meta_session__a_reaped_one_is_replaced_by_another(void **state)
{
    struct world *w = *state;
    w->beat_ms = 1500;
    struct meta *m = open_gateway(w);
    uint64_t id = session_id(m);
    struct slice_name before = next_slice(m);
    run(w, "DELETE FROM sessions");
    /* before the heartbeat has noticed, the proof fails; afterwards there is no name of the old */
    struct arena *a = arena_new(1u << 16);
    struct bucket b;
    assert_err(ERR_FENCED, bucket_create(m, a, STR("b"), 1, STR("r"), &b));
    arena_free(a);
    assert_int_equal(ask(w, "SELECT count(*) FROM buckets"), 0);
    wait_until(session_id(m) != id && session_id(m) != 0);
    struct slice_name after = next_slice(m);
    assert_true(after.tag != before.tag);
    assert_true(after.id > before.id);
    struct content_piece piece = {.slices = &before, .slice_count = 1};
    struct content c = {.pieces = &piece, .piece_count = 1};
    assert_err(ERR_FENCED, meta_content_begin(m, &c));
    piece.slices = &after;
    assert_ok(meta_content_begin(m, &c));
    meta_content_end(m, &c, false);
    assert_true(atomic_load(&m->session.lost) == 1);
    meta_close(m);
}

static void test_meta_session__a_write_under_way_holds_off_the_next_session(void **state)
{
    struct world *w = *state;
    w->beat_ms = 30;
    struct meta *m = open_gateway(w);
    struct slice_name name = next_slice(m);
    struct content_piece piece = {.slices = &name, .slice_count = 1};
    struct content c = {.pieces = &piece, .piece_count = 1};
    assert_ok(meta_content_begin(m, &c));
    run(w, "DELETE FROM sessions");
    wait_until(atomic_load(&m->session.lost) == 1);
    nap_ms(200);
    assert_int_equal(session_id(m), 0);
    assert_false(meta_session_alive(m));
    assert_int_equal(ask(w, "SELECT count(*) FROM sessions"), 0);
    meta_content_end(m, &c, false);
    wait_until(session_id(m) != 0);
    assert_true(meta_session_alive(m));
    meta_close(m);
}

static void test_meta_session__status_counts(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    run(w,
        "INSERT INTO usage VALUES (1, 10, 1000);"
        "INSERT INTO usage_deltas VALUES (1, 1, 24); INSERT INTO usage_deltas VALUES (2, -1, -4);"
        "INSERT INTO dead VALUES (1, 5, NULL, 0); INSERT INTO dead VALUES (2, 5, 1, 0);"
        "INSERT INTO doomed VALUES (1, 2, 0, 0, 0, '');" INTO_BUCKETS
        "VALUES (1, 'b', 1, 'r', 0, 1);");
    struct meta_status s;
    assert_ok(meta_status(m, w->arena, &s));
    assert_int_equal(s.buckets, 1);
    assert_int_equal(s.objects, 10);
    assert_int_equal(s.bytes, 1020);
    assert_int_equal(s.uploads, 0);
    assert_int_equal(s.dead, 2);
    assert_int_equal(s.doomed, 1);
    assert_int_equal(s.epoch, 1);
    assert_int_equal(s.session_count, 1);
    assert_int_equal(s.sessions[0].id, session_id(m));
    assert_int_equal(s.sessions[0].pid, getpid());
    assert_true(str_eq(s.sessions[0].state, STR("live")));
    assert_true(str_eq(s.sessions[0].host, STR("test")));
    assert_in_range(s.sessions[0].lease_left_ms, 5000, 15000);
    meta_close(m);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--open") == 0)
        return open_in_child(argv[2]);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_session__the_first_open_makes_the_volume),
        cmocka_unit_test(test_meta_session__processes_that_start_at_once_all_succeed),
        cmocka_unit_test(test_meta_session__a_newer_schema_is_refused),
        cmocka_unit_test(test_meta_session__must_exist_makes_and_migrates_nothing),
        cmocka_unit_test(test_meta_session__without_one_nothing_is_written),
        cmocka_unit_test(test_meta_session__ids_never_repeat),
        cmocka_unit_test(test_meta_session__a_database_that_went_back_does_not_repeat_ids),
        cmocka_unit_test(test_meta_session__threads_and_gateways_share_ids),
        cmocka_unit_test(test_meta_session__heartbeats_keep_the_lease),
        cmocka_unit_test(test_meta_session__a_reaped_one_is_replaced_by_another),
        cmocka_unit_test(test_meta_session__a_write_under_way_holds_off_the_next_session),
        cmocka_unit_test(test_meta_session__status_counts),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
