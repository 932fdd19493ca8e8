/*
 * Safety switched off on purpose, so that tests can show that they would notice. Only in a build of
 * its own (make hooks: build/hooks/kiseki), where KISEKI_TEST_BREAK names what is broken; in every
 * other build hook_broken() is the constant false.
 *
 *     session-proof   writes prove no session, and no lease is over
 *     epochs          what running downloads read is freed under them
 *     jobs            background jobs do nothing (not unsafe: to measure what they cost)
 *     job-token       a process that lost a background job goes on with it
 *     access-proof    a key that was revoked counts as long as a gateway remembers it
 *     if-none-match   PUT overwrites in spite of If-None-Match: *
 */
#ifndef KISEKI_BASE_HOOKS_H
#define KISEKI_BASE_HOOKS_H

#include <stdbool.h>

#ifdef KISEKI_TEST_HOOKS
bool hook_broken(const char *what);
#else
static inline bool hook_broken(const char *what)
{
    (void)what;
    return false;
}
#endif

#endif
