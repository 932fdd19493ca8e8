#include "gateway/app/config.h"

#include "gateway/app/options.h"
#include "gateway/app/private_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MAX ((size_t)4096)

static void *place(struct config *c, const struct option_row *o)
{
    return (char *)c + o->offset;
}

static bool is_text(const struct option_row *o)
{
    return o->type == OPTION_TEXT || o->type == OPTION_URL || o->type == OPTION_SECRET;
}

static enum err set_option(struct config *c, const struct option_row *o, const char *text)
{
    char label[OPTION_LABEL_MAX], **out = place(c, o);
    enum err err = OK;

    if (!is_text(o))
        return option_number(o, str_of(text), place(c, o));
    if (text[0] == '\0')
        return err_set(ERR_INVALID, "%s needs a value that is not empty", option_label(o, label));
    if (o->check != NULL)
        err = o->check(option_label(o, label), str_of(text));
    if (err != OK)
        return err;
    free(*out);
    *out = strdup(text);
    return *out != NULL ? OK : err_set(ERR_NOMEM, "out of memory");
}

static enum err set_from_file(struct config *c, const struct option_row *o, const char *path)
{
    char text[SECRET_MAX + 1];
    enum err err = private_file_read(path, text, sizeof(text));

    if (err != OK)
        return err;
    err = text[0] != '\0' ? set_option(c, o, text) : err_set(ERR_INVALID, "%s is empty", path);
    explicit_bzero(text, sizeof(text));
    return err;
}

/* An empty variable is one that is not set: compose files pass on what is not there. */
static enum err load_environment(struct config *c, const struct option_row *o)
{
    char name[OPTION_LABEL_MAX], file_name[OPTION_LABEL_MAX + 8];
    const char *value, *path = NULL;

    if (o->type == OPTION_FLAG)
        return OK;
    option_variable(o, name);
    value = getenv(name);
    if (option_from_file(o)) {
        snprintf(file_name, sizeof(file_name), "%s_FILE", name);
        path = getenv(file_name);
    }
    if (value != NULL && value[0] == '\0')
        value = NULL;
    if (path != NULL && path[0] == '\0')
        path = NULL;
    if (value != NULL && path != NULL)
        return err_set(ERR_INVALID, "set %s or %s, not both", name, file_name);
    if (value != NULL)
        return set_option(c, o, value);
    if (path != NULL)
        return set_from_file(c, o, path);
    return o->fallback != NULL ? set_option(c, o, o->fallback) : OK;
}

/* --- the command line ------------------------------------------------------------------------- */

struct line {
    struct config *c;
    int argc;
    char **argv;
    int at; /* the next word */
    unsigned command;
};

static enum err take_argument(struct line *l, const char *text)
{
    struct config *c = l->c;

    char **place_of = c->file != NULL && l->command == COMMAND_KEY ? &c->name : &c->file;

    if (*place_of != NULL)
        return err_set(ERR_INVALID, "one argument too many: \"%s\" after \"%s\"", text, *place_of);
    *place_of = strdup(text);
    return *place_of != NULL ? OK : err_set(ERR_NOMEM, "out of memory");
}

static enum err take_option(struct line *l, const struct option_row *o, const char *value)
{
    char variable[OPTION_LABEL_MAX];

    if (o->type == OPTION_SECRET) {
        option_variable(o, variable);
        return err_set(ERR_INVALID, "--%s would show in the list of processes: set %s or %s_FILE",
                       o->name, variable, variable);
    }
    if (o->type == OPTION_FLAG && value != NULL)
        return err_set(ERR_INVALID, "--%s takes no value", o->name);
    if (o->type == OPTION_FLAG) {
        *(bool *)place(l->c, o) = true;
        return OK;
    }
    if (value == NULL) {
        if (l->at >= l->argc)
            return err_set(ERR_INVALID, "--%s needs a value", o->name);
        value = l->argv[l->at++];
    }
    return set_option(l->c, o, value);
}

/* `--name=value`, `--name value`, `--flag`, or an argument that is no option. */
static enum err take_word(struct line *l)
{
    const char *text = l->argv[l->at++], *value = NULL;
    const struct option_row *o;
    struct str name = STR("help");

    if (text[0] != '-' || text[1] == '\0')
        return take_argument(l, text);
    if (strncmp(text, "--", 2) == 0) {
        size_t end;

        name = str_of(text + 2);
        end = str_find(name, '=');
        value = end < name.len ? name.ptr + end + 1 : NULL;
        name.len = end;
    } else if (strcmp(text, "-h") != 0) {
        name = str_of(text);
    }
    o = option_find(name);
    if (o == NULL || (o->commands & l->command) == 0)
        return option_refuse(text, name, l->command);
    return take_option(l, o, value);
}

static enum err check_together(const struct config *c)
{
    if ((c->tls_cert == NULL) != (c->tls_key == NULL))
        return err_set(ERR_INVALID, "set both --tls-cert and --tls-key, or neither");
    if (c->wait && !c->apply)
        return err_set(ERR_INVALID, "--wait is of use with --apply only");
    return OK;
}

enum err config_load(int argc, char **argv, int first, unsigned command, struct config *out)
{
    struct line line = {out, argc, argv, first, command};
    enum err err = OK;

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; err == OK && i < option_count; i++)
        if ((option_rows[i].commands & command) != 0)
            err = load_environment(out, &option_rows[i]);
    while (err == OK && line.at < argc && !out->help)
        err = take_word(&line);
    return err == OK && !out->help ? check_together(out) : err;
}

void config_free(struct config *c)
{
    free(c->file);
    free(c->name);
    c->file = c->name = NULL;
    for (size_t i = 0; i < option_count; i++) {
        char **text = place(c, &option_rows[i]);

        if (!is_text(&option_rows[i]))
            continue;
        if (*text != NULL && option_from_file(&option_rows[i]))
            explicit_bzero(*text, strlen(*text));
        free(*text);
        *text = NULL;
    }
}
