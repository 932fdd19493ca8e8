#include "base/clock.h"
#include "fs/store/store.h"
#include "tests/unit/base/unit.h"
#include "tests/unit/fs/fake_s3.h"

static struct fake_s3 fake;
static struct store *s;

#define EMPTY_LIST  "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
#define ERROR(code) "<Error><Code>" code "</Code><Message>words</Message></Error>"

static enum err open_with(const char *settings, unsigned int max_attempts)
{
    struct store_options opts = {.access_key = "AK",
                                 .secret_key = "SK",
                                 .connect_timeout_ms = 500,
                                 .request_timeout_ms = 300,
                                 .call_timeout_ms = 5000,
                                 .max_attempts = max_attempts,
                                 .retry_base_ms = 1};
    char url[256];

    snprintf(url, sizeof(url), "s3://bucket/pre?endpoint=http://127.0.0.1:%d%s", fake.port,
             settings);
    return store_open(url, &opts, &s);
}

static int set_up(void **state)
{
    (void)state;
    if (fake_s3_start(&fake) != 0)
        return -1;
    fake_s3_expect(&fake, (struct fake_reply){.status = 200, .body = EMPTY_LIST});
    enum err err = open_with("", 4);
    fake_s3_reset(&fake);
    return err == OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(s);
    s = NULL;
    fake_s3_stop(&fake);
    return 0;
}

static void expect(int status, const char *body)
{
    fake_s3_expect(&fake, (struct fake_reply){.status = status, .body = body});
}

static bool head_has(size_t request, const char *text)
{
    return strcasestr(fake.requests[request].head, text) != NULL;
}

static uint64_t retries(void)
{
    struct store_stats stats;

    store_stats(s, &stats);
    return stats.retries;
}

/* --- what goes out ---------------------------------------------------------------------------- */

static void test_store_s3__sends_a_signed_put_with_its_checksum(void **state)
{
    struct iovec iov[3] = {{"1234", 4}, {"", 0}, {"56789", 5}};

    (void)state;
    expect(200, NULL);
    assert_ok(store_put(s, "slices/a", iov, 3, 9));
    assert_int_equal(fake.request_count, 1);
    assert_true(head_has(0, "PUT /bucket/pre/slices/a HTTP/1.1\r\n"));
    assert_true(head_has(0, "\r\nContent-Length: 9\r\n"));
    assert_true(head_has(0, "\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"));
    assert_true(head_has(0, "\r\nx-amz-checksum-crc32c: 4waSgw==\r\n")); /* E3069283 */
    assert_true(head_has(0, "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AK/"));
    assert_true(head_has(0, "/us-east-1/s3/aws4_request, SignedHeaders="
                            "host;x-amz-checksum-crc32c;x-amz-content-sha256;x-amz-date, "
                            "Signature="));
    assert_false(head_has(0, "\r\nExpect:"));
    assert_false(head_has(0, "\r\nTransfer-Encoding:"));
    assert_string_equal(fake.requests[0].body, "123456789");
}

static void test_store_s3__leaves_the_checksum_out_when_told(void **state)
{
    (void)state;
    store_close(s);
    expect(200, EMPTY_LIST);
    assert_ok(open_with("&checksum=off", 4));
    expect(200, NULL);
    assert_ok(store_put_bytes(s, "a", "x", 1));
    assert_false(head_has(1, "x-amz-checksum"));
}

static void test_store_s3__keeps_its_connection(void **state)
{
    char back[4];

    (void)state;
    expect(200, NULL);
    expect(206, "abc");
    expect(204, NULL);
    assert_ok(store_put_bytes(s, "a", "abc", 3));
    assert_ok(store_get(s, "a", 10, 3, back));
    assert_ok(store_del(s, "a"));
    assert_int_equal(fake.connection_count, 0); /* the one that opening made */
    assert_true(head_has(1, "GET /bucket/pre/a HTTP/1.1\r\n"));
    assert_true(head_has(1, "\r\nRange: bytes=10-12\r\n"));
    assert_true(head_has(2, "DELETE /bucket/pre/a HTTP/1.1\r\n"));
}

/* --- what comes back -------------------------------------------------------------------------- */

