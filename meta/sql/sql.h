/*
 * SQL for meta/: units of statements in, rows out; one interface over PostgreSQL and SQLite.
 *
 * The idea: a request's statements form a *unit*, all-or-nothing. Units that arrive while the
 * engine is busy go out together, as ONE transaction with one round trip and one fsync; an idle
 * engine is given a unit at once. Nothing in a unit may depend on an answer of the same unit but
 * through SQL (ids are known beforehand, later statements say `WHERE EXISTS (the new row)`).
 *
 *     struct sql_unit u;
 *     sql_unit_init(&u, SQL_READ, arena);
 *     struct sql_call *c = sql_add_bucket_get(&u, p_bucket(name));
 *     enum err err = sql_read(db, &u);
 *     if (err == OK && c->rows > 0)
 *         id = sql_int(c, 0, 0);
 *
 * Writes. A batch is one transaction of at most 64 units, sorted by (order_name, order_key), so
 * that concurrent batches take row locks in one order. If it fails, the unit at fault is run
 * again by itself and gets its own error, its neighbours succeed. Serialization failures and
 * deadlocks are retried here. A statement that finds no row is not a failure: conditions yield
 * zero rows (`changed`, `rows`). An OK answer is given only after a durable commit.
 *
 * The session's proof and the lost answer. After sql_set_session() every write batch begins with
 * INSERT INTO txns (session, id): its foreign key locks the session's row FOR KEY SHARE and
 * fails when the session was removed (all units: ERR_FENCED). If the commit's answer is lost, the
 * connection inserts the tombstone, the same (session, id), before it does anything else:
 *   it is new          the batch never committed and never will; it is sent again, or ERR_BUSY
 *   it exists already  the batch did commit; a unit gets OK if its results had come or it
 *                      says results_optional, else ERR_UNKNOWN
 *   no such session    ERR_UNKNOWN: our rows are the reaper's now
 * A tombstone whose answer is lost is inserted again; the column `tombstone` tells it from the
 * transaction's own marker. Tombstones stay until the session ends, because the lost transaction
 * may still sit in some socket; markers are deleted by the connection's next batch. The tables:
 *   sessions (id BIGINT PRIMARY KEY, ...)
 *   txns (session REFERENCES sessions ON DELETE CASCADE, id, tombstone DEFAULT 0, PRIMARY KEY)
 * If the outcome cannot be resolved within wait_ms the units get ERR_UNKNOWN, and the connection
 * goes on settling before it takes new work.
 *
 * Locks. A write unit may name locks by numbers (advisory ones; SQLite has one writer and takes
 * none): shared ones of what its decision rests on, or an exclusive one of what it changes. One
 * statement behind the marker takes those of all units of a batch, ascending, and they are held to
 * the end. So batches cannot deadlock over them, every statement of a unit has a younger snapshot
 * than the lock, and a change, which waits in the server's fair queue, waits for transactions under
 * way only. ERR_BUSY for all of a batch that does not get them within lock_ms.
 *
 * Reads. On PostgreSQL they are batched likewise, but never with writes. A statement sees one
 * snapshot; several statements of a unit see the same one only if `snapshot` is set. On SQLite
 * they run in the calling thread, on a connection of a small pool, always in one snapshot. A
 * read sees every write that was answered before it was submitted, here or by another gateway.
 *
 * Errors (the unit's, beside those above; the text has SQLSTATE, statement and server's message,
 * never a parameter): ERR_EXISTS unique violation; ERR_CONFLICT foreign key violation or retries
 * used up; ERR_CONDITION check or not-null violation, raised exception; ERR_INVALID a value the
 * server refuses; ERR_BUSY database away, restarting or read-only, lock timeout: nothing was
 * done; ERR_FENCED; ERR_UNKNOWN; ERR_TIMEOUT; ERR_CORRUPT; ERR_NOMEM (the arena's limit too);
 * ERR_FULL: the disk of the database is full, nothing was done; ERR_BUG anything wrong in the
 * statement itself.
 *
 * Ownership: a unit, its calls, parameters' bytes and arena are the caller's and must stay
 * untouched until it is done; results lie in its arena.
 * Threads: any. sql_read and sql_write block; done callbacks run on threads of the engine, which
 * they must not block (they may submit). No lock of a caller may be held across blocking forms.
 * Limits: SQL_PARAMS_MAX parameters, batches of 64 units or 4 MiB of parameters.
 */
#ifndef KISEKI_META_SQL_SQL_H
#define KISEKI_META_SQL_SQL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "meta/sql/statements.h"

#include <stdatomic.h>

#define SQL_PARAMS_MAX 40
#define SQL_SHARES_MAX 3 /* locks that a unit shares */

