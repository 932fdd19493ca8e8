#include "tests/unit/base/unit.h"

#include "gateway/access/authorize.h"

#define ACCOUNT 7

static struct authorize_answer ask(enum principal_kind kind, enum resource resource, bool everybody)
{
    struct authorize_question question = {
        .who = {.kind = kind, .account = kind == PRINCIPAL_ANONYMOUS ? 0 : ACCOUNT},
        .action = "s3:Anything",
        .resource = resource,
        .everybody = everybody};
    struct authorize_answer answer = authorize(&question);

    assert_non_null(answer.reason);
    return answer;
}

static void test_authorize__todays_rule(void **state)
{
    static const struct {
        enum principal_kind who;
        enum resource resource;
        bool allowed;
        uint64_t bucket_owner;
    } cases[] = {
        {PRINCIPAL_ANONYMOUS, RESOURCE_NONE, false, 0},
        {PRINCIPAL_ANONYMOUS, RESOURCE_NEW_BUCKET, false, 0},
        {PRINCIPAL_ANONYMOUS, RESOURCE_BUCKET, false, 0},
        {PRINCIPAL_ANONYMOUS, RESOURCE_OBJECT, false, 0},
        {PRINCIPAL_ANONYMOUS, RESOURCE_OBJECTS, false, 0},
        {PRINCIPAL_ACCOUNT, RESOURCE_NONE, true, 0},
        {PRINCIPAL_ACCOUNT, RESOURCE_NEW_BUCKET, true, 0},
        {PRINCIPAL_ACCOUNT, RESOURCE_BUCKET, true, ACCOUNT},
        {PRINCIPAL_ACCOUNT, RESOURCE_OBJECT, true, ACCOUNT},
        {PRINCIPAL_ACCOUNT, RESOURCE_OBJECTS, true, ACCOUNT},
        {PRINCIPAL_OPERATOR, RESOURCE_NONE, true, 0},
        {PRINCIPAL_OPERATOR, RESOURCE_NEW_BUCKET, true, 0},
        {PRINCIPAL_OPERATOR, RESOURCE_BUCKET, true, 0},
        {PRINCIPAL_OPERATOR, RESOURCE_OBJECT, true, 0},
        {PRINCIPAL_OPERATOR, RESOURCE_OBJECTS, true, 0},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct authorize_answer answer = ask(cases[i].who, cases[i].resource, false);

        if (answer.allowed != cases[i].allowed || answer.bucket_owner != cases[i].bucket_owner)
            fail_msg("principal %d, resource %d: %s, of account %llu: %s", (int)cases[i].who,
                     (int)cases[i].resource, answer.allowed ? "allowed" : "denied",
                     (unsigned long long)answer.bucket_owner, answer.reason);
    }
}

static void test_authorize__what_is_made_belongs_to_who_makes_it(void **state)
{
    (void)state;
    assert_int_equal(ask(PRINCIPAL_ACCOUNT, RESOURCE_OBJECT, false).owns, ACCOUNT);
    assert_int_equal(ask(PRINCIPAL_OPERATOR, RESOURCE_OBJECT, false).owns, ACCOUNT);
    assert_int_equal(ask(PRINCIPAL_ACCOUNT, RESOURCE_NEW_BUCKET, false).owns, ACCOUNT);
    assert_int_equal(ask(PRINCIPAL_ANONYMOUS, RESOURCE_OBJECT, false).owns, 0);
}

static void test_authorize__what_is_for_everybody_needs_no_signature(void **state)
{
    (void)state;
    assert_true(ask(PRINCIPAL_ANONYMOUS, RESOURCE_NONE, true).allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authorize__todays_rule),
        cmocka_unit_test(test_authorize__what_is_made_belongs_to_who_makes_it),
        cmocka_unit_test(test_authorize__what_is_for_everybody_needs_no_signature),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
