/* Buckets: meta/names/bucket.h. */
#include "meta/names/bucket.h"
#include "meta/files/reclaim.h"

#include "tests/contract/meta_fixture.h"

static struct bucket make(struct world *w, struct meta *m, const char *name)
{
    struct bucket b;
    assert_ok(bucket_create(m, w->arena, str_of(name), 7, STR("eu-west-1"), &b));
    return b;
}

static void test_meta_bucket__what_is_made_is_found(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct bucket made = make(w, m, "holiday.photos");
    struct bucket found;
    assert_ok(bucket_get(m, w->arena, STR("holiday.photos"), &found));
    assert_int_equal(found.id, made.id);
    assert_true(str_eq(found.name, STR("holiday.photos")));
    assert_int_equal(found.owner, 7);
    assert_true(str_eq(found.region, STR("eu-west-1")));
    assert_true(found.created_ms > 1700000000000);
    assert_int_equal(found.created_ms, made.created_ms);
    assert_true(found.generation > 1); /* random */
    assert_int_equal(found.generation, made.generation);
    assert_int_equal(found.versioning, 0);
    assert_false(found.object_lock);
    assert_err(ERR_NOT_FOUND, bucket_get(m, w->arena, STR("holiday.photo"), &found));
    meta_close(m);
}

static void test_meta_bucket__one_that_exists_is_described(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct bucket first = make(w, m, "one");
    struct bucket other;
    assert_err(ERR_EXISTS, bucket_create(m, w->arena, STR("one"), 8, STR("us-east-1"), &other));
    assert_int_equal(other.id, first.id);
    assert_int_equal(other.owner, 7);
    assert_true(str_eq(other.region, STR("eu-west-1")));
    meta_close(m);
}

