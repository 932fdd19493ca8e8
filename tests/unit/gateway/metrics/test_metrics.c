#include "tests/unit/base/unit.h"

#include "gateway/metrics/metrics.h"

#include <pthread.h>

static const char *name_of(size_t i)
{
    static const char *const names[] = {"GetObject", "PutObject"};

    return names[i];
}

/* The page, which must hold `line`. */
static void expect(struct metrics *m, const char *line)
{
    struct buf page;
    char whole[256];

    buf_init(&page, 1 << 20);
    metrics_write(m, NULL, NULL, &page);
    assert_ok(buf_check(&page));
    buf_append_char(&page, '\0');
    snprintf(whole, sizeof(whole), "\n%s\n", line);
    if (strstr(page.data, whole) == NULL)
        fail_msg("\"%s\" is not in:\n%s", line, page.data);
    buf_fini(&page);
}

static void test_metrics__requests_are_counted_by_operation_and_status(void **state)
{
    struct metrics *m;

    (void)state;
    assert_ok(metrics_new(name_of, 2, &m));
    metrics_request(m, 0, 200, 300, 0, 10);
    metrics_request(m, 0, 200, 300, 0, 10);
    metrics_request(m, 0, 404, 300, 0, 1);
    metrics_request(m, 1, 418, 300, 5, 0);
    metrics_request(m, 2, 403, 300, 0, 0);  /* found no row */
    metrics_request(m, 99, 403, 300, 0, 0); /* neither */
    metrics_request(m, 0, 0, -5, 0, 0);     /* never answered; a clock that jumped */
    expect(m, "kiseki_requests_total{operation=\"GetObject\",status=\"200\"} 2");
    expect(m, "kiseki_requests_total{operation=\"GetObject\",status=\"404\"} 1");
    expect(m, "kiseki_requests_total{operation=\"PutObject\",status=\"other\"} 1");
    expect(m, "kiseki_requests_total{operation=\"none\",status=\"403\"} 2");
    expect(m, "kiseki_requests_total{operation=\"GetObject\",status=\"other\"} 1");
    expect(m, "kiseki_received_bytes_total 5");
    expect(m, "kiseki_sent_bytes_total 21");
    metrics_free(m);
}

static void test_metrics__the_histogram_is_cumulative(void **state)
{
    struct metrics *m;

    (void)state;
    assert_ok(metrics_new(name_of, 2, &m));
    metrics_request(m, 0, 200, 250, 0, 0);
    metrics_request(m, 0, 200, 251, 0, 0);
    metrics_request(m, 0, 200, 60000000, 0, 0);
    expect(m, "kiseki_request_seconds_bucket{operation=\"GetObject\",le=\"0.00025\"} 1");
    expect(m, "kiseki_request_seconds_bucket{operation=\"GetObject\",le=\"0.0005\"} 2");
    expect(m, "kiseki_request_seconds_bucket{operation=\"GetObject\",le=\"30\"} 2");
    expect(m, "kiseki_request_seconds_bucket{operation=\"GetObject\",le=\"+Inf\"} 3");
    expect(m, "kiseki_request_seconds_count{operation=\"GetObject\"} 3");
    metrics_free(m);
}

static void test_metrics__payload_kinds_are_told_apart(void **state)
{
    struct metrics *m;

    (void)state;
    assert_ok(metrics_new(name_of, 2, &m));
    for (int kind = 0; kind <= AUTH_PAYLOAD_UNSIGNED_TRAILER; kind++)
        for (int i = 0; i <= kind; i++)
            metrics_payload(m, (enum auth_payload)kind);
    expect(m, "kiseki_payload_kinds_total{kind=\"unsigned\"} 1");
    expect(m, "kiseki_payload_kinds_total{kind=\"signed\"} 2");
    expect(m, "kiseki_payload_kinds_total{kind=\"streaming-signed\"} 3");
    expect(m, "kiseki_payload_kinds_total{kind=\"streaming-signed-trailer\"} 4");
    expect(m, "kiseki_payload_kinds_total{kind=\"streaming-unsigned-trailer\"} 5");
    metrics_free(m);
}

static void *count(void *arg)
{
    for (int i = 0; i < 10000; i++)
        metrics_request(arg, 1, 200, 1, 1, 1);
    return NULL;
}

static void test_metrics__threads_lose_no_count(void **state)
{
    struct metrics *m;
    pthread_t threads[4];

    (void)state;
    assert_ok(metrics_new(name_of, 2, &m));
    for (size_t i = 0; i < LENGTH_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, m), 0);
    for (size_t i = 0; i < LENGTH_OF(threads); i++)
        pthread_join(threads[i], NULL);
    expect(m, "kiseki_requests_total{operation=\"PutObject\",status=\"200\"} 40000");
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics__requests_are_counted_by_operation_and_status),
        cmocka_unit_test(test_metrics__the_histogram_is_cumulative),
        cmocka_unit_test(test_metrics__payload_kinds_are_told_apart),
        cmocka_unit_test(test_metrics__threads_lose_no_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
