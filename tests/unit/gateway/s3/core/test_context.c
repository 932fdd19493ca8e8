/* The context of requests: one round trip while it is known, and right at once when it changes. */
#include "tests/unit/gateway/rig_cases.h"

#include "meta/config/bucket_config.h"
#include "meta/names/bucket.h"
#include "meta/names/object.h"
#include "meta/sql/sql.h"

#define DELETE_K "<Delete><Object><Key>gone</Key></Object></Delete>"

static struct meta *elsewhere; /* as another gateway */
static uint64_t other_id;

static int begin_two(void **state)
{
    struct meta_options options = {.host = "elsewhere"};
    struct access_key key;
    char url[600];

    begin(state);
    snprintf(url, sizeof(url), "sqlite:%s/meta.db", rig.folder);
    options.url = url;
    assert_ok(meta_open(&options, &elsewhere));
    assert_ok(meta_session_open(elsewhere, "tool"));
    assert_ok(account_key_look_up(elsewhere, STR("OTHER"), &key));
    other_id = key.account.id;
    return 0;
}

static int end_two(void **state)
{
    meta_close(elsewhere);
    return end(state);
}

/* Each test begins with the account `other` and its bucket `own`, which this gateway knows. */
static int make_own(void **state)
{
    (void)make_bucket(state);
    as_other();
    rig_ask(&rig, "PUT /own", "", STR(""));
    rig_expect(&rig, "GET /own", "", NO_BODY, 200);
    rig_expect(&rig, "PUT /own/k", "", STR("x"), 200);
    return 0;
}

/* Made anew elsewhere, without objects. */
static void make_anew(const char *name, uint64_t owner, struct str region)
{
    struct arena *a = arena_new(1 << 20);
    struct object_delete item = {.bucket = str_of(name), .key = STR("k")};
    struct bucket b;

    object_delete(elsewhere, &item, 1);
    assert_ok(bucket_delete(elsewhere, str_of(name)));
    assert_ok(bucket_create(elsewhere, a, str_of(name), owner, region, &b));
    arena_free(a);
}

struct request {
    const char *line, *headers, *body;
    unsigned status; /* by who may do it */
};

/* Of each kind one, in an empty bucket. */
static const struct request requests[] = {
    {"GET /own", "", NULL, 200},
    {"GET /own?list-type=2", "", NULL, 200},
    {"HEAD /own", "", NULL, 200},
    {"GET /own?location", "", NULL, 200},
    {"GET /own?tagging", "", NULL, 404},
    {"GET /own?uploads", "", NULL, 200},
    {"GET /own/gone", "", NULL, 404},
    {"HEAD /own/gone", "", NULL, 404},
    {"DELETE /own/gone", "", NULL, 204},
    {"POST /own/gone?uploads", "", "", 200},
    {"POST /own?delete", "Content-MD5: huHypdSrravATozENYdOuw==\n", DELETE_K, 200},
    {"PUT /own/copy", "x-amz-copy-source: own/gone\n", "", 404},
};

static struct str body_of(const struct request *q)
{
    return q->body != NULL ? str_of(q->body) : NO_BODY;
}

static void test_context__a_known_bucket_costs_one_round_trip(void **state)
{
    const struct sql_stats *stats = meta_sql_stats(fs_meta(rig.fs));
    static const struct {
        const char *line;
        unsigned status;
        enum sql_kind kind;
    } cases[] = {
        {"GET /own/k", 200, SQL_READ},
        {"HEAD /own/k", 200, SQL_READ},
        {"GET /own", 200, SQL_READ},
        {"HEAD /own", 200, SQL_READ},
        {"PUT /own/k", 200, SQL_WRITE},
        {"DELETE /own/k", 204, SQL_WRITE},
        {"POST /own/k?uploads", 200, SQL_WRITE},
    };
    const uint64_t rounds = 20;

    (void)state;
    rig_expect(&rig, "GET /own/k", "", NO_BODY, 200);
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        bool has_body = cases[i].line[0] == 'P';
        bool deletes = cases[i].line[0] == 'D';
        uint64_t units[SQL_KINDS], sum = 0;

        for (int kind = 0; kind < SQL_KINDS; kind++)
            units[kind] = atomic_load(&stats->units[kind]);
        for (uint64_t n = 0; n < rounds; n++)
            rig_expect(&rig, cases[i].line, "", has_body ? STR("x") : NO_BODY, cases[i].status);
        for (int kind = 0; kind < SQL_KINDS; kind++) {
            units[kind] = atomic_load(&stats->units[kind]) - units[kind];
            sum += units[kind];
        }
        /* The heartbeat and the jobs ask, too; what finds nothing to delete looks why. */
        if (units[cases[i].kind] < rounds || (!deletes && sum >= rounds + rounds / 2))
            fail_msg("%s: %llu reads, %llu writes", cases[i].line,
                     (unsigned long long)units[SQL_READ], (unsigned long long)units[SQL_WRITE]);
    }
}