static void test_meta_bucket__lists_in_byte_order_by_owner_and_prefix(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    static const char *const names[] = {"beta", "alpha", "alpha-2", "alpha.1", "gamma"};
    for (size_t i = 0; i < 5; i++)
        make(w, m, names[i]);
    struct bucket b, *list;
    assert_ok(bucket_create(m, w->arena, STR("alpha-other"), 9, STR("r"), &b));
    static const struct {
        uint64_t owner;
        const char *prefix, *after;
        size_t max;
        const char *expected; /* joined */
        bool more;
    } cases[] = {
        {0, "", "", 100, "alpha alpha-2 alpha-other alpha.1 beta gamma ", false},
        {7, "", "", 100, "alpha alpha-2 alpha.1 beta gamma ", false},
        {7, "", "", 2, "alpha alpha-2 ", true},
        {7, "", "alpha-2", 2, "alpha.1 beta ", true},
        {7, "", "beta", 1, "gamma ", false},
        {7, "alpha", "", 3, "alpha alpha-2 alpha.1 ", false},
        {7, "alpha", "alpha", 1, "alpha-2 ", true},
        {9, "b", "", 10, "", false},
        {0, "zzz", "", 10, "", false},
        {0, "", "", 0, "", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t count = 99;
        bool more = false;
        char got[256] = "";
        print_message("owner %d, prefix '%s', after '%s'\n", (int)cases[i].owner, cases[i].prefix,
                      cases[i].after);
        assert_ok(bucket_list(m, w->arena, cases[i].owner, str_of(cases[i].prefix),
                              str_of(cases[i].after), cases[i].max, &list, &count, &more));
        for (size_t k = 0; k < count; k++)
            (void)snprintf(got + strlen(got), sizeof(got) - strlen(got), STR_FMT " ",
                           STR_ARG(list[k].name));
        assert_string_equal(got, cases[i].expected);
        assert_int_equal(more, cases[i].more);
    }
    meta_close(m);
}

/* The jobs that come after a bucket's end. */
static void forget_buckets(struct world *w, struct meta *m)
{
    struct job_round stamp = {.name = "reclaim", .lease_ms = 30000, .budget = 1000};
    struct job_round forget = {.name = "buckets", .lease_ms = 30000, .budget = 100000};

    assert_ok(reclaim_round(m, &stamp));
    assert_ok(buckets_round(m, &forget));
    assert_int_equal(ask(w, "SELECT count(*) FROM dead WHERE kind = 4"), 0);
}

/*
 * 90 uploads of 30 parts each, and one of another bucket: DeleteBucket touches none of them, the
 * job takes all of the bucket's, a thousand parts at a time.
 */
static void test_meta_bucket__uploads_end_after_their_bucket(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct bucket b = make(w, m, "many"), other = make(w, m, "other");
    struct job_round first = {.name = "buckets", .lease_ms = 30000, .budget = 1};
    char script[1024];

    (void)snprintf(script, sizeof(script),
                   "INSERT INTO uploads (id, upload, bucket, key, owner, initiated_ms, class,"
                   " headers, checksum) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1"
                   " FROM n WHERE i < 91) SELECT i, 'u' || i, CASE i WHEN 91 THEN %d ELSE %d END,"
                   " {PG: 'k'::bytea}{LITE: x'6b'}, 7, 0, '', {PG: ''::bytea}{LITE: x''}, 0 FROM n;"
                   "INSERT INTO parts (upload, number, inode, size, etag, mtime_ms)"
                   " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)"
                   " SELECT u.id, n.i, 1000 + u.id * 100 + n.i, 4, 'e', 0 FROM uploads u, n;",
                   (int)other.id, (int)b.id);
    run(w, script);
    assert_ok(bucket_delete(m, STR("many")));
    assert_int_equal(ask(w, "SELECT count(*) FROM parts"), 91 * 30);
    assert_err(ERR_NOT_FOUND, bucket_get(m, w->arena, STR("many"), &b));
    (void)make(w, m, "many"); /* another one of that name is not concerned */
    struct job_round stamp = {.name = "reclaim", .lease_ms = 30000, .budget = 1000};
    assert_ok(reclaim_round(m, &stamp));
    assert_ok(buckets_round(m, &first));
    assert_true(first.more);
    assert_int_equal(ask(w, "SELECT count(*) FROM parts"), 91 * 30 - 1000);
    forget_buckets(w, m);
    assert_int_equal(ask(w, "SELECT count(*) FROM parts"), 30);
    assert_int_equal(ask(w, "SELECT count(*) FROM uploads"), 1);
    assert_int_equal(ask(w, "SELECT count(*) FROM dead WHERE kind = 1"), 90 * 30);
    assert_ok(bucket_delete(m, STR("many")));
    meta_close(m);
}

static void test_meta_bucket__one_with_keys_is_not_deleted(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct bucket b = make(w, m, "full");
    char script[1024];
    (void)snprintf(script, sizeof(script),
                   INTO_KEYS
                   "VALUES (%d, {PG: 'k'::bytea}{LITE: x'6b'}, 1, 'null', 0, 1,"
                   " 4, 'e', 0, 7, '', 0);"
                   "INSERT INTO uploads (id, upload, bucket, key, owner, initiated_ms, class,"
                   " headers, tags, checksum, completed_ms, result) VALUES (1, 'u', %d, {PG: "
                   "'k'::bytea}{LITE: x'6b'}, 7, 0,"
                   " '', {PG: ''::bytea}{LITE: x''}, NULL, 0, NULL, NULL);"
                   "INSERT INTO parts VALUES (1, 1, 55, 4, 'e', 0, NULL);",
                   (int)b.id, (int)b.id);
    run(w, script);
    assert_err(ERR_NOT_EMPTY, bucket_delete(m, STR("full")));
    assert_int_equal(ask(w, "SELECT count(*) FROM parts"), 1);
    assert_int_equal(ask(w, "SELECT count(*) FROM uploads"), 1);
    run(w, "DELETE FROM keys");
    assert_ok(bucket_delete(m, STR("full")));
    forget_buckets(w, m);
    assert_int_equal(ask(w, "SELECT count(*) FROM parts"), 0);
    assert_int_equal(ask(w, "SELECT count(*) FROM uploads"), 0);
    assert_int_equal(ask(w, "SELECT count(*) FROM dead WHERE kind = 1 AND id = 55"), 1);
    assert_err(ERR_NOT_FOUND, bucket_delete(m, STR("full")));
    assert_err(ERR_NOT_FOUND, bucket_get(m, w->arena, STR("full"), &b));
    meta_close(m);
}

/* Earlier gateways stored whatever region they were given: what was made so must go again. */
static void test_meta_bucket__one_with_an_absurd_region_is_deleted(void **state)
{
    static char region[65000];
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct bucket b;
    memset(region, 'r', sizeof(region));
    assert_ok(bucket_create(m, w->arena, STR("far"), 7, (struct str){region, sizeof(region)}, &b));
    assert_ok(bucket_delete(m, STR("far")));
    assert_int_equal(ask(w, "SELECT count(*) FROM buckets"), 0);
    meta_close(m);
}

static void test_meta_bucket__one_with_only_versions_is_not_deleted(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct bucket b = make(w, m, "old");
    char script[512];
    (void)snprintf(script, sizeof(script),
                   "INSERT INTO versions (bucket, key, seq, version, marker, inode, size, etag,"
                   " mtime_ms, owner, class, checksum) VALUES (%d, {PG: 'k'::bytea}{LITE: x'6b'}, "
                   "1, 'v', 0, 1,"
                   " 4, 'e', 0, 7, '', 0)",
                   (int)b.id);
    run(w, script);
    assert_err(ERR_NOT_EMPTY, bucket_delete(m, STR("old")));
    meta_close(m);
}

struct racer {
    pthread_t thread;
    struct meta *m;
    const char *name;
    enum err result;
    bool create;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    struct arena *a = arena_new(1u << 20);
    struct bucket b;
    if (r->create)
        r->result = bucket_create(r->m, a, str_of(r->name), 7, STR("r"), &b);
    else
        r->result = bucket_delete(r->m, str_of(r->name));
    arena_free(a);
    return NULL;
}

static void test_meta_bucket__of_many_creators_one_wins(void **state)
{
    enum { RACERS = 8 };
    struct world *w = *state;
    struct meta *m[2] = {open_gateway(w), open_gateway(w)};
    for (int round = 0; round < 5; round++) {
        struct racer r[RACERS];
        int won = 0;
        for (int create = 1; create >= 0; create--) {
            for (int i = 0; i < RACERS; i++) {
                r[i] = (struct racer){.m = m[i % 2], .name = "prize", .create = create == 1};
                assert_int_equal(pthread_create(&r[i].thread, NULL, race, &r[i]), 0);
            }
            won = 0;
            for (int i = 0; i < RACERS; i++) {
                pthread_join(r[i].thread, NULL);
                won += r[i].result == OK;
                if (r[i].result != OK)
                    assert_int_equal(r[i].result, create == 1 ? ERR_EXISTS : ERR_NOT_FOUND);
            }
            assert_int_equal(won, 1);
        }
    }
    meta_close(m[0]);
    meta_close(m[1]);
}

/* --- DeleteBucket against PUT and DELETE ------------------------------------------------------ */

enum { ROUNDS = 200 }; /* the race goes on until so many buckets were deleted */

/* What the players share. */
struct race {
    atomic_bool stop;
    atomic_int puts, bucket_deletes;
    atomic_int attempts; /* to delete the bucket */
};

struct player {
    pthread_t thread;
    struct meta *m;
    struct race *race;
    unsigned number;
    bool lost; /* an acknowledged object's bucket was deleted under it */
};

static enum err put_key(struct meta *m, struct str key)
{
    enum meta_missing missing;
    struct object_put p = {.bucket = STR("contested"), .key = key};
    p.attr = (struct object_attr){.etag = STR("e"), .owner = 7, .mtime_ms = 1, .size = 1};
    p.content = (struct content){.size = 1, .data = STR("x")};
    enum err err = meta_next_id(m, &p.inode);
    return err == OK ? object_put(m, &p, &missing) : err;
}

/* Leaves the bucket empty for up to three attempts to delete it, else none might ever succeed. */
static void let_others_try(const struct player *p, unsigned *seed)
{
    int until = atomic_load(&p->race->attempts) + rand_r(seed) % 4;
    while (!atomic_load(&p->race->stop) && atomic_load(&p->race->attempts) < until)
        sched_yield();
}

/* Puts a key, sees it, deletes it: from its PUT to its DELETE the bucket must be there. */
static void *put_and_delete(void *arg)
{
    struct player *p = arg;
    char key[32];
    unsigned seed = p->number;
    (void)snprintf(key, sizeof(key), "key%u", p->number);
    while (!atomic_load(&p->race->stop)) {
        let_others_try(p, &seed);
        if (put_key(p->m, str_of(key)) != OK)
            continue;
        atomic_fetch_add(&p->race->puts, 1);
        struct object_delete d = {.bucket = STR("contested"), .key = str_of(key)};
        struct arena *a = arena_new(1u << 20);
        struct bucket b;
        if (bucket_get(p->m, a, STR("contested"), &b) != OK)
            p->lost = true;
        arena_free(a);
        object_delete(p->m, &d, 1);
        if (d.result != OK)
            p->lost = true;
    }
    return NULL;
}

static void *delete_and_create(void *arg)
{
    struct player *p = arg;
    while (!atomic_load(&p->race->stop)) {
        struct arena *a = arena_new(1u << 20);
        struct bucket b;
        atomic_fetch_add(&p->race->bucket_deletes, bucket_delete(p->m, STR("contested")) == OK);
        atomic_fetch_add(&p->race->attempts, 1);
        enum err err = bucket_create(p->m, a, STR("contested"), 7, STR("r"), &b);
        if (err != OK && err != ERR_EXISTS)
            p->lost = true;
        arena_free(a);
    }
    return NULL;
}

static void test_meta_bucket__no_put_survives_its_bucket(void **state)
{
    enum { PLAYERS = 5, PATIENCE_MS = 60000 };
    struct world *w = *state;
    struct meta *m[2] = {open_gateway(w), open_gateway(w)};
    struct race race = {0};
    struct player p[PLAYERS];
    for (unsigned i = 0; i < PLAYERS; i++) {
        p[i] = (struct player){.m = m[i % 2], .race = &race, .number = i};
        assert_int_equal(
            pthread_create(&p[i].thread, NULL, i < 3 ? put_and_delete : delete_and_create, &p[i]),
            0);
    }
    for (int ms = 0; ms < PATIENCE_MS; ms += 10) {
        if (atomic_load(&race.bucket_deletes) >= ROUNDS && atomic_load(&race.puts) >= ROUNDS)
            break;
        nap_ms(10);
    }
    atomic_store(&race.stop, true);
    for (int i = 0; i < PLAYERS; i++) {
        pthread_join(p[i].thread, NULL);
        assert_false(p[i].lost);
    }
    print_message("%d puts, %d bucket deletes\n", race.puts, race.bucket_deletes);
    assert_true(race.puts >= ROUNDS && race.bucket_deletes >= ROUNDS);
    assert_int_equal(ask(w, "SELECT count(*) FROM keys k WHERE NOT EXISTS"
                            " (SELECT 1 FROM buckets b WHERE b.id = k.bucket)"),
                     0);
    meta_close(m[0]);
    meta_close(m[1]);
}

static void *put_slowly(void *arg)
{
    run(arg, "{PG: SELECT id FROM buckets FOR KEY SHARE; SELECT pg_sleep(0.5);}" INTO_KEYS
             "SELECT id, {PG: 'k'::bytea}{LITE: x'6b'}, 1, 'null', 0, 1, 4, 'e', 0,"
             " 7, '', 0 FROM buckets");
    return NULL;
}

/* The PUT has the bucket's row before the deletion asks for it, and commits while that waits. */
static void test_meta_bucket__a_put_that_commits_meanwhile_is_seen(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    pthread_t slow;
    make(w, m, "contested");
    assert_int_equal(pthread_create(&slow, NULL, put_slowly, w), 0);
    if (sql_is_postgres(m->sql))
        wait_until(ask(w, "SELECT count(*) FROM {PG: pg_stat_activity WHERE query LIKE"
                          " '%pg_sleep(0.5)%' AND wait_event = 'PgSleep'}{LITE: keys}") > 0);
    else
        wait_until(ask(w, "SELECT count(*) FROM keys") > 0);
    assert_err(ERR_NOT_EMPTY, bucket_delete(m, STR("contested")));
    pthread_join(slow, NULL);
    assert_int_equal(ask(w, "SELECT count(*) FROM buckets"), 1);
    assert_int_equal(ask(w, "SELECT count(*) FROM keys"), 1);
    meta_close(m);
}

static void *put_part_slowly(void *arg)
{
    run(arg, "{PG: SELECT id FROM uploads FOR KEY SHARE; SELECT pg_sleep(0.5);}"
             "INSERT INTO parts (upload, number, inode, size, etag, mtime_ms)"
             " SELECT id, 1, 77, 4, 'e', 0 FROM uploads");
    return NULL;
}

/*
 * The UploadPart has the upload's row before the job asks for it, and commits while that waits: the
 * part must not outlive its upload, since nothing would ever find it again.
 */
static void test_meta_bucket__no_part_outlives_its_bucket(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct bucket b = make(w, m, "short");
    pthread_t slow;
    char script[512];

    (void)snprintf(script, sizeof(script),
                   "INSERT INTO uploads (id, upload, bucket, key, owner, initiated_ms, class,"
                   " headers, checksum) VALUES (1, 'u', %d, {PG: 'k'::bytea}{LITE: x'6b'}, 7, 0,"
                   " '', {PG: ''::bytea}{LITE: x''}, 0)",
                   (int)b.id);
    run(w, script);
    assert_ok(bucket_delete(m, STR("short")));
    assert_int_equal(pthread_create(&slow, NULL, put_part_slowly, w), 0);
    if (sql_is_postgres(m->sql))
        wait_until(ask(w, "SELECT count(*) FROM {PG: pg_stat_activity WHERE query LIKE"
                          " '%pg_sleep(0.5)%' AND wait_event = 'PgSleep'}{LITE: parts}") > 0);
    else
        wait_until(ask(w, "SELECT count(*) FROM parts") > 0);
    forget_buckets(w, m);
    pthread_join(slow, NULL);
    assert_int_equal(ask(w, "SELECT count(*) FROM uploads"), 0);
    assert_int_equal(ask(w, "SELECT count(*) FROM parts"), 0);
    assert_int_equal(ask(w, "SELECT count(*) FROM dead WHERE kind = 1 AND id = 77"), 1);
    meta_close(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_bucket__what_is_made_is_found),
        cmocka_unit_test(test_meta_bucket__one_that_exists_is_described),
        cmocka_unit_test(test_meta_bucket__lists_in_byte_order_by_owner_and_prefix),
        cmocka_unit_test(test_meta_bucket__one_with_keys_is_not_deleted),
        cmocka_unit_test(test_meta_bucket__uploads_end_after_their_bucket),
        cmocka_unit_test(test_meta_bucket__one_with_an_absurd_region_is_deleted),
        cmocka_unit_test(test_meta_bucket__one_with_only_versions_is_not_deleted),
        cmocka_unit_test(test_meta_bucket__of_many_creators_one_wins),
        cmocka_unit_test(test_meta_bucket__no_put_survives_its_bucket),
        cmocka_unit_test(test_meta_bucket__a_put_that_commits_meanwhile_is_seen),
        cmocka_unit_test(test_meta_bucket__no_part_outlives_its_bucket),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
