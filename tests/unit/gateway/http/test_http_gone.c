#include "tests/unit/gateway/http_client.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"

/* What `close()` and a reset look like from the other side, on both schemes. */
enum { PATIENCE_S = 1, AT_ONCE_MS = 1000 };

static const struct http_options both_options = {.gone_after_s = PATIENCE_S};
#include "tests/unit/gateway/http_both.h"

/* A PUT whose sink takes `room` bytes and is never resumed. */
static struct client *put_stuck(const char *framing, size_t sent)
{
    struct client *c = client_connect(&rig);
    char head[300], block[1024];
    int heads = atomic_load(&rig.heads);
    snprintf(head, sizeof(head), "PUT /sink?room=10&stuck=1 HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n",
             framing);
    client_send(c, head);
    memset(block, 'x', sizeof(block));
    for (size_t n; sent > 0; sent -= n) {
        n = sent < sizeof(block) ? sent : sizeof(block);
        assert_true(client_try_send(c, block, n));
    }
    rig_wait(&rig.heads, heads + 1);
    return c;
}

static uint64_t suspended(void)
{
    struct http_server_stats stats;
    http_server_stats(rig.server, &stats);
    return stats.suspended;
}

static void wait_for_suspended(uint64_t count)
{
    for (int i = 0; i < 4000 && suspended() != count; i++)
        usleep(1000);
    assert_int_equal(suspended(), count);
}

static void wait_for_more(atomic_int *counter, int than)
{
    for (int i = 0; i < 4000 && atomic_load(counter) == than; i++)
        usleep(1000);
    assert_true(atomic_load(counter) > than);
}

static void expect_cancelled(int dones, int64_t begun, int64_t least_ms, int64_t most_ms)
{
    rig_wait(&rig.dones, dones + 1);
    assert_in_range(clock_boot_ms() - begun, least_ms, most_ms);
    assert_int_equal(atomic_load(&rig.last_result), ERR_CANCELLED);
    assert_int_equal(atomic_load(&rig.last_status), 0);
    assert_int_equal(suspended(), 0);
}

static void test_gone__a_reset_ends_the_wait_of_a_sink_at_once(void **state)
{
    (void)state;
    static const char *const framings[] = {"Content-Length: 1000", "Content-Length: 9000000",
                                           "Transfer-Encoding: chunked"};
    for (size_t i = 0; i < LENGTH_OF(framings); i++) {
        int dones = atomic_load(&rig.dones), full = atomic_load(&rig.sink_full);
        struct client *c = put_stuck(framings[i], 0);
        client_send(c, i < 2 ? "01234567890123456789" : "14\r\n01234567890123456789\r\n");
        if (i < 2) {
            wait_for_suspended(1);
        } else {
            wait_for_more(&rig.sink_full,
                          full); /* what may be the end of a body is kept: not suspended */
        }
        int64_t begun = clock_boot_ms();
        client_reset(c);
        expect_cancelled(dones, begun, 0, AT_ONCE_MS);
    }
}

/* It cannot send the rest any more: whether it still reads does not matter. */
static void test_gone__a_stream_that_ends_before_its_body_ends_the_wait_of_a_sink(void **state)
{
    (void)state;
    for (int closes = 0; closes < 2; closes++) {
        int dones = atomic_load(&rig.dones);
        struct client *c = put_stuck("Content-Length: 9000000", 20000);
        wait_for_suspended(1);
        int64_t begun = clock_boot_ms();
        if (closes)
            client_close(c);
        else
            client_end_stream(c);
        expect_cancelled(dones, begun, 0, AT_ONCE_MS);
        if (!closes) {
            assert_true(client_is_closed(c));
            client_close(c);
        }
    }
}

/* What has come of a body that stays incomplete is not worth taking. */
static void test_gone__a_stream_that_ends_before_its_body_is_not_read_to_its_end(void **state)
{
    (void)state;
    int dones = atomic_load(&rig.dones), heads = atomic_load(&rig.heads);
    size_t bytes = atomic_load(&rig.sink_bytes);
    struct client *c = client_connect(&rig);
    char body[60000];
    memset(body, 'x', sizeof(body));
    client_send(c, "PUT /sink?pause=200 HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n");
    rig_wait(&rig.heads, heads + 1);
    assert_true(client_try_send(c, body, sizeof(body)));
    int64_t begun = clock_boot_ms();
    client_close(c);
    expect_cancelled(dones, begun, 0, 2 * AT_ONCE_MS);
    assert_true(atomic_load(&rig.sink_bytes) - bytes < sizeof(body));
}

