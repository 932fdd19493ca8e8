/*
 * Which of the URL's servers to connect to.
 *
 * All are asked at once: one that is down or hangs costs no time but its own, and the order
 * in the URL means nothing. libpq turns standbys away (target_session_attrs=read-write). Should
 * two servers take writes, the one on the newest timeline rules: a promoted standby begins a new
 * one, so the other is a primary that was replaced, came back and does not know it. What this
 * process has seen of timelines is kept in struct pg_rule, shared by its handles of the database:
 * an older one is never written to or read from again.
 */
#include "meta/sql/pg.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_US    300000 /* for the others, once one is there */
#define FOREVER_US  (INT64_MAX / 4)
#define TIMEOUT_MIN 2 /* seconds; libpq does the same */

struct candidate {
    PGconn *pg;
    enum { CONNECTING, ASKING, UP, BAD } state;
    short events; /* what poll() is to wait for */
    uint64_t system;
    int64_t timeline; /* 0: the server does not tell */
    struct err_info why;
    char place[128]; /* "db1 port 5432", set with `why` */
};

/* --- the URL ---------------------------------------------------------------------------------- */

static size_t items(const char *list)
{
    size_t count = 1;
    for (const char *p = list; p != NULL && *p != '\0'; p++)
        count += *p == ',';
    return list != NULL && *list != '\0' ? count : 0;
}

/* The item of a comma-separated list, or its only one; a copy. */
static char *item(const char *list, size_t number)
{
    size_t wanted = items(list) > 1 ? number : 0;
    const char *begin = list;
    for (; wanted > 0 && begin != NULL; wanted--) {
        begin = strchr(begin, ',');
        begin = begin != NULL ? begin + 1 : NULL;
    }
    if (begin == NULL)
        return strdup("");
    return strndup(begin, strcspn(begin, ","));
}

static bool is_list(const char *keyword)
{
    return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 ||
           strcmp(keyword, "port") == 0;
}

static const char *value_of(const struct pg_driver *d, const char *keyword)
{
    for (size_t i = 0; d->keywords[i] != NULL; i++)
        if (strcmp(d->keywords[i], keyword) == 0)
            return d->values[i];
    return NULL;
}

/* Lists whose lengths do not match are left to libpq, which says what is wrong with them. */
static size_t count_hosts(const struct pg_driver *d)
{
    size_t hosts = items(value_of(d, "host")), addresses = items(value_of(d, "hostaddr"));
    size_t ports = items(value_of(d, "port"));
    size_t count = hosts > addresses ? hosts : addresses;
    if ((hosts > 0 && addresses > 0 && hosts != addresses) || (ports > 1 && ports != count))
        return 1;
    return count > 0 ? count : 1;
}

enum err pg_hosts_split(struct pg_driver *d)
{
    size_t options = 0;
    while (d->keywords[options] != NULL)
        options++;
    size_t count = count_hosts(d);
    d->hosts = calloc(count, sizeof(*d->hosts));
    if (d->hosts == NULL)
        return err_set(ERR_NOMEM, "PostgreSQL: no memory");
    d->host_count = count;
    for (size_t h = 0; h < count; h++) {
        d->hosts[h] = calloc(options + 1, sizeof(**d->hosts));
        for (size_t i = 0; d->hosts[h] != NULL && i < options; i++) {
            bool split = count > 1 && is_list(d->keywords[i]);
            d->hosts[h][i] = split ? item(d->values[i], h) : strdup(d->values[i]);
            if (d->hosts[h][i] == NULL)
                return err_set(ERR_NOMEM, "PostgreSQL: no memory");
        }
        if (d->hosts[h] == NULL)
            return err_set(ERR_NOMEM, "PostgreSQL: no memory");
    }
    return OK;
}

void pg_hosts_free(struct pg_driver *d)
{
    for (size_t h = 0; h < d->host_count; h++) {
        for (size_t i = 0; d->hosts[h] != NULL && d->hosts[h][i] != NULL; i++)
            free(d->hosts[h][i]);
        free(d->hosts[h]);
    }
    free(d->hosts);
}

static int64_t timeout_us(const struct pg_driver *d)
{
    const char *text = value_of(d, "connect_timeout");
    long seconds = text != NULL ? strtol(text, NULL, 10) : 0;
    if (seconds <= 0)
        return FOREVER_US;
    return (seconds < TIMEOUT_MIN ? TIMEOUT_MIN : seconds) * 1000000;
}

/* --- which is the primary --------------------------------------------------------------------- */

uint64_t pg_rule_number(struct pg_driver *d)
{
    return atomic_load(&d->rule->number);
}

