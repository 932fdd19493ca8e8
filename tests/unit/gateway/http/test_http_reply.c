#include "tests/unit/gateway/http_client.h"

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

static void get(struct client *c, const char *target)
{
    char request[300];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    client_send(c, request);
}

static void check_bytes(const struct answer *a, size_t size)
{
    assert_int_equal(a->body_len, size);
    for (size_t i = 0; i < size; i++)
        if (a->body[i] != (char)('a' + i % 26))
            fail_msg("byte %zu is wrong", i);
}

static void test_generator__gives_its_bytes_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        size_t size;
    } rows[] = {
        {"/gen?size=0", 0},
        {"/gen?size=1", 1},
        {"/gen?size=100000&piece=1", 100000},
        {"/gen?size=1000000&piece=65537", 1000000},
        {"/gen?size=20000000&piece=4000000", 20000000},
        {"/gen?size=3000&piece=100&block=1", 3000},
        {"/gen?size=300000&piece=100000&block=1", 300000},
        {"/gen?size=0&chunked=1", 0},
        {"/gen?size=100000&piece=333&chunked=1", 100000},
        {"/gen?size=300000&piece=100000&block=1&chunked=1", 300000},
        {"/gen?size=3000&piece=100&block=1&chunked=1", 3000},
    };
    int closed = atomic_load(&rig.generators_closed);
    struct client *c = client_connect(&rig);
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        print_message("%s\n", rows[i].target);
        uint64_t out = atomic_load(&rig.bytes_out);
        int dones = atomic_load(&rig.dones);
        get(c, rows[i].target);
        struct answer a = client_read(c);
        assert_int_equal(a.status, 200);
        assert_true(a.whole);
        check_bytes(&a, rows[i].size);
        answer_free(&a);
        rig_wait(&rig.dones, dones + 1);
        assert_int_equal(atomic_load(&rig.bytes_out) - out, rows[i].size);
    }
    client_close(c);
    rig_wait(&rig.generators_closed, closed + (int)LENGTH_OF(rows));
}

static void test_generator__that_fails_cuts_the_connection(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/gen?size=100000&piece=1000&fail=50000",
        "/gen?size=100000&piece=1000&fail=50000&chunked=1",
        "/gen?size=100000&piece=1000&fail=5000&block=1",
        "/gen?size=100000&piece=1000&end=5000",
        "/gen?size=100000&piece=1000&end=5000&block=1",
        "/gen?size=100000&piece=100000&fail=100000&chunked=1",
    };
    log_setup(LOG_LEVELS, LOG_TEXT, 2); /* these are logged */
    for (size_t i = 0; i < LENGTH_OF(targets); i++) {
        int closed = atomic_load(&rig.generators_closed), whole = atomic_load(&rig.complete);
        struct client *c = client_connect(&rig);
        print_message("%s\n", targets[i]);
        get(c, targets[i]);
        struct answer a = client_read(c);
        assert_int_equal(a.status, 200);
        assert_false(a.whole);
        assert_true(client_is_closed(c));
        answer_free(&a);
        client_close(c);
        rig_wait(&rig.generators_closed, closed + 1);
        usleep(1000);
        assert_int_equal(atomic_load(&rig.complete), whole);
    }
    log_setup(LOG_ERROR, LOG_TEXT, 2);
}

static void test_generator__is_closed_once_when_the_client_leaves(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/gen?size=100000000&piece=10000",
        "/gen?size=100000000&piece=10000&block=1",
        "/gen?size=100000000&piece=10000&chunked=1",
    };
    for (size_t i = 0; i < LENGTH_OF(targets); i++) {
        int closed = atomic_load(&rig.generators_closed), dones = atomic_load(&rig.dones);
        int whole = atomic_load(&rig.complete);
        struct client *c = client_connect(&rig);
        get(c, targets[i]);
        assert_true(client_more(c));
        client_close(c);
        rig_wait(&rig.dones, dones + 1);
        assert_int_equal(atomic_load(&rig.generators_closed), closed + 1);
        assert_int_equal(atomic_load(&rig.complete), whole);
    }
}

static void test_generator__of_a_head_request_is_closed_unread(void **state)
{
    (void)state;
    int closed = atomic_load(&rig.generators_closed);
    uint64_t out = atomic_load(&rig.bytes_out);
    struct client *c = client_connect(&rig);
    client_send(c, "HEAD /gen?size=12345 HTTP/1.1\r\nHost: h\r\n\r\n" GET("/status?code=204"));
    struct answer a = client_read_as(c, true);
    assert_string_equal(answer_header(&a, "Content-Length"), "12345");
    answer_free(&a);
    client_expect(c, 204, "");
    rig_wait(&rig.generators_closed, closed + 1);
    assert_int_equal(atomic_load(&rig.bytes_out), out);
    client_close(c);
}