static void test_context__another_owner_counts_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(requests); i++) {
        const struct request *q = &requests[i];

        rig_expect(&rig, "GET /own", "", NO_BODY, 200); /* it is known */
        make_anew("own", other_id + 1000, STR("r"));
        rig_expect(&rig, q->line, q->headers, body_of(q), 403);
        rig_expect(&rig, q->line, q->headers, body_of(q), 403); /* by what is known */
        make_anew("own", other_id, STR("r"));
        rig_expect(&rig, q->line, q->headers, body_of(q), q->status);
    }
    rig_expect(&rig, "GET /own", "", NO_BODY, 200);
    make_anew("own", other_id + 1000, STR("r"));
    rig_refused(&rig, "DELETE /own", "", NO_BODY, 403, "AccessDenied");
    rig_refused(&rig, "PUT /own/k", "", STR("x"), 403, "AccessDenied");
    make_anew("own", other_id, STR("r"));
    rig_expect(&rig, "PUT /own/k", "", STR("x"), 200);
    make_anew("own", other_id, STR("r"));
    rig_expect(&rig, "DELETE /own", "", NO_BODY, 204);
}

static void change_configuration(void)
{
    assert_ok(bucket_config_put(elsewhere, STR("own"), STR("kind"), STR("document")));
}

/* Nothing that a client could see: the request is decided again, and goes on. */
static void test_context__a_change_that_allows_is_not_seen(void **state)
{
    (void)state;
    rig_expect(&rig, "DELETE /own/k", "", NO_BODY, 204);
    for (size_t i = 0; i < LENGTH_OF(requests); i++) {
        const struct request *q = &requests[i];

        change_configuration();
        rig_expect(&rig, q->line, q->headers, body_of(q), q->status);
    }
    rig_expect(&rig, "PUT /own/k", "", STR("data"), 200);
    change_configuration();
    rig_expect(&rig, "GET /own/k", "Range: bytes=1-2\n", NO_BODY, 206);
    assert_str(rig.body, STR("at"));
    change_configuration();
    rig_expect(&rig, "PUT /own/copy", "x-amz-copy-source: own/k\n", STR(""), 200);
    rig_expect(&rig, "DELETE /own/copy", "", NO_BODY, 204);
}

/* The bytes that came are still there when the commit is decided again. */
static void test_context__a_change_that_allows_costs_no_upload(void **state)
{
    static char large[300000];
    char upload[128], line[256], append[128];
    struct str bodies[] = {STR("small"), {large, sizeof(large)}};

    (void)state;
    memset(large, 'l', sizeof(large));
    for (size_t i = 0; i < LENGTH_OF(bodies); i++) {
        change_configuration();
        rig_expect(&rig, "PUT /own/k", "", bodies[i], 200);
        rig_expect(&rig, "GET /own/k", "", NO_BODY, 200);
        assert_str(rig.body, bodies[i]);
        change_configuration();
        rig_expect(&rig, "PUT /own/k", "If-Match: *\n", bodies[i], 200);
        change_configuration();
        snprintf(append, sizeof(append), "x-amz-write-offset-bytes: %zu\n", bodies[i].len);
        rig_expect(&rig, "PUT /own/k", append, STR("appended"), 200);
        change_configuration();
        rig_expect(&rig, "PATCH /own/k", "Content-Range: bytes 0-1/*\n", STR("ab"), 200);
        rig_expect(&rig, "GET /own/k", "", NO_BODY, 200);
        assert_int_equal(rig.body.len, bodies[i].len + 8);
        assert_memory_equal(rig.body.ptr, "ab", 2);
        assert_memory_equal(rig.body.ptr + bodies[i].len, "appended", 8);
    }
    rig_expect(&rig, "POST /own/m?uploads", "", STR(""), 200);
    snprintf(upload, sizeof(upload), STR_FMT, STR_ARG(rig_element(&rig, "UploadId")));
    change_configuration();
    snprintf(line, sizeof(line), "PUT /own/m?partNumber=1&uploadId=%s", upload);
    rig_expect(&rig, line, "", bodies[1], 200);
    change_configuration();
    snprintf(line, sizeof(line), "DELETE /own/m?uploadId=%s", upload);
    rig_expect(&rig, line, "", NO_BODY, 204);
}

