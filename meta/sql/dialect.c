#include "meta/sql/dialect.h"

#include "meta/sql/key_columns.h"

/* `%` stands for the token's argument. */
struct token {
    const char *name;
    const char *text[2]; /* by enum sql_dialect */
};

static const struct token tokens[] = {
    {"PG:", {"%", ""}},
    {"LITE:", {"", "%"}},
    {"KEY_SHARE", {"FOR KEY SHARE OF %", ""}},
    {"FOR_UPDATE", {"FOR UPDATE OF %", ""}},
    {"KEY_COLUMNS", {COLUMN_NAMES(KEY_COLUMNS), COLUMN_NAMES(KEY_COLUMNS)}},
    {"OLD_KEY_COLUMNS", {COLUMN_OLDS(KEY_COLUMNS), COLUMN_OLDS(KEY_COLUMNS)}},
    {"DEFINE_KEY_COLUMNS", {COLUMN_DEFINITIONS(KEY_COLUMNS), COLUMN_DEFINITIONS(KEY_COLUMNS)}},
    {"NOW_MS",
     {"(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
      "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"}},
    {"INTS",
     {"(SELECT value::bigint AS value, ordinal FROM jsonb_array_elements_text((%)::jsonb)"
      " WITH ORDINALITY AS element (value, ordinal))",
      "(SELECT value, key + 1 AS ordinal FROM json_each(%))"}},
    {"IN_INTS", /* by an index, however many rows there are */
     {"= ANY (ARRAY(SELECT value::bigint FROM jsonb_array_elements_text((%)::jsonb) AS e (value)))",
      "IN (SELECT value FROM json_each(%))"}},
    {"TEXTS",
     {"(SELECT value, ordinal FROM jsonb_array_elements_text((%)::jsonb)"
      " WITH ORDINALITY AS element (value, ordinal))",
      "(SELECT value, key + 1 AS ordinal FROM json_each(%))"}},
    {"BLOBS",
     {"(SELECT decode(value, 'hex') AS value, ordinal FROM jsonb_array_elements_text((%)::jsonb)"
      " WITH ORDINALITY AS element (value, ordinal))",
      "(SELECT kiseki_unhex(value) AS value, key + 1 AS ordinal FROM json_each(%))"}},
};

static size_t until(struct str s, size_t from, const char *end)
{
    struct str stop = str_of(end);
    for (size_t i = from; i < s.len; i++)
        if (str_starts(str_sub(s, i, stop.len), stop))
            return i + stop.len;
    return s.len;
}

/* Bytes of a quoted string or comment that starts at `at`; 0 when there is none. */
static size_t opaque_at(struct str s, size_t at)
{
    struct str rest = str_sub(s, at, s.len);
    if (str_starts(rest, STR("--")))
        return until(s, at, "\n") - at;
    if (str_starts(rest, STR("/*")))
        return until(s, at + 2, "*/") - at;
    if (str_starts(rest, STR("'"))) /* a doubled quote looks like two strings side by side */
        return until(s, at + 1, "'") - at;
    if (str_starts(rest, STR("\"")))
        return until(s, at + 1, "\"") - at;
    return 0;
}

/* Position of the brace that closes the one before `from`; s.len when there is none. */
static size_t closing(struct str s, size_t from)
{
    size_t depth = 1;
    size_t at = from;
    while (at < s.len) {
        size_t opaque = opaque_at(s, at);
        if (opaque > 0) {
            at += opaque;
            continue;
        }
        if (s.ptr[at] == '{')
            depth++;
        if (s.ptr[at] == '}' && --depth == 0)
            return at;
        at++;
    }
    return s.len;
}

static bool is_of_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static const struct token *find(struct str inner, struct str *out_arg)
{
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        struct str name = str_of(tokens[i].name);
        if (!str_starts(inner, name))
            continue;
        struct str arg = str_sub(inner, name.len, inner.len);
        bool ends = arg.len == 0 || str_ends(name, STR(":")) || arg.ptr[0] == ' ';
        if (!ends)
            continue;
        *out_arg = str_ends(name, STR(":")) ? arg : str_trim(arg);
        return &tokens[i];
    }
    return NULL;
}

