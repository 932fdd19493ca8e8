/*
 * This process's session: opened, renewed by a heartbeat, replaced when it was lost, and closed.
 * Writes prove it by a foreign key; here our clock says when they cannot succeed any more.
 */
#include "meta/core/handle.h"

#include "base/clock.h"
#include "base/hooks.h"
#include "base/log.h"
#include "base/rand.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Longest time that a close spends on what the session left; the rest is other sessions' work. */
#define CLEAN_MS 2000

enum err session_init(struct meta *m)
{
    struct meta_session_state *s = &m->session;
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return err_set(ERR_NOMEM, "no condition variable for the session");
    int bad = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    bad = bad != 0 ? bad : pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (bad != 0)
        return err_set(ERR_NOMEM, "no condition variable for the session");
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        pthread_cond_destroy(&s->changed);
        return err_set(ERR_NOMEM, "no mutex for the session");
    }
    return OK;
}

void session_fini(struct meta *m)
{
    pthread_cond_destroy(&m->session.changed);
    pthread_mutex_destroy(&m->session.lock);
}

uint64_t session_id(struct meta *m)
{
    pthread_mutex_lock(&m->session.lock);
    uint64_t id = m->session.id;
    pthread_mutex_unlock(&m->session.lock);
    return id;
}

/* sql_set_fence()'s question. */
static bool lease_is_over(void *meta)
{
    struct meta *m = meta;
    if (hook_broken("session-proof") && atomic_load(&m->session.opened))
        return false;
    return clock_boot_ms() >= atomic_load(&m->session.fence_boot_ms);
}

bool meta_session_alive(struct meta *m)
{
    return !lease_is_over(m);
}

/*
 * The lease as the holder counts it: from before the question was sent, and a tenth shorter, for
 * clocks that do not run alike.
 */
static void lease_renewed(struct meta *m, int64_t sent_boot_ms)
{
    atomic_store(&m->session.fence_boot_ms, sent_boot_ms + m->lease_ms - m->lease_ms / 10);
}

/* The database says that our session is gone, before its time: another is to be opened at once. */
static void hurry(struct meta_session_state *s)
{
    pthread_mutex_lock(&s->lock);
    s->hurry = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

enum err meta_write(struct meta *m, struct sql_unit *u)
{
    if (!atomic_load(&m->session.opened))
        return err_set(ERR_FENCED, "no session was opened: this process only reads");
    enum err err = sql_write(m->sql, u);
    if (err == ERR_FENCED && !lease_is_over(m))
        hurry(&m->session);
    return err;
}

enum err meta_content_begin(struct meta *m, const struct content *c)
{
    struct meta_session_state *s = &m->session;
    pthread_mutex_lock(&s->lock);
    bool proved = !hook_broken("session-proof");
    bool ours = s->id != 0 || !proved;
    for (size_t i = 0; ours && i < c->piece_count; i++)
        for (size_t k = 0; ours && k < c->pieces[i].slice_count; k++)
            ours = c->pieces[i].slices[k].tag == s->tag || !proved;
    if (ours)
        s->contents++;
    pthread_mutex_unlock(&s->lock);
    return ours ? OK : err_set(ERR_FENCED, "the lease of the session that wrote this is over");
}

void meta_content_end(struct meta *m, const struct content *c, bool linked)
{
    struct meta_session_state *s = &m->session;
    for (size_t i = 0; linked && i < c->piece_count; i++)
        ranges_mark_named(m, c->pieces[i].slices, c->pieces[i].slice_count);
    pthread_mutex_lock(&s->lock);
    if (--s->contents == 0)
        pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* --- the row ---------------------------------------------------------------------------------- */

static void add_insert(struct meta *m, struct sql_unit *u, uint64_t tag)
{
    sql_add_ids_take(u, p_counter(STR("id")), p_count(1));
    sql_add_session_insert(
        u, p_tag((int64_t)tag), p_state(str_of(m->session.state)), p_host(str_of(m->host)),
        p_pid(getpid()), p_program_version(str_of(KISEKI_VERSION)), p_lease_ms(m->lease_ms),
        p_published((int64_t)reads_oldest(m)), p_schema_version(META_SCHEMA_VERSION));
}

/* The markers of `grants` beside those of `sql`, which count upwards. */
static int64_t next_marker(void *meta)
{
    struct meta *m = meta;
    return -1 - atomic_fetch_add(&m->grant_markers, 1);
}

/* Opens a session: from here on this process is `id` with `tag`. */
static enum err start(struct meta *m)
{
    struct meta_session_state *s = &m->session;
    uint64_t tag = rand_u64();
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.frees = true;
    add_insert(m, &u, tag);
    struct sql_call *news = sql_add_session_news(&u);
    int64_t sent = clock_boot_ms();
    enum err err = sql_write(m->control, &u);
    if (err != OK)
        goto out;
    const struct sql_call *made = u.first->next;
    if (made->rows != 1) {
        err = err_set(ERR_UNSUPPORTED, "the volume's schema was changed by a newer kiseki");
        goto out;
    }
    uint64_t id = (uint64_t)sql_int(made, 0, 0);
    pthread_mutex_lock(&s->lock);
    s->id = id;
    s->tag = tag;
    pthread_mutex_unlock(&s->lock);
    sql_set_session(m->sql, hook_broken("session-proof") ? 0 : (int64_t)id, NULL, NULL);
    if (m->grants != NULL)
        sql_set_session(m->grants, (int64_t)id, next_marker, m);
    ids_restart(&m->ranges, id, tag);
    lease_renewed(m, sent);
    atomic_store(&s->opened, true);
    reads_fetched(m, (uint64_t)sql_int(news, 0, 0));
    log_info("session %" PRIu64 " is open, epoch %" PRId64, id, sql_int(news, 0, 0));
out:
    arena_free(a);
    return err;
}

/* See meta/core/handle.h. */
static struct sql_db *heartbeat_db(struct meta *m)
{
    return sql_is_postgres(m->sql) || lease_is_over(m) ? m->control : m->sql;
}

/* OK and *out_held: whether the lease was still ours. */
static enum err renew(struct meta *m, bool *out_held)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.frees = true;
    struct sql_call *c =
        sql_add_session_renew(&u, p_session((int64_t)session_id(m)), p_lease_ms(m->lease_ms),
                              p_published((int64_t)reads_published(m)));
    struct sql_call *news = sql_add_session_news(&u);
    int64_t sent = clock_boot_ms();
    enum err err = sql_write(heartbeat_db(m), &u);
    *out_held = err == OK && c->rows == 1;
    if (*out_held) {
        lease_renewed(m, sent);
        reads_fetched(m, (uint64_t)sql_int(news, 0, 0));
    }
    arena_free(a);
    return err;
}

/* Rows of ranges that need no reaper any more. */
static void retire(struct meta *m)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.frees = true;
    if (ranges_retire(m, &u) && sql_write(heartbeat_db(m), &u) != OK)
        log_debug("slice ranges stay until the session ends");
    arena_free(a);
}

