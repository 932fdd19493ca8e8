/*
 * A request as text, as it would be on the wire, turned into struct auth_request: for tests and
 * the fuzzer of signatures.
 *     GET /bucket/key?x=1
 *     Host: example
 */
#ifndef KISEKI_TESTS_UNIT_GATEWAY_AUTH_TEXT_H
#define KISEKI_TESTS_UNIT_GATEWAY_AUTH_TEXT_H

#include "base/codec.h"
#include "gateway/sign/signature.h"

#define AUTH_TEXT_HEADERS 64

static inline bool auth_text_path(struct arena *arena, struct str raw, struct str *out)
{
    struct buf b;

    buf_init(&b, raw.len + 1);
    bool ok = percent_decode(&b, raw, PERCENT_PLUS_LITERAL) == OK;
    if (ok)
        *out = arena_str(arena, buf_str(&b));
    buf_fini(&b);
    return ok && out->ptr != NULL;
}

/* False when the text is no request. Headers are split at ':' and trimmed. */
static inline bool auth_text_parse(struct arena *arena, struct str text, int64_t now_ms,
                                   struct auth_request *out)
{
    struct str line, rest = text;
    struct sigv4_header *headers = arena_array(arena, AUTH_TEXT_HEADERS, sizeof(*headers));
    struct sigv4_arg *args;
    size_t count = 0;

    *out = (struct auth_request){.now_ms = now_ms, .headers = headers};
    if (headers == NULL || !str_split(&rest, '\n', &line))
        return false;
    size_t space = str_find(line, ' ');
    out->method = str_sub(line, 0, space);
    struct str target = str_sub(line, space + 1, line.len);
    size_t mark = str_find(target, '?');
    out->raw_path = str_sub(target, 0, mark);
    out->raw_query = str_sub(target, mark + 1, target.len);
    if (!auth_text_path(arena, out->raw_path, &out->path) ||
        auth_query_args(out->raw_query, PERCENT_PLUS_SPACE, arena, &args, &out->arg_count) != OK)
        return false;
    out->args = args;
    while (count < AUTH_TEXT_HEADERS && str_split(&rest, '\n', &line)) {
        size_t colon = str_find(line, ':');
        if (line.len == 0)
            continue;
        headers[count].name = str_sub(line, 0, colon);
        headers[count++].value = str_trim(str_sub(line, colon + 1, line.len));
    }
    out->header_count = count;
    return true;
}

#endif