static void test_store_s3__tries_again_after_a_server_error(void **state)
{
    static const int statuses[] = {500, 502, 503, 504, 429, 408};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(statuses); i++) {
        print_message("%d\n", statuses[i]);
        fake_s3_reset(&fake);
        expect(statuses[i], ERROR("InternalError"));
        expect(statuses[i], "<html>not ours");
        expect(200, NULL);
        assert_ok(store_put_bytes(s, "a", "whole", 5));
        assert_int_equal(fake.request_count, 3);
        assert_string_equal(fake.requests[2].body, "whole");
    }
    assert_int_equal(retries(), 2 * LENGTH_OF(statuses));
}

static void test_store_s3__sends_again_what_was_damaged_under_way(void **state)
{
    (void)state;
    expect(400, ERROR("BadDigest"));
    expect(400, ERROR("XAmzContentChecksumMismatch"));
    expect(200, NULL);
    assert_ok(store_put_bytes(s, "a", "whole", 5));
    assert_int_equal(fake.request_count, 3);
    assert_string_equal(fake.requests[2].body, "whole");
}

static void test_store_s3__gives_up_after_its_attempts(void **state)
{
    (void)state;
    expect(503, ERROR("SlowDown"));
    assert_int_equal(store_put_bytes(s, "a", "x", 1), ERR_BUSY);
    assert_int_equal(fake.request_count, 4);
    assert_non_null(strstr(err_text(ERR_BUSY), "PUT a: 503 SlowDown: words (4 attempts)"));
    fake_s3_reset(&fake);
    expect(500, ERROR("InternalError"));
    assert_int_equal(store_put_bytes(s, "a", "x", 1), ERR_IO);
    assert_int_equal(fake.request_count, 4);
    fake_s3_reset(&fake);
    expect(500, "<Error><Message>internal error: cause(no space left on device)</Message></Error>");
    assert_int_equal(store_put_bytes(s, "a", "x", 1), ERR_FULL);
}

static void test_store_s3__maps_final_errors_at_once(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum err put, get, del;
    } cases[] = {
        {403, ERROR("AccessDenied"), ERR_DENIED, ERR_DENIED, ERR_DENIED},
        {401, NULL, ERR_DENIED, ERR_DENIED, ERR_DENIED},
        {404, ERROR("NoSuchKey"), ERR_IO, ERR_NOT_FOUND, OK},
        {404, NULL, ERR_IO, ERR_NOT_FOUND, OK},
        {404, ERROR("NoSuchBucket"), ERR_IO, ERR_IO, ERR_IO},
        {416, ERROR("InvalidRange"), ERR_CORRUPT, ERR_CORRUPT, ERR_CORRUPT},
        {507, ERROR("XMinioStorageFull"), ERR_FULL, ERR_FULL, ERR_FULL},
        {400, ERROR("InvalidArgument"), ERR_IO, ERR_IO, ERR_IO},
        {301, ERROR("PermanentRedirect"), ERR_IO, ERR_IO, ERR_IO},
        {501, ERROR("NotImplemented"), ERR_IO, ERR_IO, ERR_IO},
    };
    char back[4];
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        print_message("%d %s\n", cases[i].status, cases[i].body != NULL ? cases[i].body : "");
        fake_s3_reset(&fake);
        expect(cases[i].status, cases[i].body);
        assert_int_equal(store_put_bytes(s, "a", "x", 1), cases[i].put);
        assert_int_equal(store_get(s, "a", 0, 1, back), cases[i].get);
        assert_int_equal(store_del(s, "a"), cases[i].del);
        assert_int_equal(fake.request_count, 3);
    }
}

static void test_store_s3__reads_again_what_was_cut(void **state)
{
    char back[16] = "";

    (void)state;
    fake_s3_expect(
        &fake, (struct fake_reply){.status = 206, .body = "01234", .claimed = 10, .close = true});
    fake_s3_expect(&fake, (struct fake_reply){.status = 0});
    expect(206, "abcdefghij");
    assert_ok(store_get(s, "a", 0, 10, back));
    assert_string_equal(back, "abcdefghij");
    assert_int_equal(fake.request_count, 3);
}

