#include "meta/sql/sql.h"

#include "base/clock.h"
#include "meta/sql/driver.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define STATEMENT_MAX_BYTES (64u << 10)

struct sql_db {
    struct sql_driver *driver;
    struct batcher *batcher;
    struct sql_stats stats;
};

/* --- units ----------------------------------------------------------------------------------- */

void sql_unit_init(struct sql_unit *u, enum sql_kind kind, struct arena *arena)
{
    *u = (struct sql_unit){.kind = kind, .arena = arena};
}

void sql_share(struct sql_unit *u, int64_t lock)
{
    for (size_t i = 0; i < u->share_count && i < SQL_SHARES_MAX; i++)
        if (u->shares[i] == lock)
            return;
    if (u->share_count < SQL_SHARES_MAX)
        u->shares[u->share_count] = lock;
    u->share_count++; /* too many: check_unit() */
}

void sql_exclude(struct sql_unit *u, int64_t lock)
{
    u->alone = true; /* the lock is held for this change only */
    u->excludes = true;
    u->excluded = lock;
}

struct sql_call *sql_add(struct sql_unit *u, int statement)
{
    struct sql_call *c = arena_alloc(u->arena, sizeof(*c));
    if (c == NULL) {
        u->error.code = ERR_NOMEM;
        return NULL;
    }
    c->statement = statement;
    if (u->last != NULL)
        u->last->next = c;
    else
        u->first = c;
    u->last = c;
    u->count++;
    return c;
}

struct sql_call *sql_add_values(struct sql_unit *u, int statement, const struct sql_value *values,
                                size_t count)
{
    struct sql_call *c = sql_add(u, statement);
    if (c == NULL)
        return NULL;
    memcpy(c->params, values, count * sizeof(*values));
    c->count = count;
    return c;
}

static void bind(struct sql_call *c, struct sql_value v)
{
    if (c == NULL)
        return;
    if (c->count == SQL_PARAMS_MAX) {
        c->failed = ERR_BUG;
        return;
    }
    if (v.type != SQL_INT && v.str.ptr == NULL)
        v.str.ptr = "";
    c->params[c->count++] = v;
}

void sql_bind_int(struct sql_call *c, int64_t v)
{
    bind(c, (struct sql_value){.type = SQL_INT, .num = v});
}

void sql_bind_bytes(struct sql_call *c, struct str v)
{
    bind(c, (struct sql_value){.type = SQL_BYTES, .str = v});
}

void sql_bind_text(struct sql_call *c, struct str v)
{
    bind(c, (struct sql_value){.type = SQL_TEXT, .str = v});
}

void sql_bind_null(struct sql_call *c)
{
    bind(c, (struct sql_value){.type = SQL_NULL});
}

const struct sql_value *sql_cell(const struct sql_call *c, size_t row, size_t column)
{
    static const struct sql_value none = {.type = SQL_NULL, .str = {"", 0}};
    if (c == NULL || row >= c->rows || column >= c->columns)
        return &none;
    return &c->cells[row * c->columns + column];
}

int64_t sql_int(const struct sql_call *c, size_t row, size_t column)
{
    return sql_cell(c, row, column)->num;
}

struct str sql_str(const struct sql_call *c, size_t row, size_t column)
{
    return sql_cell(c, row, column)->str;
}

bool sql_is_null(const struct sql_call *c, size_t row, size_t column)
{
    return sql_cell(c, row, column)->type == SQL_NULL;
}

enum err sql_grow(struct sql_call *c, struct arena *a, size_t *capacity_rows)
{
    if (c->rows < *capacity_rows)
        return OK;
    size_t wanted = *capacity_rows == 0 ? 1 : *capacity_rows * 4;
    struct sql_value *cells =
        arena_array(a, wanted * (c->columns > 0 ? c->columns : 1), sizeof(*cells));
    if (cells == NULL)
        return err_set(ERR_NOMEM, "SQL: no room for the result in the request's memory");
    if (c->rows > 0)
        memcpy(cells, c->cells, c->rows * c->columns * sizeof(*cells));
    c->cells = cells;
    *capacity_rows = wanted;
    return OK;
}

/* --- checks before anything is sent ----------------------------------------------------------- */

static enum err check_call(const struct sql_driver *d, const struct sql_unit *u, struct sql_call *c)
{
    static const char letters[] = {[SQL_INT] = 'i', [SQL_BYTES] = 'b', [SQL_TEXT] = 't'};
    if (c->statement < 0 || (size_t)c->statement >= d->statements)
        return err_set(ERR_BUG, "SQL: no statement has the number %d", c->statement);
    const struct sql_text *t = &d->catalogue[c->statement];
    if (t->kind != u->kind && t->kind == SQL_WRITE)
        return err_set(ERR_BUG, "SQL: %s: writes, but its unit is a read", t->name);
    if (c->failed != OK || c->count != strlen(t->types))
        return err_set(ERR_BUG, "SQL: %s: takes %zu parameters, was given %zu%s", t->name,
                       strlen(t->types), c->count, c->failed != OK ? " and more" : "");
    for (size_t i = 0; i < c->count; i++) {
        const struct sql_value *v = &c->params[i];
        if (v->type != SQL_NULL && letters[v->type] != t->types[i])
            return err_set(ERR_BUG, "SQL: %s: parameter $%zu must have type %c, was given %c",
                           t->name, i + 1, t->types[i], letters[v->type]);
    }
    return OK;
}

