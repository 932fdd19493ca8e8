#include "tests/unit/base/unit.h"

#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* A job that waits until the gate opens. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t change;
    int inside;
    bool open;
};
struct gate_job {
    struct pool_job job;
    struct gate *gate;
};

static void wait_at_gate(struct pool_job *job)
{
    struct gate *g = ((struct gate_job *)job)->gate;

    pthread_mutex_lock(&g->lock);
    g->inside++;
    pthread_cond_broadcast(&g->change);
    while (!g->open)
        pthread_cond_wait(&g->change, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void gate_await(struct gate *g, int inside)
{
    pthread_mutex_lock(&g->lock);
    while (g->inside < inside)
        pthread_cond_wait(&g->change, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void gate_open(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->change);
    pthread_mutex_unlock(&g->lock);
}

#define GATE_INIT                                                                                  \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER                      \
    }

/* A heap job that counts and frees itself; with `again` it submits another one first. */
struct count_job {
    struct pool_job job;
    _Atomic int *count;
    struct pool *again;
};

static struct count_job *count_job(_Atomic int *count, struct pool *again);

static void count_and_free(struct pool_job *job)
{
    struct count_job *c = (struct count_job *)job;

    if (c->again != NULL)
        pool_submit_always(c->again, &count_job(c->count, NULL)->job);
    atomic_fetch_add(c->count, 1);
    free(c);
}

static struct count_job *count_job(_Atomic int *count, struct pool *again)
{
    struct count_job *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    c->job.run = count_and_free;
    c->count = count;
    c->again = again;
    return c;
}

static void test_pool__runs_every_job_before_it_ends(void **state)
{
    _Atomic int count = 0;
    struct pool *p;

    (void)state;
    assert_ok(pool_new("count", 4, 100000, &p));
    for (int i = 0; i < 20000; i++)
        assert_ok(pool_submit(p, &count_job(&count, NULL)->job));
    pool_free(p);
    assert_int_equal(count, 20000);
    pool_free(NULL);
}

static void test_pool__jobs_may_submit_jobs_while_it_ends(void **state)
{
    _Atomic int count = 0;
    struct pool *p;

    (void)state;
    assert_ok(pool_new("nested", 3, 10, &p));
    for (int i = 0; i < 1000; i++)
        pool_submit_always(p, &count_job(&count, p)->job);
    pool_free(p);
    assert_int_equal(count, 2000);
}

static void test_pool__refuses_beyond_its_limit_and_leaves_the_job(void **state)
{
    struct gate gate = GATE_INIT;
    struct gate_job first = {.job.run = wait_at_gate, .gate = &gate};
    struct gate_job more[3] = {first, first, first};
    _Atomic int count = 0;
    struct pool *p;

    (void)state;
    assert_ok(pool_new("a name that is too long", 1, 2, &p));
    assert_ok(pool_submit(p, &first.job));
    gate_await(&gate, 1);
    assert_int_equal(pool_queued(p), 0);
    assert_ok(pool_submit(p, &more[0].job));
    assert_ok(pool_submit(p, &more[1].job));
    assert_int_equal(pool_submit(p, &more[2].job), ERR_BUSY);
    assert_int_equal(pool_queued(p), 2);
    pool_submit_always(p, &count_job(&count, NULL)->job);
    assert_int_equal(pool_queued(p), 3);
    gate_open(&gate);
    pool_free(p);
    assert_int_equal(gate.inside, 3);
    assert_int_equal(count, 1);
}

static void test_pool__works_with_all_its_threads(void **state)
{
    struct gate gate = GATE_INIT;
    struct gate_job jobs[5];
    struct pool *p;

    (void)state;
    assert_ok(pool_new("wide", 5, 5, &p));
    for (size_t i = 0; i < LENGTH_OF(jobs); i++) {
        jobs[i] = (struct gate_job){.job.run = wait_at_gate, .gate = &gate};
        assert_ok(pool_submit(p, &jobs[i].job));
    }
    gate_await(&gate, 5); /* all at once, or this hangs */
    gate_open(&gate);
    pool_free(p);
}

/* Jobs of one thread note their order. */
struct order_job {
    struct pool_job job;
    int number, *next;
    bool right;
};

static void note_order(struct pool_job *job)
{
    struct order_job *o = (struct order_job *)job;

    o->right = (*o->next)++ == o->number;
}

static void test_pool__runs_in_order_of_arrival(void **state)
{
    struct order_job jobs[1000];
    int next = 0;
    struct pool *p;

    (void)state;
    assert_ok(pool_new("order", 1, 1000, &p));
    for (int i = 0; i < 1000; i++) {
        jobs[i] = (struct order_job){.job.run = note_order, .number = i, .next = &next};
        assert_ok(pool_submit(p, &jobs[i].job));
    }
    pool_free(p);
    for (int i = 0; i < 1000; i++)
        assert_true(jobs[i].right);
}

struct submitter {
    pthread_t thread;
    struct pool *pool;
    _Atomic int *count;
};

static void *submit_many(void *arg)
{
    struct submitter *s = arg;

    for (int i = 0; i < 2000; i++) {
        struct count_job *c = count_job(s->count, NULL);
        if (pool_submit(s->pool, &c->job) != OK)
            pool_submit_always(s->pool, &c->job); /* it is still ours */
    }
    return NULL;
}

static void test_pool__takes_jobs_from_many_threads(void **state)
{
    struct submitter submitters[4];
    _Atomic int count = 0;
    struct pool *p;

    (void)state;
    assert_ok(pool_new("many", 3, 50, &p));
    for (size_t i = 0; i < LENGTH_OF(submitters); i++) {
        submitters[i].pool = p;
        submitters[i].count = &count;
        assert_int_equal(pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]),
                         0);
    }
    for (size_t i = 0; i < LENGTH_OF(submitters); i++)
        pthread_join(submitters[i].thread, NULL);
    pool_free(p);
    assert_int_equal(count, 8000);
}