static void test_store_s3__never_takes_a_cut_or_longer_body_for_whole(void **state)
{
    char back[17] = "................";

    (void)state;
    fake_s3_expect(
        &fake, (struct fake_reply){.status = 206, .body = "01234", .claimed = 10, .close = true});
    assert_int_equal(store_get(s, "a", 0, 10, back), ERR_BUSY);
    fake_s3_reset(&fake);
    expect(206, "01234");
    assert_int_equal(store_get(s, "a", 0, 10, back), ERR_CORRUPT);
    fake_s3_reset(&fake);
    memset(back, '.', 16);
    expect(206, "0123456789");
    assert_int_equal(store_get(s, "a", 0, 4, back), ERR_IO);
    assert_string_equal(back + 4, "............");
    assert_int_equal(fake.request_count, 1);
}

static void test_store_s3__takes_its_range_out_of_a_whole_answer(void **state)
{
    char back[4] = "";

    (void)state;
    expect(200, "0123456");
    assert_ok(store_get(s, "a", 4, 3, back));
    assert_string_equal(back, "456");
}

static void test_store_s3__does_not_wait_for_ever(void **state)
{
    int64_t began = clock_mono_us();

    (void)state;
    fake_s3_expect(&fake, (struct fake_reply){.status = 200, .delay_ms = 600});
    assert_int_equal(store_put_bytes(s, "a", "x", 1), ERR_BUSY);
    assert_non_null(strcasestr(err_text(ERR_BUSY), "timed out"));
    assert_in_range(clock_mono_us() - began, 900000, 4000000);
    assert_true(store_put_limit_ms(s) > 5000);
}

static void *cancel_soon(void *arg)
{
    (void)arg;
    clock_nap(50);
    store_cancel(s);
    return NULL;
}

/* An attempt that waits for the answer, and a nap of up to 5 s between two. */
static void test_store_s3__a_call_ends_when_it_is_cancelled(void **state)
{
    static const struct fake_reply replies[] = {{.status = 200, .delay_ms = 1000}, {.status = 503}};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(replies); i++) {
        struct store_options opts = {
            .access_key = "AK", .secret_key = "SK", .retry_base_ms = 1000000};
        char url[256], byte;
        pthread_t thread;
        int64_t began;

        store_close(s);
        s = NULL;
        fake_s3_expect(&fake, (struct fake_reply){.status = 200, .body = EMPTY_LIST});
        snprintf(url, sizeof(url), "s3://bucket/pre?endpoint=http://127.0.0.1:%d", fake.port);
        assert_ok(store_open(url, &opts, &s));
        fake_s3_expect(&fake, replies[i]);
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
        began = clock_mono_us();
        assert_int_equal(store_get(s, "a", 0, 1, &byte), ERR_CANCELLED);
        assert_in_range(clock_mono_us() - began, 0, 900000);
        pthread_join(thread, NULL);
        assert_int_equal(store_del(s, "a"), ERR_CANCELLED); /* not asked any more */
    }
}

static void test_store_s3__gets_over_a_slow_answer(void **state)
{
    (void)state;
    fake_s3_expect(&fake, (struct fake_reply){.status = 200, .delay_ms = 400, .close = true});
    expect(200, NULL);
    assert_ok(store_put_bytes(s, "a", "again", 5));
    assert_int_equal(fake.request_count, 2);
    assert_string_equal(fake.requests[1].body, "again");
}

static void test_store_s3__gets_over_kept_connections_that_were_closed(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        fake_s3_expect(&fake, (struct fake_reply){.status = 200, .close = true});
    for (int i = 0; i < 5; i++) {
        assert_ok(store_put_bytes(s, "a", "12345", 5));
        usleep(20000);
    }
    for (size_t i = 0; i < fake.request_count; i++)
        assert_string_equal(fake.requests[i].body, "12345");
}

