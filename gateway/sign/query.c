/*
 * The arguments of a query, decoded. A plus is a space or a plus, by the reading that a signature
 * needs (verify.h).
 */
#include "gateway/sign/signature.h"

/* Decoded into the arena. */
static enum err decode(struct str raw, enum percent_plus plus, struct arena *arena, struct str *out)
{
    struct buf b;

    buf_init(&b, raw.len + 1);
    enum err err = percent_decode(&b, raw, plus);
    if (err == OK) {
        *out = arena_str(arena, buf_str(&b));
        if (out->ptr == NULL)
            err = err_set(ERR_NOMEM, "no memory for query arguments");
    }
    buf_fini(&b);
    return err;
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
    if (args == NULL)
        return err_set(ERR_NOMEM, "no memory for query arguments");
    rest = raw_query;
    for (size_t i = 0; str_split(&rest, '&', &piece);) {
        if (piece.len == 0)
            continue;
        size_t equals = str_find(piece, '=');
        enum err err = decode(str_sub(piece, 0, equals), plus, arena, &args[i].name);
        if (err == OK && equals < piece.len) /* a bare name keeps a NULL value */
            err = decode(str_sub(piece, equals + 1, piece.len), plus, arena, &args[i].value);
        if (err != OK)
            return err;
        i++;
    }
    *out = args;
    *out_count = count;
    return OK;
}