/* Appends the placeholder of the parameter whose name begins at `at`; *out_len: its bytes. */
static enum err expand_name(enum sql_dialect dialect, struct str text, size_t at,
                            const char *const *names, struct buf *out, size_t *out_len)
{
    size_t end = at;
    while (end < text.len && is_of_name(text.ptr[end]))
        end++;
    struct str name = str_sub(text, at, end - at);
    *out_len = name.len;
    for (size_t i = 0; names[i] != NULL; i++) {
        if (!str_eq(name, str_of(names[i])))
            continue;
        buf_printf(out, "%c%zu", dialect == SQL_SQLITE ? '?' : '$', i + 1);
        return OK;
    }
    return err_set(ERR_BUG, "SQL: no parameter is called :" STR_FMT, STR_ARG(name));
}

static enum err expand_token(enum sql_dialect dialect, struct str inner, const char *const *names,
                             struct buf *out)
{
    struct str arg = STR_NONE;
    const struct token *t = find(inner, &arg);
    if (t == NULL)
        return err_set(ERR_BUG, "SQL: unknown token {" STR_FMT "}", STR_ARG(str_sub(inner, 0, 40)));
    struct str text = str_of(t->text[dialect]);
    if (arg.len == 0 && str_ends(text, STR(" OF %"))) /* of all tables of the statement */
        text = str_sub(text, 0, text.len - 5);
    size_t hole = str_find(text, '%');
    buf_append_str(out, str_sub(text, 0, hole));
    if (hole == text.len)
        return OK;
    enum err err = sql_expand(dialect, arg, names, out);
    buf_append_str(out, str_sub(text, hole + 1, text.len));
    return err;
}

/* What begins with `:` or `$` at `at`, where parameters have names; *out_len: what was read. */
static enum err expand_named(enum sql_dialect dialect, struct str text, size_t at,
                             const char *const *names, struct buf *out, size_t *out_len)
{
    struct str two = str_sub(text, at, 2);
    bool number = two.len == 2 && two.ptr[1] >= '0' && two.ptr[1] <= '9';
    *out_len = 1;
    if (two.ptr[0] == '$' && number)
        return err_set(ERR_BUG, "SQL: a parameter by its number, where they have names");
    if (two.ptr[0] == '$') {
        buf_append_char(out, '$');
    } else if (str_eq(two, STR("::"))) { /* a cast */
        buf_append_str(out, two);
        *out_len = 2;
    } else {
        size_t len = 0;
        enum err err = expand_name(dialect, text, at + 1, names, out, &len);
        *out_len = 1 + len;
        return err;
    }
    return OK;
}

/* What begins with `$` where parameters have numbers: SQLite writes ?1. */
static char number_sign(enum sql_dialect dialect, struct str text, size_t at)
{
    bool number = at + 1 < text.len && text.ptr[at + 1] >= '0' && text.ptr[at + 1] <= '9';
    return dialect == SQL_SQLITE && number ? '?' : '$';
}

enum err sql_expand(enum sql_dialect dialect, struct str text, const char *const *names,
                    struct buf *out)
{
    enum err err = OK;
    for (size_t at = 0, len; err == OK && at < text.len; at += len) {
        char c = text.ptr[at];
        len = opaque_at(text, at);
        if (len > 0) {
            buf_append_str(out, str_sub(text, at, len));
        } else if (c == '{') {
            size_t end = closing(text, at + 1);
            if (end == text.len)
                return err_set(ERR_BUG, "SQL: a { is never closed");
            err = expand_token(dialect, str_sub(text, at + 1, end - at - 1), names, out);
            len = end + 1 - at;
        } else if (c == '}') {
            return err_set(ERR_BUG, "SQL: a } was never opened");
        } else if (names != NULL && (c == ':' || c == '$')) {
            err = expand_named(dialect, text, at, names, out, &len);
        } else {
            buf_append_char(out, c == '$' ? number_sign(dialect, text, at) : c);
            len = 1;
        }
    }
    return err != OK ? err : buf_check(out);
}