static void test_context__a_bucket_of_another_region_says_so_at_once(void **state)
{
    (void)state;
    as_root(); /* whose decisions rest on no bucket: it is the row that wants the context */
    rig_expect(&rig, "GET /own?location", "", NO_BODY, 200);
    assert_str(rig_element(&rig, "LocationConstraint"), STR(""));
    make_anew("own", other_id, STR("eu-north-7"));
    rig_expect(&rig, "GET /own?location", "", NO_BODY, 200);
    assert_non_null(memmem(rig.body.ptr, rig.body.len, ">eu-north-7<", 12));
    rig_expect(&rig, "DELETE /own", "", NO_BODY, 204);
    rig_refused(&rig, "GET /own?location", "", NO_BODY, 404, "NoSuchBucket");
    rig_expect(&rig, "HEAD /own", "", NO_BODY, 404);
}

/* The key of an operator becomes another account's: more rests on the bucket then. */
static void test_context__a_key_that_becomes_anothers_has_that_accounts_rights(void **state)
{
    struct meta *m = fs_meta(rig.fs);

    (void)state;
    assert_ok(account_key_put(m, STR("root"), STR("MOVING"), STR("moving-secret")));
    as_root();
    rig_ask(&rig, "PUT /roots", "", STR(""));
    rig.access = "MOVING";
    rig.secret = "moving-secret";
    rig_expect(&rig, "GET /roots", "", NO_BODY, 200);
    assert_ok(account_key_put(elsewhere, STR("other"), STR("MOVING"), STR("moving-secret")));
    rig_refused(&rig, "GET /roots", "", NO_BODY, 403, "AccessDenied");
    rig_expect(&rig, "GET /own", "", NO_BODY, 200);
    assert_ok(account_key_remove(elsewhere, STR("MOVING")));
    assert_ok(account_key_put(elsewhere, STR("root"), STR("MOVING"), STR("moving-secret")));
    rig_expect(&rig, "GET /roots", "", NO_BODY, 200);
}

/* Contexts of another volume are never those of this one: each decision is stale. */
static void test_context__what_is_never_settled_ends(void **state)
{
    char *folder = folder_new(), url[600];
    struct meta_options options = {.url = url, .host = "other"};
    struct bucket_contexts *wrong, *right = rig.s3.contexts;
    struct arena *a = arena_new(1 << 20);
    struct meta *other;
    struct bucket b;

    (void)state;
    snprintf(url, sizeof(url), "sqlite:%s/meta.db", folder);
    assert_ok(meta_open(&options, &other));
    assert_ok(meta_session_open(other, "tool"));
    for (uint64_t owner = 0; owner < 2; owner++) {
        assert_ok(bucket_create(other, a, STR("own"), other_id + owner, STR("r"), &b));
        assert_ok(bucket_contexts_new(other, NULL, 0, &wrong));
        rig.s3.contexts = wrong;
        for (size_t i = 0; i < LENGTH_OF(requests); i++)
            if (requests[i].line[0] != 'H')
                rig_refused(&rig, requests[i].line, requests[i].headers, body_of(&requests[i]), 503,
                            "SlowDown");
        rig_refused(&rig, "PUT /own/k", "", STR("x"), 503, "SlowDown");
        rig.s3.contexts = right;
        bucket_contexts_free(wrong);
        assert_ok(bucket_delete(other, STR("own")));
    }
    meta_close(other);
    arena_free(a);
    folder_free(folder);
    rig_expect(&rig, "GET /own/k", "", NO_BODY, 200);
}

#define OWN_CASE(test) cmocka_unit_test_setup(test, make_own)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OWN_CASE(test_context__a_known_bucket_costs_one_round_trip),
        OWN_CASE(test_context__another_owner_counts_at_once),
        OWN_CASE(test_context__a_change_that_allows_is_not_seen),
        OWN_CASE(test_context__a_change_that_allows_costs_no_upload),
        OWN_CASE(test_context__a_bucket_of_another_region_says_so_at_once),
        OWN_CASE(test_context__a_key_that_becomes_anothers_has_that_accounts_rights),
        OWN_CASE(test_context__what_is_never_settled_ends),
    };

    return cmocka_run_group_tests(tests, begin_two, end_two);
}
