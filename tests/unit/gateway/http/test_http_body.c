#include "tests/unit/gateway/http_client.h"

#include "base/clock.h"

#include <netinet/tcp.h>

static struct rig rig;

static int setup(void **state)
{
    (void)state;
    rig_start(&rig);
    return 0;
}

static int settle(void **state)
{
    (void)state;
    rig_settle(&rig);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"

/* Sends `total` bytes of a body in one go. */
static bool send_bytes(struct client *c, size_t total)
{
    char block[16 * 1024];
    memset(block, 'x', sizeof(block));
    while (total > 0) {
        size_t n = total < sizeof(block) ? total : sizeof(block);
        if (!client_try_send(c, block, n))
            return false;
        total -= n;
    }
    return true;
}

static void put(struct client *c, const char *target, size_t length)
{
    char head[400];
    snprintf(head, sizeof(head), "PUT %s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n",
             target, length);
    client_send(c, head);
}

static void test_body__comes_after_100_when_the_client_waits_for_it(void **state)
{
    (void)state;
    static const char *const targets[] = {"/echo", "/workecho", "/sink"};
    static const char *const expects[] = {"100-continue", "100-Continue,", " , ,100-continue"};
    for (size_t i = 0; i < LENGTH_OF(targets) * LENGTH_OF(expects); i++) {
        struct client *c = client_connect(&rig);
        char head[300];
        snprintf(head, sizeof(head),
                 "PUT %s HTTP/1.1\r\nHost: h\r\nExpect: %s\r\nContent-Length: 3\r\n\r\n",
                 targets[i % 3], expects[i / 3]);
        client_send(c, head);
        client_expect(c, 100, "");
        client_send(c, "abc" GET("/hello"));
        client_expect(c, 200, i % 3 == 2 ? "3" : "abc");
        client_expect(c, 200, "hello");
        client_close(c);
    }
}

static void test_body__is_refused_instead_of_100(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        size_t length;
        unsigned status;
    } rows[] = {
        {"/status?code=403", 10, 403},
        {"/status?code=412", 5000000000, 412},
        {"/status?code=403", 0, 403},
        {"/echo", RIG_COLLECT_MAX + 1, 413},
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct client *c = client_connect(&rig);
        char head[300];
        snprintf(
            head, sizeof(head),
            "PUT %s HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: %zu\r\n\r\n",
            rows[i].target, rows[i].length);
        client_send(c, head);
        client_expect(c, rows[i].status, NULL);
        assert_true(client_is_closed(c));
        client_close(c);
    }
}

static void test_body__that_is_empty_still_gets_its_100(void **state)
{
    (void)state;
    static const char *const targets[] = {"/hello", "/work", "/echo", "/sink", "/gen?size=0"};
    struct client *c = client_connect(&rig);
    for (size_t i = 0; i < LENGTH_OF(targets); i++) {
        char head[300];
        snprintf(head, sizeof(head),
                 "PUT %s HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
                 targets[i]);
        client_send(c, head);
        client_expect(c, 100, "");
        client_expect(c, 200, NULL);
    }
    client_close(c);
}

static void test_body__in_chunks_brings_trailers(void **state)
{
    (void)state;
    struct client *c = client_connect(&rig);
    client_send(c, "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
                   "3\r\nabc\r\n00a;ext=\"1\"\r\n0123456789\r\n0\r\n\r\n");
    client_expect(c, 200, "abc0123456789");
    client_close(c);
    c = client_connect(&rig);
    client_send(c, "PUT /trailers HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:  AAAAAA== \r\nX-B: 2\r\n\r\n");
    client_expect(c, 200, "x-amz-checksum-crc32=AAAAAA==;X-B=2;");
    assert_true(client_is_closed(c)); /* as after each chunked body: see strict.h */
    client_close(c);
}