struct sql_db;

enum sql_type { SQL_NULL, SQL_INT, SQL_BYTES, SQL_TEXT };

struct sql_value {
    enum sql_type type;
    int64_t num;    /* SQL_INT */
    struct str str; /* SQL_BYTES and SQL_TEXT; a result's ptr is never NULL and has a NUL behind */
};

/* One statement with its parameters, then its results. */
struct sql_call {
    /* the caller's, by sql_add and sql_bind_* */
    int statement;
    size_t count; /* parameters bound so far */
    struct sql_value params[SQL_PARAMS_MAX];
    enum err failed; /* the first wrong bind (too many, wrong type): the unit answers ERR_BUG */

    /* results */
    size_t rows, columns;
    struct sql_value *cells; /* rows * columns */
    int64_t changed;         /* rows inserted, updated or deleted; for reads the rows */

    struct sql_call *next; /* within the unit */
    bool answered;         /* the results have come */
};

struct sql_unit {
    /* the caller's */
    enum sql_kind kind;
    struct arena *arena;
    struct str order_name, order_key; /* writes: the first row lock's bucket and key */
    bool alone;                       /* writes: takes several row locks, in their order: a batch of
                                         its own, so that nothing comes between them */
    bool frees;                       /* writes: makes room, or keeps the session alive: is done on
                                         a full disk, too (SQLite, meta/sql/sqlite_space.h) */
    bool results_optional;            /* writes: OK without results when only those were lost */
    int64_t shares[SQL_SHARES_MAX];   /* writes: by sql_share() */
    size_t share_count;
    int64_t excluded; /* by sql_exclude() */
    bool excludes;
    bool snapshot;                    /* reads: all statements see one state */
    void (*done)(struct sql_unit *u); /* sql_submit only */
    void *arg;                        /* for done */

    struct sql_call *first, *last;
    size_t count;

    /* set before done is called, or before the blocking form returns */
    struct err_info error;

    /* the engine's */
    struct sql_unit *next;
    int64_t deadline_us;
    size_t bytes;
    unsigned attempts;
};

/* Empties `u` and makes it a unit of this kind; results and calls go into the arena. */
void sql_unit_init(struct sql_unit *u, enum sql_kind kind, struct arena *arena);
/*
 * Adds a call; NULL only when the arena is full (then the unit answers ERR_NOMEM). By these two a
 * statement is called whose parameters are not known when the program is built: the rows of a dump,
 * catalogues of tests. All others are called by meta/sql/calls.h.
 */
struct sql_call *sql_add(struct sql_unit *u, int statement);
/* With its parameters, at most SQL_PARAMS_MAX, which are copied. */
struct sql_call *sql_add_values(struct sql_unit *u, int statement, const struct sql_value *values,
                                size_t count);

/* The next parameter, in order; bytes are borrowed. NULL as `c` is passed over. */
void sql_bind_int(struct sql_call *c, int64_t v);
void sql_bind_bytes(struct sql_call *c, struct str v); /* an empty str is empty, not NULL */
void sql_bind_text(struct sql_call *c, struct str v);
void sql_bind_null(struct sql_call *c);

/* The unit shares this lock, too. More than SQL_SHARES_MAX: the unit answers ERR_BUG. */
void sql_share(struct sql_unit *u, int64_t lock);
/* The unit has this lock alone, and a batch of its own. At most one a unit. */
void sql_exclude(struct sql_unit *u, int64_t lock);

/* A cell; out of range, NULL and other types give 0 or the empty string. */
const struct sql_value *sql_cell(const struct sql_call *c, size_t row, size_t column);
int64_t sql_int(const struct sql_call *c, size_t row, size_t column);
struct str sql_str(const struct sql_call *c, size_t row, size_t column);
bool sql_is_null(const struct sql_call *c, size_t row, size_t column);

struct sql_options {
    size_t connections; /* 0: 4. SQLite: readers at once, 0: 8 */
    int64_t wait_ms;    /* 0: 5,000. How long a unit waits for a database that is away; a tenth of
                           it once that has lasted for six times as long */
    int64_t answer_ms;  /* 0: 20,000. Silence after which a connection counts as lost; half of it
                           in reads, which wait for no lock */
    int64_t lock_ms;    /* 0: 10,000. Longest wait for one row lock */
    bool unflushed; /* PostgreSQL: commits do not wait for the disk; for what a crash may undo */
    const char *must_have; /* NULL: SQLite's file is made where there is none. Else a table's name:
                              what does not hold it is left as it is, ERR_NOT_FOUND. PostgreSQL
                              makes nothing by itself, and ignores this */
    const struct sql_text *catalogue; /* NULL: the program's */
    size_t statements;                /* of catalogue */
    const struct sql_db *sibling;     /* NULL; or a handle of the same database, closed after this
                                         one: both know at once when another server takes over */
};

