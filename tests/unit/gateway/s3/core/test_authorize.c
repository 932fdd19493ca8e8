/* Who may do what, and for how long: by requests to a gateway. */
#include "tests/unit/gateway/rig_cases.h"

#include "base/codec.h"
#include "base/hash.h"
#include "gateway/s3/core/authorize.h"
#include "meta/sql/sql.h"

static void test_authorize__an_account_acts_on_its_own_buckets_only(void **state)
{
    static const char *const lines[] = {
        "GET /bucket",
        "GET /bucket?list-type=2",
        "GET /bucket?location",
        "GET /bucket?acl",
        "GET /bucket?versioning",
        "GET /bucket?uploads",
        "DELETE /bucket",
        "GET /bucket/k",
        "GET /bucket/none",
        "GET /bucket/k?acl",
        "GET /bucket/k?tagging",
        "GET /bucket/k?uploadId=x",
        "PUT /bucket/k",
        "PUT /bucket/k?partNumber=1&uploadId=x",
        "PATCH /bucket/k",
        "DELETE /bucket/k",
        "DELETE /bucket/k?uploadId=x",
        "POST /bucket/k?uploads",
    };
    static const char *const copies[] = {
        "x-amz-copy-source: bucket/k\n",
        "x-amz-copy-source: /bucket/k\n",
        "x-amz-copy-source: bucket/none\n",
        "x-amz-copy-source: %62ucket/k\n",
    };

    (void)state;
    rig_expect(&rig, "PUT /bucket/k", "", STR("mine"), 200);
    as_other();
    rig_expect(&rig, "PUT /own", "", STR(""), 200);
    rig_expect(&rig, "PUT /own/k", "", STR("x"), 200);
    for (size_t i = 0; i < LENGTH_OF(lines); i++) {
        bool patches = strncmp(lines[i], "PATCH", 5) == 0;

        rig_refused(&rig, lines[i], patches ? "Content-Range: bytes 0-0/*\n" : "",
                    lines[i][0] == 'P' ? STR("x") : NO_BODY, 403, "AccessDenied");
    }
    rig_refused(&rig, "POST /bucket?delete", "Content-MD5: 5DKh5iefM5MSKvRILIuFwQ==\n",
                STR("<Delete><Object><Key>k</Key></Object></Delete>"), 403, "AccessDenied");
    rig_expect(&rig, "HEAD /bucket", "", NO_BODY, 403);
    rig_expect(&rig, "HEAD /bucket/k", "", NO_BODY, 403);
    for (size_t i = 0; i < LENGTH_OF(copies); i++)
        rig_refused(&rig, "PUT /own/copy", copies[i], STR(""), 403, "AccessDenied");
    rig_refused(&rig, "PUT /bucket/copy", "x-amz-copy-source: own/k\n", STR(""), 403,
                "AccessDenied");
    rig_refused(&rig, "PUT /bucket", "", STR(""), 409, "BucketAlreadyExists");
    rig_refused(&rig, "GET /nobucket/k", "", NO_BODY, 404, "NoSuchBucket");
    rig_expect(&rig, "GET /", "", NO_BODY, 200);
    assert_null(memmem(rig.body.ptr, rig.body.len, "<Name>bucket<", 13));
    assert_non_null(memmem(rig.body.ptr, rig.body.len, "<Name>own<", 10));
    as_root();
    rig_expect(&rig, "GET /bucket/k", "", NO_BODY, 200);
    assert_str(rig.body, STR("mine"));
    rig_expect(&rig, "GET /own/k", "", NO_BODY, 200);
    rig_expect(&rig, "PUT /own/k", "", STR("y"), 200);
    rig_expect(&rig, "PUT /bucket/c", "x-amz-copy-source: own/k\n", STR(""), 200);
}

/* On PostgreSQL a write that is refused in its transaction fails those that it shares it with. */
static void test_authorize__a_refused_write_gets_into_no_batch(void **state)
{
    static const char *const lines[] = {"PUT /bucket/k", "DELETE /bucket/k",
                                        "POST /bucket/k?uploads", "DELETE /bucket"};
    const struct sql_stats *stats = meta_sql_stats(fs_meta(rig.fs));
    uint64_t before, rounds = 20;

    (void)state;
    rig_expect(&rig, "PUT /bucket/k", "", STR("mine"), 200);
    as_other();
    before = atomic_load(&stats->units[SQL_WRITE]);
    for (uint64_t i = 0; i < rounds; i++)
        for (size_t n = 0; n < LENGTH_OF(lines); n++)
            rig_refused(&rig, lines[n], "", lines[n][0] == 'P' ? STR("x") : NO_BODY, 403,
                        "AccessDenied");
    /* The heartbeat and the jobs write, too. */
    assert_true(atomic_load(&stats->units[SQL_WRITE]) - before < rounds);
    as_root();
}