static void test_body__with_broken_chunks_is_400(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "zz\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "-3\r\nabc\r\n",
        "3 \r\nabc\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "\r\n",
        "3\r\nabc\r\n0\r\nbad name: x\r\n\r\n",
        "3\r\nabc\r\n0\r\nno colon\r\n\r\n",
    };
    for (size_t i = 0; i < LENGTH_OF(bodies); i++) {
        int ends = atomic_load(&rig.body_ends), dones = atomic_load(&rig.dones);
        struct client *c = client_connect(&rig);
        client_send(c, "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        (void)client_try_send(c, bodies[i], strlen(bodies[i]));
        struct answer a = client_read(c);
        print_message("%zu: %u\n", i, a.status);
        assert_int_equal(a.status, 400);
        answer_free(&a);
        client_close(c);
        rig_wait(&rig.dones, dones + 1);
        assert_int_equal(atomic_load(&rig.body_ends), ends + 1);
        assert_int_equal(atomic_load(&rig.last_result), ERR_INVALID);
        assert_int_equal(atomic_load(&rig.last_status), 400);
    }
    struct client *c = client_connect(&rig);
    client_send(c, "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "fffffffffffffffff\r\n");
    client_expect(c, 413, NULL);
    client_close(c);
}

/*
 * A bare LF for CR LF, in one segment and byte by byte. Where it is seen it is refused; where it is
 * not, the connection is closed all the same: what follows is never a request.
 */
static void test_body__in_chunks_never_hides_a_request(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool refused; /* when it comes in one segment */
    } cases[] = {
        {"5\r\nhello\r\n0\r\n\r\n", false},
        {"5;a=b\r\nhello\r\n0;c\r\nx-t: y\r\n\r\n", false},
        {"5\nhello\r\n0\r\n\r\n", true},
        {"5;a=b\nhello\r\n0\r\n\r\n", true},
        {"5;a\rb\r\nhello\r\n0\r\n\r\n", true},
        {"5\r\nhello\n5\r\nhello\r\n0\r\n\r\n", true},
        {"5\r\nhello\r\n0\r\nx-t: y\nx-u: z\r\n\r\n", true},
        {"5\r\nhello\n0\r\n\r\n", false},
        {"5\r\nhello\r\n0\n\r\n", false},
        {"5\r\nhello\r\n0\r\n\n", false},
    };
    static const char *const targets[] = {"/sink", "/echo", "/workecho", "/status?code=403"};
    for (size_t i = 0; i < LENGTH_OF(cases) * LENGTH_OF(targets) * 2; i++) {
        bool slowly = i % 2;
        const char *target = targets[i / 2 % LENGTH_OF(targets)];
        size_t n = i / 2 / LENGTH_OF(targets);
        char text[500];
        int heads = atomic_load(&rig.heads);
        snprintf(text, sizeof(text),
                 "PUT %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%s" GET("/hello"),
                 target, cases[n].body);
        struct client *c = client_connect(&rig);
        int on = 1;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        for (size_t at = 0; slowly && at < strlen(text); at++)
            (void)client_try_send(c, text + at, 1); /* it may be closed already */
        if (!slowly)
            client_send(c, text);
        struct answer a = client_read(c);
        bool is_right = a.status == 200 || a.status == 400 || a.status == 403;
        if (!slowly && strncmp(target, "/status", 7) != 0)
            is_right = (a.status == 400) == cases[n].refused;
        if (!is_right || !a.whole)
            fail_msg("%s %s%s: %u", target, cases[n].body, slowly ? ", slowly" : "", a.status);
        if (!client_is_closed(c)) {
            fail_msg("%s %s%s: %u, and then '%.*s'", target, cases[n].body,
                     slowly ? ", slowly" : "", a.status, (int)c->len, c->buf);
        }
        answer_free(&a);
        assert_int_equal(atomic_load(&rig.heads), heads + 1);
        client_close(c);
    }
}

static void test_body__waits_for_a_slow_sink(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        size_t length, chunk; /* 0: Content-Length */
    } rows[] = {
        {"/sink?room=1000", 100000, 0},     {"/sink?room=1000&early=1", 100000, 0},
        {"/sink?room=7", 2000, 0},          {"/sink?room=1", 300, 0},
        {"/sink?room=100000", 5000000, 0},  {"/sink?room=1000", 20000, 10},
        {"/sink?room=5&early=1", 3000, 50}, {"/sink?room=3000", 100000, 2999},
        {"/sink?room=10", 3000, 5},         {"/sink", 5000000, 100},
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct client *c = client_connect(&rig);
        char expected[30];
        print_message("%s %zu %zu\n", rows[i].target, rows[i].length, rows[i].chunk);
        if (rows[i].chunk == 0) {
            put(c, rows[i].target, rows[i].length);
            assert_true(send_bytes(c, rows[i].length));
        } else {
            char head[300];
            snprintf(head, sizeof(head),
                     "PUT %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
                     rows[i].target);
            client_send(c, head);
            for (size_t sent = 0; sent < rows[i].length; sent += rows[i].chunk) {
                size_t n =
                    rows[i].length - sent < rows[i].chunk ? rows[i].length - sent : rows[i].chunk;
                snprintf(head, sizeof(head), "%zx\r\n", n);
                client_send(c, head);
                assert_true(send_bytes(c, n));
                client_send(c, "\r\n");
            }
            client_send(c, "0\r\n\r\n");
        }
        if (rows[i].chunk == 0)
            client_send(c, GET("/hello"));
        snprintf(expected, sizeof(expected), "%zu", rows[i].length);
        client_expect(c, 200, expected);
        if (rows[i].chunk == 0)
            client_expect(c, 200, "hello");
        client_close(c);
    }
}

