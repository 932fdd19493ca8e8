#include "gateway/app/config_file.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Up to a '#' that begins the line or follows a blank. */
static struct str without_comment(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '#' && (i == 0 || is_blank(s.ptr[i - 1])))
            return str_trim(str_sub(s, 0, i));
    return str_trim(s);
}

static enum err take_value(struct str rest, struct str *out)
{
    size_t end;

    if (!str_starts(rest, STR("\""))) {
        *out = without_comment(rest);
        return OK;
    }
    rest = str_sub(rest, 1, rest.len);
    end = str_find(rest, '"');
    *out = str_sub(rest, 0, end);
    if (end == rest.len)
        return err_set(ERR_INVALID, "the quote is not closed");
    if (without_comment(str_sub(rest, end + 1, rest.len)).len > 0)
        return err_set(ERR_INVALID, "something follows the closing quote");
    return OK;
}

static enum err take_line(struct str text, struct str *name, struct str *value)
{
    size_t equals = str_find(text, '=');

    *name = without_comment(text);
    if (name->len == 0)
        return OK;
    if (str_has_control(text))
        return err_set(ERR_INVALID, "a control character");
    if (equals >= name->len + (size_t)(name->ptr - text.ptr))
        return err_set(ERR_INVALID, "\"" STR_FMT "\" is no setting (NAME = VALUE)",
                       (int)(name->len < 80 ? name->len : 80), name->ptr);
    *name = str_trim(str_sub(text, 0, equals));
    return take_value(str_trim(str_sub(text, equals + 1, text.len)), value);
}

enum err config_file_parse(char *text, config_file_line *each, void *arg, unsigned *out_line)
{
    struct str rest = str_of(text), line, name, value;
    enum err err = OK;

    for (*out_line = 1; err == OK && str_split(&rest, '\n', &line); *out_line += err == OK) {
        if (str_ends(line, STR("\r")))
            line.len--;
        err = take_line(line, &name, &value);
        if (err != OK || name.len == 0)
            continue;
        text[(size_t)(value.ptr - text) + value.len] = '\0'; /* a blank, a quote or a line's end */
        err = each(arg, *out_line, name, value.ptr);
    }
    return err;
}

void config_file_quote(struct str value, struct buf *out)
{
    bool bare = str_eq(value, without_comment(value)) && !str_starts(value, STR("\""));

    buf_append_cstr(out, bare ? "" : "\"");
    buf_append_str(out, value);
    buf_append_cstr(out, bare ? "" : "\"");
}
