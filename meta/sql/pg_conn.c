/* Connections to PostgreSQL: what is added to the URL, making, watching, ending them. */
#include "meta/sql/pg.h"

#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLDEST_SERVER  130000
#define GLANCE_MS      200  /* how often a wait looks whether another server rules */
#define SESSION_SET_MS 3000 /* for the answer that makes a connection ours */

/* --- the URL ---------------------------------------------------------------------------------- */

/*
 * Set unless the URL does. A server that vanished without a word (power, network) is noticed
 * after ten to fifteen seconds: unacknowledged data by tcp_user_timeout, silence by keepalives.
 */
static const char *const defaults[][2] = {
    {"connect_timeout", "3"},       {"tcp_user_timeout", "10000"}, {"keepalives", "1"},
    {"keepalives_idle", "5"},       {"keepalives_interval", "3"},  {"keepalives_count", "3"},
    {"application_name", "kiseki"},
};

/* Set whatever the URL says: we never read from a standby and speak UTF-8 (and pg_hosts.c goes
 * through the hosts). */
static const char *const forced[][2] = {
    {"target_session_attrs", "read-write"},
    {"client_encoding", "UTF8"},
};

static const char *lookup(const char *const table[][2], size_t count, const char *keyword)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i][0], keyword) == 0)
            return table[i][1];
    return NULL;
}

static const char *value_for(const PQconninfoOption *o)
{
    const char *set = lookup(forced, sizeof(forced) / sizeof(forced[0]), o->keyword);
    if (set != NULL)
        return set;
    if (o->val != NULL)
        return o->val;
    return lookup(defaults, sizeof(defaults) / sizeof(defaults[0]), o->keyword);
}

static enum err take_options(struct pg_driver *d, const PQconninfoOption *options)
{
    size_t count = 0, at = 0;
    while (options[count].keyword != NULL)
        count++;
    d->keywords = calloc(count + 1, sizeof(*d->keywords));
    d->values = calloc(count + 1, sizeof(*d->values));
    bool good = d->keywords != NULL && d->values != NULL;
    for (size_t i = 0; good && i < count; i++) {
        const char *value = value_for(&options[i]);
        if (value == NULL)
            continue;
        d->keywords[at] = strdup(options[i].keyword);
        d->values[at] = strdup(value);
        good = d->keywords[at] != NULL && d->values[at] != NULL;
        at++;
    }
    return good ? OK : err_set(ERR_NOMEM, "PostgreSQL: no memory");
}

/*
 * A password with an @, a / or a ? in it ends up, in part, as a host, a port or a name, which error
 * messages print. So nothing is tried with what cannot be one.
 */
static bool is_misread(const PQconninfoOption *options)
{
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        const char *value = o->val != NULL ? o->val : "";
        bool bad = strcmp(o->keyword, "host") == 0   ? strpbrk(value, "@?") != NULL
                   : strcmp(o->keyword, "port") == 0 ? strspn(value, "0123456789,") != strlen(value)
                   : strcmp(o->keyword, "dbname") == 0 ? strchr(value, '@') != NULL
                   : strcmp(o->keyword, "user") == 0   ? strpbrk(value, "/?") != NULL
                                                       : false;
        if (bad)
            return true;
    }
    return false;
}

enum err pg_open(const char *url, const struct sql_options *o, struct sql_driver **out)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL); /* its message repeats passwords */
    if (options != NULL && is_misread(options)) {
        PQconninfoFree(options);
        options = NULL;
    }
    if (options == NULL)
        return err_set(ERR_INVALID, "the metadata URL is malformed; write "
                                    "postgres://USER:PASSWORD@HOST:PORT/DATABASE, special "
                                    "characters of the password as %%XX");
    struct pg_driver *d = calloc(1, sizeof(*d));
    enum err err =
        d != NULL ? take_options(d, options) : err_set(ERR_NOMEM, "PostgreSQL: no memory");
    PQconninfoFree(options);
    if (err == OK)
        err = pg_hosts_split(d);
    if (d != NULL) {
        (void)pthread_mutex_init(&d->own_rule.lock, NULL);
        d->rule = &d->own_rule;
        if (o->sibling != NULL)
            d->rule = ((struct pg_driver *)sql_driver_of(o->sibling))->rule;
    }
    if (err != OK && d != NULL)
        pg_close(&d->base);
    else if (err == OK)
        *out = &d->base;
    return err;
}

void pg_close(struct sql_driver *base)
{
    struct pg_driver *d = (struct pg_driver *)base;
    for (size_t i = 0; d->keywords != NULL && d->keywords[i] != NULL; i++)
        free(d->keywords[i]);
    for (size_t i = 0; d->values != NULL && d->values[i] != NULL; i++)
        free(d->values[i]);
    pg_hosts_free(d);
    free(d->keywords);
    free(d->values);
    (void)pthread_mutex_destroy(&d->own_rule.lock);
    free(d);
}

/* --- waiting ---------------------------------------------------------------------------------- */

static enum err lost(struct pg_link *l)
{
    return pg_fail_connection(l->pg);
}

static bool replaced(const struct pg_link *l)
{
    return l->rule != pg_rule_number((struct pg_driver *)l->base.driver);
}

