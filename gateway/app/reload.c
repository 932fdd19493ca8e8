#include "gateway/app/reload.h"

#include "base/log.h"
#include "gateway/app/setting.h"

#include <string.h>

#define TEXT_MAX ((size_t)4096)

void reload_init(struct reload *r, const struct config *started)
{
    memset(r, 0, sizeof(*r));
    r->started = started;
}

void reload_fini(struct reload *r)
{
    if (r->is_reread)
        config_free(&r->latest);
    r->is_reread = false;
}

const struct config *reload_current(const struct reload *r)
{
    return r->is_reread ? &r->latest : r->started;
}

const struct config *reload_current_tls(const struct reload *r)
{
    bool is_https = r->started->tls_cert != NULL;

    return is_https == (reload_current(r)->tls_cert != NULL) ? reload_current(r) : r->started;
}

void reload_log(const struct config *c)
{
    enum log_level level = LOG_INFO;

    if (log_level_parse(str_of(c->log_level), &level) != OK)
        level = LOG_INFO;
    log_set_level(level);
    log_set_format(c->log_format[0] == 'j' ? LOG_JSON : LOG_TEXT);
}

static bool is_tls(const struct option_row *o)
{
    return o->offset == offsetof(struct config, tls_cert) ||
           o->offset == offsetof(struct config, tls_key);
}

static bool needs_restart(const struct option_row *o, const struct reload *r,
                          const struct config *fresh)
{
    return o->change == OPTION_RESTART ||
           (is_tls(o) && (r->started->tls_cert == NULL) != (fresh->tls_cert == NULL));
}

static void print(const struct config *c, const struct option_row *o, struct buf *out)
{
    if (setting_is_set(c, o))
        setting_print(c, o, out);
    else
        buf_append_cstr(out, "not set");
    buf_append_char(out, '\0');
}

static void log_change(const struct option_row *o, const struct config *before,
                       const struct config *fresh, bool restart)
{
    struct buf old, new, origin;

    buf_init(&old, TEXT_MAX);
    buf_init(&new, TEXT_MAX);
    buf_init(&origin, TEXT_MAX);
    print(before, o, &old);
    print(fresh, o, &new);
    setting_print_origin(fresh, o, &origin);
    buf_append_char(&origin, '\0');
    if (buf_check(&old) != OK || buf_check(&new) != OK || buf_check(&origin) != OK)
        log_warn("SIGHUP: %s has changed%s", o->name, restart ? ", and needs a restart" : "");
    else if (restart)
        log_warn("SIGHUP: %s is %s now (%s), and needs a restart: %s stays in force", o->name,
                 new.data, origin.data, old.data);
    else
        log_info("SIGHUP: %s is %s now (%s), was %s", o->name, new.data, origin.data, old.data);
    buf_fini(&old);
    buf_fini(&new);
    buf_fini(&origin);
}

static void log_changes(const struct reload *r, const struct config *fresh)
{
    size_t count = 0;

    for (size_t i = 0; i < option_count; i++) {
        const struct option_row *o = &option_rows[i];
        bool restart = needs_restart(o, r, fresh);
        const struct config *before = restart ? r->started : reload_current(r);

        if ((o->commands & COMMAND_SERVE) == 0 || setting_equal(before, fresh, o))
            continue;
        log_change(o, before, fresh, restart);
        count++;
    }
    if (count == 0)
        log_info("SIGHUP: no setting has changed%s",
                 r->started->config == NULL ? " (there is no configuration file)" : "");
}

static void exchange(char **a, char **b)
{
    char *text = *a;

    *a = *b;
    *b = text;
}

/* The paths in use are kept where new ones need a restart: their files are read again. */
static void keep_tls(struct reload *r, struct config *fresh)
{
    if (!r->is_reread || (r->latest.tls_cert == NULL) == (fresh->tls_cert == NULL))
        return;
    exchange(&r->latest.tls_cert, &fresh->tls_cert);
    exchange(&r->latest.tls_key, &fresh->tls_key);
}

bool reload_settings(struct reload *r)
{
    struct config fresh;
    enum err err = config_reload(r->started, &fresh);

    if (err != OK) {
        log_error("SIGHUP: the settings stay as they are: %s", err_text(err));
        config_free(&fresh);
        return false;
    }
    log_set_level(LOG_INFO); /* whatever it was and will be, the changes are seen */
    log_changes(r, &fresh);
    keep_tls(r, &fresh);
    reload_fini(r);
    r->latest = fresh;
    r->is_reread = true;
    reload_log(&r->latest);
    return true;
}
