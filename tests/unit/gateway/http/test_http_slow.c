#include "tests/unit/gateway/http_client.h"

/* Clients that drip: a byte now and then keeps no time-out of silence from running. */

enum { WINDOW_S = 1, RATE = 5000, CUT_MS = 4000, HEAD_S = 1 };

static const struct http_options both_options = {.head_timeout_s = HEAD_S,
                                                 .body_min_rate = RATE,
                                                 .reply_min_rate = RATE,
                                                 .body_rate_window_s = WINDOW_S};
#include "tests/unit/gateway/http_both.h"

struct dripping {
    const char *target, *begin, *drop;
    struct client *c; /* NULL: cut */
};

/* Sends each one's drop again and again until the server closes or answers; all must end soon. */
static void drip(struct dripping *list, size_t count)
{
    int64_t begun = clock_boot_ms();
    size_t left = count;
    while (left > 0) {
        usleep(50000);
        for (size_t i = 0; i < count; i++) {
            struct dripping *d = &list[i];
            struct pollfd p = {d->c != NULL ? d->c->fd : -1, POLLIN, 0};
            if (d->c != NULL &&
                (poll(&p, 1, 0) > 0 || !client_try_send(d->c, d->drop, strlen(d->drop)))) {
                client_close(d->c);
                d->c = NULL;
                left--;
            } else if (d->c != NULL && clock_boot_ms() - begun > CUT_MS) {
                fail_msg("%s '%s%s' may drip for ever", d->target, d->begin, d->drop);
            }
        }
    }
}

static void test_slow__drips_between_the_bytes_of_a_body_are_cut(void **state)
{
    (void)state;
    struct dripping cases[] = {
        {"/sink", "", "0", NULL},                     /* a chunk's size */
        {"/sink", "5;", "a", NULL},                   /* an extension */
        {"/sink", "5\r\nhello\r\n5;a=\"", "b", NULL}, /* another */
        {"/sink", "0\r\n", "x", NULL},                /* a trailer's name */
        {"/sink", "0\r\nx-t: ", "y", NULL},           /* its value */
        {"/sink", "0\r\n", "a: b\r\n", NULL},         /* one after another */
        {"/sink", "", "1\r\nz\r\n", NULL},            /* payload, too little */
        {"/echo", "5;", "a", NULL},
        {"/workecho", "5;", "a", NULL},
        {"/workecho", "1\r\nz\r\n", "1;a\r\nz\r\n", NULL},
        {"/status?code=403", "5;", "a", NULL}, /* a body that nobody wants */
        {"/status?code=403", "0\r\nx-t: ", "y", NULL},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        char head[300];
        snprintf(head, sizeof(head),
                 "PUT %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%s",
                 cases[i].target, cases[i].begin);
        cases[i].c = client_connect(&rig);
        client_send(cases[i].c, head);
    }
    drip(cases, LENGTH_OF(cases));
    rig_wait(&rig.dones, (int)LENGTH_OF(cases));
    assert_int_equal(atomic_load(&rig.last_result), ERR_TIMEOUT);
}

static void test_slow__drips_of_a_head_are_cut(void **state)
{
    (void)state;
    struct dripping cases[] = {{"a head", "GET /", "x", NULL},
                               {"", "GET /hello HTTP/1.1\r\nHost: h\r\nx-long: ", "x", NULL}};
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        cases[i].c = client_connect(&rig);
        client_send(cases[i].c, cases[i].begin);
    }
    drip(cases, LENGTH_OF(cases));
}

/* A record that announces much and never comes whole; or nothing at all. */
static void test_slow__handshakes_are_cut(void **state)
{
    (void)state;
    struct dripping cases[] = {{"a handshake", "", "x", client_connect_plain(&rig)}};
    struct client *silent = client_connect_plain(&rig);
    assert_true(client_try_send(cases[0].c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
    drip(cases, 1);
    assert_true(client_is_closed(silent));
    client_close(silent);
}

/* Reads so much of an answer each 50 ms until the end; whole bytes that came. */
static size_t sip(struct client *c, size_t sip_bytes, int64_t most_ms)
{
    static char bytes[256 * 1024];
    int64_t begun = clock_boot_ms();
    size_t got = 0;
    while (clock_boot_ms() - begun < most_ms) {
        usleep(50000);
        ssize_t n = c->tls != NULL ? gnutls_record_recv(c->tls, bytes, sip_bytes)
                                   : recv(c->fd, bytes, sip_bytes, 0);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    return got;
}

static struct client *ask_for_much(const char *target)
{
    struct client *c = client_connect(&rig);
    int small = 4096;
    assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    char head[300];
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    client_send(c, head);
    return c;
}

static void test_slow__answers_that_are_hardly_read_are_cut(void **state)
{
    (void)state;
    static const char *const targets[] = {"/gen?size=100000000&piece=50000",
                                          "/gen?size=100000000&piece=50000&block=1",
                                          "/gen?size=100000000&piece=50000&chunked=1"};
    struct client *silent[LENGTH_OF(targets)], *slow[LENGTH_OF(targets)];
    for (size_t i = 0; i < LENGTH_OF(targets); i++) {
        silent[i] = ask_for_much(targets[i]);
        slow[i] = ask_for_much(targets[i]);
    }
    int64_t begun = clock_boot_ms();
    while (atomic_load(&rig.dones) < 2 * (int)LENGTH_OF(targets)) {
        assert_in_range(clock_boot_ms() - begun, 0, CUT_MS);
        for (size_t i = 0; i < LENGTH_OF(targets); i++)
            (void)sip(slow[i], 20, 50);
    }
    assert_int_equal(atomic_load(&rig.complete), 0);
    for (size_t i = 0; i < LENGTH_OF(targets); i++) {
        client_close(silent[i]);
        client_close(slow[i]);
    }
    rig_wait(&rig.generators_closed, 2 * (int)LENGTH_OF(targets));
}

static void test_slow__answers_that_are_read_steadily_go_on(void **state)
{
    (void)state;
    enum { LONG_MS = 2500, TIMES = 20 }; /* its machine takes steps of a buffer */
    struct client *c = ask_for_much("/gen?size=100000000&piece=50000");
    size_t got = sip(c, TIMES * RATE / 20, LONG_MS);
    assert_int_equal(atomic_load(&rig.dones), 0);
    assert_true(got > RATE);
    client_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_slow__drips_between_the_bytes_of_a_body_are_cut),
        BOTH(test_slow__drips_of_a_head_are_cut),
        {"test_slow__handshakes_are_cut, https", test_slow__handshakes_are_cut, start_tls, stop,
         NULL},
        BOTH(test_slow__answers_that_are_hardly_read_are_cut),
        BOTH(test_slow__answers_that_are_read_steadily_go_on),
    };
    return cmocka_run_group_tests(tests, setup_files, remove_files);
}