/* curl starts over by itself, so the body must be given from its beginning again. */
static void test_store_s3__sends_the_whole_body_again_on_a_new_connection(void **state)
{
    (void)state;
    expect(200, NULL);
    fake_s3_expect(&fake, (struct fake_reply){.status = 0});
    expect(200, NULL);
    assert_ok(store_put_bytes(s, "a", "first", 5));
    assert_ok(store_put_bytes(s, "a", "again", 5));
    assert_int_equal(fake.request_count, 3);
    assert_string_equal(fake.requests[2].body, "again");
    assert_int_equal(retries(), 0);
}

static enum err count_entry(void *user, const struct store_entry *entry)
{
    size_t *sum = user;

    *sum += (size_t)entry->size_bytes;
    return OK;
}

static void test_store_s3__follows_the_pages_of_a_listing(void **state)
{
    size_t sum = 0;

    (void)state;
    expect(200, "<L><IsTruncated>true</IsTruncated><NextContinuationToken>t +1</"
                "NextContinuationToken><Contents><Key>pre/a</Key><Size>1</Size></Contents></L>");
    expect(500, NULL);
    expect(200, "<L><IsTruncated>false</IsTruncated><Contents><Key>pre/b</Key><Size>20</Size>"
                "</Contents></L>");
    assert_ok(store_list(s, "", count_entry, &sum));
    assert_int_equal(sum, 21);
    assert_true(head_has(0, "GET /bucket?list-type=2&max-keys=1000&prefix=pre%2F HTTP/1.1"));
    assert_true(
        head_has(1, "?continuation-token=t%20%2B1&list-type=2&max-keys=1000&prefix=pre%2F"));
    fake_s3_reset(&fake);
    expect(404, ERROR("NoSuchBucket"));
    assert_int_equal(store_list(s, "", count_entry, &sum), ERR_IO);
}

/* --- many deletions in one call --------------------------------------------------------------- */

static const char *const three[] = {"slices/a", "slices/b", "slices/c"};

static void test_store_s3__deletes_many_in_one_call(void **state)
{
    struct err_info results[3];

    (void)state;
    expect(200, "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>");
    assert_true(store_del_chunk(s) > 100);
    store_del_many(s, three, 3, results);
    for (size_t i = 0; i < 3; i++)
        assert_ok(results[i].code);
    assert_int_equal(fake.request_count, 1);
    assert_true(head_has(0, "POST /bucket?delete= HTTP/1.1\r\n"));
    assert_true(head_has(0, "\r\nContent-MD5: "));
    assert_true(head_has(0, "\r\nContent-Type: application/xml\r\n"));
    assert_non_null(strstr(fake.requests[0].body, "<Quiet>true</Quiet>"));
    assert_non_null(strstr(fake.requests[0].body, "<Key>pre/slices/a</Key>"));
}

static void test_store_s3__tells_what_was_refused_of_many(void **state)
{
    struct err_info results[3];

    (void)state;
    expect(200, "<DeleteResult><Error><Key>pre/slices/b</Key><Code>AccessDenied</Code>"
                "<Message>under retention</Message></Error><Error><Key>pre/slices/c</Key>"
                "<Code>NoSuchKey</Code></Error></DeleteResult>");
    store_del_many(s, three, 3, results);
    assert_ok(results[0].code);
    assert_int_equal(results[1].code, ERR_DENIED);
    assert_non_null(strstr(results[1].text, "slices/b: AccessDenied: under retention"));
    assert_ok(results[2].code);
    assert_int_equal(fake.request_count, 1);
}

static void test_store_s3__deletes_one_by_one_where_it_must(void **state)
{
    static const struct {
        int status;
        const char *body;
        size_t second; /* requests of the next call: 3 if the store is not asked again */
    } cases[] = {
        {403, ERROR("AccessDenied"), 4}, {200, "no XML", 4}, {501, ERROR("NotImplemented"), 3}};
    struct err_info results[3];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        print_message("%d %s\n", cases[i].status, cases[i].body);
        fake_s3_reset(&fake);
        expect(cases[i].status, cases[i].body);
        expect(204, NULL);
        expect(403, ERROR("AccessDenied"));
        expect(204, NULL);
        store_del_many(s, three, 3, results);
        assert_ok(results[0].code);
        assert_int_equal(results[1].code, ERR_DENIED);
        assert_ok(results[2].code);
        assert_int_equal(fake.request_count, 4);
        assert_true(head_has(1, "DELETE /bucket/pre/slices/a HTTP/1.1\r\n"));
        fake_s3_reset(&fake);
        if (cases[i].second == 4)
            expect(200, "<DeleteResult/>");
        expect(204, NULL);
        store_del_many(s, three, 3, results);
        assert_int_equal(fake.request_count, cases[i].second == 4 ? 1 : 3);
    }
}

