/*
 * What the unit tests of base/ include: cmocka with the headers that it wants before it, and
 * comparisons of the project's own types.
 */
#ifndef KISEKI_TESTS_UNIT_BASE_UNIT_H
#define KISEKI_TESTS_UNIT_BASE_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#define LENGTH_OF(array) (sizeof(array) / sizeof((array)[0]))

#define assert_ok(expression) assert_int_equal((expression), OK)

#define assert_str(actual, expected)                                                               \
    do {                                                                                           \
        struct str actual_ = (actual), expected_ = (expected);                                     \
        if (!str_eq(actual_, expected_))                                                           \
            fail_msg("\"" STR_FMT "\" is not \"" STR_FMT "\"", STR_ARG(actual_),                   \
                     STR_ARG(expected_));                                                          \
    } while (0)

/* A small generator with a fixed seed: property tests that fail the same way each time. */
static inline uint64_t test_random(void)
{
    static uint64_t state = UINT64_C(0x9E3779B97F4A7C15);

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

#endif