static enum err check_unit(const struct sql_driver *d, struct sql_unit *u)
{
    if (u->share_count > SQL_SHARES_MAX)
        return err_set(ERR_BUG, "SQL: a unit shares %zu locks", u->share_count);
    if (u->error.code != OK || (u->count > 0 && arena_check(u->arena) != OK))
        return err_set(ERR_NOMEM, "SQL: the request's memory is full");
    u->bytes = 0;
    for (struct sql_call *c = u->first; c != NULL; c = c->next) {
        enum err err = check_call(d, u, c);
        if (err != OK)
            return err;
        for (size_t i = 0; i < c->count; i++)
            u->bytes += c->params[i].str.len;
    }
    return OK;
}

/* --- running ---------------------------------------------------------------------------------- */

/* True when the unit needs no batch: it is wrong or empty, or a read that runs here. */
static bool ended_here(struct sql_db *db, struct sql_unit *u)
{
    const struct sql_driver_ops *ops = db->driver->ops;
    enum err err = check_unit(db->driver, u);
    bool here = u->kind == SQL_READ && ops->read_here != NULL;
    if (err == OK && u->count > 0 && !here)
        return false;
    atomic_fetch_add(&db->stats.units[u->kind], 1);
    if (err == OK && u->count > 0) {
        int64_t begun = clock_mono_us();
        err = batcher_fenced(db->batcher) ? ERR_FENCED : ops->read_here(db->driver, u);
        if (err == OK && batcher_fenced(db->batcher))
            err = ERR_FENCED;
        if (err == ERR_FENCED)
            (void)err_set(err, "this process's session has lost its lease");
        atomic_fetch_add(&db->stats.batches[SQL_READ], 1);
        atomic_fetch_add(&db->stats.statements, u->count);
        atomic_fetch_add(&db->stats.micros[SQL_READ], (uint64_t)(clock_mono_us() - begun));
    }
    if (err != OK)
        atomic_fetch_add(&db->stats.errors, 1);
    err_save(err, &u->error);
    return true;
}

void sql_submit(struct sql_db *db, struct sql_unit *u)
{
    if (ended_here(db, u))
        u->done(u);
    else
        batcher_submit(db->batcher, u);
}

static void wake(struct sql_unit *u)
{
    (void)sem_post(u->arg);
}

static enum err run_and_wait(struct sql_db *db, struct sql_unit *u)
{
    if (ended_here(db, u))
        return err_restore(&u->error);
    sem_t ended;
    (void)sem_init(&ended, 0, 0);
    u->done = wake;
    u->arg = &ended;
    batcher_submit_here(db->batcher, u);
    while (sem_wait(&ended) != 0 && errno == EINTR)
        continue;
    (void)sem_destroy(&ended);
    return err_restore(&u->error);
}

enum err sql_read(struct sql_db *db, struct sql_unit *u)
{
    if (u->kind != SQL_READ)
        return err_set(ERR_BUG, "SQL: sql_read was given a unit that writes");
    return run_and_wait(db, u);
}

enum err sql_write(struct sql_db *db, struct sql_unit *u)
{
    if (u->kind != SQL_WRITE)
        return err_set(ERR_BUG, "SQL: sql_write was given a unit that reads");
    return run_and_wait(db, u);
}

enum err sql_script(struct sql_db *db, const char *guard, const char *script)
{
    return sql_script_watched(db, guard, script, NULL);
}

enum err sql_script_watched(struct sql_db *db, const char *guard, const char *script,
                            const struct sql_watch *watch)
{
    const struct sql_driver_ops *ops = db->driver->ops;
    struct sql_conn *conn = NULL;
    struct buf expanded_guard;
    struct sql_steps steps;
    buf_init(&expanded_guard, STATEMENT_MAX_BYTES);
    enum err err = steps_of(ops->dialect, script, &steps);
    steps.watch = watch;
    if (err == OK && guard != NULL)
        err = sql_expand(ops->dialect, str_of(guard), NULL, &expanded_guard);
    if (err != OK)
        goto out;
    err = ops->conn_new(db->driver, &conn);
    if (err != OK)
        goto out;
    err = ops->connect(conn);
    if (err != OK)
        goto out;
    err = ops->script(conn, expanded_guard.data, &steps);
out:
    ops->conn_free(conn);
    steps_free(&steps);
    buf_fini(&expanded_guard);
    return err;
}

