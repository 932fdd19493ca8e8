/*
 * Buckets and their documents in memory, with the proof of them: meta/config/bucket_context.h. The
 * kinds are the tests' own: no operation sets a document yet.
 */
#include "meta/config/bucket_config.h"
#include "meta/config/bucket_context.h"
#include "tests/contract/object_fixture.h"

/* A document is the number of bytes that it says it takes. */
enum { COLOUR, SHAPE, KINDS };

static _Atomic int parsed[KINDS], freed;

static enum err parse(int kind, struct str body, void **out, size_t *out_bytes)
{
    uint64_t bytes;
    if (str_to_u64(body, &bytes) != OK)
        return err_set(ERR_CORRUPT, "a document that is no number");
    atomic_fetch_add(&parsed[kind], 1);
    uint64_t *number = malloc(sizeof(*number));
    assert_non_null(number);
    *number = bytes;
    *out = number;
    *out_bytes = (size_t)bytes;
    return OK;
}

static enum err parse_colour(struct str body, void **out, size_t *out_bytes)
{
    return parse(COLOUR, body, out, out_bytes);
}

static enum err parse_shape(struct str body, void **out, size_t *out_bytes)
{
    return parse(SHAPE, body, out, out_bytes);
}

static void free_number(void *number)
{
    atomic_fetch_add(&freed, 1);
    free(number);
}

static const struct bucket_kind kinds[KINDS] = {
    [COLOUR] = {"colour", parse_colour, free_number},
    [SHAPE] = {"shape", parse_shape, free_number},
};

/* Two gateways; `one` changes, `two` keeps. */
struct two {
    struct meta *one, *two;
    struct bucket_contexts *contexts;
    struct access_key key;
    struct access_proof proof;
};

static void open_two(struct world *w, struct two *t)
{
    struct bucket b;
    *t = (struct two){.one = open_bucket(w), .two = open_gateway(w)};
    assert_ok(account_key_put(t->one, STR("owner"), STR("OWNER"), STR("secret-1")));
    assert_ok(account_key_look_up(t->two, STR("OWNER"), &t->key));
    assert_ok(bucket_create(t->one, w->arena, STR("source"), t->key.account.id, STR("s"), &b));
    assert_ok(bucket_contexts_new(t->two, kinds, KINDS, &t->contexts));
    for (int i = 0; i < KINDS; i++)
        atomic_store(&parsed[i], 0);
    atomic_store(&freed, 0);
}

static void close_two(struct two *t)
{
    bucket_contexts_free(t->contexts);
    meta_close(t->one);
    meta_close(t->two);
}

static struct bucket_context *load(struct two *t, struct str bucket)
{
    struct bucket_context *context;
    assert_ok(bucket_context_load(t->contexts, bucket, &context));
    return context;
}

static uint64_t number_of(const struct bucket_context *context, size_t kind)
{
    const uint64_t *number = bucket_context_document(context, kind);
    return number != NULL ? *number : 0;
}

static uint64_t batches(struct meta *m)
{
    return atomic_load(&sql_stats(m->sql)->batches[SQL_READ]);
}

static void test_meta_context__one_statement_loads_it_and_memory_has_it(void **state)
{
    struct two t;
    open_two(*state, &t);
    assert_ok(bucket_config_put(t.one, STR("source"), STR("shape"), STR("7")));
    assert_ok(bucket_config_put(t.one, STR("source"), STR("unknown"), STR("?")));
    assert_null(bucket_context_find(t.contexts, STR("source")));
    uint64_t before = batches(t.two);
    struct bucket_context *c = load(&t, STR("source"));
    assert_int_equal(batches(t.two) - before, 1);
    assert_ptr_equal(bucket_context_find(t.contexts, STR("source")), c);
    assert_int_equal(batches(t.two) - before, 1);
    assert_str(STR("source"), c->name);
    assert_str(STR("s"), c->region);
    assert_int_equal(c->owner, t.key.account.id);
    assert_str(str_of(t.key.account.canonical_id), c->owner_canonical_id);
    assert_int_equal(c->versioning, 0);
    assert_int_equal(number_of(c, SHAPE), 7);
    assert_null(bucket_context_document(c, COLOUR));
    bucket_context_unref(c);
    bucket_context_unref(c);
    close_two(&t);
    assert_int_equal(freed, 1);
}

static void test_meta_context__what_did_not_change_is_parsed_once(void **state)
{
    struct two t;
    open_two(*state, &t);
    assert_ok(bucket_config_put(t.one, BUCKET, STR("shape"), STR("7")));
    assert_ok(bucket_config_put(t.one, BUCKET, STR("colour"), STR("1")));
    struct bucket_context *old = load(&t, BUCKET);
    assert_ok(bucket_config_put(t.one, BUCKET, STR("colour"), STR("2")));
    struct bucket_context *new = load(&t, BUCKET);
    assert_true(old->id == new->id && old->generation != new->generation);
    assert_int_equal(number_of(old, COLOUR), 1);
    assert_int_equal(number_of(new, COLOUR), 2);
    assert_ptr_equal(bucket_context_document(old, SHAPE), bucket_context_document(new, SHAPE));
    assert_int_equal(parsed[SHAPE], 1);
    assert_int_equal(parsed[COLOUR], 2);
    bucket_context_unref(old);
    assert_int_equal(freed, 1); /* what only the old state had */
    assert_ok(bucket_config_remove(t.one, BUCKET, STR("shape")));
    bucket_context_unref(new);
    new = load(&t, BUCKET);
    assert_null(bucket_context_document(new, SHAPE));
    assert_int_equal(number_of(new, COLOUR), 2);
    bucket_context_unref(new);
    close_two(&t);
    assert_int_equal(freed, 3);
}

