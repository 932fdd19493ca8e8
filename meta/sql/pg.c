/* PostgreSQL under meta/sql/driver.h: running a batch in one pipeline. See pg.h. */
#include "meta/sql/pg.h"

#include "base/log.h"

#include <string.h>

/* "kiseki" as a number: scripts of all gateways of a database wait for this lock. */
#define SCRIPT_LOCK "118083252087657"

struct run {
    struct pg_link *link;
    struct sql_batch *batch;
    bool failed;   /* batch->error has the first failure */
    bool conflict; /* 40001, 40P01 */
    bool stale;    /* a prepared statement of ours is no longer valid, or the server refuses writes:
                      a new connection is better */
};

/* --- sending ---------------------------------------------------------------------------------- */

static enum err send_text(struct pg_link *l, const char *text)
{
    if (PQsendQueryParams(l->pg, text, 0, NULL, NULL, NULL, NULL, 1) == 0)
        return pg_fail_connection(l->pg);
    return pg_note_sent(l, NULL, NULL, false);
}

static enum err send_unit(struct pg_link *l, struct sql_unit *u)
{
    enum err err = OK;
    for (struct sql_call *c = u->first; err == OK && c != NULL; c = c->next)
        err = pg_send(l, u, c);
    return err;
}

static bool wants_snapshot(const struct sql_batch *b)
{
    for (size_t i = 0; b->kind == SQL_READ && i < b->count; i++)
        if (b->units[i]->snapshot)
            return true;
    return false;
}