/* All was sent: it may wait for its answer, but not for ever. */
static void test_gone__a_stream_that_ends_after_its_body_has_a_few_seconds(void **state)
{
    (void)state;
    int dones = atomic_load(&rig.dones);
    struct client *c = put_stuck("Content-Length: 3000", 3000);
    wait_for_suspended(1);
    int64_t begun = clock_boot_ms();
    client_end_stream(c);
    expect_cancelled(dones, begun, PATIENCE_S * 1000 - 100, PATIENCE_S * 1000 + AT_ONCE_MS);
    client_close(c);
}

static void test_gone__work_that_runs_sees_it(void **state)
{
    (void)state;
    for (int resets = 0; resets < 2; resets++) {
        int dones = atomic_load(&rig.dones), seen = atomic_load(&rig.saw_gone);
        struct client *c = client_connect(&rig);
        client_send(c, GET("/wait"));
        rig_wait(&rig.inside, 1);
        int64_t begun = clock_boot_ms();
        if (resets)
            client_reset(c);
        else
            client_close(c);
        rig_wait(&rig.saw_gone, seen + 1);
        assert_in_range(clock_boot_ms() - begun, resets ? 0 : PATIENCE_S * 1000 - 100,
                        AT_ONCE_MS + (resets ? 0 : PATIENCE_S * 1000));
        rig_wait(&rig.dones, dones + 1);
    }
}

static void test_gone__work_that_has_not_begun_never_does(void **state)
{
    (void)state;
    enum { WORKERS = 4 };
    struct client *busy[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        busy[i] = client_connect(&rig);
        client_send(busy[i], GET("/wait"));
    }
    rig_wait(&rig.inside, WORKERS);
    struct client *c = client_connect(&rig);
    client_send(c, GET("/work"));
    wait_for_suspended(WORKERS + 1);
    client_reset(c);
    struct http_server_stats stats = {0};
    for (int i = 0; i < 4000 && stats.gone_total != 1; i++) {
        usleep(1000);
        http_server_stats(rig.server, &stats);
    }
    assert_int_equal(stats.gone_total, 1);
    int works = atomic_load(&rig.works);
    atomic_store(&rig.release, true);
    rig_wait(&rig.dones, WORKERS + 1);
    assert_int_equal(atomic_load(&rig.works), works);
    for (int i = 0; i < WORKERS; i++) {
        client_expect(busy[i], 200, "worked");
        client_close(busy[i]);
    }
}

/* Many at once, each in the middle of a body: all end, and the server serves on. */
static void test_gone__a_crowd_leaves_nothing_behind(void **state)
{
    (void)state;
    enum { CROWD = 200 };
    static struct client *crowd[CROWD];
    for (int i = 0; i < CROWD; i++)
        crowd[i] = put_stuck("Content-Length: 200000", 50000);
    wait_for_suspended(CROWD);
    int64_t begun = clock_boot_ms();
    for (int i = 0; i < CROWD; i++)
        client_close(crowd[i]);
    rig_wait(&rig.dones, CROWD);
    assert_in_range(clock_boot_ms() - begun, 0, 2 * AT_ONCE_MS);
    rig_settle(&rig);
    struct client *c = client_connect(&rig);
    client_send(c, GET("/hello"));
    client_expect(c, 200, "hello");
    client_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_gone__a_reset_ends_the_wait_of_a_sink_at_once),
        BOTH(test_gone__a_stream_that_ends_before_its_body_ends_the_wait_of_a_sink),
        BOTH(test_gone__a_stream_that_ends_before_its_body_is_not_read_to_its_end),
        BOTH(test_gone__a_stream_that_ends_after_its_body_has_a_few_seconds),
        BOTH(test_gone__work_that_runs_sees_it),
        BOTH(test_gone__work_that_has_not_begun_never_does),
        BOTH(test_gone__a_crowd_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, setup_files, remove_files);
}