struct mask_job {
    struct pool_job job;
    sigset_t mask;
    char name[16];
};

static void look_at_thread(struct pool_job *job)
{
    struct mask_job *m = (struct mask_job *)job;

    pthread_sigmask(SIG_SETMASK, NULL, &m->mask);
    pthread_getname_np(pthread_self(), m->name, sizeof(m->name));
}

static void test_pool__threads_have_a_name_and_take_no_signals(void **state)
{
    struct mask_job look = {.job.run = look_at_thread};
    sigset_t mine;
    struct pool *p;

    (void)state;
    assert_ok(pool_new("sql", 1, 1, &p));
    assert_ok(pool_submit(p, &look.job));
    pool_free(p);
    assert_string_equal(look.name, "sql");
    assert_true(sigismember(&look.mask, SIGTERM));
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_false(sigismember(&mine, SIGTERM));
}

/* --- pools with limits ------------------------------------------------------------------------ */

struct late_job {
    struct pool_job job; /* first */
    struct gate *gate;
    bool late;
};

static void note_late(struct pool_job *job)
{
    struct late_job *l = (struct late_job *)job;

    l->late = job->late;
    wait_at_gate(&(struct gate_job){.gate = l->gate}.job);
}

static void test_pool__jobs_that_queued_too_long_are_late_though_no_thread_is_free(void **state)
{
    struct pool_options o = {.name = "late", .threads = 1, .max_queued = 9, .wait_ms = 20};
    struct gate gate = GATE_INIT, open = GATE_INIT;
    struct gate_job first = {.job.run = wait_at_gate, .gate = &gate};
    struct late_job more[3];
    struct pool *p;

    (void)state;
    gate_open(&open);
    assert_ok(pool_open(&o, &p));
    assert_ok(pool_submit(p, &first.job));
    gate_await(&gate, 1);
    for (size_t i = 0; i < LENGTH_OF(more); i++) {
        more[i] = (struct late_job){.job.run = note_late, .gate = &open};
        assert_ok(pool_submit(p, &more[i].job));
    }
    gate_await(&open, 3); /* the one thread stands at the other gate: or this hangs */
    for (size_t i = 0; i < LENGTH_OF(more); i++)
        assert_true(more[i].late);
    assert_int_equal(pool_queued(p), 0);
    assert_int_equal(pool_late(p), 3);
    gate_open(&gate);
    more[0] = (struct late_job){.job.run = note_late, .gate = &open, .late = true};
    assert_ok(pool_submit(p, &more[0].job));
    gate_await(&open, 4);
    pool_free(p);
    assert_false(more[0].late);
}

struct owned_job {
    struct pool_job job; /* first */
    char **at;
};

static void write_owner(struct pool_job *job)
{
    struct owned_job *o = (struct owned_job *)job;

    *(*o->at)++ = (char)job->owner;
}

/* Two threads, one of them held by an A: B and C come before the other As. */
static void test_pool__owners_take_turns_in_a_fair_pool(void **state)
{
    struct pool_options o = {.name = "fair", .threads = 2, .max_queued = 99, .fair = true};
    static const char asked[] = "AAAABACB";
    struct gate first = GATE_INIT, second = GATE_INIT;
    struct gate_job a = {.job = {.run = wait_at_gate, .owner = 'A'}, .gate = &first};
    struct gate_job b = {.job = {.run = wait_at_gate, .owner = 'D'}, .gate = &second};
    struct owned_job jobs[LENGTH_OF(asked) - 1];
    char order[LENGTH_OF(asked)] = "", *at = order;
    struct pool *p;

    (void)state;
    assert_ok(pool_open(&o, &p));
    assert_ok(pool_submit(p, &a.job));
    gate_await(&first, 1);
    assert_ok(pool_submit(p, &b.job));
    gate_await(&second, 1);
    for (size_t i = 0; i < LENGTH_OF(jobs); i++) {
        jobs[i] =
            (struct owned_job){.job = {.run = write_owner, .owner = (uint64_t)asked[i]}, .at = &at};
        assert_ok(pool_submit(p, &jobs[i].job));
    }
    gate_open(&second); /* one thread works now, A has one job at the gate all the time */
    while (pool_queued(p) > 0)
        sched_yield();
    gate_open(&first);
    pool_free(p);
    assert_string_equal(order, "BCBAAAAA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool__runs_every_job_before_it_ends),
        cmocka_unit_test(test_pool__jobs_may_submit_jobs_while_it_ends),
        cmocka_unit_test(test_pool__refuses_beyond_its_limit_and_leaves_the_job),
        cmocka_unit_test(test_pool__works_with_all_its_threads),
        cmocka_unit_test(test_pool__runs_in_order_of_arrival),
        cmocka_unit_test(test_pool__takes_jobs_from_many_threads),
        cmocka_unit_test(test_pool__threads_have_a_name_and_take_no_signals),
        cmocka_unit_test(test_pool__jobs_that_queued_too_long_are_late_though_no_thread_is_free),
        cmocka_unit_test(test_pool__owners_take_turns_in_a_fair_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
