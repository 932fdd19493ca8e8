#include "gateway/http/target.h"

#include "base/codec.h"

#include <string.h>

/* Blanks and control bytes end or split a request line somewhere on the way; '#' ends a URI. */
static enum err check_bytes(struct str raw)
{
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.ptr[i];
        if (c <= 0x20 || c == 0x7f || c == '#')
            return err_set(ERR_INVALID, "byte 0x%02x in the request target", c);
    }
    return OK;
}

/* Decodes into the arena; text without escapes is borrowed from `s` as it is. */
static enum err decode(struct str s, enum percent_plus plus, struct arena *arena, struct str *out)
{
    bool plain = memchr(s.ptr != NULL ? s.ptr : "", '%', s.len) == NULL;
    if (plain && plus == PERCENT_PLUS_SPACE)
        plain = memchr(s.ptr != NULL ? s.ptr : "", '+', s.len) == NULL;
    if (plain) {
        *out = s;
        return OK;
    }
    struct buf text;
    buf_init(&text, s.len);
    enum err err = percent_decode(&text, s, plus);
    if (err == OK)
        err = buf_check(&text);
    if (err == OK) {
        *out = arena_str(arena, buf_str(&text));
        if (out->ptr == NULL)
            err = err_set(ERR_NOMEM, "no memory for a request target");
    }
    buf_fini(&text);
    return err;
}

/* "http://host:port/path" -> authority and the rest; the rest may be empty or begin with '?'. */
static enum err cut_authority(struct str raw, struct http_target *out, struct str *out_rest)
{
    size_t scheme = 0;
    if (str_starts_nocase(raw, STR("http://")))
        scheme = 7;
    else if (str_starts_nocase(raw, STR("https://")))
        scheme = 8;
    else
        return err_set(ERR_INVALID, "the request target is no path");
    struct str rest = str_sub(raw, scheme, raw.len);
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
        end++;
    out->authority = str_sub(rest, 0, end);
    if (end == 0 || str_find(out->authority, '@') < out->authority.len)
        return err_set(ERR_INVALID, "the request target has a bad authority");
    *out_rest = str_sub(rest, end, rest.len);
    return OK;
}

static enum err parse_arg(struct str piece, struct arena *arena, struct http_arg *out)
{
    size_t equals = str_find(piece, '=');
    out->has_value = equals < piece.len;
    out->raw_name = str_sub(piece, 0, equals);
    out->raw_value = out->has_value ? str_sub(piece, equals + 1, piece.len) : STR_NONE;
    enum err err = decode(out->raw_name, PERCENT_PLUS_SPACE, arena, &out->name);
    if (err == OK)
        err = decode(out->raw_value, PERCENT_PLUS_SPACE, arena, &out->value);
    return err == ERR_INVALID ? err_set(err, "broken escape in the query") : err;
}

static enum err parse_query(struct arena *arena, struct http_target *out)
{
    size_t pieces = 0;
    struct str rest = out->raw_query, piece;
    while (str_split(&rest, '&', &piece))
        pieces += piece.len > 0;
    if (pieces > HTTP_ARGS_MAX) {
        return err_set(ERR_INVALID, "%zu query arguments, at most %d are taken", pieces,
                       HTTP_ARGS_MAX);
    }
    if (pieces == 0)
        return OK;
    struct http_arg *args = arena_array(arena, pieces, sizeof(*args));
    if (args == NULL)
        return err_set(ERR_NOMEM, "no memory for query arguments");
    out->args = args;
    rest = out->raw_query;
    while (str_split(&rest, '&', &piece)) {
        if (piece.len == 0)
            continue;
        enum err err = parse_arg(piece, arena, &args[out->arg_count]);
        if (err != OK)
            return err;
        out->arg_count++;
    }
    return OK;
}

static enum err parse_path(struct arena *arena, struct http_target *out)
{
    enum err err = decode(out->raw_path, PERCENT_PLUS_LITERAL, arena, &out->path);
    if (err == ERR_INVALID)
        return err_set(err, "broken escape in the path");
    if (err == OK && memchr(out->path.ptr, '\0', out->path.len) != NULL)
        return err_set(ERR_INVALID, "a NUL byte in the path");
    return err;
}

enum err http_target_parse(struct str raw, struct arena *arena, struct http_target *out)
{
    memset(out, 0, sizeof(*out));
    out->raw = raw;
    enum err err = check_bytes(raw);
    if (err != OK)
        return err;
    if (str_eq(raw, STR("*"))) {
        out->raw_path = out->path = raw;
        return OK;
    }
    struct str rest = raw;
    if (raw.len == 0 || raw.ptr[0] != '/') {
        err = cut_authority(raw, out, &rest);
        if (err != OK)
            return err;
    }
    size_t question = str_find(rest, '?');
    out->has_query = question < rest.len;
    out->raw_path = str_sub(rest, 0, question);
    if (out->raw_path.len == 0)
        out->raw_path = STR("/"); /* the absolute form may leave it out */
    if (out->has_query)
        out->raw_query = str_sub(rest, question + 1, rest.len);
    err = parse_path(arena, out);
    return err == OK ? parse_query(arena, out) : err;
}

const struct http_arg *http_target_arg(const struct http_target *t, const char *name)
{
    struct str wanted = str_of(name);
    for (size_t i = 0; i < t->arg_count; i++)
        if (str_eq(t->args[i].name, wanted))
            return &t->args[i];
    return NULL;
}