enum err pg_wait(struct pg_link *l, int64_t answer_ms)
{
    int64_t silent_ms = 0;
    int flushed = PQflush(l->pg);
    while (flushed >= 0 && (PQisBusy(l->pg) != 0 || flushed == 1)) {
        struct pollfd p = {.fd = PQsocket(l->pg), .events = POLLIN};
        if (flushed == 1) /* reads too: the server may be stuck in sending to us */
            p.events |= POLLOUT;
        int64_t left_ms = answer_ms - silent_ms;
        int rc = poll(&p, 1, (int)(left_ms < GLANCE_MS ? left_ms : GLANCE_MS));
        if (rc < 0 && errno == EINTR)
            continue;
        if (rc < 0)
            return err_set(ERR_BUSY, "PostgreSQL: poll: %s", strerror(errno));
        if (rc == 0) {
            silent_ms += GLANCE_MS;
            if (replaced(l))
                return err_set(ERR_BUSY, "PostgreSQL: another server has taken over");
            if (silent_ms >= answer_ms)
                return err_set(ERR_BUSY, "PostgreSQL: no answer for %lld ms", (long long)answer_ms);
            continue;
        }
        silent_ms = 0;
        if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0 && PQconsumeInput(l->pg) == 0)
            return lost(l);
        flushed = PQflush(l->pg);
    }
    return flushed >= 0 ? OK : lost(l);
}

/* The server was made read-only in place; another may rule by now. (Before 14 it does not say.) */
static bool refuses_writes(const struct pg_link *l)
{
    const char *v = PQparameterStatus(l->pg, "default_transaction_read_only");
    return v != NULL && strcmp(v, "on") == 0;
}

bool pg_alive(struct pg_link *l)
{
    if (l->pg == NULL || PQstatus(l->pg) != CONNECTION_OK || replaced(l))
        return false;
    struct pollfd p = {.fd = PQsocket(l->pg), .events = POLLIN};
    while (poll(&p, 1, 0) > 0) { /* a parameter's new value, or the end */
        if (PQconsumeInput(l->pg) == 0 || (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
            return false;
        (void)PQisBusy(l->pg); /* parses what has come */
    }
    return PQstatus(l->pg) == CONNECTION_OK && !refuses_writes(l);
}

/* --- links ------------------------------------------------------------------------------------ */

enum err pg_conn_new(struct sql_driver *d, struct sql_conn **out)
{
    struct pg_link *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return err_set(ERR_NOMEM, "PostgreSQL: no memory for a connection");
    l->base.driver = d;
    *out = &l->base;
    return OK;
}

void pg_disconnect(struct pg_link *l)
{
    PQfinish(l->pg); /* sends no cancel: what runs is left to end by itself */
    l->pg = NULL;
    free(l->prepared);
    l->prepared = NULL;
    l->sent_count = 0;
}

void pg_conn_free(struct sql_conn *c)
{
    struct pg_link *l = (struct pg_link *)c;
    if (l == NULL)
        return;
    pg_disconnect(l);
    free(l->sent);
    free(l);
}

/* A WARNING may tell that a commit is not what it seems (a synchronous standby is away). */
static void on_notice(void *arg, const PGresult *r)
{
    struct pg_link *l = arg;
    const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    if (severity == NULL || message == NULL || strcmp(severity, "WARNING") != 0)
        return;
    l->warned = true;
    (void)snprintf(l->warning, sizeof(l->warning), "%s", message);
}

/*
 * The settings that we rely on. synchronous_commit may be stricter or weaker about standbys as the
 * administrator likes, but never off: an answered write is on disk. Every statement is a probe or
 * a range scan of an index, whatever the statistics of a young table say, and is planned once.
 */
static enum err set_session(struct pg_link *l)
{
    char text[512];
    (void)snprintf(text, sizeof(text),
                   "SELECT set_config('lock_timeout', '%lld', false),"
                   " set_config('synchronous_commit', CASE WHEN %s THEN 'off'"
                   "   WHEN current_setting('synchronous_commit') = 'off' THEN 'on'"
                   "   ELSE current_setting('synchronous_commit') END, false),"
                   " set_config('default_transaction_isolation', 'read committed', false),"
                   " set_config('jit', 'off', false),"
                   " set_config('plan_cache_mode', 'force_generic_plan', false),"
                   " set_config('enable_seqscan', 'off', false)",
                   (long long)l->base.driver->options.lock_ms,
                   l->base.driver->options.unflushed ? "true" : "false");
    if (PQsendQuery(l->pg, text) == 0)
        return lost(l);
    enum err err = OK;
    for (;;) {
        enum err waited = pg_wait(l, SESSION_SET_MS);
        if (waited != OK)
            return waited;
        PGresult *r = PQgetResult(l->pg);
        if (r == NULL)
            break;
        if (PQresultStatus(r) != PGRES_TUPLES_OK)
            err = pg_fail(r, "connecting");
        PQclear(r);
    }
    return err;
}

enum err pg_connect(struct sql_conn *c)
{
    struct pg_link *l = (struct pg_link *)c;
    struct pg_driver *d = (struct pg_driver *)c->driver;
    pg_disconnect(l);
    l->prepared = calloc(c->driver->statements + 1, sizeof(*l->prepared));
    if (l->prepared == NULL)
        return err_set(ERR_NOMEM, "PostgreSQL: no memory for a connection");
    enum err err = pg_hosts_connect(d, &l->pg, &l->rule);
    if (err != OK)
        goto out;
    if (PQserverVersion(l->pg) < OLDEST_SERVER) {
        err = err_set(ERR_UNSUPPORTED,
                      "PostgreSQL: the server is too old (%d); 13 or newer is needed",
                      PQserverVersion(l->pg) / 10000);
        goto out;
    }
    (void)PQsetNoticeReceiver(l->pg, on_notice, l);
    if (PQsetnonblocking(l->pg, 1) != 0) {
        err = lost(l);
        goto out;
    }
    err = set_session(l);
    if (err == OK && PQenterPipelineMode(l->pg) != 1)
        err = lost(l);
out:
    if (err != OK)
        pg_disconnect(l);
    else
        atomic_fetch_add(&c->driver->stats->reconnects, 1);
    return err;
}
