/* Who asks, proven by the statements that do the work: meta/access/access.h. */
#include "meta/config/bucket_config.h"
#include "tests/contract/object_fixture.h"

#include <stdatomic.h>

struct who {
    struct access_key key;
    struct access_proof proof;
};

/* The bucket as it is now; the id 0 if there is none. */
static struct access_bucket state_of(struct world *w, struct meta *m, struct str name)
{
    struct bucket b = {0};
    if (name.len > 0)
        (void)!bucket_get(m, w->arena, name, &b);
    return (struct access_bucket){name, b.id, b.generation};
}

static void enter(struct world *w, struct meta *m, const char *access_key, struct str bucket,
                  struct who *out)
{
    assert_ok(account_key_look_up(m, str_of(access_key), &out->key));
    out->proof = (struct access_proof){.key = &out->key, .buckets = {state_of(w, m, bucket)}};
    access_begin(&out->proof);
}

static enum err try_put(struct meta *m, const char *key)
{
    enum meta_missing missing;
    struct object_put p = put_of(m, str_of(key), small(STR("data")));
    return object_put(m, &p, &missing);
}

static enum err try_delete(struct meta *m, const char *key)
{
    struct object_delete d = {.bucket = BUCKET, .key = str_of(key)};
    object_delete(m, &d, 1);
    return d.result;
}

static enum err try_list(struct world *w, struct meta *m)
{
    struct object_list_query q = {.bucket = BUCKET, .max = 10};
    struct object_list list;
    return object_list(m, w->arena, &q, &list);
}

static enum err try_upload(struct world *w, struct meta *m)
{
    struct upload up = {.owner = 7};
    return upload_create(m, w->arena, BUCKET, STR("k"), &up);
}

/* Each way to read and to write answers `expected`, with the reason. */
static void all_answer(struct world *w, struct meta *m, struct who *who, enum err expected,
                       enum access_refusal refused)
{
    struct object o;
    struct bucket b;
    for (int way = 0; way < 7; way++) {
        who->proof.refused = ACCESS_ALLOWED;
        who->proof.proven = false;
        enum err err = way == 0   ? get(w, m, STR("there"), &o)
                       : way == 1 ? try_list(w, m)
                       : way == 2 ? bucket_get(m, w->arena, BUCKET, &b)
                       : way == 3 ? try_put(m, "new")
                       : way == 4 ? try_delete(m, "new")
                       : way == 5 ? try_upload(w, m)
                                  : access_check(m);
        if (err != expected || who->proof.refused != refused ||
            who->proof.proven != (expected == OK))
            fail_msg("way %d: %s", way, err == OK ? "OK" : err_text(err));
    }
}

static struct meta *open_two(struct world *w, struct meta **out_other)
{
    struct meta *one = open_gateway(w);
    struct bucket b;
    struct access_key k;
    *out_other = open_gateway(w);
    assert_ok(account_key_put(one, STR("owner"), STR("OWNER"), STR("secret-1")));
    assert_ok(account_key_put(one, STR("stranger"), STR("STRANGER"), STR("secret-2")));
    assert_ok(account_key_look_up(one, STR("OWNER"), &k));
    assert_ok(bucket_create(one, w->arena, BUCKET, k.account.id, STR("r"), &b));
    put(one, STR("there"), small(STR("data")));
    return one;
}

/* bucket: "" where none is in question, which other statements prove. */
static void counts_until_revoked(struct world *w, struct str bucket)
{
    struct meta *two, *one = open_two(w, &two);
    struct who who;
    enter(w, two, "OWNER", bucket, &who);
    all_answer(w, two, &who, OK, ACCESS_ALLOWED);
    assert_ok(account_key_enable(one, STR("OWNER"), false));
    int64_t before = rows(w);
    all_answer(w, two, &who, ERR_DENIED, ACCESS_STALE_KEY);
    assert_int_equal(rows(w), before);
    access_end();
    enter(w, two, "OWNER", bucket, &who);
    all_answer(w, two, &who, ERR_DENIED, ACCESS_STALE_KEY); /* the row says so itself */
    access_end();
    assert_ok(account_key_enable(one, STR("OWNER"), true));
    enter(w, two, "OWNER", bucket, &who);
    all_answer(w, two, &who, OK, ACCESS_ALLOWED);
    assert_ok(account_key_put(one, STR("owner"), STR("OWNER"), STR("secret-9")));
    all_answer(w, two, &who, ERR_DENIED, ACCESS_STALE_KEY);
    access_end();
    enter(w, two, "OWNER", bucket, &who);
    assert_ok(account_key_remove(one, STR("OWNER")));
    all_answer(w, two, &who, ERR_DENIED, ACCESS_STALE_KEY);
    access_end();
    assert_ok(try_put(two, "by nobody")); /* jobs and tools are asked for nothing */
    meta_close(one);
    meta_close(two);
}