static void test_generator__of_unknown_length_ends_http_1_0_by_closing(void **state)
{
    (void)state;
    struct client *c = client_connect(&rig);
    client_send(c, "GET /gen?size=5000&chunked=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    struct answer a = client_read(c);
    assert_int_equal(a.status, 200);
    assert_null(answer_header(&a, "Transfer-Encoding"));
    while (client_more(c)) {
    }
    assert_int_equal(c->len, 5000);
    answer_free(&a);
    client_close(c);
}

static void *download_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        struct client *c = client_connect(&rig);
        get(c, i % 2 ? "/gen?size=200000&piece=9999&block=1" : "/gen?size=2000000&piece=70000");
        struct answer a = client_read(c);
        assert_true(a.whole);
        check_bytes(&a, i % 2 ? 200000 : 2000000);
        answer_free(&a);
        client_close(c);
    }
    return NULL;
}

static void test_generator__serves_many_clients_at_once(void **state)
{
    (void)state;
    pthread_t threads[8];
    for (size_t i = 0; i < LENGTH_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, download_many, NULL), 0);
    for (size_t i = 0; i < LENGTH_OF(threads); i++)
        pthread_join(threads[i], NULL);
}

/* A kept connection must not wait for a delayed acknowledgement (40 ms) between small answers. */
static void test_reply__of_few_bytes_goes_out_at_once(void **state)
{
    (void)state;
    static const char *const targets[] = {"/hello", "/work", "/gen?size=100", "/gen?chunked=1",
                                          "/gen?size=100&piece=50&block=1"};
    for (size_t i = 0; i < LENGTH_OF(targets); i++) {
        struct client *c = client_connect(&rig);
        int64_t start = clock_mono_us();
        for (int n = 0; n < 50; n++) {
            get(c, targets[i]);
            client_expect(c, 200, NULL);
        }
        int64_t each = (clock_mono_us() - start) / 50;
        print_message("%s: %lld us\n", targets[i], (long long)each);
        assert_true(each < 20000);
        client_close(c);
    }
}

/* Whatever cannot be sent is an error that can; no connection is closed without a word. */
static void test_reply__with_a_header_that_does_not_fit_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target;
        size_t target_pad, head_pad; /* bytes more in the query, in a field */
        unsigned status;
    } cases[] = {
        {"GET", "/fields?count=5", 0, 0, 200},
        {"GET", "/fields?count=15", 0, 0, 200},
        {"GET", "/fields?count=40", 0, 0, 500},
        {"PUT", "/fields?count=40", 0, 0, 500},
        {"GET", "/fields?count=18&pad=", 12000, 0, 400},
        {"GET", "/fields?count=6", 0, 22000, 400},
        {"GET", "/hello?", 0, 22000, 200},
        {"GET", "/work?", 0, 23000, 200},
        {"GET", "/gen?size=100000", 0, 23000, 200},
        {"HEAD", "/fields?count=40", 0, 0, 500},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct buf text;
        struct client *c = client_connect(&rig);
        bool is_head = strcmp(cases[i].method, "HEAD") == 0;
        buf_init(&text, 64 * 1024);
        buf_printf(&text, "%s %s", cases[i].method, cases[i].target);
        for (size_t n = 0; n < cases[i].target_pad; n++)
            buf_append_char(&text, 'p');
        buf_append_cstr(&text, " HTTP/1.1\r\nHost: h\r\nx-pad: ");
        for (size_t n = 0; n < cases[i].head_pad; n++)
            buf_append_char(&text, 'p');
        buf_append_cstr(&text, cases[i].method[0] == 'P' ? "\r\nContent-Length: 3\r\n\r\nabc"
                                                         : "\r\n\r\n");
        assert_true(client_try_send(c, text.data, text.len));
        struct answer a = client_read_as(c, is_head);
        if (a.status != cases[i].status || !a.whole) {
            fail_msg("%s %s, %zu and %zu more: %u", cases[i].method, cases[i].target,
                     cases[i].target_pad, cases[i].head_pad, a.status);
        }
        answer_free(&a);
        client_close(c);
        buf_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reply__with_a_header_that_does_not_fit_is_an_error),
        cmocka_unit_test_setup(test_generator__gives_its_bytes_in_order, settle),
        cmocka_unit_test_setup(test_generator__that_fails_cuts_the_connection, settle),
        cmocka_unit_test_setup(test_generator__is_closed_once_when_the_client_leaves, settle),
        cmocka_unit_test_setup(test_generator__of_a_head_request_is_closed_unread, settle),
        cmocka_unit_test_setup(test_generator__of_unknown_length_ends_http_1_0_by_closing, settle),
        cmocka_unit_test_setup(test_generator__serves_many_clients_at_once, settle),
        cmocka_unit_test_setup(test_reply__of_few_bytes_goes_out_at_once, settle),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
