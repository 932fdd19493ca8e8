/*
 * What the batching (batch.c) asks of an engine: open, connections, and running one batch on one
 * connection. Each engine is a const table of functions; its structs embed the ones here as
 * first members.
 *
 * Threads: a connection is used by one thread at a time, not always the same; a driver by any.
 */
#ifndef KISEKI_META_SQL_DRIVER_H
#define KISEKI_META_SQL_DRIVER_H

#include "meta/sql/dialect.h"
#include "meta/sql/sql.h"

/* How a batch ended. In all cases but IN_DOUBT it is certain what happened. */
enum sql_outcome {
    SQL_DONE,    /* committed (reads: answered). Units' errors are their own; OK unless set */
    SQL_FAILED,  /* rolled back; `error` says why, `culprit` whose statement it was */
    SQL_RETRY,   /* rolled back by a conflict with another transaction: try again */
    SQL_LOST,    /* the connection is gone and nothing was or will be committed */
    SQL_IN_DOUBT /* the connection is gone or not to be trusted; it may have committed or yet do */
};

struct sql_batch {
    enum sql_kind kind;
    struct sql_unit *head; /* runs first: the proof of the session; NULL for none */
    struct sql_unit **units;
    size_t count;

    struct sql_unit *culprit; /* SQL_FAILED: one of units, or head; NULL: all of them */
    struct err_info error;    /* unless SQL_DONE */
};

/* A script, cut in steps (meta/sql/steps.c). */
struct sql_step {
    char *what, *text;
};
struct sql_steps {
    struct sql_step *all;
    size_t count;
    const struct sql_watch *watch; /* or NULL */
};
/* Cuts the script and expands the pieces; steps_free() in any case. */
MUST_USE enum err steps_of(enum sql_dialect dialect, const char *script, struct sql_steps *out);
void steps_free(struct sql_steps *steps);
/* Reports that the first `done` are done. */
void steps_report(const struct sql_steps *steps, size_t done);

struct sql_driver {
    const struct sql_driver_ops *ops;
    /* immutable after open; made and freed by sql.c */
    const struct sql_text *catalogue;
    size_t statements;
    char **texts; /* expanded, by statement */
    struct sql_options options;
    struct sql_stats *stats;
};

struct sql_conn {
    struct sql_driver *driver;
};

struct sql_driver_ops {
    const char *name;
    enum sql_dialect dialect;

    /* Parses the URL and makes the driver; no statement text is known yet. */
    enum err (*open)(const char *url, const struct sql_options *o, struct sql_driver **out);
    void (*close)(struct sql_driver *d);

    /* A connection, down at first; no I/O. */
    enum err (*conn_new)(struct sql_driver *d, struct sql_conn **out);
    /* Brings it up, from whatever state it is in. Blocks for a bounded time. */
    enum err (*connect)(struct sql_conn *c);
    /* Takes it down and frees it; NULL is fine. */
    void (*conn_free)(struct sql_conn *c);

    /*
     * Runs the batch as one transaction. After SQL_LOST and SQL_IN_DOUBT the connection needs
     * connect(). Must not retry and must not look at the fence. Sets error and culprit.
     */
    enum sql_outcome (*run)(struct sql_conn *c, struct sql_batch *b);
    /* Prepares one statement, to see whether the engine takes it; runs nothing. */
    enum err (*check)(struct sql_conn *c, int statement);
    /* See sql_script; all texts are expanded. */
    enum err (*script)(struct sql_conn *c, const char *guard, const struct sql_steps *steps);

    /* Engines that need no batching of reads: runs the unit in the calling thread. Or NULL. */
    enum err (*read_here)(struct sql_driver *d, struct sql_unit *u);
};

extern const struct sql_driver_ops sql_postgres_ops;
extern const struct sql_driver_ops sql_sqlite_ops;

/* The driver of an open handle (sql.c). */
struct sql_driver *sql_driver_of(const struct sql_db *db);

/* Room for `rows` * `columns` cells in the unit's arena, kept while a result grows. */
MUST_USE enum err sql_grow(struct sql_call *c, struct arena *a, size_t *capacity_rows);

/* The writers' queue and its threads (batch.c). */
struct batcher;
/* Tries one connection before it returns. The driver stays the caller's. */
MUST_USE enum err batcher_new(struct sql_driver *d, size_t connections, struct batcher **out);
void batcher_free(struct batcher *b);
void batcher_submit(struct batcher *b, struct sql_unit *u);
/* As submit, but an idle connection may be used by the calling thread itself. */
void batcher_submit_here(struct batcher *b, struct sql_unit *u);
void batcher_set_session(struct batcher *b, int64_t session, int64_t (*next_id)(void *), void *arg);
void batcher_set_fence(struct batcher *b, bool (*over)(void *), void *arg);
bool batcher_fenced(struct batcher *b);
void batcher_hurry(struct batcher *b); /* see sql_hurry() */

#endif
