/* The order of the phases: as a table, and as a client sees it. */
#include "tests/unit/gateway/rig_cases.h"

#include "gateway/s3/core/phases.h"

static void test_phases__their_order_and_who_runs_them(void **state)
{
    static const struct {
        const char *name;
        bool blocks, optional;
    } order[] = {
        {"parse", false, false},        {"route", false, false},
        {"authenticate", false, false}, {"ask for the key", true, true},
        {"context", false, false},      {"load the context", true, true},
        {"authorize", false, false},    {"prove the denial", true, true},
        {"refuse", false, false},       {"early check", true, true},
        {"body", false, false},         {"verify", false, true},
        {"handle", true, false},        {"answer", false, false},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(order); i++) {
        const struct s3_phase *phase = &s3_phases[i];

        assert_non_null(phase->name);
        assert_string_equal(phase->name, order[i].name);
        if (phase->blocks != order[i].blocks || (phase->is_wanted != NULL) != order[i].optional)
            fail_msg("%s: blocks %d, optional %d", phase->name, phase->blocks,
                     phase->is_wanted != NULL);
        assert_non_null(phase->run);
        assert_true(!phase->in_rows_lane || phase->blocks);
    }
    assert_null(s3_phases[LENGTH_OF(order)].name);
}

/* Each request could be refused by several phases: the first one does it. */
static void test_phases__the_first_one_that_refuses_answers(void **state)
{
    static const struct {
        const char *access, *secret;
        const char *line, *headers;
        unsigned status;
        const char *code;
    } cases[] = {
        /* parse: before there is a row, and before anybody is asked who he is */
        {"", "", "GET //k?what", "", 400, "InvalidBucketName"},
        {"", "", "PUT /nobucket/k?what", "Range: x\nRange: y\n", 400, "InvalidArgument"},
        /* route: before the signature */
        {"", "", "PUT /nobucket/k?what", "", 501, "NotImplemented"},
        {"NOBODY", "x", "POST /nobucket/k", "", 405, "MethodNotAllowed"},
        /* authenticate: before what is not built */
        {"NOBODY", "x", "PUT /bucket?policy", "", 403, "InvalidAccessKeyId"},
        {RIG_ACCESS, "wrong", "PUT /bucket?policy", "", 403, "SignatureDoesNotMatch"},
        /* authorize: before what is not built, too */
        {"", "", "PUT /bucket?policy", "", 403, "AccessDenied"},
        {"", "", "PUT /nobucket/k", "x-amz-acl: public-read\n", 403, "AccessDenied"},
        /* refuse: before the bucket is looked for */
        {RIG_ACCESS, RIG_SECRET, "PUT /nobucket?policy", "", 501, "NotImplemented"},
        {RIG_ACCESS, RIG_SECRET, "PUT /nobucket/k", "x-amz-acl: public-read\n", 501,
         "NotImplemented"},
        {RIG_ACCESS, RIG_SECRET, "PUT /nobucket/k", "If-Match: \"a\", \"b\"\n", 501,
         "NotImplemented"},
        /* an expected owner is a part of authorize: before a checksum that is none */
        {RIG_ACCESS, RIG_SECRET, "PUT /bucket/k",
         "x-amz-expected-bucket-owner: 999999999999\nContent-MD5: nonsense\n", 403, "AccessDenied"},
        /* body: before the handler looks for the bucket */
        {RIG_ACCESS, RIG_SECRET, "PUT /nobucket/k", "Content-MD5: nonsense\n", 400,
         "InvalidDigest"},
        {RIG_ACCESS, RIG_SECRET, "PUT /nobucket/k", "Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==\n", 400,
         "BadDigest"},
        {RIG_ACCESS, RIG_SECRET, "POST /nobucket?delete", "", 400, "InvalidRequest"},
        /* handle */
        {RIG_ACCESS, RIG_SECRET, "PUT /nobucket/k", "", 404, "NoSuchBucket"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct str code;

        rig.access = cases[i].access;
        rig.secret = cases[i].secret;
        rig_ask(&rig, cases[i].line, cases[i].headers,
                cases[i].line[0] == 'P' ? STR("x") : NO_BODY);
        code = rig_element(&rig, "Code");
        if (rig.status != cases[i].status || !str_eq(code, str_of(cases[i].code)))
            fail_msg("%s, %s by \"%s\": %u " STR_FMT ", not %u %s", cases[i].line, cases[i].headers,
                     cases[i].access, rig.status, STR_ARG(code), cases[i].status, cases[i].code);
    }
    rig.access = RIG_ACCESS;
    rig.secret = RIG_SECRET;
}

/* A document that was never set is never an error of ours, whichever row reads it. */
static void test_phases__every_document_has_an_answer(void **state)
{
    (void)state;
    for (const struct s3_op *op = s3_ops; op->name != NULL; op++) {
        char line[128];

        if (op->document == S3_DOCUMENT_NONE)
            continue;
        snprintf(line, sizeof(line), "GET /bucket%s?%s=", op->scope == S3_OBJECT ? "/k" : "",
                 op->query);
        rig_ask(&rig, line, "", NO_BODY);
        if (rig.status != 200 && rig.status != 404 && rig.status != 400)
            fail_msg("%s: %u", line, rig.status);
        assert_true(rig.body.len > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_phases__their_order_and_who_runs_them),
        CASE(test_phases__the_first_one_that_refuses_answers),
        CASE(test_phases__every_document_has_an_answer),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