static void *upload_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        struct client *c = client_connect(&rig);
        put(c, "/sink?room=9000", 400000);
        assert_true(send_bytes(c, 400000));
        client_expect(c, 200, "400000");
        client_close(c);
    }
    return NULL;
}

static void test_body__waits_for_many_slow_sinks_at_once(void **state)
{
    (void)state;
    pthread_t threads[8];
    for (size_t i = 0; i < LENGTH_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, upload_many, NULL), 0);
    for (size_t i = 0; i < LENGTH_OF(threads); i++)
        pthread_join(threads[i], NULL);
}

static void test_body__of_a_failing_sink_is_refused_at_its_end(void **state)
{
    (void)state;
    struct client *c = client_connect(&rig);
    put(c, "/sink?fail=20000", 500000);
    assert_true(send_bytes(c, 500000));
    client_expect(c, 400, "refused: the sink fails");
    client_send(c, GET("/hello"));
    client_expect(c, 200, "hello");
    client_close(c);
    assert_int_equal(atomic_load(&rig.last_result), ERR_CORRUPT);
}

static void test_body__of_a_failing_sink_is_refused_before_its_end_when_it_is_long(void **state)
{
    (void)state;
    int dones = atomic_load(&rig.dones), ends = atomic_load(&rig.body_ends);
    struct client *c = client_connect(&rig);
    put(c, "/sink?fail=20000", 500000000);
    (void)send_bytes(c, 500000000); /* the server stops listening on the way */
    client_expect(c, 400, "refused: the sink fails");
    assert_true(client_is_closed(c));
    client_close(c);
    rig_wait(&rig.dones, dones + 1);
    assert_int_equal(atomic_load(&rig.body_ends), ends + 1);
    assert_int_equal(atomic_load(&rig.last_status), 400);
}

static void test_body__beyond_what_is_collected_is_413(void **state)
{
    (void)state;
    struct client *c = client_connect(&rig);
    put(c, "/echo", RIG_COLLECT_MAX + 1);
    client_expect(c, 413, NULL);
    client_close(c);
    c = client_connect(&rig);
    client_send(c, "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n400001\r\n");
    assert_true(send_bytes(c, 0x400001));
    client_send(c, "\r\n0\r\n\r\n");
    client_expect(c, 413, NULL);
    client_close(c);
}

static void test_body__refused_at_its_head_leaves_the_connection_in_use(void **state)
{
    (void)state;
    struct client *c = client_connect(&rig);
    put(c, "/status?code=403", 300000);
    assert_true(send_bytes(c, 300000));
    client_expect(c, 403, NULL);
    client_send(c, GET("/hello"));
    client_expect(c, 200, "hello");
    client_close(c);
    c = client_connect(&rig);
    client_send(c, "PUT /status?code=403 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n0\r\n\r\n");
    client_expect(c, 403, NULL);
    assert_true(client_is_closed(c));
    client_close(c);
    /* A long one is answered at once, and what comes after it is not taken for a request. */
    c = client_connect(&rig);
    put(c, "/status?code=403", 300000000);
    client_expect(c, 403, NULL);
    (void)client_try_send(c, GET("/hello"), strlen(GET("/hello")));
    assert_true(client_is_closed(c));
    client_close(c);
}

static void test_body__refused_at_its_head_does_not_reset_who_sends_it(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "PUT /status?code=403 HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n",
        "PUT /status?code=403 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1312d00\r\n",
    };
    for (size_t i = 0; i < LENGTH_OF(heads); i++) {
        int dones = atomic_load(&rig.dones);
        struct client *c = client_connect(&rig);
        client_send(c, heads[i]);
        assert_true(send_bytes(c, 20000000)); /* all of it before looking for an answer */
        client_expect(c, 403, "some text");
        client_close(c);
        rig_wait(&rig.dones, dones + 1);
        assert_int_equal(atomic_load(&rig.last_status), 403);
    }
}

