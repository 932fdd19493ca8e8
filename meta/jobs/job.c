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

    *out = (struct job_hold){.round = r, .token = rand_i63()};
    sql_unit_init(&u, SQL_WRITE, a);
    u.frees = true;
    struct sql_call *c =
        sql_add_job_take(&u, p_job(str_of(r->name)), p_session((int64_t)session_id(m)),
                         p_lease_ms(r->lease_ms), p_token(out->token));
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
    struct p_job job = p_job(str_of(h->round->name));
    struct p_token token = p_token(h->token);
    struct p_lease_ms lease = p_lease_ms(h->round->lease_ms);
    bool changed = strcmp(h->state, h->written) != 0;
    struct p_job_state state = p_job_state_or_null(changed ? str_of(h->state) : STR_NONE);
    if (hook_broken("job-token"))
        sql_add_job_touch(u, job, token, lease, state);
    else
        sql_add_job_hold(u, job, token, lease, state);
}

enum err job_write(struct meta *m, struct job_hold *h, struct sql_unit *u)
{
    enum err err = meta_write(m, u);
    if (err == OK)
        memcpy(h->written, h->state, sizeof(h->written));
    if (err != ERR_CONDITION) /* that is what job_hold makes of another token */
        return err;
    log_debug("the job %s went to another session", h->round->name);
    h->held = false;
    return OK;
}