static void test_meta_access__a_key_counts_until_the_commit_that_revokes_it(void **state)
{
    counts_until_revoked(*state, BUCKET);
}

static void test_meta_access__so_does_a_key_that_may_do_everything(void **state)
{
    counts_until_revoked(*state, STR(""));
}

static void test_meta_access__a_bucket_is_what_the_decision_found(void **state)
{
    struct world *w = *state;
    struct meta *two, *one = open_two(w, &two);
    struct who who;
    enter(w, two, "OWNER", STR(""), &who);
    int64_t before = rows(w);
    who.proof.buckets[0].name = BUCKET; /* it was not there */
    all_answer(w, two, &who, ERR_DENIED, ACCESS_STALE_BUCKET);
    assert_int_equal(rows(w), before);
    who.proof.buckets[0].name = STR_NONE; /* as for a copy: the second one is compared, too */
    who.proof.buckets[1].name = BUCKET;
    all_answer(w, two, &who, ERR_DENIED, ACCESS_STALE_BUCKET);
    who.proof.buckets[1].name = STR("there is none");
    all_answer(w, two, &who, OK, ACCESS_ALLOWED);
    access_end();
    meta_close(one);
    meta_close(two);
}

static void test_meta_access__a_bucket_made_anew_is_another(void **state)
{
    struct world *w = *state;
    struct meta *two, *one = open_two(w, &two);
    struct bucket b;
    struct who who;
    enter(w, two, "OWNER", BUCKET, &who);
    all_answer(w, two, &who, OK, ACCESS_ALLOWED);
    access_end();
    assert_int_equal(try_delete(one, "there"), OK);
    run(w, "DELETE FROM uploads");
    assert_ok(bucket_delete(one, BUCKET));
    assert_ok(bucket_create(one, w->arena, BUCKET, who.key.account.id, STR("r"), &b));
    put(one, STR("there"), small(STR("theirs")));
    struct access_bucket old = who.proof.buckets[0];
    access_begin(&who.proof);
    int64_t before = rows(w);
    all_answer(w, two, &who, ERR_DENIED, ACCESS_STALE_BUCKET);
    assert_int_equal(rows(w), before);
    who.proof.buckets[0] = (struct access_bucket){BUCKET, b.id, b.generation};
    all_answer(w, two, &who, OK, ACCESS_ALLOWED);
    who.proof.buckets[1] = old; /* of two: both */
    all_answer(w, two, &who, ERR_DENIED, ACCESS_STALE_BUCKET);
    access_end();
    meta_close(one);
    meta_close(two);
}

/* --- a change beside writers ------------------------------------------------------------------ */

#define WRITERS 40
/* The writers go on until the change is made: one that they could keep waiting would wait for good.
 * A machine that runs other tests beside this one needs seconds. */
#define ENDLESS_US 30000000

typedef enum err (*change_fn)(struct meta *m);

static enum err disable_key(struct meta *m)
{
    return account_key_enable(m, STR("OWNER"), false);
}

static enum err configure(struct meta *m)
{
    return bucket_config_put(m, BUCKET, STR("kind"), STR("document"));
}

struct writer {
    struct world *w;
    struct meta *m;
    int number;
    _Atomic int *writes;
    _Atomic bool *changed;
    change_fn change;
    enum err err; /* how its writes ended */
};

