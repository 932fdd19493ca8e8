#include "gateway/app/setting.h"

#include <string.h>

void *setting_place(struct config *c, const struct option_row *o)
{
    return (char *)c + o->offset;
}

static const void *place(const struct config *c, const struct option_row *o)
{
    return (const char *)c + o->offset;
}

const char *setting_text(const struct config *c, const struct option_row *o)
{
    return *(char *const *)place(c, o);
}

static const struct config_origin *origin_of(const struct config *c, const struct option_row *o)
{
    return &c->origins[o - option_rows];
}

bool setting_is_text(const struct option_row *o)
{
    return o->type == OPTION_TEXT || o->type == OPTION_URL || o->type == OPTION_SECRET;
}

bool setting_is_set(const struct config *c, const struct option_row *o)
{
    return origin_of(c, o)->source != CONFIG_UNSET;
}

/*
 * What follows the password, at the last @. NULL: nobody knows where that ends, as in a URL with
 * a parameter `password`, or one that is malformed.
 */
static const char *behind_password(const char *url)
{
    const char *at = strrchr(url, '@'), *question = strchr(url, '?');
    bool certain = at != NULL && strstr(url, "://") != NULL && strstr(url, "pass") == NULL &&
                   (question == NULL || question > at);

    return certain ? at : NULL;
}

bool setting_is_secret(const struct option_row *o, const char *value)
{
    return o->type == OPTION_SECRET ||
           (o->type == OPTION_URL && (strchr(value, '@') != NULL || strstr(value, "pass") != NULL));
}

static void print_text(const struct option_row *o, const char *value, struct buf *out)
{
    const char *behind = o->type == OPTION_URL ? behind_password(value) : NULL;

    if (!setting_is_secret(o, value)) {
        buf_append_cstr(out, value);
    } else if (behind != NULL) {
        buf_append_str(out, (struct str){value, (size_t)(strstr(value, "://") + 3 - value)});
        buf_append_cstr(out, SETTING_MASK);
        buf_append_cstr(out, behind);
    } else {
        buf_append_cstr(out, SETTING_MASK);
    }
}

void setting_print(const struct config *c, const struct option_row *o, struct buf *out)
{
    char number[OPTION_NUMBER_MAX];

    if (!setting_is_set(c, o))
        return;
    if (setting_is_text(o)) {
        print_text(o, setting_text(c, o), out);
    } else if (o->type == OPTION_FLAG) {
        buf_append_cstr(out, *(const bool *)place(c, o) ? "yes" : "no");
    } else {
        option_print_number(o, *(const uint64_t *)place(c, o), number);
        buf_append_cstr(out, number);
    }
}

bool setting_equal(const struct config *a, const struct config *b, const struct option_row *o)
{
    if (!setting_is_text(o))
        return o->type == OPTION_FLAG
                   ? *(const bool *)place(a, o) == *(const bool *)place(b, o)
                   : *(const uint64_t *)place(a, o) == *(const uint64_t *)place(b, o);
    if (setting_text(a, o) == NULL || setting_text(b, o) == NULL)
        return setting_text(a, o) == setting_text(b, o);
    return strcmp(setting_text(a, o), setting_text(b, o)) == 0;
}

const char *setting_source(const struct config *c, const struct option_row *o)
{
    static const char *const names[CONFIG_SOURCES] = {
        [CONFIG_UNSET] = "unset",       [CONFIG_DEFAULT] = "default", [CONFIG_FILE] = "file",
        [CONFIG_VARIABLE] = "variable", [CONFIG_FLAG] = "flag",
    };

    return names[origin_of(c, o)->source];
}

void setting_print_origin(const struct config *c, const struct option_row *o, struct buf *out)
{
    const struct config_origin *origin = origin_of(c, o);
    char variable[OPTION_LABEL_MAX];

    buf_append_cstr(out, setting_source(c, o));
    if (origin->source == CONFIG_VARIABLE) {
        option_variable(o, variable);
        buf_printf(out, " %s%s", variable, origin->is_in_file ? "_FILE" : "");
    } else if (origin->source == CONFIG_FILE) {
        buf_printf(out, " %s:%u", c->config, origin->line);
    }
}