enum err sql_check(struct sql_db *db)
{
    const struct sql_driver_ops *ops = db->driver->ops;
    struct sql_conn *conn = NULL;
    enum err err = ops->conn_new(db->driver, &conn);
    if (err == OK)
        err = ops->connect(conn);
    for (size_t i = 0; err == OK && i < db->driver->statements; i++)
        err = ops->check(conn, (int)i);
    ops->conn_free(conn);
    return err;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void free_texts(struct sql_driver *d)
{
    for (size_t i = 0; d->texts != NULL && i < d->statements; i++)
        free(d->texts[i]);
    free(d->texts);
    d->texts = NULL;
}

static enum err expand_catalogue(struct sql_driver *d)
{
    d->texts = calloc(d->statements, sizeof(*d->texts));
    if (d->texts == NULL)
        return err_set(ERR_NOMEM, "SQL: no memory for the statements");
    for (size_t i = 0; i < d->statements; i++) {
        const struct sql_text *t = &d->catalogue[i];
        if (strlen(t->types) > SQL_PARAMS_MAX || strspn(t->types, "ibt") != strlen(t->types))
            return err_set(ERR_BUG, "SQL: %s: wrong parameter types", t->name);
        struct buf text;
        buf_init(&text, STATEMENT_MAX_BYTES);
        enum err err = sql_expand(d->ops->dialect, str_of(t->text), t->names, &text);
        if (err != OK) {
            buf_fini(&text);
            return err_prefix(err, "%s", t->name);
        }
        size_t len = 0;
        d->texts[i] = buf_take(&text, &len);
        if (d->texts[i] == NULL)
            return err_set(ERR_NOMEM, "SQL: no memory for the statements");
    }
    return OK;
}

static struct sql_options with_defaults(const struct sql_options *o)
{
    struct sql_options r = o != NULL ? *o : (struct sql_options){0};
    r.wait_ms = r.wait_ms > 0 ? r.wait_ms : 5000;
    r.answer_ms = r.answer_ms > 0 ? r.answer_ms : 20000;
    r.lock_ms = r.lock_ms > 0 ? r.lock_ms : 10000;
    if (r.catalogue == NULL) {
        r.catalogue = sql_catalogue;
        r.statements = SQL_STATEMENTS;
    }
    return r;
}

static const struct sql_driver_ops *engine_of(const char *url)
{
    struct str s = str_of(url);
    if (str_starts(s, STR("sqlite:")))
        return &sql_sqlite_ops;
    if (str_starts(s, STR("postgres://")) || str_starts(s, STR("postgresql://")))
        return &sql_postgres_ops;
    return NULL;
}

enum err sql_open(const char *url, const struct sql_options *o, struct sql_db **out)
{
    *out = NULL;
    const struct sql_driver_ops *ops = engine_of(url);
    if (ops == NULL) /* the URL may hold a password: it is not repeated */
        return err_set(ERR_INVALID, "the metadata URL must be sqlite:PATH or "
                                    "postgres://USER:PASSWORD@HOST:PORT/DATABASE");
    struct sql_options options = with_defaults(o);
    struct sql_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        return err_set(ERR_NOMEM, "SQL: no memory for the database");
    enum err err = ops->open(url, &options, &db->driver);
    if (err != OK)
        goto out;
    db->driver->ops = ops;
    db->driver->options = options;
    db->driver->catalogue = options.catalogue;
    db->driver->statements = options.statements;
    db->driver->stats = &db->stats;
    err = expand_catalogue(db->driver);
    if (err != OK)
        goto out;
    bool one_writer = ops->read_here != NULL;
    size_t connections = options.connections > 0 ? options.connections : 4;
    err = batcher_new(db->driver, one_writer ? 1 : connections, &db->batcher);
out:
    if (err != OK) {
        struct err_info why;
        err_save(err, &why);
        sql_close(db);
        return err_restore(&why);
    }
    *out = db;
    return OK;
}

struct sql_driver *sql_driver_of(const struct sql_db *db)
{
    return db->driver;
}

void sql_close(struct sql_db *db)
{
    if (db == NULL)
        return;
    batcher_free(db->batcher);
    if (db->driver != NULL) {
        free_texts(db->driver);
        db->driver->ops->close(db->driver);
    }
    free(db);
}

const char *sql_engine(const struct sql_db *db)
{
    return db->driver->ops->name;
}

bool sql_is_postgres(const struct sql_db *db)
{
    return db->driver->ops->dialect == SQL_POSTGRES;
}

void sql_set_session(struct sql_db *db, int64_t session, int64_t (*next_id)(void *), void *arg)
{
    batcher_set_session(db->batcher, session, next_id, arg);
}

void sql_set_fence(struct sql_db *db, bool (*lease_is_over)(void *), void *arg)
{
    batcher_set_fence(db->batcher, lease_is_over, arg);
}

void sql_hurry(struct sql_db *db)
{
    batcher_hurry(db->batcher);
}

const struct sql_stats *sql_stats(const struct sql_db *db)
{
    return &db->stats;
}