static void test_store_s3__is_busy_for_all_of_many(void **state)
{
    struct err_info results[3];

    (void)state;
    expect(503, ERROR("SlowDown"));
    store_del_many(s, three, 3, results);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(results[i].code, ERR_BUSY);
}

static void test_store_s3__tells_the_size(void **state)
{
    uint64_t size = 0;

    (void)state;
    fake_s3_expect(&fake, (struct fake_reply){.status = 200, .claimed = 4194304});
    expect(404, NULL);
    assert_ok(store_size(s, "a", &size));
    assert_int_equal(size, 4194304);
    assert_true(head_has(0, "HEAD /bucket/pre/a HTTP/1.1"));
    assert_int_equal(store_size(s, "a", &size), ERR_NOT_FOUND);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void expect_open(enum err expected, const char *words)
{
    enum err err = open_with("", 2);

    if (err != expected || (err != OK && strstr(err_text(err), words) == NULL))
        fail_msg("%s: %s", err_name(err), err_text(err));
    assert_true(err == OK || s == NULL);
}

static void test_store_s3__says_what_to_do_when_it_can_not_open(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum err expected;
        const char *words;
    } cases[] = {
        {403, ERROR("InvalidAccessKeyId"), ERR_DENIED, "does not know the access key"},
        {403, ERROR("SignatureDoesNotMatch"), ERR_DENIED, "secret key is wrong for the access key"},
        {403, ERROR("RequestTimeTooSkewed"), ERR_DENIED, "set the clock"},
        {403, ERROR("AccessDenied"), ERR_DENIED, "it needs s3:ListBucket"},
        {400, ERROR("AuthorizationHeaderMalformed"), ERR_IO, "set region="},
        {503, ERROR("SlowDown"), ERR_BUSY, "overloaded"},
        {500, NULL, ERR_IO, "cannot be used"},
    };

    (void)state;
    store_close(s);
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        fake_s3_reset(&fake);
        expect(cases[i].status, cases[i].body);
        expect_open(cases[i].expected, cases[i].words);
    }
}

static void test_store_s3__makes_the_bucket_that_is_missing(void **state)
{
    (void)state;
    store_close(s);
    expect(404, ERROR("NoSuchBucket"));
    expect(200, NULL);
    expect(200, EMPTY_LIST);
    expect_open(OK, NULL);
    assert_true(head_has(1, "PUT /bucket HTTP/1.1"));
    assert_int_equal(fake.requests[1].body_len, 0);
    store_close(s);

    fake_s3_reset(&fake);
    expect(404, ERROR("NoSuchBucket"));
    expect(409, ERROR("BucketAlreadyOwnedByYou")); /* another gateway was faster */
    expect(200, EMPTY_LIST);
    assert_ok(open_with("&region=eu-west-1", 2));
    assert_non_null(strstr(fake.requests[1].body, "eu-west-1"));
    store_close(s);

    fake_s3_reset(&fake);
    expect(404, ERROR("NoSuchBucket"));
    expect(403, ERROR("AccessDenied"));
    expect_open(ERR_DENIED, "allow the key s3:CreateBucket");

    fake_s3_reset(&fake);
    expect(404, ERROR("NoSuchBucket"));
    expect(200, NULL);
    expect(404, ERROR("NoSuchBucket"));
    expect_open(ERR_IO, "cannot be used");
}

