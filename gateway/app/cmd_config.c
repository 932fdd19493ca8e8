/*
 * `kiseki config`: what is in force and where it came from. As text it is a configuration file in
 * which secrets and what is not set are comments, so that it may be the start of one.
 */
#include "gateway/app/commands.h"
#include "gateway/app/config_file.h"
#include "gateway/app/setting.h"
#include "gateway/app/tool.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_MAX_BYTES ((size_t)64 << 10)
#define COLUMN         44 /* where the origin begins */

static bool is_shown(const struct option_row *o)
{
    return (o->commands & COMMAND_CONFIG) != 0 && o->type != OPTION_FLAG && o->help != NULL;
}

/* Flags that others hide, a secret and the file's own name would be wrong in a file. */
static bool is_comment(const struct config *c, const struct option_row *o, const char *value)
{
    return !setting_is_set(c, o) || setting_is_secret(o, value) || value == c->config;
}

static void print_line(const struct config *c, const struct option_row *o, struct buf *value,
                       struct buf *line)
{
    const char *text = setting_is_text(o) ? setting_text(c, o) : "";

    buf_printf(line, "%s%s = ", is_comment(c, o, text) ? "# " : "", o->name);
    if (setting_is_set(c, o))
        config_file_quote(buf_str(value), line);
    do
        buf_append_char(line, ' ');
    while (line->len < COLUMN);
    buf_append_cstr(line, "# ");
    setting_print_origin(c, o, line);
    buf_append_char(line, '\n');
    if (buf_check(line) == OK)
        fwrite(line->data, 1, line->len, stdout);
}

static json_t *setting_json(const struct config *c, const struct option_row *o, struct buf *value,
                            struct buf *origin)
{
    char variable[OPTION_LABEL_MAX];
    json_t *text = setting_is_set(c, o) ? json_stringn(value->data, value->len) : json_null();

    option_variable(o, variable);
    setting_print_origin(c, o, origin);
    return json_pack("{s:s, s:s, s:o, s:s, s:s%, s:s?, s:b}", "name", o->name, "variable", variable,
                     "value", text, "source", setting_source(c, o), "origin", origin->data,
                     origin->len, "default", o->fallback, "reload", o->change == OPTION_RELOAD);
}

int command_config(const struct config *c)
{
    json_t *list = c->json ? json_array() : NULL;
    char *text;

    for (size_t i = 0; i < option_count; i++) {
        struct buf value, line;

        if (!is_shown(&option_rows[i]))
            continue;
        buf_init(&value, LINE_MAX_BYTES);
        buf_init(&line, LINE_MAX_BYTES);
        setting_print(c, &option_rows[i], &value);
        if (list != NULL)
            json_array_append_new(list, setting_json(c, &option_rows[i], &value, &line));
        else
            print_line(c, &option_rows[i], &value, &line);
        buf_fini(&value);
        buf_fini(&line);
    }
    if (list == NULL)
        return 0;
    text = json_dumps(list, JSON_INDENT(2));
    puts(text != NULL ? text : "[]");
    free(text);
    json_decref(list);
    return 0;
}