static void *write_on(void *arg)
{
    struct writer *writer = arg;
    struct who who;
    bool late = false; /* a write that began behind the change succeeded */
    char key[64];
    enter(writer->w, writer->m, "OWNER", BUCKET, &who);
    for (int i = 0; writer->err == OK && !late; i++) {
        late = atomic_load(writer->changed);
        snprintf(key, sizeof(key), "%d-%d", writer->number, i);
        writer->err = try_put(writer->m, key);
        atomic_fetch_add(writer->writes, 1);
    }
    access_end();
    return NULL;
}

static void *change_once(void *arg)
{
    struct writer *writer = arg;
    wait_until(atomic_load(writer->writes) > 4 * WRITERS);
    int64_t began = clock_mono_us();
    assert_ok(writer->change(writer->m));
    atomic_store(writer->changed, true);
    if (clock_mono_us() - began > ENDLESS_US)
        fail_msg("the change took %lld ms", (long long)(clock_mono_us() - began) / 1000);
    writer->number = (int)ask(writer->w, "SELECT count(*) FROM keys");
    return NULL;
}

static void *work(void *arg)
{
    struct writer *writer = arg;
    return writer->number < 0 ? change_once(arg) : write_on(arg);
}

/* Nothing is committed behind the change, and the change need not wait for the writers to pause. */
static void no_write_lands_behind(struct world *w, change_fn change)
{
    struct meta *two, *one = open_two(w, &two);
    _Atomic int writes = 0;
    _Atomic bool changed = false;
    struct writer writers[WRITERS + 1];
    for (int i = 0; i <= WRITERS; i++)
        writers[i] = (struct writer){
            w, i % 2 == 0 ? one : two, i < WRITERS ? i : -1, &writes, &changed, change, OK};
    in_threads(WRITERS + 1, work, writers, sizeof(writers[0]));
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(writers[i].err, ERR_DENIED);
    assert_int_equal(ask(w, "SELECT count(*) FROM keys"), writers[WRITERS].number);
    meta_close(one);
    meta_close(two);
}

static void test_meta_access__no_write_lands_behind_a_change_of_a_key(void **state)
{
    no_write_lands_behind(*state, disable_key);
}

static void test_meta_access__no_write_lands_behind_a_change_of_a_bucket(void **state)
{
    no_write_lands_behind(*state, configure);
}

static void *put_slowly(void *arg)
{
    struct writer *writer = arg;
    struct who who;
    enter(writer->w, writer->m, "OWNER", BUCKET, &who);
    assert_ok(try_put(writer->m, "slow"));
    access_end();
    return NULL;
}

/* Between the proof and the commit lies half a second, in which the change begins. */
static void a_change_waits(struct world *w, change_fn change)
{
    struct meta *two, *one = open_two(w, &two);
    _Atomic int writes = 0;
    struct writer writer = {.w = w, .m = two, .writes = &writes};
    pthread_t thread;
    if (w->schema[0] != '\0') { /* SQLite has one writer */
        run(w, "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
               " 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';"
               "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON keys DEFERRABLE INITIALLY DEFERRED"
               " FOR EACH ROW EXECUTE FUNCTION slow()");
        assert_int_equal(pthread_create(&thread, NULL, put_slowly, &writer), 0);
        wait_until(ask(w, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"));
        assert_ok(change(one));
        assert_int_equal(ask(w, "SELECT count(*) FROM keys"), 2);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    meta_close(one);
    meta_close(two);
}

static void test_meta_access__a_change_of_a_key_waits_for_what_was_decided_before(void **state)
{
    a_change_waits(*state, disable_key);
}

static void test_meta_access__a_change_of_a_bucket_waits_for_what_was_decided_before(void **state)
{
    a_change_waits(*state, configure);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_access__a_key_counts_until_the_commit_that_revokes_it),
        cmocka_unit_test(test_meta_access__so_does_a_key_that_may_do_everything),
        cmocka_unit_test(test_meta_access__a_bucket_is_what_the_decision_found),
        cmocka_unit_test(test_meta_access__a_bucket_made_anew_is_another),
        cmocka_unit_test(test_meta_access__no_write_lands_behind_a_change_of_a_key),
        cmocka_unit_test(test_meta_access__no_write_lands_behind_a_change_of_a_bucket),
        cmocka_unit_test(test_meta_access__a_change_of_a_key_waits_for_what_was_decided_before),
        cmocka_unit_test(test_meta_access__a_change_of_a_bucket_waits_for_what_was_decided_before),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