static void test_body__of_a_client_that_leaves_ends_cancelled(void **state)
{
    (void)state;
    static const char *const targets[] = {"/sink", "/echo", "/sink?room=100", "/workecho"};
    for (size_t i = 0; i < LENGTH_OF(targets); i++) {
        for (int reset = 0; reset < 2; reset++) {
            int dones = atomic_load(&rig.dones), ends = atomic_load(&rig.body_ends);
            struct client *c = client_connect(&rig);
            char head[300];
            snprintf(head, sizeof(head),
                     "PUT %s HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                     "Content-Length: 1000000\r\n\r\n",
                     targets[i]);
            client_send(c, head);
            client_expect(c, 100, ""); /* the body has begun */
            assert_true(send_bytes(c, 100000));
            (reset ? client_reset : client_close)(c);
            rig_wait(&rig.dones, dones + 1);
            assert_int_equal(atomic_load(&rig.body_ends), ends + 1);
            assert_int_equal(atomic_load(&rig.last_result), ERR_CANCELLED);
            assert_int_equal(atomic_load(&rig.last_status), 0);
        }
    }
}

/* libmicrohttpd misses an end of the stream that arrives with the last bytes it reads. */
static void test_body__of_a_client_that_leaves_in_the_same_breath_ends_soon(void **state)
{
    (void)state;
    enum { CLIENTS = 40, SOON_MS = 10000 };
    int dones = atomic_load(&rig.dones);
    int64_t begun = clock_boot_ms();
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = client_connect(&rig);
        put(c, i % 2 ? "/sink" : "/workecho", 1000000);
        assert_true(send_bytes(c, (size_t)(i % 4) * 10000));
        client_close(c);
    }
    rig_wait(&rig.dones, dones + CLIENTS);
    assert_true(clock_boot_ms() - begun < SOON_MS);
}

static void test_body__refused_in_the_middle_does_not_keep_a_silent_client(void **state)
{
    (void)state;
    struct rig patient;
    struct http_options options = {.linger_s = 60};
    rig_start_with(&patient, &options);
    struct client *c = client_connect(&patient);
    put(c, "/status?code=403", 300000000);
    client_expect(c, 403, NULL);
    assert_true(client_is_closed(c)); /* our side is, at once */
    assert_true(send_bytes(c, 100000));
    int64_t start = clock_mono_us();
    struct http_server_stats stats = {.connections = 1};
    while (stats.connections > 0 && clock_mono_us() - start < 8000000) {
        http_server_stats(patient.server, &stats);
        usleep(1000);
    }
    assert_int_equal(stats.connections, 0);
    assert_true(clock_mono_us() - start > 1500000);
    assert_true(clock_mono_us() - start < 5000000);
    client_close(c);
    rig_stop(&patient);
}

/* --- slow clients --- */

static struct rig impatient;

static int setup_impatient(void **state)
{
    (void)state;
    struct http_options options = {
        .idle_timeout_s = 1, .head_timeout_s = 1, .body_min_rate = 5000, .body_rate_window_s = 1};
    rig_start_with(&impatient, &options);
    return 0;
}

static int teardown_impatient(void **state)
{
    (void)state;
    rig_stop(&impatient);
    return 0;
}

static void test_body__that_stalls_ends_by_timeout(void **state)
{
    (void)state;
    struct client *c = client_connect(&impatient);
    put(c, "/sink", 1000000);
    assert_true(send_bytes(c, 100));
    assert_true(client_is_closed(c));
    client_close(c);
    rig_wait(&impatient.dones, 1);
    assert_int_equal(atomic_load(&impatient.last_result), ERR_TIMEOUT);
}

static void test_body__below_the_minimum_rate_ends_by_timeout(void **state)
{
    (void)state;
    struct client *c = client_connect(&impatient);
    put(c, "/sink", 1000000);
    int64_t start = clock_mono_us();
    struct pollfd p = {c->fd, POLLIN, 0};
    while (client_try_send(c, "x", 1) && clock_mono_us() - start < 4000000 &&
           poll(&p, 1, 50) == 0) {
    }
    assert_true(clock_mono_us() - start < 2000000);
    client_expect(c, 400, "refused: the client was too slow");
    assert_true(client_is_closed(c));
    client_close(c);
    rig_wait(&impatient.dones, 1);
    assert_int_equal(atomic_load(&impatient.last_status), 400);
    assert_int_equal(atomic_load(&impatient.last_result), ERR_TIMEOUT);
    struct http_server_stats stats;
    http_server_stats(impatient.server, &stats);
    assert_int_equal(stats.timeouts_total, 1);
}

