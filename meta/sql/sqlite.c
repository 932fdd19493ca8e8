/*
 * SQLite under meta/sql/driver.h; only this and sqlite_*.c include sqlite3.h.
 *
 * One connection writes (the batching has one slot): BEGIN IMMEDIATE, a SAVEPOINT a unit, COMMIT,
 * WAL with synchronous=FULL, so that COMMIT returns after the fsync. Reads run in the calling
 * thread on a connection of a small pool; in WAL mode they wait for nothing.
 *
 * A COMMIT that fails with an I/O error may stand in the log all the same and come back after a
 * crash: it is in doubt, and resolved by the tombstone, whose frames take the place of the lost
 * ones.
 */
#include "meta/sql/driver.h"
#include "meta/sql/sqlite_file.h"
#include "meta/sql/sqlite_parts.h"
#include "meta/sql/sqlite_space.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define READERS_DEFAULT 8

/* The engine's own statements, by enum control; prepared at first use like all others. */
enum control { BEGIN_READ, BEGIN_WRITE, COMMIT, SAVEPOINT, RELEASE, UNDO, CONTROLS };

static const char *const control_texts[CONTROLS] = {
    "BEGIN", "BEGIN IMMEDIATE", "COMMIT", "SAVEPOINT unit", "RELEASE unit", "ROLLBACK TO unit"};

struct lite_conn {
    struct sql_conn base;
    sqlite3 *db; /* NULL: down */
    sqlite3_stmt *controls[CONTROLS];
    sqlite3_stmt **stmts; /* by statement, prepared at first use */
    bool reader;
    bool result_failed; /* of the unit that runs: its own memory is full, not SQLite's */
    struct lite_conn *next_free;
};

struct lite_driver {
    struct sql_driver base;
    char *path;
    size_t readers_max;
    struct sqlite_space space; /* guards itself */

    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct lite_conn *free; /* guarded by lock */
    size_t readers;         /* guarded by lock; made and not freed */
};

static struct lite_driver *driver_of(struct sql_conn *c)
{
    return (struct lite_driver *)c->driver;
}

/* --- errors ----------------------------------------------------------------------------------- */

static enum err fail(struct lite_conn *c, int rc, const char *what, bool preparing)
{
    enum err code = sqlite_finds_no_room(c->db, rc) ? ERR_FULL : sqlite_code_of(rc, preparing);
    return err_set(code, "SQLite: %s: %s (%d)", what,
                   c->db != NULL ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc), rc);
}

