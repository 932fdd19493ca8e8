/*
 * Test cases of one gateway (s3_rig.h): it is started before the first and stopped behind the last
 * one; each finds the bucket `bucket` with the object `k`, which holds "0123456789".
 */
#ifndef KISEKI_TESTS_UNIT_GATEWAY_RIG_CASES_H
#define KISEKI_TESTS_UNIT_GATEWAY_RIG_CASES_H

#include "tests/unit/gateway/s3_rig.h"

#define NO_BODY STR_NONE

static struct rig rig;

static int begin(void **state)
{
    (void)state;
    rig_start(&rig);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

/* Requests from here on are the account `other`'s, or root's. */
static inline void as_other(void)
{
    rig.access = "OTHER";
    rig.secret = "other-secret";
}

static inline void as_root(void)
{
    rig.access = RIG_ACCESS;
    rig.secret = RIG_SECRET;
}

/* Each test has its own bucket. */
static int make_bucket(void **state)
{
    (void)state;
    as_root();
    rig_expect(&rig, "PUT /bucket", "", STR(""), 200);
    rig_expect(&rig, "PUT /bucket/k", "x-amz-meta-a: 1\n", STR("0123456789"), 200);
    return 0;
}

#define CASE(test) cmocka_unit_test_setup(test, make_bucket)

#endif