/* False: it was replaced by another. Else *out_number is the rule's that it belongs to. */
static bool rules(struct pg_driver *d, const struct candidate *c, uint64_t *out_number)
{
    struct pg_rule *r = d->rule;
    (void)pthread_mutex_lock(&r->lock);
    bool same = c->timeline == 0 || c->system == r->system;
    bool old = same && c->timeline != 0 && c->timeline < r->timeline;
    bool newer = c->timeline != 0 && !old && (!same || c->timeline > r->timeline);
    if (newer) {
        if (r->timeline != 0 && same)
            log_warn("sql: another PostgreSQL is the primary, at %s port %s: timeline %" PRId64
                     " after %" PRId64,
                     PQhost(c->pg), PQport(c->pg), c->timeline, r->timeline);
        else if (r->timeline != 0)
            log_warn("sql: another PostgreSQL cluster is at %s port %s now", PQhost(c->pg),
                     PQport(c->pg));
        r->system = c->system;
        r->timeline = c->timeline;
        (void)atomic_fetch_add(&r->number, 1);
    }
    *out_number = atomic_load(&r->number);
    (void)pthread_mutex_unlock(&r->lock);
    return !old;
}

/* --- one server ------------------------------------------------------------------------------- */

static void give_up(struct candidate *c, enum err why)
{
    err_save(why, &c->why);
    (void)snprintf(c->place, sizeof(c->place), "%s port %s", c->pg != NULL ? PQhost(c->pg) : "?",
                   c->pg != NULL ? PQport(c->pg) : "?");
    PQfinish(c->pg);
    c->pg = NULL;
    c->state = BAD;
}

/*
 * The timeline that is written to now: the head of a WAL file's name. (pg_control_checkpoint()
 * shows a new one only after the first checkpoint on it.)
 */
static void ask(struct candidate *c)
{
    c->state = ASKING;
    c->events = POLLIN;
    if (PQsendQuery(c->pg, "SELECT pg_walfile_name(pg_current_wal_insert_lsn()),"
                           " (SELECT system_identifier FROM pg_control_system())") == 0)
        give_up(c, pg_fail_connection(c->pg));
}

static void take_identity(struct candidate *c, const PGresult *r)
{
    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1 || PQgetlength(r, 0, 0) < 8)
        return; /* something like PostgreSQL, or a right that was revoked: it is not compared */
    char timeline[9] = "";
    (void)snprintf(timeline, sizeof(timeline), "%s", PQgetvalue(r, 0, 0));
    c->timeline = strtoll(timeline, NULL, 16);
    c->system = (uint64_t)strtoll(PQgetvalue(r, 0, 1), NULL, 10);
}

static void listen_to(struct candidate *c)
{
    if (PQconsumeInput(c->pg) == 0) {
        give_up(c, pg_fail_connection(c->pg));
        return;
    }
    while (PQisBusy(c->pg) == 0) {
        PGresult *r = PQgetResult(c->pg);
        if (r == NULL) {
            c->state = UP;
            return;
        }
        take_identity(c, r);
        PQclear(r);
    }
}

static void step(struct candidate *c)
{
    if (c->state == ASKING) {
        listen_to(c);
        return;
    }
    switch (PQconnectPoll(c->pg)) {
    case PGRES_POLLING_OK:
        ask(c);
        break;
    case PGRES_POLLING_READING:
        c->events = POLLIN;
        break;
    case PGRES_POLLING_WRITING:
        c->events = POLLOUT;
        break;
    case PGRES_POLLING_FAILED:
    default:
        give_up(c, pg_fail_connection(c->pg));
        break;
    }
}

static void start_connecting(const struct pg_driver *d, struct candidate *c, size_t host)
{
    const char *const *keywords = (const char *const *)d->keywords;
    const char *const *values = (const char *const *)d->hosts[host];
    *c = (struct candidate){.state = CONNECTING, .events = POLLOUT};
    if (d->host_count == 1) /* a name may have several addresses: this gives each its time */
        c->pg = PQconnectdbParams(keywords, values, 0);
    else
        c->pg = PQconnectStartParams(keywords, values, 0);
    if (c->pg == NULL || PQstatus(c->pg) == CONNECTION_BAD)
        give_up(c, pg_fail_connection(c->pg));
    else if (PQstatus(c->pg) == CONNECTION_OK)
        ask(c);
}

/* --- all of them ------------------------------------------------------------------------------ */

static bool pending(const struct candidate *c)
{
    return c->state == CONNECTING || c->state == ASKING;
}

