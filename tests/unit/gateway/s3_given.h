/*
 * A request as the S3 layer sees it, made from a text and no server:
 *
 *     "PUT /b/k?partNumber=1\n"
 *     "x-amz-meta-a: 1\n"
 *
 * Domain of virtual hosts: s3.test. Headers are split at the first colon and trimmed.
 */
#ifndef KISEKI_TESTS_UNIT_GATEWAY_S3_GIVEN_H
#define KISEKI_TESTS_UNIT_GATEWAY_S3_GIVEN_H

#include "tests/unit/base/unit.h"

#include "gateway/s3/core/request.h"

#define GIVEN_HEADERS_MAX 64

struct s3_given {
    struct arena *arena;
    struct http_request http;
    struct http_header headers[GIVEN_HEADERS_MAX];
    struct s3 s3;
    struct str domain;
    struct s3_request r;
    enum s3_code code; /* of opening and routing */
};

/* Fills *g; r.op is the row, or NULL with g->code. */
static inline void given(struct s3_given *g, const char *text)
{
    struct str rest = str_of(text), line, method;

    memset(g, 0, sizeof(*g));
    g->arena = arena_new(16 << 20);
    g->domain = STR("s3.test");
    g->s3 = (struct s3){.region = STR("us-east-1"), .domains = &g->domain, .domain_count = 1};
    assert_non_null(g->arena);
    assert_true(str_split(&rest, '\n', &line) && str_split(&line, ' ', &method));
    g->http = (struct http_request){.arena = g->arena,
                                    .id = "0123456789ABCDEF",
                                    .method = method,
                                    .headers = g->headers,
                                    .content_length = -1,
                                    .host = STR("localhost")};
    if (http_target_parse(line, g->arena, &g->http.target) != OK)
        fail_msg("%s: %s", text, err_text(ERR_INVALID));
    while (str_split(&rest, '\n', &line)) {
        size_t colon = str_find(line, ':');
        struct http_header *h = &g->headers[g->http.header_count++];

        assert_true(colon < line.len && g->http.header_count <= GIVEN_HEADERS_MAX);
        h->name = str_sub(line, 0, colon);
        h->value = str_trim(str_sub(line, colon + 1, line.len));
        if (str_eq_nocase(h->name, STR("host")))
            g->http.host = h->value;
    }
    g->r = (struct s3_request){.http = &g->http, .s3 = &g->s3, .arena = g->arena};
    g->code = s3_request_open(&g->r);
    if (g->code == S3_OK)
        g->r.op = s3_route(&g->r, &g->code);
}

static inline void given_free(struct s3_given *g)
{
    http_reply_reset(&g->http);
    arena_free(g->arena);
}

#endif