/* Everything but the Sync; without that nothing can be committed. */
static enum err send_all(struct pg_link *l, struct sql_batch *b)
{
    enum err err = OK;
    bool snapshot = wants_snapshot(b);
    l->sent_count = 0;
    if (snapshot)
        err = send_text(l, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    if (err == OK && b->head != NULL)
        err = send_unit(l, b->head);
    for (size_t i = 0; err == OK && i < b->count; i++)
        err = send_unit(l, b->units[i]);
    if (err == OK && snapshot)
        err = send_text(l, "COMMIT");
    return err;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* True when a unit is not to blame for this SQLSTATE: the server is full, read-only, going down. */
static bool concerns_all(const char *state)
{
    return strncmp(state, "53", 2) == 0 || strncmp(state, "57P", 3) == 0 ||
           strncmp(state, "58", 2) == 0 || strncmp(state, "08", 2) == 0 ||
           strcmp(state, "25006") == 0;
}

static void note_failure(struct run *run, const PGresult *r, const struct pg_sent *sent)
{
    if (run->failed)
        return;
    struct sql_driver *d = run->link->base.driver;
    const char *name =
        sent != NULL && sent->call != NULL ? d->catalogue[sent->call->statement].name : "commit";
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    run->failed = true;
    err_save(pg_fail(r, name), &run->batch->error);
    if (state == NULL)
        return;
    run->conflict = strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0;
    run->stale =
        strcmp(state, "26000") == 0 || strcmp(state, "25006") == 0 ||
        (strcmp(state, "0A000") == 0 && message != NULL && strstr(message, "cached plan") != NULL);
    run->batch->culprit = concerns_all(state) || sent == NULL ? NULL : sent->unit;
}

static void note_answer(struct run *run, const PGresult *r, const struct pg_sent *sent)
{
    if (sent == NULL || sent->call == NULL)
        return;
    if (sent->prepare) {
        run->link->prepared[sent->call->statement] = true;
        return;
    }
    if (sent->unit == run->batch->head)
        return;
    enum err err = pg_take(run->link, r, sent->unit, sent->call);
    if (err == OK || sent->unit->error.code != OK)
        return;
    err_save(err, &sent->unit->error);
    if (run->batch->kind == SQL_WRITE) /* it commits all the same */
        sent->unit->error.code = ERR_UNKNOWN;
}

/* Reads all answers up to the Sync's. Not OK: the connection is lost. */
static enum err collect(struct run *run)
{
    struct pg_link *l = run->link;
    int64_t answer_ms = l->base.driver->options.answer_ms;
    if (run->batch->kind == SQL_READ)
        answer_ms = answer_ms / 2;
    size_t at = 0;
    for (;;) {
        enum err err = pg_wait(l, answer_ms);
        if (err != OK)
            return err;
        PGresult *r = PQgetResult(l->pg);
        if (PQstatus(l->pg) != CONNECTION_OK || (r == NULL && at > l->sent_count)) {
            err = pg_fail_connection(l->pg);
            PQclear(r);
            return err;
        }
        if (r == NULL) { /* the end of one statement's results */
            at++;
            continue;
        }
        const struct pg_sent *sent = at < l->sent_count ? &l->sent[at] : NULL;
        ExecStatusType status = PQresultStatus(r);
        if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
            note_answer(run, r, sent);
        else if (status != PGRES_PIPELINE_SYNC && status != PGRES_PIPELINE_ABORTED)
            note_failure(run, r, sent);
        PQclear(r);
        if (status == PGRES_PIPELINE_SYNC)
            return OK;
    }
}

/* Ends the explicit transaction of a snapshot that failed in the middle. */
static enum err leave_transaction(struct pg_link *l)
{
    if (PQtransactionStatus(l->pg) == PQTRANS_IDLE)
        return OK;
    struct sql_batch none = {.kind = SQL_READ};
    struct run run = {.link = l, .batch = &none};
    l->sent_count = 0;
    enum err err = send_text(l, "ROLLBACK");
    if (err == OK && PQpipelineSync(l->pg) == 0)
        err = pg_fail_connection(l->pg);
    return err == OK ? collect(&run) : err;
}

static enum sql_outcome broken(struct pg_link *l, struct sql_batch *b, enum err err,
                               enum sql_outcome outcome)
{
    err_save(err, &b->error);
    pg_disconnect(l);
    return outcome;
}

static enum sql_outcome pg_run(struct sql_conn *c, struct sql_batch *b)
{
    struct pg_link *l = (struct pg_link *)c;
    struct run run = {.link = l, .batch = b};
    bool writes = b->kind == SQL_WRITE;
    if (!pg_alive(l))
        return broken(l, b, err_set(ERR_BUSY, "PostgreSQL: the server closed the connection"),
                      SQL_LOST);
    enum err err = send_all(l, b);
    if (err != OK)
        return broken(l, b, err, SQL_LOST);
    l->warned = false;
    err = PQpipelineSync(l->pg) != 0 ? collect(&run) : pg_fail_connection(l->pg);
    if (err != OK)
        return broken(l, b, err, writes ? SQL_IN_DOUBT : SQL_LOST);
    err = leave_transaction(l);
    if (err != OK || run.stale)
        return broken(l, b, err != OK ? err : err_set(ERR_BUSY, "%s", b->error.text), SQL_LOST);
    if (run.failed)
        return run.conflict ? SQL_RETRY : SQL_FAILED;
    if (writes && l->warned)
        return broken(l, b, err_set(ERR_UNKNOWN, "PostgreSQL: commit: %s", l->warning),
                      SQL_IN_DOUBT);
    return SQL_DONE;
}

static enum err pg_check(struct sql_conn *c, int statement)
{
    struct pg_link *l = (struct pg_link *)c;
    struct sql_unit nobody = {.kind = SQL_READ};
    struct sql_call call = {.statement = statement};
    struct sql_batch batch = {.kind = SQL_READ};
    struct run run = {.link = l, .batch = &batch};
    l->sent_count = 0;
    enum err err = pg_prepare(l, &nobody, &call);
    if (err == OK && PQpipelineSync(l->pg) == 0)
        err = pg_fail_connection(l->pg);
    if (err == OK)
        err = collect(&run);
    return err == OK && run.failed ? err_restore(&batch.error) : err;
}

/* --- scripts ---------------------------------------------------------------------------------- */

static enum err execute(struct pg_link *l, const char *what, const char *text, bool *out_zero)
{
    PGresult *r = PQexec(l->pg, text);
    ExecStatusType status = r != NULL ? PQresultStatus(r) : PGRES_FATAL_ERROR;
    enum err err = OK;
    if (r == NULL || PQstatus(l->pg) != CONNECTION_OK)
        err = pg_fail_connection(l->pg);
    else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY)
        err = pg_fail(r, what);
    else if (out_zero != NULL)
        *out_zero = PQntuples(r) == 0 || PQnfields(r) == 0 || PQgetisnull(r, 0, 0) != 0 ||
                    strcmp(PQgetvalue(r, 0, 0), "0") == 0 || strcmp(PQgetvalue(r, 0, 0), "f") == 0;
    PQclear(r);
    return err;
}

/* The connection is fresh and freed afterwards: what fails is rolled back by closing it. */
static enum err pg_script(struct sql_conn *c, const char *guard, const struct sql_steps *steps)
{
    struct pg_link *l = (struct pg_link *)c;
    bool zero = false;
    if (PQexitPipelineMode(l->pg) != 1 || PQsetnonblocking(l->pg, 0) != 0)
        return pg_fail_connection(l->pg);
    enum err err =
        execute(l, "script's lock",
                "BEGIN; SET LOCAL lock_timeout = 0; SET LOCAL client_min_messages = error;"
                " SELECT pg_advisory_xact_lock(" SCRIPT_LOCK ")",
                NULL);
    if (err == OK && guard != NULL)
        err = execute(l, "script's guard", guard, &zero);
    if (err == OK && zero)
        err = err_set(ERR_CONDITION, "PostgreSQL: the script's guard said no");
    for (size_t i = 0; err == OK && i < steps->count; i++) {
        steps_report(steps, i);
        err = execute(l, "script", steps->all[i].text, NULL);
    }
    if (err != OK)
        return err;
    err = execute(l, "script's commit", "COMMIT", NULL);
    if (err == OK)
        steps_report(steps, steps->count);
    if (err == ERR_BUSY)
        return err_set(ERR_UNKNOWN, "%s", err_text(err));
    return err;
}

const struct sql_driver_ops sql_postgres_ops = {
    .name = "PostgreSQL",
    .dialect = SQL_POSTGRES,
    .open = pg_open,
    .close = pg_close,
    .conn_new = pg_conn_new,
    .connect = pg_connect,
    .conn_free = pg_conn_free,
    .run = pg_run,
    .check = pg_check,
    .script = pg_script,
};