/* Steps those that can be, after at most `wait_us`. False: none is pending any more. */
static bool step_all(struct candidate *all, size_t count, struct pollfd *fds, int64_t wait_us)
{
    size_t waiting = 0;
    for (size_t i = 0; i < count; i++) {
        fds[i] = (struct pollfd){.fd = -1};
        if (pending(&all[i])) {
            fds[i] = (struct pollfd){.fd = PQsocket(all[i].pg), .events = all[i].events};
            waiting++;
        }
    }
    int ms = wait_us > 60000000 ? 60000 : (int)(wait_us / 1000) + 1;
    if (waiting == 0 || (poll(fds, (nfds_t)count, ms) < 0 && errno != EINTR))
        return false;
    for (size_t i = 0; i < count; i++)
        if (pending(&all[i]) && fds[i].revents != 0)
            step(&all[i]);
    return true;
}

/* Until everybody has answered, the time is over, or one is up and the others had their chance. */
static void wait_for_all(struct pg_driver *d, struct candidate *all, struct pollfd *fds)
{
    int64_t ends = clock_mono_us() + timeout_us(d);
    bool any = false;
    for (;;) {
        for (size_t i = 0; !any && i < d->host_count; i++)
            any = all[i].state == UP;
        if (any && ends > clock_mono_us() + GRACE_US)
            ends = clock_mono_us() + GRACE_US;
        int64_t left = ends - clock_mono_us();
        if (left <= 0 || !step_all(all, d->host_count, fds, left))
            break;
    }
    for (size_t i = 0; i < d->host_count; i++)
        if (pending(&all[i]))
            give_up(&all[i],
                    err_set(ERR_BUSY,
                            "PostgreSQL: connection to server at %s port %s failed: no answer",
                            PQhost(all[i].pg), PQport(all[i].pg)));
}

/* The newest timeline wins; of several clusters that which we know, else the URL's first. */
static struct candidate *choose(const struct pg_driver *d, struct candidate *all)
{
    struct candidate *best = NULL;
    (void)pthread_mutex_lock(&d->rule->lock);
    uint64_t known = d->rule->system;
    (void)pthread_mutex_unlock(&d->rule->lock);
    for (size_t i = 0; i < d->host_count; i++) {
        struct candidate *c = &all[i];
        if (c->state != UP)
            continue;
        if (best == NULL || (c->system == best->system && c->timeline > best->timeline) ||
            (c->system != best->system && c->system == known))
            best = c;
    }
    return best;
}

/* What libpq says behind "connection to server at ... failed: ", without its advice. */
static struct str gist(const struct candidate *c)
{
    static const char before[] = "failed: ";
    const char *text = strstr(c->why.text, before);
    text = text != NULL ? text + strlen(before) : c->why.text;
    const char *advice = strstr(text, "  ");
    const char *ours = strstr(text, "; ");
    struct str said = str_of(text);
    if (advice != NULL)
        said.len = (size_t)(advice - text);
    if (ours != NULL && (size_t)(ours - text) < said.len)
        said.len = (size_t)(ours - text);
    return said;
}

/* Why there is none: what each said. */
static enum err nobody(const struct candidate *all, size_t count)
{
    if (count == 1)
        return err_restore(&all[0].why);
    char text[ERR_TEXT_MAX] = "";
    bool denied = true;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(text);
        denied = denied && all[i].why.code == ERR_DENIED;
        (void)snprintf(text + len, sizeof(text) - len, "%s%s: " STR_FMT, i > 0 ? "; " : "",
                       all[i].place, STR_ARG(gist(&all[i])));
    }
    return err_set(denied ? ERR_DENIED : ERR_BUSY,
                   "PostgreSQL: no server of the metadata URL takes writes: %.400s", text);
}

enum err pg_hosts_connect(struct pg_driver *d, PGconn **out, uint64_t *out_rule)
{
    struct candidate *all = calloc(d->host_count, sizeof(*all));
    struct pollfd *fds = calloc(d->host_count, sizeof(*fds));
    enum err err = OK;
    *out = NULL;
    if (all == NULL || fds == NULL) {
        err = err_set(ERR_NOMEM, "PostgreSQL: no memory for a connection");
        goto out;
    }
    for (size_t i = 0; i < d->host_count; i++)
        start_connecting(d, &all[i], i);
    wait_for_all(d, all, fds);
    struct candidate *best = choose(d, all);
    if (best != NULL && !rules(d, best, out_rule))
        give_up(best, err_set(ERR_BUSY,
                              "PostgreSQL: connection to server at %s port %s failed: it was"
                              " replaced by a newer primary, stop it (timeline %" PRId64 ")",
                              PQhost(best->pg), PQport(best->pg), best->timeline));
    if (best == NULL || best->state != UP) {
        err = nobody(all, d->host_count);
        goto out;
    }
    *out = best->pg;
    best->pg = NULL;
out:
    for (size_t i = 0; all != NULL && i < d->host_count; i++)
        PQfinish(all[i].pg);
    free(all);
    free(fds);
    return err;
}
