#include "tests/unit/gateway/http_client.h"

/* A server that is full: who gets in. 127.0.0.1 is the crowd, 127.0.0.2 somebody else. */

#define GET(target) "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"
#define CROWD       "127.0.0.1"
#define OTHER       "127.0.0.2"

enum { MOST = 24, SOON_MS = 1000 };

static struct rig rig;
static struct client *crowd[MOST];

static int start(void **state)
{
    (void)state;
    struct http_options options = {.max_connections = MOST};
    rig_start_with(&rig, &options);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    atomic_store(&rig.release, true);
    rig_stop(&rig);
    return 0;
}

static uint64_t connections(void)
{
    struct http_server_stats stats;
    http_server_stats(rig.server, &stats);
    return stats.connections;
}

static void wait_for_connections(uint64_t count)
{
    for (int i = 0; i < 4000 && connections() != count; i++)
        usleep(1000);
    assert_int_equal(connections(), count);
}

static void fill(const char *text)
{
    for (int i = 0; i < MOST; i++) {
        crowd[i] = client_connect_from(&rig, CROWD);
        client_send(crowd[i], text);
    }
    wait_for_connections(MOST);
}

static void leave(void)
{
    for (int i = 0; i < MOST; i++)
        client_close(crowd[i]);
}

/* One request on a connection of its own, answered soon. */
static void served_soon(const char *address)
{
    int64_t begun = clock_boot_ms();
    struct client *c = client_connect_from(&rig, address);
    client_send(c, GET("/work"));
    client_expect(c, 200, "worked");
    assert_in_range(clock_boot_ms() - begun, 0, SOON_MS);
    client_close(c);
}

static void test_admit__the_oldest_idle_connection_makes_room(void **state)
{
    (void)state;
    static const char *const said[] = {
        "", "GET /hello HTT", "GET /hello HTTP/1.1\r\nHost: h\r\nx-unfinished: ", GET("/hello")};
    for (size_t i = 0; i < LENGTH_OF(said); i++) {
        fill(said[i]);
        for (int n = 0; n < MOST && i == 3; n++)
            client_expect(crowd[n], 200, "hello");
        struct client *c = client_connect_from(&rig, i % 2 ? CROWD : OTHER);
        client_send(c, GET("/hello"));
        client_expect(c, 200, "hello");
        assert_true(client_is_closed(crowd[0]));
        for (int n = 0; n < 10 * MOST; n++)
            served_soon(i % 2 ? OTHER : CROWD);
        client_close(c);
        leave();
        rig_settle(&rig);
    }
}

/* Whose request is worked on is left alone, and those of the same address wait for their turn. */
static void test_admit__a_request_in_flight_is_no_room(void **state)
{
    (void)state;
    fill(GET("/wait"));
    struct client *c = client_connect_from(&rig, CROWD);
    client_send(c, GET("/hello"));
    struct pollfd p = {c->fd, POLLIN, 0};
    assert_int_equal(poll(&p, 1, 300), 0);
    atomic_store(&rig.release, true);
    for (int i = 0; i < MOST; i++)
        client_expect(crowd[i], 200, "worked");
    client_expect(c, 200, "hello");
    client_close(c);
    leave();
}

/* Slow uploads of one address cannot keep another out. */
static void test_admit__one_address_does_not_have_it_all(void **state)
{
    (void)state;
    fill("PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nslow");
    rig_wait(&rig.heads, MOST);
    for (int n = 0; n < 5; n++)
        served_soon(OTHER);
    assert_in_range(connections(), 1, MOST);
    leave();
}

/* More of the crowd than can ever get in, or wait. */
static void test_admit__a_crowd_at_the_door_does_not_block_it(void **state)
{
    (void)state;
    enum { DOOR = 400 };
    static struct client *door[DOOR];
    fill("PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nslow");
    rig_wait(&rig.heads, MOST);
    for (int i = 0; i < DOOR; i++)
        door[i] = client_connect_from(&rig, CROWD);
    for (int n = 0; n < 5; n++)
        served_soon(OTHER);
    for (int i = 0; i < DOOR; i++)
        client_close(door[i]);
    leave();
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(test_admit__the_oldest_idle_connection_makes_room),
        ONE(test_admit__a_request_in_flight_is_no_room),
        ONE(test_admit__one_address_does_not_have_it_all),
        ONE(test_admit__a_crowd_at_the_door_does_not_block_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