static void test_body__may_take_long_when_the_sink_does(void **state)
{
    (void)state;
    struct client *c = client_connect(&impatient);
    put(c, "/sink?nap=1", 300);
    for (int i = 0; i < 3; i++) {
        assert_true(send_bytes(c, 100));
        usleep(20000); /* a piece of its own each; the second one waits for the sink */
    }
    client_expect(c, 200, "300");
    client_close(c);
}

static void test_head__byte_by_byte_ends_by_timeout(void **state)
{
    (void)state;
    static const char head[] = "GET /hello HTTP/1.1\r\nHost: h\r\nx-long: ";
    for (size_t after = 0; after < 2; after++) {
        struct client *c = client_connect(&impatient);
        client_send(c, after ? head : "GET /");
        int64_t start = clock_mono_us();
        while (client_try_send(c, "x", 1) && clock_mono_us() - start < 5000000)
            usleep(20000);
        assert_true(clock_mono_us() - start < 3000000);
        client_close(c);
    }
    struct http_server_stats stats;
    http_server_stats(impatient.server, &stats);
    assert_int_equal(stats.timeouts_total, 2);
    rig_wait(&impatient.dones, 1);
    assert_int_equal(atomic_load(&impatient.heads), 0);
}

static void test_reply__that_nobody_reads_ends_by_timeout(void **state)
{
    (void)state;
    struct client *c = client_connect(&impatient);
    client_send(c, GET("/gen?size=1000000000&piece=100000"));
    rig_wait(&impatient.dones, 1);
    assert_int_equal(atomic_load(&impatient.generators_closed), 1);
    assert_int_equal(atomic_load(&impatient.complete), 0);
    client_close(c);
}

static void test_connection__that_is_idle_is_closed(void **state)
{
    (void)state;
    struct client *c = client_connect(&impatient), *d = client_connect(&impatient);
    client_send(c, GET("/hello"));
    client_expect(c, 200, "hello");
    int64_t start = clock_mono_us();
    assert_true(client_is_closed(c));
    assert_true(client_is_closed(d));
    assert_true(clock_mono_us() - start < 4000000);
    client_close(c);
    client_close(d);
}

#define SLOW(test) cmocka_unit_test_setup_teardown(test, setup_impatient, teardown_impatient)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_body__comes_after_100_when_the_client_waits_for_it, settle),
        cmocka_unit_test_setup(test_body__is_refused_instead_of_100, settle),
        cmocka_unit_test_setup(test_body__that_is_empty_still_gets_its_100, settle),
        cmocka_unit_test_setup(test_body__in_chunks_brings_trailers, settle),
        cmocka_unit_test_setup(test_body__with_broken_chunks_is_400, settle),
        cmocka_unit_test_setup(test_body__in_chunks_never_hides_a_request, settle),
        cmocka_unit_test_setup(test_body__waits_for_a_slow_sink, settle),
        cmocka_unit_test_setup(test_body__waits_for_many_slow_sinks_at_once, settle),
        cmocka_unit_test_setup(test_body__of_a_failing_sink_is_refused_at_its_end, settle),
        cmocka_unit_test_setup(
            test_body__of_a_failing_sink_is_refused_before_its_end_when_it_is_long, settle),
        cmocka_unit_test_setup(test_body__beyond_what_is_collected_is_413, settle),
        cmocka_unit_test_setup(test_body__refused_at_its_head_leaves_the_connection_in_use, settle),
        cmocka_unit_test_setup(test_body__refused_at_its_head_does_not_reset_who_sends_it, settle),
        cmocka_unit_test_setup(test_body__of_a_client_that_leaves_ends_cancelled, settle),
        cmocka_unit_test_setup(test_body__of_a_client_that_leaves_in_the_same_breath_ends_soon,
                               settle),
        cmocka_unit_test(test_body__refused_in_the_middle_does_not_keep_a_silent_client),
        SLOW(test_body__that_stalls_ends_by_timeout),
        SLOW(test_body__below_the_minimum_rate_ends_by_timeout),
        SLOW(test_body__may_take_long_when_the_sink_does),
        SLOW(test_head__byte_by_byte_ends_by_timeout),
        SLOW(test_reply__that_nobody_reads_ends_by_timeout),
        SLOW(test_connection__that_is_idle_is_closed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