/* What tools ask for: the bucket and an object in it, or nothing is made. */
static void test_store_s3__must_have_makes_no_bucket(void **state)
{
    struct store_options o = {
        .access_key = "k", .secret_key = "s", .max_attempts = 2, .must_have = "volume"};
    char url[128];

    (void)state;
    store_close(s);
    fake_s3_reset(&fake);
    snprintf(url, sizeof(url), "s3://bucket?endpoint=http://127.0.0.1:%d", fake.port);
    expect(404, ERROR("NoSuchBucket"));
    assert_int_equal(store_open(url, &o, &s), ERR_NOT_FOUND);
    expect(200, EMPTY_LIST);
    expect(404, NULL);
    assert_int_equal(store_open(url, &o, &s), ERR_NOT_FOUND);
    assert_null(s);
    assert_int_equal(fake.request_count, 3);
    assert_true(head_has(2, "HEAD /bucket/volume HTTP/1.1"));
    expect(200, EMPTY_LIST);
    expect(200, NULL);
    assert_ok(store_open(url, &o, &s));
}

static void test_store_s3__needs_keys_without_line_ends(void **state)
{
    struct store *other;
    struct store_options opts = {.access_key = "AK"};

    (void)state;
    assert_int_equal(store_open("s3://abc", NULL, &other), ERR_INVALID);
    assert_int_equal(store_open("s3://abc", &opts, &other), ERR_INVALID);
    opts.secret_key = "secret\n";
    assert_int_equal(store_open("s3://abc", &opts, &other), ERR_INVALID);
    assert_non_null(strstr(err_text(ERR_INVALID), "secret key"));
    assert_null(other);
}

static void test_store_s3__is_busy_while_nobody_listens(void **state)
{
    char url[128];
    struct store *other;
    struct store_options opts = {.access_key = "AK", .secret_key = "SK", .retry_base_ms = 1};

    (void)state;
    snprintf(url, sizeof(url), "s3://abc?endpoint=http://127.0.0.1:1");
    assert_int_equal(store_open(url, &opts, &other), ERR_BUSY);
    assert_non_null(strstr(err_text(ERR_BUSY), "check its endpoint"));
    assert_non_null(strstr(err_text(ERR_BUSY), "(6 attempts)"));
}

#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FAKE(test_store_s3__sends_a_signed_put_with_its_checksum),
        WITH_FAKE(test_store_s3__leaves_the_checksum_out_when_told),
        WITH_FAKE(test_store_s3__keeps_its_connection),
        WITH_FAKE(test_store_s3__tries_again_after_a_server_error),
        WITH_FAKE(test_store_s3__sends_again_what_was_damaged_under_way),
        WITH_FAKE(test_store_s3__gives_up_after_its_attempts),
        WITH_FAKE(test_store_s3__maps_final_errors_at_once),
        WITH_FAKE(test_store_s3__reads_again_what_was_cut),
        WITH_FAKE(test_store_s3__never_takes_a_cut_or_longer_body_for_whole),
        WITH_FAKE(test_store_s3__takes_its_range_out_of_a_whole_answer),
        WITH_FAKE(test_store_s3__does_not_wait_for_ever),
        WITH_FAKE(test_store_s3__a_call_ends_when_it_is_cancelled),
        WITH_FAKE(test_store_s3__gets_over_a_slow_answer),
        WITH_FAKE(test_store_s3__gets_over_kept_connections_that_were_closed),
        WITH_FAKE(test_store_s3__sends_the_whole_body_again_on_a_new_connection),
        WITH_FAKE(test_store_s3__follows_the_pages_of_a_listing),
        WITH_FAKE(test_store_s3__deletes_many_in_one_call),
        WITH_FAKE(test_store_s3__tells_what_was_refused_of_many),
        WITH_FAKE(test_store_s3__deletes_one_by_one_where_it_must),
        WITH_FAKE(test_store_s3__is_busy_for_all_of_many),
        WITH_FAKE(test_store_s3__tells_the_size),
        WITH_FAKE(test_store_s3__says_what_to_do_when_it_can_not_open),
        WITH_FAKE(test_store_s3__makes_the_bucket_that_is_missing),
        WITH_FAKE(test_store_s3__must_have_makes_no_bucket),
        cmocka_unit_test(test_store_s3__needs_keys_without_line_ends),
        cmocka_unit_test(test_store_s3__is_busy_while_nobody_listens),
    };

    return cmocka_run_group_tests_name("store_s3", tests, NULL, NULL);
}
