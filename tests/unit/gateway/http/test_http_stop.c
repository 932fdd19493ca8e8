#include "tests/unit/gateway/http_client.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"

static struct rig rig;

struct stopping {
    pthread_t thread;
    unsigned deadline_ms;
    atomic_bool stopped;
};

static void *stop_main(void *arg)
{
    struct stopping *s = arg;
    http_server_stop(rig.server, s->deadline_ms);
    atomic_store(&s->stopped, true);
    return NULL;
}

static void stop_begin(struct stopping *s, unsigned deadline_ms)
{
    memset(s, 0, sizeof(*s));
    s->deadline_ms = deadline_ms;
    assert_int_equal(pthread_create(&s->thread, NULL, stop_main, s), 0);
}

static void stop_end(struct stopping *s)
{
    struct http_server_stats last;

    pthread_join(s->thread, NULL);
    http_server_stats(rig.server, &last); /* /metrics may ask to the end */
    assert_int_equal(last.connections, 0);
    http_server_free(rig.server);
    pool_free(rig.pool);
}

static bool can_connect(unsigned port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool ok = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
    close(fd);
    return ok;
}

static void test_stop__lets_requests_in_flight_end(void **state)
{
    (void)state;
    rig_start(&rig);
    unsigned port = http_server_port(rig.server);
    struct client *c = client_connect(&rig), *idle = client_connect(&rig);
    client_send(c, GET("/wait"));
    rig_wait(&rig.inside, 1);
    struct stopping s;
    stop_begin(&s, 10000);
    for (int i = 0; i < 2000 && can_connect(port); i++)
        usleep(1000);
    assert_false(can_connect(port));
    assert_false(atomic_load(&s.stopped));
    atomic_store(&rig.release, true);
    struct answer a = client_read(c);
    assert_string_equal(a.body, "worked");
    assert_string_equal(answer_header(&a, "Connection"), "close");
    answer_free(&a);
    int64_t start = clock_mono_us();
    stop_end(&s);
    assert_true(clock_mono_us() - start < 2000000); /* not the whole deadline */
    assert_true(client_is_closed(idle));
    client_close(c);
    client_close(idle);
}

static void test_stop__cuts_off_what_is_not_done_at_the_deadline(void **state)
{
    (void)state;
    rig_start(&rig);
    log_setup(LOG_LEVELS, LOG_TEXT, 2);
    static const char *const requests[] = {
        GET("/wait"), /* a worker that watches http_request_stopping() */
        "PUT /sink?room=10&stuck=1 HTTP/1.1\r\nHost: h\r\nContent-Length: "
        "20\r\n\r\n01234567890123456789",
        "PUT /sink?room=10&stuck=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\n01234\r\n5\r\n01234\r\n",
        "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n0123",
        "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n0123",
        GET("/gen?size=100000000&piece=100000"), /* nobody reads it */
        GET("/gen?size=100000000&piece=100000&block=1"),
        "GET /hello HTTP/1.1\r\nHost: h\r\nx-unfinished: ",
    };
    enum { COUNT = LENGTH_OF(requests) };
    struct client *c[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        c[i] = client_connect(&rig);
        client_send(c[i], requests[i]);
    }
    rig_wait(&rig.heads, COUNT - 1);
    usleep(50000);
    struct stopping s;
    int64_t start = clock_mono_us();
    stop_begin(&s, 200);
    stop_end(&s);
    assert_true(clock_mono_us() - start >= 200000);
    assert_true(clock_mono_us() - start < 3000000);
    assert_int_equal(atomic_load(&rig.dones), COUNT);
    assert_int_equal(atomic_load(&rig.body_ends), 4);
    assert_int_equal(atomic_load(&rig.last_result), ERR_CANCELLED);
    assert_int_equal(atomic_load(&rig.generators_closed), 2);
    assert_int_equal(atomic_load(&rig.complete), 0);
    for (size_t i = 0; i < COUNT; i++)
        client_close(c[i]);
}

