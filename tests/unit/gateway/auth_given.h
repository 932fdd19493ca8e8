/* What the tests of signatures share: AWS's example keys, a request verified, a text changed. */
#ifndef KISEKI_TESTS_UNIT_GATEWAY_AUTH_GIVEN_H
#define KISEKI_TESTS_UNIT_GATEWAY_AUTH_GIVEN_H

#include "tests/unit/base/unit.h"

#include "gateway/sign/verify.h"
#include "tests/unit/gateway/auth_text.h"

#define ACCESS "AKIAIOSFODNN7EXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define EMPTY  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* AWS's examples are all signed at this time. */
#define MAY_24_2013 (INT64_C(1369353600) * 1000)

struct given {
    struct arena *arena;
    struct auth_request request;
    struct auth auth;
    struct s3_error error;
};

static const struct str domains[] = {{"s3.amazonaws.com", 16}};

static inline enum s3_code parse(struct given *g, const char *text, int64_t now_ms)
{
    *g = (struct given){.arena = arena_new(4 << 20)};
    assert_non_null(g->arena);
    assert_true(auth_text_parse(g->arena, str_of(text), now_ms, &g->request));
    g->request.domains = domains;
    g->request.domain_count = 1;
    return auth_parse(&g->request, g->arena, &g->auth, &g->error);
}

static inline enum s3_code verify(struct given *g, const char *text, int64_t now_ms)
{
    struct auth_key key = {.secret = STR(SECRET), .account_id = 7, .enabled = true};

    enum s3_code code = parse(g, text, now_ms);
    if (code == S3_OK)
        code = auth_check(&g->request, g->arena, &key, &g->auth, &g->error);
    return code;
}

static inline void check(const char *text, int64_t now_ms, const char *expected)
{
    struct given g;
    const char *got = s3_code_name(verify(&g, text, now_ms));

    if (strcmp(got, expected) != 0)
        fail_msg("%s, not %s (%s) for\n%s", got, expected, g.error.message ? g.error.message : "",
                 text);
    arena_free(g.arena);
}

/* The text with the first `from` replaced, in static memory. */
static inline const char *with(const char *text, const char *from, const char *to)
{
    static char out[4096];
    const char *at = strstr(text, from);

    assert_non_null(at);
    int n = snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_true(n > 0 && (size_t)n < sizeof(out));
    return out;
}

#endif