/* Our lease is over: nothing is written any more under this identity. */
static void lose(struct meta *m)
{
    struct meta_session_state *s = &m->session;
    atomic_store(&s->fence_boot_ms, 0);
    pthread_mutex_lock(&s->lock);
    log_warn("session %" PRIu64 " was lost: its lease is over; opening another", s->id);
    s->id = 0;
    s->tag = 0;
    pthread_mutex_unlock(&s->lock);
    ids_restart(&m->ranges, 0, 0);
    atomic_fetch_add(&s->lost, 1);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void wait_ms(struct meta_session_state *s, int64_t ms)
{
    struct timespec until = clock_mono_after(ms);
    int got = 0;
    while (!s->stop && !s->hurry && got != ETIMEDOUT)
        got = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    s->hurry = false;
}

/* Writes under the old identity end before there is a new one. False: asked to stop. */
static bool wait_for_contents(struct meta_session_state *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->stop && s->contents > 0)
        pthread_cond_wait(&s->changed, &s->lock);
    bool go_on = !s->stop;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

/* One heartbeat; returns the milliseconds until the next. */
static int64_t beat(struct meta *m)
{
    int64_t soon = m->beat_ms / 4 + 1;
    bool held = true;
    enum err err = OK;
    if (session_id(m) != 0) {
        err = renew(m, &held);
        if (err == ERR_FENCED) /* the engine has learnt it before us, or the local lease is over */
            err = renew(m, &held);
        if ((err == OK && !held) || err == ERR_FENCED)
            lose(m);
        else if (err != OK)
            log_warn("heartbeat of the session: %s", err_text(err));
    }
    if (session_id(m) == 0 && wait_for_contents(&m->session)) {
        err = start(m);
        if (err != OK)
            log_warn("opening a session: %s", err_text(err));
    }
    if (err == OK)
        retire(m);
    if (err == OK)
        locks_sweep(m);
    return err == OK ? m->beat_ms : soon;
}

static void *heartbeats(void *arg)
{
    struct meta *m = arg;
    struct meta_session_state *s = &m->session;
    int64_t pause = m->beat_ms;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        wait_ms(s, pause);
        if (s->stop)
            break;
        pthread_mutex_unlock(&s->lock);
        pause = beat(m);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static enum err start_thread(struct meta *m)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int bad = pthread_create(&m->session.thread, NULL, heartbeats, m);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (bad != 0)
        return err_set(ERR_NOMEM, "no thread for heartbeats: %s", strerror(bad));
    pthread_setname_np(m->session.thread, "heartbeat");
    m->session.running = true;
    return OK;
}

enum err meta_session_open(struct meta *m, const char *state)
{
    struct meta_session_state *s = &m->session;
    if (s->running)
        return err_set(ERR_BUG, "the session is open already");
    snprintf(s->state, sizeof(s->state), "%s", state);
    sql_set_fence(m->sql, lease_is_over, m);
    if (m->grants != NULL)
        sql_set_fence(m->grants, lease_is_over, m);
    enum err err = start(m);
    if (err == OK)
        err = start_thread(m);
    return err;
}

void session_stop(struct meta *m)
{
    struct meta_session_state *s = &m->session;
    if (s->running) {
        pthread_mutex_lock(&s->lock);
        s->stop = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
        s->running = false;
    }
    pthread_mutex_lock(&s->lock);
    while (s->contents > 0)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    ids_wait_idle(&m->ids);
    ids_wait_idle(&m->ranges);
}

void session_end(struct meta *m)
{
    uint64_t id = session_id(m);
    if (id == 0)
        return;
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.frees = true;
    ids_shrink(&m->ranges, &u);
    (void)ranges_retire(m, &u);
    sql_add_session_delete(&u, p_session((int64_t)id));
    enum err err = sql_write(m->control, &u);
    size_t cleaned = 1;
    int64_t give_up = clock_boot_ms() + CLEAN_MS;
    while (err == OK && cleaned > 0 && clock_boot_ms() < give_up) {
        cleaned = 0;
        err = reclaim_ranges(m, m->control, id, &cleaned);
    }
    if (err == OK)
        log_info("session %" PRIu64 " is closed", id);
    else /* another session's reclaim, or the next start's, does the rest */
        log_warn("closing session %" PRIu64 ": %s", id, err_text(err));
    arena_free(a);
    pthread_mutex_lock(&m->session.lock);
    m->session.id = 0;
    pthread_mutex_unlock(&m->session.lock);
}
