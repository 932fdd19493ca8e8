#include "gateway/sign/signature.h"

/* Decoded into the arena. */
static enum err decode(struct str raw, enum percent_plus plus, struct arena *arena, struct str *out)
{
    struct buf b;

    buf_init(&b, raw.len + 1);
    enum err e = percent_decode(&b, raw, plus);
    if (e == OK) {
        *out = arena_str(arena, buf_str(&b));
        if (!out->ptr)
            e = err_set(ERR_NOMEM, "no memory for query arguments");
    }
    buf_fini(&b);
    return e;
}

enum err auth_query_args(struct str raw_query, enum percent_plus plus, struct arena *arena,
                         struct sigv4_arg **out, size_t *out_count)
{
    struct str rest = raw_query, piece;
    size_t count = 0;

    *out = NULL;
    *out_count = 0;
    while (str_split(&rest, '&', &piece))
        count += piece.len > 0;
    if (count == 0)
        return OK;
    struct sigv4_arg *args = arena_array(arena, count, sizeof(*args));
    if (!args)
        return err_set(ERR_NOMEM, "no memory for query arguments");
    rest = raw_query;
    for (size_t i = 0; str_split(&rest, '&', &piece);) {
        if (piece.len == 0)
            continue;
        size_t equals = str_find(piece, '=');
        enum err e = decode(str_sub(piece, 0, equals), plus, arena, &args[i].name);
        if (e == OK && equals < piece.len) /* a bare name keeps a NULL value */
            e = decode(str_sub(piece, equals + 1, piece.len), plus, arena, &args[i].value);
        if (e != OK)
            return e;
        i++;
    }
    *out = args;
    *out_count = count;
    return OK;
}
