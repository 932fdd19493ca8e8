#include "gateway/app/config.h"

#include "gateway/app/config_file.h"
#include "gateway/app/private_file.h"
#include "gateway/app/setting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SECRET_MAX ((size_t)4096)
#define FILE_MAX   ((size_t)64 << 10)              /* a configuration file */
#define AT_CONFIG  offsetof(struct config, config) /* no file names another */

/* A value on its way into the settings. */
struct given {
    const struct option_row *row;
    struct config_origin origin;
    const char *label; /* what messages call it */
    bool is_own;       /* false: of another command, and only checked */
};

static enum err keep_text(struct config *c, const struct option_row *o, const char *text)
{
    char **out = setting_place(c, o);

    free(*out);
    *out = strdup(text);
    return *out != NULL ? OK : err_set(ERR_NOMEM, "out of memory");
}

static bool is_wanted(const struct config *c, const struct given *g)
{
    return g->is_own && g->origin.source >= c->origins[g->row - option_rows].source;
}

/* Checks it in any case: what a stronger place hides is wrong all the same. */
static enum err set_option(struct config *c, const struct given *g, const char *text)
{
    const struct option_row *o = g->row;
    uint64_t number = 0;
    enum err err = OK;

    if (!setting_is_text(o))
        err = option_number(o, g->label, str_of(text), &number);
    else if (text[0] == '\0')
        err = err_set(ERR_INVALID, "%s needs a value that is not empty", g->label);
    else if (o->check != NULL)
        err = o->check(g->label, str_of(text));
    if (err != OK || !is_wanted(c, g))
        return err;
    c->origins[o - option_rows] = g->origin;
    if (setting_is_text(o))
        return keep_text(c, o, text);
    *(uint64_t *)setting_place(c, o) = number;
    return OK;
}

/* The value is what the file holds, if it is wanted at all. */
static enum err set_from_file(struct config *c, struct given *g, const char *path)
{
    char text[SECRET_MAX + 1];
    enum err err;

    g->origin.is_in_file = true;
    if (!is_wanted(c, g))
        return OK;
    err = private_file_read(path, text, sizeof(text));
    if (err != OK)
        return err;
    err = text[0] != '\0' ? set_option(c, g, text) : err_set(ERR_INVALID, "%s is empty", path);
    explicit_bzero(text, sizeof(text));
    return err;
}

static enum err set_default(struct config *c, const struct option_row *o)
{
    struct given g = {.row = o, .origin.source = CONFIG_DEFAULT, .label = o->name, .is_own = true};

    return o->fallback != NULL ? set_option(c, &g, o->fallback) : OK;
}

/* --- variables -------------------------------------------------------------------------------- */

/* An empty variable is one that is not set: compose files pass on what is not there. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static enum err load_variable(struct config *c, const struct option_row *o)
{
    char name[OPTION_LABEL_MAX], file_name[OPTION_LABEL_MAX + 8];
    struct given g = {.row = o, .origin.source = CONFIG_VARIABLE, .label = name, .is_own = true};
    const char *value, *path = NULL;

    if (o->type == OPTION_FLAG)
        return OK;
    option_variable(o, name);
    value = variable(name);
    if (option_from_file(o)) {
        snprintf(file_name, sizeof(file_name), "%s_FILE", name);
        path = variable(file_name);
    }
    if (value != NULL && path != NULL)
        return err_set(ERR_INVALID, "set %s or %s, not both", name, file_name);
    if (value != NULL)
        return set_option(c, &g, value);
    return path != NULL ? set_from_file(c, &g, path) : OK;
}

/* --- the configuration file ------------------------------------------------------------------- */

struct file {
    struct config *c;
    unsigned seen[OPTIONS_MAX];      /* the line of each setting; 0: none */
    const struct option_row *secret; /* the first that it holds */
};

/* Its row by the name in a file: `name`, or `name-file` of a secret. */
static const struct option_row *find_row(struct str name, bool *is_in_file)
{
    const struct option_row *o = option_find(name);

    *is_in_file = false;
    if (o != NULL || !str_ends(name, STR("-file")))
        return o;
    o = option_find(str_sub(name, 0, name.len - strlen("-file")));
    *is_in_file = true;
    return o != NULL && option_from_file(o) ? o : NULL;
}

/* `each` of config_file_parse(), which puts file and line before the message. */
static enum err take_setting(void *arg, unsigned line, struct str name, const char *value)
{
    struct file *f = arg;
    struct given g = {.origin = {CONFIG_FILE, line, false}};
    unsigned *seen;

    g.row = find_row(name, &g.origin.is_in_file);
    if (g.row == NULL || g.row->type == OPTION_FLAG || g.row->offset == AT_CONFIG)
        return option_refuse_in_file(name, g.row);
    g.label = g.row->name;
    g.is_own = (g.row->commands & f->c->command) != 0;
    seen = &f->seen[g.row - option_rows];
    if (*seen != 0)
        return err_set(ERR_INVALID, "%s is set in line %u already", g.row->name, *seen);
    *seen = line;
    if (g.origin.is_in_file)
        return set_from_file(f->c, &g, value);
    if (f->secret == NULL && setting_is_secret(g.row, value))
        f->secret = g.row;
    return set_option(f->c, &g, value);
}

