#include "meta/jobs/job_internal.h"

#include "base/hooks.h"
#include "base/log.h"
#include "base/rand.h"

#include <stdio.h>
#include <string.h>

static void set_state(struct job_hold *h, struct str text)
{
    snprintf(h->state, sizeof(h->state), STR_FMT, STR_ARG(text));
    memcpy(h->written, h->state, sizeof(h->written));
}

enum err job_take(struct meta *m, const struct job_round *r, struct job_hold *out)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;

    *out = (struct job_hold){.round = r, .token = (int64_t)(rand_u64() >> 1)};
    sql_unit_init(&u, SQL_WRITE, a);
    u.frees = true;
    struct sql_call *c = sql_add(&u, SQL_job_take);
    sql_bind_text(c, str_of(r->name));
    sql_bind_int(c, (int64_t)session_id(m));
    sql_bind_int(c, r->lease_ms);
    sql_bind_int(c, out->token);
    enum err err = a != NULL ? meta_write(m, &u) : err_set(ERR_NOMEM, "no memory to take a job");
    out->held = err == OK && c->rows > 0;
    if (out->held)
        set_state(out, sql_str(c, 0, 0));
    arena_free(a);
    return err;
}

void job_begin(struct job_hold *h, struct sql_unit *u, struct arena *a)
{
    sql_unit_init(u, SQL_WRITE, a);
    u->frees = true;
    u->results_optional = true; /* they are counted and no more: what is left is looked for anew */
    struct sql_call *c = sql_add(u, hook_broken("job-token") ? SQL_job_touch : SQL_job_hold);
    sql_bind_text(c, str_of(h->round->name));
    sql_bind_int(c, h->token);
    sql_bind_int(c, h->round->lease_ms);
    if (strcmp(h->state, h->written) == 0)
        sql_bind_null(c);
    else
        sql_bind_bytes(c, str_of(h->state));
}

enum err job_write(struct meta *m, struct job_hold *h, struct sql_unit *u)
{
    enum err err = meta_write(m, u);
    if (err == OK)
        memcpy(h->written, h->state, sizeof(h->written));
    if (err != ERR_CONDITION) /* that is what SQL_job_hold makes of another token */
        return err;
    log_debug("the job %s went to another session", h->round->name);
    h->held = false;
    return OK;
}