static enum err execute(struct lite_conn *c, const char *text)
{
    int rc = sqlite3_exec(c->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? OK : fail(c, rc, text, false);
}

static int control_rc(struct lite_conn *c, enum control what)
{
    sqlite3_stmt **s = &c->controls[what];
    int rc = SQLITE_OK;
    if (*s == NULL)
        rc = sqlite3_prepare_v3(c->db, control_texts[what], -1, SQLITE_PREPARE_PERSISTENT, s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(*s);
    (void)sqlite3_reset(*s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static enum err control(struct lite_conn *c, enum control what)
{
    int rc = control_rc(c, what);
    return rc == SQLITE_OK ? OK : fail(c, rc, control_texts[what], false);
}

/* --- connections ------------------------------------------------------------------------------ */

static void disconnect(struct lite_conn *c)
{
    for (size_t i = 0; c->stmts != NULL && i < c->base.driver->statements; i++)
        (void)sqlite3_finalize(c->stmts[i]);
    for (size_t i = 0; i < CONTROLS; i++) {
        (void)sqlite3_finalize(c->controls[i]);
        c->controls[i] = NULL;
    }
    free(c->stmts);
    c->stmts = NULL;
    (void)sqlite3_close(c->db);
    c->db = NULL;
}

static enum err check_wal(struct lite_conn *c, const char *path)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->db, "PRAGMA journal_mode = WAL", -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    enum err err = OK;
    if (rc != SQLITE_ROW)
        err = fail(c, rc, path, false);
    else if (sqlite3_stricmp((const char *)sqlite3_column_text(s, 0), "wal") != 0)
        err = err_set(ERR_UNSUPPORTED,
                      "SQLite: %s: no write-ahead log on this file system; put the "
                      "database on a local disk",
                      path);
    (void)sqlite3_finalize(s);
    return err;
}

static enum err lite_connect(struct sql_conn *base)
{
    struct lite_conn *c = (struct lite_conn *)base;
    struct lite_driver *d = driver_of(base);
    disconnect(c);
    c->stmts = calloc(base->driver->statements + 1, sizeof(*c->stmts));
    if (c->stmts == NULL)
        return err_set(ERR_NOMEM, "SQLite: no memory for a connection");
    int rc = sqlite3_open_v2(d->path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK) {
        enum err err = fail(c, rc, d->path, false);
        disconnect(c);
        return err;
    }
    (void)sqlite3_extended_result_codes(c->db, 1);
    (void)sqlite3_busy_timeout(c->db, (int)base->driver->options.wait_ms);
    sqlite_add_functions(c->db);
    enum err err = sqlite_space_same(&d->space);
    if (err == OK)
        err = check_wal(c, d->path);
    if (err == OK)
        err = execute(c, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                         "PRAGMA temp_store = MEMORY");
    if (err == OK)
        err = execute(c, c->reader ? "PRAGMA cache_size = -4000; PRAGMA query_only = ON"
                                   : "PRAGMA cache_size = -16000");
    if (err != OK)
        disconnect(c);
    else
        atomic_fetch_add(&base->driver->stats->reconnects, 1);
    if (err == OK && !c->reader)
        sqlite_space_reserve(&d->space);
    return err;
}

static enum err lite_conn_new(struct sql_driver *d, struct sql_conn **out)
{
    struct lite_conn *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return err_set(ERR_NOMEM, "SQLite: no memory for a connection");
    c->base.driver = d;
    *out = &c->base;
    return OK;
}

static void lite_conn_free(struct sql_conn *base)
{
    if (base == NULL)
        return;
    disconnect((struct lite_conn *)base);
    free(base);
}

/* --- one statement ---------------------------------------------------------------------------- */

static enum err statement(struct lite_conn *c, int number, sqlite3_stmt **out)
{
    struct sql_driver *d = c->base.driver;
    if (c->stmts[number] == NULL) {
        int rc = sqlite3_prepare_v3(c->db, d->texts[number], -1, SQLITE_PREPARE_PERSISTENT,
                                    &c->stmts[number], NULL);
        if (rc != SQLITE_OK)
            return fail(c, rc, d->catalogue[number].name, true);
    }
    *out = c->stmts[number];
    return OK;
}

static int bind_one(sqlite3_stmt *s, int at, const struct sql_value *v)
{
    switch (v->type) {
    case SQL_INT:
        return sqlite3_bind_int64(s, at, v->num);
    case SQL_BYTES:
        return sqlite3_bind_blob64(s, at, v->str.ptr, v->str.len, SQLITE_STATIC);
    case SQL_TEXT:
        return sqlite3_bind_text64(s, at, v->str.ptr, v->str.len, SQLITE_STATIC, SQLITE_UTF8);
    case SQL_NULL:
    default:
        return sqlite3_bind_null(s, at);
    }
}

static enum err take_cell(sqlite3_stmt *s, int at, struct arena *a, struct sql_value *out)
{
    int type = sqlite3_column_type(s, at);
    out->str = (struct str){"", 0};
    if (type == SQLITE_NULL)
        return OK;
    if (type == SQLITE_INTEGER) {
        out->type = SQL_INT;
        out->num = sqlite3_column_int64(s, at);
        return OK;
    }
    if (type == SQLITE_FLOAT)
        return err_set(ERR_BUG, "SQLite: %s: a result is a fraction; cast it to INTEGER",
                       sqlite3_column_name(s, at));
    out->type = type == SQLITE_TEXT ? SQL_TEXT : SQL_BYTES;
    const void *bytes =
        type == SQLITE_TEXT ? sqlite3_column_text(s, at) : sqlite3_column_blob(s, at);
    struct str value = {bytes, (size_t)sqlite3_column_bytes(s, at)};
    if (value.len == 0)
        return OK;
    out->str = arena_str(a, value);
    return out->str.ptr != NULL ? OK
                                : err_set(ERR_NOMEM, "SQL: no room for the result in the "
                                                     "request's memory");
}

static enum err take_row(sqlite3_stmt *s, struct sql_call *call, struct arena *a, size_t *capacity)
{
    enum err err = sql_grow(call, a, capacity);
    for (size_t i = 0; err == OK && i < call->columns; i++)
        err = take_cell(s, (int)i, a, &call->cells[call->rows * call->columns + i]);
    call->rows++;
    return err;
}

static enum err run_call(struct lite_conn *c, struct sql_call *call, struct arena *a)
{
    const char *name = c->base.driver->catalogue[call->statement].name;
    sqlite3_stmt *s = NULL;
    enum err err = statement(c, call->statement, &s);
    if (err != OK)
        return err;
    int params = sqlite3_bind_parameter_count(s);
    int rc = SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && i < params && i < (int)call->count; i++)
        rc = bind_one(s, i + 1, &call->params[i]);
    if (rc != SQLITE_OK) {
        err = fail(c, rc, name, false);
        goto out;
    }
    size_t capacity = 0;
    call->columns = (size_t)sqlite3_column_count(s);
    rc = sqlite3_step(s);
    while (rc == SQLITE_ROW && err == OK) {
        err = take_row(s, call, a, &capacity);
        c->result_failed = err != OK;
        rc = sqlite3_step(s);
    }
    if (err == OK && rc != SQLITE_DONE)
        err = fail(c, rc, name, false);
    call->changed = sqlite3_stmt_readonly(s) ? (int64_t)call->rows : sqlite3_changes64(c->db);
    call->answered = err == OK;
out:
    (void)sqlite3_reset(s);
    atomic_fetch_add(&c->base.driver->stats->steps,
                     (uint64_t)(unsigned)sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 1));
    (void)sqlite3_clear_bindings(s); /* no pointer into a finished request stays behind */
    return err;
}

static enum err run_calls(struct lite_conn *c, struct sql_unit *u)
{
    enum err err = OK;
    c->result_failed = false;
    for (struct sql_call *call = u->first; err == OK && call != NULL; call = call->next)
        err = run_call(c, call, u->arena);
    return err;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* A rollback that found no memory is made up for before the next transaction. */
static bool roll_back(struct lite_conn *c)
{
    if (sqlite3_get_autocommit(c->db) == 0)
        (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return sqlite3_get_autocommit(c->db) != 0;
}

static enum sql_outcome failed(struct lite_conn *c, struct sql_batch *b, enum err err,
                               struct sql_unit *culprit)
{
    err_save(err, &b->error);
    b->culprit = sqlite_concerns_all(err) ? NULL : culprit;
    (void)roll_back(c);
    return SQL_FAILED;
}

/* OK also when the unit failed and was undone by itself; else the whole transaction is to end. */
static enum err run_in_savepoint(struct lite_conn *c, struct sql_unit *u)
{
    enum err err = control(c, SAVEPOINT);
    if (err != OK)
        return err;
    err = run_calls(c, u);
    if (err == OK)
        return control(c, RELEASE);
    if ((sqlite_concerns_all(err) && !c->result_failed) || sqlite3_get_autocommit(c->db) != 0)
        return err;
    err_save(err, &u->error);
    err = control(c, UNDO);
    return err == OK ? control(c, RELEASE) : err;
}

static enum sql_outcome commit(struct lite_conn *c, struct sql_batch *b)
{
    int rc = control_rc(c, COMMIT);
    enum err gone = rc == SQLITE_OK ? sqlite_space_same(&driver_of(&c->base)->space) : OK;
    if (gone != OK) /* what was committed there is lost to everyone */
        return failed(c, b, gone, NULL);
    if (rc == SQLITE_OK)
        return SQL_DONE;
    enum err err = fail(c, rc, "COMMIT", false);
    bool full = (rc & 0xff) == SQLITE_FULL || (rc & 0xff) == SQLITE_BUSY ||
                (rc & 0xff) == SQLITE_CONSTRAINT;
    (void)failed(c, b, err, NULL);
    if (full)
        return SQL_FAILED;
    if (err == ERR_FULL)
        (void)sqlite_space_release(&driver_of(&c->base)->space);
    disconnect(c);
    return SQL_IN_DOUBT;
}

/* What does not free anything waits until there is room on the disk. */
static bool is_put_off(struct lite_conn *c, struct sql_unit *u)
{
    if (u->frees || !sqlite_space_is_full(&driver_of(&c->base)->space))
        return false;
    err_save(err_set(ERR_FULL, "SQLite: the disk of the database is full"), &u->error);
    return true;
}

static enum sql_outcome run_batch(struct lite_conn *c, struct sql_batch *b)
{
    enum err err = sqlite_space_same(&driver_of(&c->base)->space);
    if (err == OK && !roll_back(c))
        err = err_set(ERR_BUSY, "SQLite: the last transaction cannot be rolled back yet");
    if (err == OK)
        err = control(c, BEGIN_WRITE);
    if (err != OK)
        return failed(c, b, err, NULL);
    if (b->head != NULL) {
        err = run_calls(c, b->head);
        if (err != OK)
            return failed(c, b, err, b->head);
    }
    for (size_t i = 0; i < b->count; i++) {
        if (is_put_off(c, b->units[i]))
            continue;
        err = b->count == 1 ? run_calls(c, b->units[i]) : run_in_savepoint(c, b->units[i]);
        if (err != OK)
            return failed(c, b, err, b->units[i]);
    }
    return commit(c, b);
}

/* On a full disk a second time, with the reserve. */
static enum sql_outcome lite_run(struct sql_conn *base, struct sql_batch *b)
{
    struct lite_conn *c = (struct lite_conn *)base;
    struct sqlite_space *space = &driver_of(base)->space;
    if (c->db == NULL) {
        err_save(err_set(ERR_BUSY, "SQLite: the database is closed"), &b->error);
        return SQL_LOST;
    }
    sqlite_space_look(space);
    enum sql_outcome o = run_batch(c, b);
    if (o == SQL_FAILED && b->error.code == ERR_FULL && sqlite_space_release(space)) {
        (void)sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        for (size_t i = 0; i < b->count; i++)
            b->units[i]->error.code = OK;
        o = run_batch(c, b);
    }
    if (sqlite_space_is_full(space))
        (void)sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return o;
}

static enum err lite_check(struct sql_conn *base, int number)
{
    struct sql_driver *d = base->driver;
    sqlite3_stmt *s = NULL;
    enum err err = statement((struct lite_conn *)base, number, &s);
    if (err != OK)
        return err;
    if (sqlite3_bind_parameter_count(s) > (int)strlen(d->catalogue[number].types))
        return err_set(ERR_BUG, "SQLite: %s: has more parameters than types",
                       d->catalogue[number].name);
    if (d->catalogue[number].kind == SQL_READ && sqlite3_stmt_readonly(s) == 0)
        return err_set(ERR_BUG, "SQLite: %s: writes, but is called READ",
                       d->catalogue[number].name);
    return OK;
}

static enum err ask_guard(struct lite_conn *c, const char *guard)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->db, guard, -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    enum err err = OK;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        err = fail(c, rc, "the script's guard", false);
    else if (rc == SQLITE_DONE || sqlite3_column_int64(s, 0) == 0)
        err = err_set(ERR_CONDITION, "SQLite: the script's guard said no");
    (void)sqlite3_finalize(s);
    return err;
}

static enum err lite_script(struct sql_conn *base, const char *guard, const struct sql_steps *steps)
{
    struct lite_conn *c = (struct lite_conn *)base;
    enum err err = control(c, BEGIN_WRITE);
    if (err != OK)
        return err;
    if (guard != NULL)
        err = ask_guard(c, guard);
    for (size_t i = 0; err == OK && i < steps->count; i++) {
        steps_report(steps, i);
        int rc = sqlite3_exec(c->db, steps->all[i].text, NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            err = fail(c, rc, "script", false);
    }
    if (err == OK)
        err = execute(c, "COMMIT");
    if (err == OK)
        steps_report(steps, steps->count);
    if (err != OK && sqlite3_get_autocommit(c->db) == 0)
        (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* A reader from the pool; waits while all are out. */
static enum err reader_take(struct lite_driver *d, struct lite_conn **out)
{
    struct lite_conn *c = NULL;
    (void)pthread_mutex_lock(&d->lock);
    while (d->free == NULL && d->readers >= d->readers_max)
        (void)pthread_cond_wait(&d->returned, &d->lock);
    if (d->free != NULL) {
        c = d->free;
        d->free = c->next_free;
    } else {
        d->readers++;
    }
    (void)pthread_mutex_unlock(&d->lock);
    enum err err = OK;
    if (c == NULL) {
        struct sql_conn *base = NULL;
        err = lite_conn_new(&d->base, &base);
        c = (struct lite_conn *)base;
        if (c != NULL)
            c->reader = true;
    }
    if (err == OK && c->db == NULL)
        err = lite_connect(&c->base);
    *out = c;
    return err;
}

static void reader_return(struct lite_driver *d, struct lite_conn *c)
{
    (void)pthread_mutex_lock(&d->lock);
    if (c != NULL) {
        c->next_free = d->free;
        d->free = c;
    } else {
        d->readers--;
    }
    (void)pthread_cond_signal(&d->returned);
    (void)pthread_mutex_unlock(&d->lock);
}

static enum err lite_read(struct sql_driver *base, struct sql_unit *u)
{
    struct lite_driver *d = (struct lite_driver *)base;
    struct lite_conn *c = NULL;
    enum err err = reader_take(d, &c);
    if (err != OK)
        goto out;
    bool one = u->count == 1;
    err = one ? OK : control(c, BEGIN_READ);
    if (err == OK)
        err = run_calls(c, u);
    if (!one && sqlite3_get_autocommit(c->db) == 0)
        (void)control_rc(c, COMMIT);
    bool stuck = sqlite3_get_autocommit(c->db) == 0; /* in a snapshot that gets old */
    if (stuck || err == ERR_CORRUPT || err == ERR_BUSY)
        disconnect(c); /* a damaged or replaced file: look at it afresh next time */
out:
    reader_return(d, c);
    return err;
}

/* --- the driver ------------------------------------------------------------------------------- */

static void lite_close(struct sql_driver *base)
{
    struct lite_driver *d = (struct lite_driver *)base;
    while (d->free != NULL) {
        struct lite_conn *c = d->free;
        d->free = c->next_free;
        lite_conn_free(&c->base);
    }
    (void)pthread_cond_destroy(&d->returned);
    (void)pthread_mutex_destroy(&d->lock);
    sqlite_space_fini(&d->space);
    free(d->path);
    free(d);
}

static enum err lite_open(const char *url, const struct sql_options *o, struct sql_driver **out)
{
    const char *path = url + strlen("sqlite:");
    if (path[0] == '\0' || path[0] == ':')
        return err_set(ERR_INVALID, "sqlite: needs the path of a file: sqlite:PATH");
    struct lite_driver *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return err_set(ERR_NOMEM, "SQLite: no memory");
    (void)pthread_mutex_init(&d->lock, NULL);
    (void)pthread_cond_init(&d->returned, NULL);
    d->readers_max = o->connections > 0 ? o->connections : READERS_DEFAULT;
    d->path = strdup(path);
    enum err err = d->path != NULL ? OK : err_set(ERR_NOMEM, "SQLite: no memory");
    if (err == OK)
        err = sqlite_space_init(&d->space, d->path);
    if (err == OK)
        err = o->must_have != NULL ? sqlite_file_holds(d->path, o->must_have)
                                   : sqlite_file_make(d->path);
    if (err != OK) {
        lite_close(&d->base);
        return err;
    }
    *out = &d->base;
    return OK;
}

const struct sql_driver_ops sql_sqlite_ops = {
    .name = "SQLite",
    .dialect = SQL_SQLITE,
    .open = lite_open,
    .close = lite_close,
    .conn_new = lite_conn_new,
    .connect = lite_connect,
    .conn_free = lite_conn_free,
    .run = lite_run,
    .check = lite_check,
    .script = lite_script,
    .read_here = lite_read,
};