/* A pipe has no mode to speak of. */
static enum err check_mode(const struct file *f, const char *path)
{
    struct stat st;

    if (f->secret == NULL || stat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
        (st.st_mode & 077) == 0)
        return OK;
    return err_set(ERR_DENIED,
                   "%s holds a secret (line %u, %s), and others may read the file: chmod 600 %s, "
                   "or keep the secret elsewhere (%s-file = PATH)",
                   path, f->seen[f->secret - option_rows], f->secret->name, path, f->secret->name);
}

static enum err load_file(struct config *c)
{
    const char *path = c->config;
    char *text = path != NULL ? malloc(FILE_MAX) : NULL;
    struct file f = {.c = c};
    unsigned line = 0;
    enum err err;

    if (path == NULL)
        return OK;
    if (text == NULL)
        return err_set(ERR_NOMEM, "out of memory");
    err = private_file_read(path, text, FILE_MAX);
    if (err == OK) {
        err = config_file_parse(text, take_setting, &f, &line);
        if (err != OK)
            err = err_prefix(err, "%s:%u", path, line);
        else
            err = check_mode(&f, path);
        explicit_bzero(text, FILE_MAX);
    }
    free(text);
    return err;
}

/* --- the command line ------------------------------------------------------------------------- */

struct line {
    struct config *c;
    int at; /* the next word */
};

static enum err take_argument(struct line *l, const char *text)
{
    struct config *c = l->c;
    char **place_of = c->file != NULL && c->command == COMMAND_KEY ? &c->name : &c->file;

    if (*place_of != NULL)
        return err_set(ERR_INVALID, "one argument too many: \"%s\" after \"%s\"", text, *place_of);
    *place_of = strdup(text);
    return *place_of != NULL ? OK : err_set(ERR_NOMEM, "out of memory");
}

static enum err take_option(struct line *l, const struct option_row *o, const char *value)
{
    char name[OPTION_LABEL_MAX];
    struct given g = {.row = o, .origin.source = CONFIG_FLAG, .label = name, .is_own = true};

    if (o->type == OPTION_SECRET) {
        option_variable(o, name);
        return err_set(ERR_INVALID, "--%s would show in the list of processes: set %s or %s_FILE",
                       o->name, name, name);
    }
    snprintf(name, sizeof(name), "--%s", o->name);
    if (o->type == OPTION_FLAG && value != NULL)
        return err_set(ERR_INVALID, "%s takes no value", name);
    if (o->type == OPTION_FLAG) {
        *(bool *)setting_place(l->c, o) = true;
        l->c->origins[o - option_rows].source = CONFIG_FLAG;
        return OK;
    }
    if (value == NULL) {
        if (l->at >= l->c->argc)
            return err_set(ERR_INVALID, "%s needs a value", name);
        value = l->c->argv[l->at++];
    }
    return set_option(l->c, &g, value);
}

/* `--name=value`, `--name value`, `--flag`, or an argument that is no option. */
static enum err take_word(struct line *l)
{
    const char *text = l->c->argv[l->at++], *value = NULL;
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
    if (o == NULL || (o->commands & l->c->command) == 0)
        return option_refuse(text, name, l->c->command);
    return take_option(l, o, value);
}

/* --- all of it -------------------------------------------------------------------------------- */

static enum err check_together(const struct config *c)
{
    if ((c->tls_cert == NULL) != (c->tls_key == NULL))
        return err_set(ERR_INVALID, "set both --tls-cert and --tls-key, or neither");
    if (c->wait && !c->apply)
        return err_set(ERR_INVALID, "--wait is of use with --apply only");
    return OK;
}

static enum err each_own(struct config *c,
                         enum err (*load)(struct config *c, const struct option_row *o))
{
    enum err err = OK;

    for (size_t i = 0; err == OK && i < option_count; i++)
        if ((option_rows[i].commands & c->command) != 0)
            err = load(c, &option_rows[i]);
    return err;
}

/* Flags come first because they may name the file; who wins does not depend on the order. */
enum err config_load(int argc, char **argv, int first, unsigned command, struct config *out)
{
    struct line line = {out, first};
    enum err err = OK;

    memset(out, 0, sizeof(*out));
    out->argc = argc;
    out->argv = argv;
    out->first = first;
    out->command = command;
    while (err == OK && line.at < argc && !out->help)
        err = take_word(&line);
    if (err != OK || out->help)
        return err;
    err = each_own(out, load_variable);
    if (err == OK)
        err = load_file(out);
    if (err == OK)
        err = each_own(out, set_default);
    return err == OK ? check_together(out) : err;
}

enum err config_reload(const struct config *c, struct config *out)
{
    return config_load(c->argc, c->argv, c->first, c->command, out);
}

void config_free(struct config *c)
{
    free(c->file);
    free(c->name);
    c->file = c->name = NULL;
    for (size_t i = 0; i < option_count; i++) {
        char **text = setting_place(c, &option_rows[i]);

        if (!setting_is_text(&option_rows[i]))
            continue;
        if (*text != NULL && option_from_file(&option_rows[i]))
            explicit_bzero(*text, strlen(*text));
        free(*text);
        *text = NULL;
    }
}
