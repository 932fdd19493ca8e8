/*
 * A worker's HTTP_WAIT, and lanes. The handler waits on any path but /now until the test resumes
 * it; /store/... and /long/... work in those lanes and stand at a gate.
 */
#include "tests/unit/gateway/http_client.h"

#define GET(target)  "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST(target) "POST " target " HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
#define WAITERS      12

static struct rig rig;
static struct pool *store_pool, *long_pool;
static struct http_request *_Atomic waiters[WAITERS];
static atomic_int waiting, cuts;

static enum http_next wait_head(struct http_request *r)
{
    if (str_starts(r->target.path, STR("/store")))
        r->lane = HTTP_LANE_STORE;
    if (str_starts(r->target.path, STR("/long")))
        r->lane = HTTP_LANE_LONG;
    r->collect_max = 100;
    return str_eq(r->method, STR("POST")) ? HTTP_BODY : HTTP_WORK;
}

static enum http_next stand_at_gate(struct http_request *r)
{
    atomic_fetch_add(&rig.inside, 1);
    while (!atomic_load(&rig.release) && !http_request_stopping(r))
        usleep(500);
    atomic_fetch_sub(&rig.inside, 1);
    rig_say(r, 200, "worked");
    return HTTP_REPLY;
}

static enum http_next wait_work(struct http_request *r)
{
    atomic_fetch_add(&rig.works, 1);
    if (r->lane != HTTP_LANE_WORK)
        return stand_at_gate(r);
    if (r->user != NULL || str_eq(r->target.path, STR("/now"))) {
        rig_say(r, 200, "worked");
        return HTTP_REPLY;
    }
    r->user = &rig;
    if (str_eq(r->target.path, STR("/early"))) { /* whoever resumes is faster than we are */
        http_request_resume_work(r);
        return HTTP_WAIT;
    }
    atomic_store(&waiters[atomic_load(&waiting)], r); /* there is one worker */
    atomic_fetch_add(&waiting, 1);
    return HTTP_WAIT;
}

/* Waits until resume_all(); but /early, where whoever resumes is faster. */
static enum http_next wait_body_end(struct http_request *r, enum err result)
{
    atomic_fetch_add(&rig.body_ends, 1);
    if (result != OK)
        return HTTP_REPLY;
    r->user = &rig;
    if (str_eq(r->target.path, STR("/early"))) {
        http_request_resume_work(r);
        return HTTP_WAIT;
    }
    atomic_store(&waiters[atomic_load(&waiting)], r); /* one sends at a time */
    atomic_fetch_add(&waiting, 1);
    return HTTP_WAIT;
}

/* Those that wait still: one that went on may be over. */
static void resume_all(void)
{
    for (int i = 0; i < atomic_load(&waiting); i++) {
        struct http_request *r = atomic_exchange(&waiters[i], NULL);

        if (r != NULL)
            http_request_resume_work(r);
    }
}

static void wait_cut(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&cuts, 1);
    resume_all();
}

static void start(void)
{
    struct pool_options one = {.name = "one", .threads = 1, .max_queued = 99, .wait_ms = 50};
    struct http_handler handler = {.head = wait_head,
                                   .work = wait_work,
                                   .body_end = wait_body_end,
                                   .done = rig_done,
                                   .cut = wait_cut,
                                   .ctx = &rig};
    struct http_options options = {.listen = "127.0.0.1:0"};

    memset(&rig, 0, sizeof(rig));
    log_setup(LOG_ERROR, LOG_TEXT, 2);
    atomic_store(&waiting, 0);
    atomic_store(&cuts, 0);
    assert_ok(pool_new("rig", 1, 99, &rig.pool)); /* a single worker: nobody may keep it */
    assert_ok(pool_open(&one, &store_pool));
    assert_ok(pool_open(&one, &long_pool));
    options.pool = rig.pool;
    options.store_pool = store_pool;
    options.long_pool = long_pool;
    assert_ok(http_server_start(&options, &handler, &rig.server));
}

static void stop(unsigned deadline_ms)
{
    http_server_stop(rig.server, deadline_ms);
    http_server_free(rig.server);
    pool_free(long_pool);
    pool_free(store_pool);
    pool_free(rig.pool);
}

static void expect(struct client *c, unsigned status)
{
    struct answer a = client_read(c);

    assert_int_equal(a.status, status);
    answer_free(&a);
}