/*
 * Opens `sqlite:PATH` (makes folders and the file, mode 0600) or `postgres://...` and tries one
 * connection. Unset URL parameters get connect_timeout, tcp_user_timeout, keepalives,
 * application_name; target_session_attrs is read-write always. `o` may be NULL.
 * Several hosts: all are asked at once, whenever a connection is made, and that is used which takes
 * writes on the newest timeline. A primary that was replaced is neither written to nor read from
 * once its successor was seen.
 * ERR_INVALID: the URL; ERR_DENIED, ERR_BUSY, ERR_IO: the database; one line that says what to do.
 */
MUST_USE enum err sql_open(const char *url, const struct sql_options *o, struct sql_db **out);
/* Finishes what is queued, joins the threads. No submit may race with it. NULL is fine. */
void sql_close(struct sql_db *db);

/* "PostgreSQL" or "SQLite", for logs; true for PostgreSQL. */
const char *sql_engine(const struct sql_db *db);
bool sql_is_postgres(const struct sql_db *db);

/*
 * From now on writes prove this session. next_id (any thread, must not block) gives ids unique
 * within the session; NULL: the engine counts. Session 0: no proof any more (before the session's
 * own row is deleted). Batches already sent are not affected.
 */
void sql_set_session(struct sql_db *db, int64_t session, int64_t (*next_id)(void *), void *arg);
/*
 * The local lease. Asked before a batch is sent, and when a read's answer has come; true answers
 * ERR_FENCED. A write that has committed is answered as such. Any thread; must not block.
 */
void sql_set_fence(struct sql_db *db, bool (*lease_is_over)(void *), void *arg);

/*
 * The process is about to stop: from now on a unit whose database is away ends with ERR_BUSY at
 * once instead of waiting for it, and what would be retried for long is not. Never blocks.
 */
void sql_hurry(struct sql_db *db);

/* Blocking forms; return u->error.code with the text set in this thread. */
MUST_USE enum err sql_read(struct sql_db *db, struct sql_unit *u);
MUST_USE enum err sql_write(struct sql_db *db, struct sql_unit *u);
/*
 * Queues the unit; u->done is called exactly once, u->error says how it ended. SQLite's reads run
 * here and now: done is called before this returns.
 */
void sql_submit(struct sql_db *db, struct sql_unit *u);

/*
 * Runs a script of several statements as one transaction, by tokens as statements.h has them,
 * without parameters or proof. Scripts of all gateways run one after the other (an advisory
 * lock). `guard` (or NULL) is a query asked first within the transaction: unless its first cell
 * is an integer other than 0, nothing is done: ERR_CONDITION. Blocks; not batched.
 */
MUST_USE enum err sql_script(struct sql_db *db, const char *guard, const char *script);

/*
 * The same, for who watches: a line `-- step: WHAT` of the script begins a step. `step` is called
 * by this thread before each, with how many are done, and at the end with all of them done and an
 * empty `what`. What is before the first such line is a step without a name.
 */
struct sql_watch {
    void (*step)(void *arg, size_t done, size_t count, const char *what);
    void *arg;
};
MUST_USE enum err sql_script_watched(struct sql_db *db, const char *guard, const char *script,
                                     const struct sql_watch *watch);

/*
 * Has the engine parse every statement of the catalogue against the schema as it is; the first
 * that it refuses is the error. For tests: nothing is run.
 */
MUST_USE enum err sql_check(struct sql_db *db);

/* Counters since sql_open; arrays by enum sql_kind. Atomic, read at any time. */
struct sql_stats {
    _Atomic uint64_t units[SQL_KINDS];
    _Atomic uint64_t batches[SQL_KINDS]; /* transactions or pipelines that held them */
    _Atomic uint64_t micros[SQL_KINDS];  /* spent in batches */
    _Atomic uint64_t statements;
    _Atomic uint64_t steps;      /* SQLite: of its virtual machine; they grow with the rows that
                                    statements look at, whatever the machine's speed */
    _Atomic uint64_t errors;     /* units that did not end OK */
    _Atomic uint64_t retries;    /* batches sent again */
    _Atomic uint64_t reconnects; /* connections made, the first ones too */
    _Atomic uint64_t in_doubt;   /* commits whose answer was lost */
    _Atomic uint64_t queued;     /* units waiting now */
    _Atomic uint64_t connected;  /* connections up now */
};
const struct sql_stats *sql_stats(const struct sql_db *db);

#endif
