#include "tests/unit/base/unit.h"

#include "gateway/access/authorize.h"

#define ACCOUNT 7
#define OTHER   8
#define NOBODY  0

static struct authorize_answer ask(enum principal_kind kind, enum resource resource, bool everybody,
                                   uint64_t bucket_owner)
{
    struct authorize_question question = {
        .who = {.kind = kind, .account = kind == PRINCIPAL_ANONYMOUS ? 0 : ACCOUNT},
        .action = "s3:Anything",
        .resource = resource,
        .everybody = everybody,
        .bucket_owner = bucket_owner};
    struct authorize_answer answer = authorize(&question);

    assert_non_null(answer.reason);
    return answer;
}

static void test_authorize__todays_rule(void **state)
{
    /* resource; allowed when the bucket is one's own, another's, nobody's */
    static const struct {
        enum principal_kind who;
        enum resource resource;
        bool own, others, none;
    } cases[] = {
        {PRINCIPAL_ANONYMOUS, RESOURCE_NONE, false, false, false},
        {PRINCIPAL_ANONYMOUS, RESOURCE_NEW_BUCKET, false, false, false},
        {PRINCIPAL_ANONYMOUS, RESOURCE_BUCKET, false, false, false},
        {PRINCIPAL_ANONYMOUS, RESOURCE_OBJECT, false, false, false},
        {PRINCIPAL_ANONYMOUS, RESOURCE_OBJECTS, false, false, false},
        {PRINCIPAL_ACCOUNT, RESOURCE_NONE, true, true, true},
        {PRINCIPAL_ACCOUNT, RESOURCE_NEW_BUCKET, true, true, true},
        {PRINCIPAL_ACCOUNT, RESOURCE_BUCKET, true, false, true},
        {PRINCIPAL_ACCOUNT, RESOURCE_OBJECT, true, false, true},
        {PRINCIPAL_ACCOUNT, RESOURCE_OBJECTS, true, false, true},
        {PRINCIPAL_OPERATOR, RESOURCE_NONE, true, true, true},
        {PRINCIPAL_OPERATOR, RESOURCE_NEW_BUCKET, true, true, true},
        {PRINCIPAL_OPERATOR, RESOURCE_BUCKET, true, true, true},
        {PRINCIPAL_OPERATOR, RESOURCE_OBJECT, true, true, true},
        {PRINCIPAL_OPERATOR, RESOURCE_OBJECTS, true, true, true},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        const uint64_t owners[] = {ACCOUNT, OTHER, NOBODY};
        const bool expected[] = {cases[i].own, cases[i].others, cases[i].none};

        for (size_t n = 0; n < LENGTH_OF(owners); n++) {
            struct authorize_answer answer = ask(cases[i].who, cases[i].resource, false, owners[n]);

            if (answer.allowed != expected[n])
                fail_msg("principal %d, resource %d, owner %llu: %s", (int)cases[i].who,
                         (int)cases[i].resource, (unsigned long long)owners[n], answer.reason);
        }
    }
}

/* What does not rest on the bucket has one answer, whoever owns it. */
static void test_authorize__who_rests_on_the_bucket(void **state)
{
    static const enum principal_kind kinds[] = {PRINCIPAL_ANONYMOUS, PRINCIPAL_ACCOUNT,
                                                PRINCIPAL_OPERATOR};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
        struct principal who = {.kind = kinds[i], .account = ACCOUNT};

        assert_true(authorize_rests_on_bucket(&who) ==
                    (ask(kinds[i], RESOURCE_OBJECT, false, ACCOUNT).allowed !=
                     ask(kinds[i], RESOURCE_OBJECT, false, OTHER).allowed));
    }
}

static void test_authorize__what_is_made_belongs_to_who_makes_it(void **state)
{
    (void)state;
    assert_int_equal(ask(PRINCIPAL_ACCOUNT, RESOURCE_OBJECT, false, NOBODY).owns, ACCOUNT);
    assert_int_equal(ask(PRINCIPAL_OPERATOR, RESOURCE_OBJECT, false, NOBODY).owns, ACCOUNT);
    assert_int_equal(ask(PRINCIPAL_ACCOUNT, RESOURCE_NEW_BUCKET, false, NOBODY).owns, ACCOUNT);
    assert_int_equal(ask(PRINCIPAL_ANONYMOUS, RESOURCE_OBJECT, false, NOBODY).owns, 0);
}

static void test_authorize__what_is_for_everybody_needs_no_signature(void **state)
{
    (void)state;
    assert_true(ask(PRINCIPAL_ANONYMOUS, RESOURCE_NONE, true, NOBODY).allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authorize__todays_rule),
        cmocka_unit_test(test_authorize__who_rests_on_the_bucket),
        cmocka_unit_test(test_authorize__what_is_made_belongs_to_who_makes_it),
        cmocka_unit_test(test_authorize__what_is_for_everybody_needs_no_signature),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
