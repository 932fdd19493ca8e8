#include "tests/unit/gateway/http_client.h"

#include <netinet/tcp.h>

/* Clients that end their stream behind the request, and wait for the answer. */

static const struct http_options both_options = {0};
#include "tests/unit/gateway/http_both.h"

struct half_case {
    const char *method, *target;
    size_t body;
    bool chunked;
    const char *answer; /* NULL: any */
};

static const struct half_case cases[] = {
    {"GET", "/hello", 0, false, "hello"},
    {"GET", "/work", 0, false, "worked"},
    {"GET", "/gen?size=100000&piece=5000", 0, false, NULL},
    {"GET", "/gen?size=100000&piece=5000&block=1", 0, false, NULL},
    {"DELETE", "/work", 0, false, "worked"},
    {"PUT", "/sink", 0, false, "0"},
    {"PUT", "/sink", 100, false, "100"},
    {"PUT", "/sink", 200000, false, "200000"},
    {"PUT", "/sink?room=10000", 100000, false, "100000"},
    {"PUT", "/sink?room=50", 100, false, "100"},
    {"PUT", "/sink?room=50&early=1", 100, false, "100"},
    {"PUT", "/workecho", 100, false, NULL},
    {"PUT", "/workecho", 100000, false, NULL},
    {"PUT", "/work", 100, false, "worked"},
    {"PUT", "/sink", 100, true, "100"},
    {"PUT", "/sink?room=50", 100, true, "100"},
    {"PUT", "/sink?room=2000", 60000, true, "60000"},
    {"PUT", "/workecho", 100, true, NULL},
    {"PUT", "/workecho", 60000, true, NULL},
    {"PUT", "/sink", 0, true, "0"},
};

/* These ask for `100 Continue`, and do not wait for it. */
static const struct half_case hasty[] = {
    {"PUT", "/work", 100, false, "worked"},   {"PUT", "/work", 5000, false, "worked"},
    {"PUT", "/work", 5000, true, "worked"},   {"PUT", "/workecho", 5000, false, NULL},
    {"PUT", "/sink", 5000, false, "5000"},    {"PUT", "/sink?room=2000", 5000, true, "5000"},
    {"PUT", "/work", 20000, false, "worked"},
};

static struct buf request_of(const struct half_case *k, const char *fields)
{
    enum { CHUNK = 5000 };
    struct buf out;
    char block[CHUNK];
    memset(block, 'x', sizeof(block));
    buf_init(&out, 1 << 20);
    buf_printf(&out, "%s %s HTTP/1.1\r\nHost: h\r\n%s", k->method, k->target, fields);
    if (k->chunked)
        buf_append_cstr(&out, "Transfer-Encoding: chunked\r\n\r\n");
    else if (strcmp(k->method, "PUT") == 0)
        buf_printf(&out, "Content-Length: %zu\r\n\r\n", k->body);
    else
        buf_append_cstr(&out, "\r\n");
    for (size_t left = k->body, n; left > 0; left -= n) {
        n = left < CHUNK ? left : CHUNK;
        if (k->chunked)
            buf_printf(&out, "%zx\r\n", n);
        buf_append(&out, block, n);
        if (k->chunked)
            buf_append_cstr(&out, "\r\n");
    }
    if (k->chunked)
        buf_append_cstr(&out, "0\r\n\r\n");
    assert_ok(buf_check(&out));
    return out;
}

#define CORK_MS 200 /* the system sends what is held back after so long */

/* The answer, behind a `100 Continue` if there is one. */
static struct answer final_answer(struct client *c)
{
    struct answer a = client_read(c);
    if (a.status == 100) {
        answer_free(&a);
        a = client_read(c);
    }
    return a;
}

static void expect_answer(const struct half_case *k, struct client *c)
{
    struct answer a = final_answer(c);
    if (a.status != 200 || !a.whole || (k->answer != NULL && strcmp(a.body, k->answer) != 0)) {
        fail_msg("%s %s, %zu bytes%s: %u '%.100s'%s", k->method, k->target, k->body,
                 k->chunked ? " in chunks" : "", a.status, a.body, a.whole ? "" : ", cut off");
    }
    answer_free(&a);
}