static void test_meta_context__only_buckets_have_documents(void **state)
{
    struct world *w = *state;
    struct two t;
    struct bucket_context *c;
    open_two(w, &t);
    assert_err(ERR_NOT_FOUND, bucket_config_put(t.one, STR("none"), STR("shape"), STR("1")));
    assert_err(ERR_NOT_FOUND, bucket_config_remove(t.one, STR("none"), STR("shape")));
    assert_ok(bucket_config_put(t.one, BUCKET, STR("shape"), STR("1")));
    bucket_context_unref(load(&t, BUCKET));
    assert_ok(bucket_delete(t.one, BUCKET));
    assert_int_equal(ask(w, "SELECT count(*) FROM bucket_config"), 0);
    assert_err(ERR_NOT_FOUND, bucket_context_load(t.contexts, BUCKET, &c));
    assert_null(bucket_context_find(t.contexts, BUCKET));
    assert_ok(bucket_config_put(t.one, STR("source"), STR("shape"), STR("no number")));
    assert_err(ERR_CORRUPT, bucket_context_load(t.contexts, STR("source"), &c));
    assert_null(c);
    close_two(&t);
}

/* --- the proof -------------------------------------------------------------------------------- */

static void decide_by(struct two *t, int slot, const struct bucket_context *context,
                      struct str bucket)
{
    t->proof = (struct access_proof){.key = &t->key};
    t->proof.buckets[slot] =
        (struct access_bucket){.name = bucket,
                               .id = context != NULL ? context->id : 0,
                               .generation = context != NULL ? context->generation : 0};
}

/* A read, a write and the proof alone; all by the same decision. */
static void all_answer(struct world *w, struct two *t, enum err expected)
{
    enum access_refusal refused = expected == OK ? ACCESS_ALLOWED : ACCESS_STALE_BUCKET;
    struct object_list_query q = {.bucket = BUCKET, .max = 10};
    struct object_list list;
    enum meta_missing missing;
    for (int way = 0; way < 3; way++) {
        struct object_put p = put_of(t->two, STR("new"), small(STR("data")));
        t->proof.refused = ACCESS_ALLOWED;
        access_begin(&t->proof);
        enum err err = way == 0   ? object_list(t->two, w->arena, &q, &list)
                       : way == 1 ? object_put(t->two, &p, &missing)
                                  : access_check(t->two);
        access_end();
        if (err != expected || t->proof.refused != refused)
            fail_msg("way %d: %s, refused %d", way, err == OK ? "OK" : err_text(err),
                     (int)t->proof.refused);
    }
}

static void test_meta_context__a_change_counts_from_its_commit_on_elsewhere(void **state)
{
    struct world *w = *state;
    struct two t;
    open_two(w, &t);
    for (int slot = 0; slot < ACCESS_BUCKETS; slot++) {
        struct bucket_context *c = load(&t, BUCKET);
        decide_by(&t, slot, c, BUCKET);
        all_answer(w, &t, OK);
        int64_t before = rows(w);
        assert_ok(bucket_config_put(t.one, BUCKET, STR("shape"), STR("1")));
        all_answer(w, &t, ERR_DENIED);
        assert_int_equal(rows(w), before);
        bucket_context_unref(c);
        c = load(&t, BUCKET);
        decide_by(&t, slot, c, BUCKET);
        all_answer(w, &t, OK);
        assert_ok(bucket_config_remove(t.one, BUCKET, STR("shape")));
        all_answer(w, &t, ERR_DENIED);
        bucket_context_unref(c);
    }
    close_two(&t);
}

/* Who changes a bucket was allowed to by its state before. */
static void test_meta_context__a_change_is_proven_by_the_state_before_it(void **state)
{
    struct two t;
    open_two(*state, &t);
    struct bucket_context *c = load(&t, BUCKET);
    for (int again = 0; again < 2; again++) {
        decide_by(&t, 0, c, BUCKET);
        access_begin(&t.proof);
        assert_err(again ? ERR_DENIED : OK,
                   bucket_config_put(t.two, BUCKET, STR("shape"), STR("1")));
        access_end();
    }
    assert_int_equal(t.proof.refused, ACCESS_STALE_BUCKET);
    bucket_context_unref(c);
    c = load(&t, BUCKET);
    decide_by(&t, 0, c, BUCKET);
    access_begin(&t.proof);
    assert_ok(bucket_delete(t.two, BUCKET));
    access_end();
    bucket_context_unref(c);
    close_two(&t);
}