/* Idle, idle again, half a request line, half a head, lingering. */
static void test_stop__closes_at_once_what_has_no_request_in_flight(void **state)
{
    (void)state;
    struct http_options options = {.linger_s = 60};
    rig_start_with(&rig, &options);
    static const char *const sent[] = {
        "", GET("/hello"), "GET /he", "GET /hello HTTP/1.1\r\nHost: h\r\nx-unfinished: ",
        "PUT /status?code=403 HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n0123"};
    struct client *c[LENGTH_OF(sent)], *busy = client_connect(&rig);
    client_send(busy, GET("/wait"));
    rig_wait(&rig.inside, 1);
    for (size_t i = 0; i < LENGTH_OF(sent); i++) {
        c[i] = client_connect(&rig);
        client_send(c[i], sent[i]);
    }
    client_expect(c[1], 200, "hello");
    client_expect(c[4], 403, NULL);
    usleep(50000);
    struct stopping s;
    int64_t start = clock_mono_us();
    stop_begin(&s, 20000);
    for (size_t i = 0; i < LENGTH_OF(sent); i++)
        assert_true(client_is_closed(c[i]));
    struct http_server_stats stats = {0};
    for (int i = 0; i < 1000 && stats.connections != 1; i++) {
        http_server_stats(rig.server, &stats);
        usleep(1000);
    }
    assert_int_equal(stats.connections, 1);
    assert_int_equal(stats.requests, 1);
    assert_false(atomic_load(&s.stopped));
    atomic_store(&rig.release, true);
    client_expect(busy, 200, "worked");
    stop_end(&s);
    assert_true(clock_mono_us() - start < 3000000);
    for (size_t i = 0; i < LENGTH_OF(sent); i++)
        client_close(c[i]);
    client_close(busy);
}

static atomic_bool load_on;

static void *load_main(void *arg)
{
    (void)arg;
    static const char *const requests[] = {
        GET("/work"),
        GET("/gen?size=50000&piece=3000&block=1"),
        "PUT /sink?room=100 HTTP/1.1\r\nHost: h\r\nContent-Length: 300\r\n\r\n"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000",
        "PUT /workecho HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    };
    for (size_t i = 0; atomic_load(&load_on); i++) {
        struct client *c = calloc(1, sizeof(*c));
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)(uintptr_t)arg)};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
            for (int n = 0; n < 5; n++) {
                const char *request = requests[(i + (size_t)n) % LENGTH_OF(requests)];
                if (!client_try_send(c, request, strlen(request)))
                    break;
                struct answer a = client_read(c);
                answer_free(&a);
            }
        }
        client_close(c);
    }
    return NULL;
}

static void test_stop__under_load_neither_hangs_nor_crashes(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        rig_start(&rig);
        log_setup(LOG_LEVELS, LOG_TEXT, 2);
        pthread_t threads[6];
        atomic_store(&load_on, true);
        for (size_t i = 0; i < LENGTH_OF(threads); i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, load_main,
                                            (void *)(uintptr_t)http_server_port(rig.server)),
                             0);
        }
        for (int i = 0; i < 10000 && atomic_load(&rig.dones) <= 10; i++)
            usleep(1000);
        struct stopping s;
        stop_begin(&s, round % 2 ? 0 : 500);
        stop_end(&s);
        atomic_store(&load_on, false);
        for (size_t i = 0; i < LENGTH_OF(threads); i++)
            pthread_join(threads[i], NULL);
        print_message("%d requests\n", atomic_load(&rig.dones));
        assert_true(atomic_load(&rig.dones) > 10);
        assert_true(atomic_load(&rig.heads) <= atomic_load(&rig.dones));
    }
}

static void test_quiesce__refuses_new_connections_and_serves_the_old(void **state)
{
    (void)state;
    rig_start(&rig);
    struct client *c = client_connect(&rig);
    client_send(c, GET("/hello"));
    client_expect(c, 200, "hello");
    http_server_quiesce(rig.server);
    http_server_quiesce(rig.server);
    assert_false(can_connect(http_server_port(rig.server)));
    client_send(c, GET("/hello"));
    client_expect(c, 200, "hello");
    assert_true(client_is_closed(c));
    client_close(c);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop__lets_requests_in_flight_end),
        cmocka_unit_test(test_stop__cuts_off_what_is_not_done_at_the_deadline),
        cmocka_unit_test(test_stop__closes_at_once_what_has_no_request_in_flight),
        cmocka_unit_test(test_stop__under_load_neither_hangs_nor_crashes),
        cmocka_unit_test(test_quiesce__refuses_new_connections_and_serves_the_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