static void ask(const struct half_case *k, const struct buf *request, int after_us)
{
    struct client *c = client_connect(&rig);
    assert_true(client_try_send(c, request->data, request->len));
    if (after_us > 0)
        usleep((unsigned)after_us);
    client_end_stream(c);
    expect_answer(k, c);
    client_close(c);
}

/* The end in one packet with the request; false when we were too slow for that. */
static bool ask_at_once(const struct half_case *k, const struct buf *request)
{
    int on = 1, dones = atomic_load(&rig.dones);
    uint64_t bytes_in = atomic_load(&rig.bytes_in);
    struct client *c = client_connect(&rig);
    assert_int_equal(setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)), 0);
    int64_t begun = clock_boot_ms();
    assert_true(client_try_send(c, request->data, request->len));
    client_end_stream(c);
    bool together = clock_boot_ms() - begun < CORK_MS / 2;
    if (together) {
        expect_answer(k, c);
        rig_wait(&rig.dones, dones + 1);
        assert_int_equal(atomic_load(&rig.bytes_in), bytes_in + k->body);
    }
    client_close(c);
    rig_settle(&rig);
    return together;
}

static void test_half__closed_connections_are_answered_every_time(void **state)
{
    (void)state;
    int times = rig.is_tls ? 3 : 10; /* handshakes take their time */
    static const int after_us[] = {0, 0, 20, 200};
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct buf request = request_of(&cases[i], "");
        for (int n = 0; n < times * (int)LENGTH_OF(after_us); n++)
            ask(&cases[i], &request, after_us[n % (int)LENGTH_OF(after_us)]);
        buf_fini(&request);
    }
}

/* Nor answered before their bodies were read, where libmicrohttpd would find the end. */
static void test_half__closed_connections_do_not_wait_for_100(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(hasty); i++) {
        struct buf request = request_of(&hasty[i], "Expect: 100-continue\r\n");
        for (int n = 0; n < (rig.is_tls ? 5 : 20); n += ask_at_once(&hasty[i], &request)) {
        }
        buf_fini(&request);
    }
}

/* Nothing more can be asked: the server does not wait for it. */
static void test_half__closed_connections_are_closed_after_the_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct buf request = request_of(&cases[i], "");
        struct client *c = client_connect(&rig);
        assert_true(client_try_send(c, request.data, request.len));
        client_end_stream(c);
        struct answer a = client_read(c);
        assert_int_equal(a.status, 200);
        answer_free(&a);
        int64_t begun = clock_boot_ms();
        assert_true(client_is_closed(c));
        assert_true(clock_boot_ms() - begun < 2000);
        client_close(c);
        buf_fini(&request);
    }
}

/* Half of a request is none. */
static void test_half__a_body_that_is_cut_is_not_answered(void **state)
{
    (void)state;
    for (int chunked = 0; chunked < 2; chunked++) {
        int dones = atomic_load(&rig.dones);
        struct client *c = client_connect(&rig);
        client_send(c, chunked ? "PUT /sink?room=3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                                 "chunked\r\n\r\n5\r\nhello\r\n"
                               : "PUT /sink?room=3 HTTP/1.1\r\nHost: h\r\nContent-Length: "
                                 "20\r\n\r\nhello");
        client_end_stream(c);
        assert_true(client_is_closed(c));
        rig_wait(&rig.dones, dones + 1);
        assert_int_equal(atomic_load(&rig.last_result), ERR_CANCELLED);
        client_close(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_half__closed_connections_are_answered_every_time),
        BOTH(test_half__closed_connections_do_not_wait_for_100),
        BOTH(test_half__closed_connections_are_closed_after_the_answer),
        BOTH(test_half__a_body_that_is_cut_is_not_answered),
    };
    return cmocka_run_group_tests(tests, setup_files, remove_files);
}