/* Every kind of request by a key that is in this gateway's memory, and was changed elsewhere. */
static void test_authorize__a_key_counts_until_it_is_revoked(void **state)
{
    static const char *const lines[] = {
        "GET /",       "GET /mine",    "GET /mine/k",         "DELETE /mine/k",
        "PUT /mine/k", "PUT /another", "POST /mine/k?uploads"};
    struct meta *m = fs_meta(rig.fs), *elsewhere;
    char url[600];
    struct meta_options options = {.url = url, .host = "elsewhere"};

    (void)state;
    snprintf(url, sizeof(url), "sqlite:%s/meta.db", rig.folder);
    assert_ok(meta_open(&options, &elsewhere));
    assert_ok(meta_session_open(elsewhere, "tool"));
    assert_ok(account_key_put(m, STR("passing"), STR("PASSING"), STR("passing-secret")));
    rig.access = "PASSING";
    rig.secret = "passing-secret";
    rig_expect(&rig, "PUT /mine", "", STR(""), 200);
    for (size_t i = 0; i < LENGTH_OF(lines); i++) {
        struct str body = lines[i][0] == 'P' ? STR("") : NO_BODY;

        rig_expect(&rig, "PUT /mine/k", "", STR("x"), 200);
        assert_ok(account_key_enable(elsewhere, STR("PASSING"), false));
        rig_refused(&rig, lines[i], "", body, 403, "InvalidAccessKeyId");
        rig_refused(&rig, lines[i], "", body, 403, "InvalidAccessKeyId"); /* now it is known */
        assert_ok(account_key_enable(elsewhere, STR("PASSING"), true));
        rig_expect(&rig, "GET /mine/k", "", NO_BODY, 200);
        assert_ok(account_key_put(elsewhere, STR("passing"), STR("PASSING"), STR("new-secret")));
        rig_refused(&rig, lines[i], "", body, 403, "SignatureDoesNotMatch");
        rig.secret = "new-secret"; /* refused by what this gateway remembers, unless it asks */
        rig_expect(&rig, "GET /mine/k", "", NO_BODY, 200);
        rig.secret = "passing-secret";
        assert_ok(account_key_put(elsewhere, STR("passing"), STR("PASSING"), str_of(rig.secret)));
    }
    assert_ok(account_key_remove(elsewhere, STR("PASSING")));
    rig_refused(&rig, "GET /mine/k", "", NO_BODY, 403, "InvalidAccessKeyId");
    assert_ok(account_key_put(elsewhere, STR("passing"), STR("PASSING"), str_of(rig.secret)));
    rig_expect(&rig, "GET /mine/k", "", NO_BODY, 200); /* what does not exist is not remembered */
    as_root();
    meta_close(elsewhere);
}

/* A handler may take the error of the statement for another one, or for none. */
static void test_authorize__a_refusal_counts_whatever_the_handler_says(void **state)
{
    static const enum s3_code codes[] = {S3_OK, S3_NO_SUCH_KEY, S3_SLOW_DOWN};
    struct arena *a = arena_new(1 << 20);

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(codes); i++) {
        struct s3_request r = {
            .s3 = &rig.s3,
            .arena = a,
            .identity.auth = {.kind = AUTH_HEADER_V4, .access_key = STR("REMOVED")},
            .permit.proof.refused = ACCESS_STALE_KEY};
        bool again;

        assert_int_equal(authorize_end(&r, codes[i], &again), S3_INVALID_ACCESS_KEY_ID);
        assert_false(again);
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_authorize__a_refusal_counts_whatever_the_handler_says),
        CASE(test_authorize__an_account_acts_on_its_own_buckets_only),
        CASE(test_authorize__a_refused_write_gets_into_no_batch),
        CASE(test_authorize__a_key_counts_until_it_is_revoked),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
