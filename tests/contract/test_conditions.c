/*
 * The conditions of writes as SQL evaluates them, by the table that C is tested with: a PUT, a
 * copy, a completion and a deletion, each of a key that is there and of one that is not.
 */
#include "gateway/s3/proto/conditions.h"
#include "gateway/s3/core/write_conditions.h"
#include "tests/conditions_cases.h"
#include "tests/contract/upload_fixture.h"

#define SOURCE STR("the source of copies")

typedef enum err (*write_call)(struct world *w, struct meta *m, struct str key,
                               struct object_cond cond, enum meta_missing *out_missing);

static enum err by_put(struct world *w, struct meta *m, struct str key, struct object_cond cond,
                       enum meta_missing *out_missing)
{
    struct object_put p = put_of(m, key, small(STR("new")));

    (void)w;
    p.cond = cond;
    p.attr.etag = STR("new");
    return object_put(m, &p, out_missing);
}

static enum err by_copy(struct world *w, struct meta *m, struct str key, struct object_cond cond,
                        enum meta_missing *out_missing)
{
    struct object_put p = put_of(m, key, small(STR("")));
    struct object source;

    assert_ok(get(w, m, SOURCE, &source));
    p.cond = cond;
    p.attr.etag = STR("new");
    return object_copy(m, &p, &source, out_missing);
}

static enum err by_completion(struct world *w, struct meta *m, struct str key,
                              struct object_cond cond, enum meta_missing *out_missing)
{
    struct upload up = create(w, m, key);
    struct object_put p;
    struct listed l;

    put_part(m, key, up.upload, 1, small(STR("new")));
    l = list(w, m, key, up.upload);
    p = put_of(m, key, small(STR("")));
    p.attr.size = 3;
    p.content.size = 3;
    p.cond = cond;
    p.attr.etag = STR("new");
    return complete(m, &p, up.upload, &l, out_missing);
}

static enum err by_deletion(struct world *w, struct meta *m, struct str key,
                            struct object_cond cond, enum meta_missing *out_missing)
{
    struct object_delete d = {.bucket = BUCKET, .key = key, .cond = cond};

    (void)w;
    object_delete(m, &d, 1);
    *out_missing = d.missing;
    return d.result;
}

static enum err err_of(enum case_result result)
{
    return result == CASE_WRITES ? OK : result == CASE_FAILS ? ERR_CONDITION : ERR_NOT_FOUND;
}

static void try(struct world *w, struct meta *m, write_call call, const struct condition_case *c,
                bool there)
{
    static unsigned number;
    struct str key = str_of(arena_printf(w->arena, "key %u", number++));
    struct object_cond cond =
        write_conditions(c->match != NULL ? str_of(c->match) : STR_NONE,
                         c->none_match != NULL ? str_of(c->none_match) : STR_NONE);
    enum case_result result = there ? c->on_there : c->on_missing;
    enum meta_missing missing = META_MISSING_NONE;
    struct object_put p = put_of(m, key, small(STR("old")));
    struct object now;
    enum err expected = err_of(result), got;
    struct object_attr attr = {.etag = STR(CASE_ETAG)};
    bool stays;

    if (there) /* as a change that has the file locked evaluates it */
        assert_int_equal(object_cond_holds(&cond, &attr), expected == OK);
    p.attr.etag = STR(CASE_ETAG);
    if (there)
        assert_ok(object_put(m, &p, &missing));
    /* a deletion of what is not there has nothing to do, whatever it is to meet */
    if (call == by_deletion && !there)
        expected = c->match == NULL && c->none_match == NULL ? OK : ERR_NOT_FOUND;
    got = call(w, m, key, cond, &missing);
    if (got != expected)
        fail_msg("If-Match %s, If-None-Match %s, %s: %s, not %s", c->match, c->none_match,
                 there ? "there" : "missing", err_name(got), err_name(expected));
    if (got == ERR_NOT_FOUND)
        assert_int_equal(missing, META_MISSING_KEY);
    stays = there && got != OK;
    if (stays || call != by_deletion) {
        assert_int_equal(get(w, m, key, &now), stays || got == OK ? OK : ERR_NOT_FOUND);
        if (stays)
            assert_str(STR("old"), now.data);
    } else {
        assert_int_equal(get(w, m, key, &now), ERR_NOT_FOUND);
    }
}

static bool is_refused_before(const struct condition_case *c)
{
    struct str ignored;

    return c->none_match != NULL &&
           conditions_form(str_of(c->none_match), &ignored) == CONDITION_NOTHING;
}

static void test_conditions__sql_evaluates_what_c_does(void **state)
{
    static const write_call calls[] = {by_put, by_copy, by_completion, by_deletion};
    struct world *w = *state;
    struct meta *m = open_bucket(w);

    put(m, SOURCE, small(STR("new")));
    for (size_t i = 0; i < CONDITION_CASES; i++) {
        for (size_t j = 0; j < 4 && !is_refused_before(&condition_cases[i]); j++) {
            try(w, m, calls[j], &condition_cases[i], false);
            try(w, m, calls[j], &condition_cases[i], true);
        }
    }
    meta_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions__sql_evaluates_what_c_does),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