static void test_wait__keeps_no_worker(void **state)
{
    struct client *c[WAITERS], *other;

    (void)state;
    start();
    for (int i = 0; i < WAITERS; i++) {
        c[i] = client_connect(&rig);
        client_send(c[i], GET("/wait"));
    }
    rig_wait(&waiting, WAITERS);
    other = client_connect(&rig);
    client_send(other, GET("/now"));
    expect(other, 200);
    client_send(other, GET("/early"));
    expect(other, 200);
    resume_all();
    for (int i = 0; i < WAITERS; i++) {
        expect(c[i], 200);
        client_close(c[i]);
    }
    client_close(other);
    stop(2000);
    assert_int_equal(atomic_load(&rig.works), 2 * WAITERS + 3);
    assert_int_equal(atomic_load(&rig.dones), WAITERS + 2);
}

static void test_wait__begins_at_a_bodys_end(void **state)
{
    struct client *c[WAITERS], *other;

    (void)state;
    start();
    for (int i = 0; i < WAITERS; i++) {
        c[i] = client_connect(&rig);
        client_send(c[i], POST("/wait"));
        rig_wait(&waiting, i + 1);
    }
    other = client_connect(&rig);
    client_send(other, GET("/now"));
    expect(other, 200);
    client_send(other, POST("/early"));
    expect(other, 200);
    assert_int_equal(atomic_load(&rig.works), 2);
    resume_all();
    for (int i = 0; i < WAITERS; i++) {
        expect(c[i], 200);
        client_close(c[i]);
    }
    client_close(other);
    stop(2000);
    assert_int_equal(atomic_load(&rig.works), WAITERS + 2);
    assert_int_equal(atomic_load(&rig.dones), WAITERS + 2);
}

/* What it waited for comes after its client has left: there is nothing to do any more. */
static void test_wait__at_a_bodys_end_does_not_work_for_who_left(void **state)
{
    struct client *c;

    (void)state;
    start();
    c = client_connect(&rig);
    client_send(c, POST("/wait"));
    rig_wait(&waiting, 1);
    client_reset(c);
    while (!http_request_gone(atomic_load(&waiters[0])))
        usleep(1000);
    resume_all();
    rig_wait(&rig.dones, 1);
    stop(2000);
    assert_int_equal(atomic_load(&rig.works), 0);
}

static void test_wait__ends_when_the_server_stops(void **state)
{
    struct client *c[WAITERS];
    int64_t begun;

    (void)state;
    start();
    for (int i = 0; i < WAITERS; i++) {
        c[i] = client_connect(&rig);
        client_send(c[i], GET("/wait"));
    }
    rig_wait(&waiting, WAITERS);
    begun = clock_mono_us();
    stop(50);
    assert_true(clock_mono_us() - begun < 2000000);
    assert_int_equal(atomic_load(&cuts), 1);
    assert_int_equal(atomic_load(&rig.dones), WAITERS);
    for (int i = 0; i < WAITERS; i++)
        client_close(c[i]);
}

/* One thread of each lane stands still: the next request there is refused in time, others pass. */
static void test_lane__that_stands_still_keeps_nobody_else(void **state)
{
    static const char *const targets[] = {GET("/store/1"), GET("/long/1"), GET("/store/2"),
                                          GET("/long/2")};
    struct client *c[4], *other;

    (void)state;
    start();
    for (int i = 0; i < 4; i++) {
        c[i] = client_connect(&rig);
        client_send(c[i], targets[i]);
        rig_wait(&rig.inside, i < 2 ? i + 1 : 2);
    }
    other = client_connect(&rig);
    client_send(other, GET("/now"));
    expect(other, 200);
    expect(c[2], 503);
    expect(c[3], 503);
    assert_int_equal(pool_late(store_pool) + pool_late(long_pool), 2);
    atomic_store(&rig.release, true);
    expect(c[0], 200);
    expect(c[1], 200);
    for (int i = 0; i < 4; i++)
        client_close(c[i]);
    client_close(other);
    stop(2000);
    assert_int_equal(atomic_load(&rig.works), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait__keeps_no_worker),
        cmocka_unit_test(test_wait__begins_at_a_bodys_end),
        cmocka_unit_test(test_wait__at_a_bodys_end_does_not_work_for_who_left),
        cmocka_unit_test(test_wait__ends_when_the_server_stops),
        cmocka_unit_test(test_lane__that_stands_still_keeps_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
