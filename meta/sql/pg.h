/*
 * The pieces of the PostgreSQL driver; only pg*.c include this (and libpq through it).
 *
 * A link is one connection, always in libpq's pipeline mode and non-blocking: a batch's
 * statements and one Sync go out together, then the answers come. One Sync means one implicit
 * transaction. Silence longer than answer_ms counts as a lost connection; so does the news that
 * another server has taken over, however long the old one is going to be silent.
 * Threads: a link is used by one thread at a time.
 */
#ifndef KISEKI_META_SQL_PG_H
#define KISEKI_META_SQL_PG_H

#include "meta/sql/driver.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

/* Which server rules, as far as this process knows (pg_hosts.c). */
struct pg_rule {
    pthread_mutex_t lock;
    /* guarded by lock */
    uint64_t system;  /* the cluster's identifier, the same on its standbys */
    int64_t timeline; /* the newest one seen; 0: none */

    _Atomic uint64_t number; /* counts the changes */
};

struct pg_driver {
    struct sql_driver base;
    /* immutable: what libpq is given, ending with NULL; the values of the URL, and of each host */
    char **keywords, **values;
    char ***hosts;
    size_t host_count;
    struct pg_rule *rule; /* ours, or that of options.sibling */
    struct pg_rule own_rule;
};

/* What was sent and not yet answered, in order. */
struct pg_sent {
    struct sql_unit *unit; /* NULL: ours, such as BEGIN */
    struct sql_call *call;
    bool prepare;
};

struct pg_link {
    struct sql_conn base;
    PGconn *pg;     /* NULL: down */
    uint64_t rule;  /* the number of the rule when it was connected; another: it is not used */
    bool *prepared; /* by statement */
    bool warned;    /* a WARNING came since this was last cleared */
    char warning[ERR_TEXT_MAX];
    struct pg_sent *sent;
    size_t sent_count, sent_capacity;
};

/* pg_conn.c */
enum err pg_open(const char *url, const struct sql_options *o, struct sql_driver **out);
void pg_close(struct sql_driver *d);
enum err pg_conn_new(struct sql_driver *d, struct sql_conn **out);
enum err pg_connect(struct sql_conn *c);
void pg_conn_free(struct sql_conn *c);
void pg_disconnect(struct pg_link *l);
/* False when the server has closed the connection while it was idle. */
bool pg_alive(struct pg_link *l);
/*
 * Until a result can be had without blocking; ERR_BUSY: the connection is lost, or does not
 * answer.
 */
MUST_USE enum err pg_wait(struct pg_link *l, int64_t answer_ms);

/* pg_hosts.c */
MUST_USE enum err pg_hosts_split(struct pg_driver *d);
void pg_hosts_free(struct pg_driver *d);
/* A connection to the server that rules; blocks no longer than connect_timeout and a little. */
MUST_USE enum err pg_hosts_connect(struct pg_driver *d, PGconn **out, uint64_t *out_rule);
/* Compared with a link's: one that is older leads to a server that was replaced. */
uint64_t pg_rule_number(struct pg_driver *d);

/* pg_value.c */
/* Queues the statement with its parameters, and before that its preparation. */
MUST_USE enum err pg_send(struct pg_link *l, struct sql_unit *u, struct sql_call *c);
/* Queues the preparation of the call's statement only. */
MUST_USE enum err pg_prepare(struct pg_link *l, struct sql_unit *u, struct sql_call *c);
/* Copies a result into the call. */
MUST_USE enum err pg_take(const struct pg_link *l, const PGresult *r, struct sql_unit *u,
                          struct sql_call *c);
/* Makes room in l->sent and adds. */
MUST_USE enum err pg_note_sent(struct pg_link *l, struct sql_unit *u, struct sql_call *c,
                               bool prepare);

/* pg_error.c */
/* The project's code for a SQLSTATE; ERR_BUG for unknown ones. */
enum err pg_code(const char *sqlstate);
/* Sets code and text of a failed result: SQLSTATE, statement, message; no parameter's value. */
enum err pg_fail(const PGresult *r, const char *statement);
/* Same for a connection that is broken or was never made; one line. */
enum err pg_fail_connection(const PGconn *pg);

#endif
