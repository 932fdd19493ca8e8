/*
 * Fuzzes the parser of request targets (gateway/http/target.c) and checks what must hold of every
 * target that it takes: no NUL in the path, raw and decoded forms belong together, sizes bounded.
 */
#include "base/buf.h"
#include "base/codec.h"
#include "gateway/http/target.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* Decoding the raw form gives the decoded one. */
static void check_decoded(struct str raw, struct str text, enum percent_plus plus)
{
    struct buf b;
    buf_init(&b, raw.len);
    must(percent_decode(&b, raw, plus) == OK);
    must(buf_check(&b) == OK);
    must(str_eq(buf_str(&b), text));
    buf_fini(&b);
}

static void check(const struct http_target *t)
{
    must(t->path.len > 0 && (t->path.ptr[0] == '/' || str_eq(t->path, STR("*"))));
    must(memchr(t->path.ptr, '\0', t->path.len) == NULL);
    must(t->raw_path.len + t->raw_query.len <= t->raw.len + 1);
    must(t->arg_count <= HTTP_ARGS_MAX);
    check_decoded(t->raw_path, t->path, PERCENT_PLUS_LITERAL);
    for (size_t i = 0; i < t->arg_count; i++) {
        const struct http_arg *a = &t->args[i];
        must(a->has_value || a->value.len == 0);
        check_decoded(a->raw_name, a->name, PERCENT_PLUS_SPACE);
        check_decoded(a->raw_value, a->value, PERCENT_PLUS_SPACE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new((size_t)16 * 1024 * 1024);
    char *copy = malloc(size ? size : 1); /* its own block, so that a byte too far is seen */
    if (arena != NULL && copy != NULL) {
        if (size > 0)
            memcpy(copy, data, size);
        struct http_target t;
        if (http_target_parse((struct str){copy, size}, arena, &t) == OK)
            check(&t);
    }
    free(copy);
    arena_free(arena);
    return 0;
}