/* The same name, account and documents: another bucket all the same. */
static void test_meta_context__a_bucket_made_anew_is_another(void **state)
{
    struct world *w = *state;
    struct two t;
    struct bucket b;
    open_two(w, &t);
    struct bucket_context *c = load(&t, BUCKET);
    assert_ok(bucket_delete(t.one, BUCKET));
    decide_by(&t, 0, c, BUCKET);
    access_begin(&t.proof);
    assert_err(ERR_DENIED, access_check(t.two));
    assert_int_equal(t.proof.refused, ACCESS_STALE_BUCKET);
    access_end();
    decide_by(&t, 0, NULL, BUCKET);
    access_begin(&t.proof);
    assert_ok(access_check(t.two));
    access_end();
    assert_ok(bucket_create(t.one, w->arena, BUCKET, c->owner, STR("r"), &b));
    all_answer(w, &t, ERR_DENIED); /* decided when there was none */
    decide_by(&t, 0, c, BUCKET);
    all_answer(w, &t, ERR_DENIED);
    bucket_context_unref(c);
    close_two(&t);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void test_meta_context__memory_is_bounded(void **state)
{
    struct world *w = *state;
    struct two t;
    struct bucket_context *c;
    size_t bytes;
    char name[32];
    open_two(w, &t);
    run(w, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
           "5000) " INTO_BUCKETS
           "SELECT 1000000 + i, CAST('b' || i AS {PG: BYTEA}{LITE: BLOB}), 7, 'r', 0,"
           " i FROM n");
    for (int i = 1; i <= 5000; i++) {
        snprintf(name, sizeof(name), "b%d", i);
        bucket_context_unref(load(&t, str_of(name)));
        snprintf(name, sizeof(name), "none-%d", i);
        assert_err(ERR_NOT_FOUND, bucket_context_load(t.contexts, str_of(name), &c));
    }
    size_t count = bucket_contexts_count(t.contexts, &bytes);
    assert_true(count <= BUCKET_CONTEXTS_MAX && count > BUCKET_CONTEXTS_MAX / 2);
    assert_int_equal(bytes, 0);
    run(w, "INSERT INTO bucket_config (bucket, kind, body, generation) SELECT id, 'shape',"
           " CAST('1500000' AS {PG: BYTEA}{LITE: BLOB}), id FROM buckets WHERE id > 1004900");
    for (int i = 4901; i <= 5000; i++) {
        snprintf(name, sizeof(name), "b%d", i);
        c = load(&t, str_of(name));
        assert_int_equal(number_of(c, SHAPE), 1500000);
        bucket_context_unref(c);
        (void)bucket_contexts_count(t.contexts, &bytes);
        assert_true(bytes <= BUCKET_CONTEXTS_BYTES);
    }
    assert_true(bytes > BUCKET_CONTEXTS_BYTES / 2);
    assert_ok(bucket_config_put(t.one, BUCKET, STR("shape"), STR("3000000"))); /* used, not kept */
    c = load(&t, BUCKET);
    assert_int_equal(number_of(c, SHAPE), 3000000);
    assert_null(bucket_context_find(t.contexts, BUCKET));
    bucket_context_unref(c);
    close_two(&t);
    assert_int_equal(freed, parsed[SHAPE]);
}

/* Readers of one state, while it is replaced by others. */
static void *look(void *arg)
{
    struct two *t = *(struct two **)arg;
    for (int i = 0; i < 200; i++) {
        struct bucket_context *c = bucket_context_find(t->contexts, BUCKET);
        if (c == NULL || i % 8 == 0) {
            bucket_context_unref(c);
            assert_ok(bucket_context_load(t->contexts, BUCKET, &c));
        }
        assert_true(number_of(c, SHAPE) > 0);
        if (i % 50 == 0)
            assert_ok(bucket_config_put(t->one, BUCKET, STR("shape"), STR("5")));
        bucket_context_unref(c);
    }
    return NULL;
}

static void test_meta_context__states_live_as_long_as_somebody_reads_them(void **state)
{
    struct two t, *args[8];
    open_two(*state, &t);
    assert_ok(bucket_config_put(t.one, BUCKET, STR("shape"), STR("4")));
    for (size_t i = 0; i < 8; i++)
        args[i] = &t;
    in_threads(8, look, args, sizeof(args[0]));
    close_two(&t);
    assert_int_equal(freed, parsed[SHAPE]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_context__one_statement_loads_it_and_memory_has_it),
        cmocka_unit_test(test_meta_context__what_did_not_change_is_parsed_once),
        cmocka_unit_test(test_meta_context__only_buckets_have_documents),
        cmocka_unit_test(test_meta_context__a_change_counts_from_its_commit_on_elsewhere),
        cmocka_unit_test(test_meta_context__a_change_is_proven_by_the_state_before_it),
        cmocka_unit_test(test_meta_context__a_bucket_made_anew_is_another),
        cmocka_unit_test(test_meta_context__memory_is_bounded),
        cmocka_unit_test(test_meta_context__states_live_as_long_as_somebody_reads_them),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
