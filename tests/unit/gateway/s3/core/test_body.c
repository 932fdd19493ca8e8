#include "fs/write/writer.h"
#include "tests/unit/gateway/s3_given.h"

#include "gateway/s3/core/body.h"

/*
 * The seam: a writer of the test's own, in place of fs/write/writer.c, that takes as much as it is
 * told and then has no room. So each byte of a chunk can be the one where the connection is
 * suspended.
 */
struct writer {
    struct buf taken;
    size_t room; /* bytes until it says ERR_AGAIN */
    enum err fails;
};

static struct writer the_writer;
static size_t room_each; /* what on_room gives */
static int resumed;

enum err writer_new(struct fs *fs, const struct writer_options *o, struct writer **out)
{
    (void)fs;
    (void)o;
    buf_init(&the_writer.taken, 1 << 20);
    *out = &the_writer;
    return OK;
}

enum err writer_write(struct writer *w, struct str data, size_t *out_taken)
{
    *out_taken = 0;
    if (w->fails != OK)
        return err_set(w->fails, "the store is gone");
    *out_taken = data.len < w->room ? data.len : w->room;
    buf_append_str(&w->taken, str_sub(data, 0, *out_taken));
    w->room -= *out_taken;
    return *out_taken < data.len ? ERR_AGAIN : OK;
}

enum err writer_finish(struct writer *w, struct arena *a, struct content *out)
{
    (void)w;
    (void)a;
    (void)out;
    return OK;
}

bool writer_end(struct writer *w)
{
    (void)w;
    return true;
}

void writer_resolve(struct writer *w, enum err commit_result)
{
    (void)w;
    (void)commit_result;
}

struct fs *writer_fs(const struct writer *w)
{
    (void)w;
    return NULL;
}

void writer_free(struct writer *w)
{
    buf_fini(&w->taken);
}

void writers_relieve(struct fs *fs);
void writers_relieve(struct fs *fs)
{
    (void)fs;
}

void http_request_cut(struct http_request *r)
{
    (void)r;
}

void http_request_resume_body(struct http_request *r)
{
    (void)r;
    resumed++;
}

void http_request_resume_work(struct http_request *r)
{
    (void)r;
}

bool http_request_stopping(const struct http_request *r)
{
    (void)r;
    return false;
}

bool http_request_gone(const struct http_request *r)
{
    (void)r;
    return false;
}

/* --- a body, sent in pieces ------------------------------------------------------------------- */

/* What the server does: the same bytes again from where the sink stopped, with what came since. */
static enum err send_body(struct s3_given *g, struct str wire, size_t piece)
{
    size_t at = 0, calls = 0;

    while (at < wire.len) {
        size_t taken = 0;
        struct str data = str_sub(wire, at, piece);
        enum err err = g->r.intake.sink.write(&g->r.intake.sink, data, &taken);

        if (err != OK && err != ERR_AGAIN)
            return err;
        at += err == OK ? data.len : taken;
        if (err == ERR_AGAIN) {
            assert_true(taken <= data.len);
            the_writer.room = room_each;
        }
        assert_true(++calls < 100000);
    }
    return OK;
}

static void open_body(struct s3_given *g, const char *request, struct str payload, bool framed)
{
    given(g, request);
    assert_non_null(g->r.op);
    g->http.content_length = (int64_t)payload.len;
    g->r.identity.auth.payload = framed ? AUTH_PAYLOAD_UNSIGNED_TRAILER : AUTH_PAYLOAD_UNSIGNED;
    g->r.identity.auth.framed = framed;
    g->r.identity.auth.decoded_length = payload.len;
    g->r.intake.expected = (int64_t)payload.len;
    g->r.default_algo = CHECKSUM_CRC64NVME;
    the_writer = (struct writer){.room = room_each};
    assert_int_equal(s3_body_begin(&g->r), S3_OK);
    assert_non_null(g->http.sink);
}

static void close_body(struct s3_given *g)
{
    s3_body_free(&g->r);
    g->r.writer = NULL;
    given_free(g);
}

#define PAYLOAD "The quick brown fox jumps over the lazy dog"

/* In chunks of 7 bytes. */
static struct str framed_payload(struct buf *b)
{
    struct str rest = STR(PAYLOAD);

    buf_init(b, 1 << 16);
    while (rest.len > 0) {
        struct str chunk = str_sub(rest, 0, 7);

        buf_printf(b, "%zx\r\n" STR_FMT "\r\n", chunk.len, STR_ARG(chunk));
        rest = str_sub(rest, chunk.len, rest.len);
    }
    buf_append_cstr(b, "0\r\nx-amz-checksum-crc32:QU+jOQ==\r\n\r\n");
    return buf_str(b);
}

static void test_body__framed_bytes_resume_at_the_right_one(void **state)
{
    struct buf wire;
    struct str sent = framed_payload(&wire);

    (void)state;
    for (room_each = 0; room_each < 20; room_each++) {
        for (size_t piece = 1; piece <= sent.len; piece++) {
            struct s3_given g;

            room_each += room_each == 0; /* some room each time, or it never ends */
            open_body(&g, "PUT /b/k\nx-amz-trailer: x-amz-checksum-crc32", STR(PAYLOAD), true);
            the_writer.room = piece % 3; /* the first suspension comes anywhere */
            assert_ok(send_body(&g, sent, piece));
            assert_str(buf_str(&the_writer.taken), STR(PAYLOAD));
            assert_int_equal(s3_body_end(&g.r, OK), S3_OK);
            assert_int_equal(g.r.digest.length, strlen(PAYLOAD));
            close_body(&g);
        }
    }
    buf_fini(&wire);
}

static void test_body__plain_bytes_resume_at_the_right_one(void **state)
{
    (void)state;
    for (room_each = 1; room_each < 50; room_each++) {
        for (size_t piece = 1; piece <= strlen(PAYLOAD); piece++) {
            struct s3_given g;

            open_body(&g, "PUT /b/k\nContent-MD5: nhB9nTcrtoJr2B01QqQZ1g==", STR(PAYLOAD), false);
            assert_ok(send_body(&g, STR(PAYLOAD), piece));
            assert_str(buf_str(&the_writer.taken), STR(PAYLOAD));
            assert_int_equal(s3_body_end(&g.r, OK), S3_OK);
            close_body(&g);
        }
    }
}

static void test_body__a_cut_or_changed_body_is_refused(void **state)
{
    struct buf wire;
    struct str sent = framed_payload(&wire);

    (void)state;
    room_each = 1000;
    for (size_t cut = 0; cut + 5 < sent.len; cut++) { /* the last line ends may be left out */
        struct s3_given g;

        open_body(&g, "PUT /b/k\nx-amz-trailer: x-amz-checksum-crc32", STR(PAYLOAD), true);
        assert_ok(send_body(&g, str_sub(sent, 0, cut), 11));
        if (s3_body_end(&g.r, OK) == S3_OK)
            fail_msg("cut to %zu bytes of %zu, it was taken", cut, sent.len);
        close_body(&g);
    }
    wire.data[4] ^= 1; /* a byte of the first chunk */
    for (size_t piece = 1; piece < 20; piece++) {
        struct s3_given g;

        open_body(&g, "PUT /b/k\nx-amz-trailer: x-amz-checksum-crc32", STR(PAYLOAD), true);
        assert_ok(send_body(&g, sent, piece));
        assert_int_equal(s3_body_end(&g.r, OK), S3_BAD_DIGEST);
        close_body(&g);
    }
    buf_fini(&wire);
}

static void test_body__a_failure_in_the_middle_is_what_is_answered(void **state)
{
    struct s3_given g;

    (void)state;
    room_each = 10;
    open_body(&g, "PUT /b/k", STR(PAYLOAD), false);
    the_writer.fails = ERR_BUSY;
    assert_int_equal(send_body(&g, STR(PAYLOAD), 7), ERR_BUSY);
    assert_int_equal(s3_body_end(&g.r, ERR_BUSY), S3_SLOW_DOWN);
    close_body(&g);

    open_body(&g, "PUT /b/k", STR(PAYLOAD), true);
    assert_int_equal(send_body(&g, STR("nonsense\r\nabc"), 5), ERR_INVALID);
    assert_int_not_equal(s3_body_end(&g.r, ERR_INVALID), S3_OK);
    close_body(&g);
}

/* 5 GiB less a byte have come, of a body that did not say how long it is. */
static void test_body__a_put_without_a_length_has_a_limit(void **state)
{
    static const char *const requests[] = {"PUT /b/k", "PUT /b/k?partNumber=1&uploadId=u",
                                           "PATCH /b/k", "PUT /b/k\nx-amz-write-offset-bytes: 0"};
    struct s3_given g;

    (void)state;
    for (size_t i = 0; i < 2 * LENGTH_OF(requests); i++) {
        bool framed = i % 2 == 1;
        struct buf wire;
        char request[128];

        snprintf(request, sizeof(request), "%s%s", requests[i / 2],
                 framed ? "\nx-amz-trailer: x-amz-checksum-crc32" : "");
        room_each = 1000;
        open_body(&g, request, STR(PAYLOAD), framed);
        g.r.intake.payload.length = (uint64_t)S3_PUT_MAX - strlen(PAYLOAD);
        assert_ok(send_body(&g, framed ? framed_payload(&wire) : STR(PAYLOAD), 7));
        if (framed)
            buf_fini(&wire);
        close_body(&g);

        open_body(&g, request, STR(PAYLOAD), framed);
        g.r.intake.payload.length = (uint64_t)S3_PUT_MAX - strlen(PAYLOAD) + 1;
        assert_int_equal(send_body(&g, framed ? framed_payload(&wire) : STR(PAYLOAD), 7),
                         ERR_TOO_LARGE);
        assert_int_equal(s3_body_end(&g.r, ERR_TOO_LARGE), S3_ENTITY_TOO_LARGE);
        if (framed)
            buf_fini(&wire);
        close_body(&g);
    }
}

/* UploadPart of an upload that was created for CRC32, as op_upload_part_before_body() found out. */
static void test_body__a_part_has_the_uploads_checksum(void **state)
{
    static const struct {
        const char *header;
        enum s3_code code;
    } rows[] = {
        {"x-other: 1", S3_OK},
        {"x-amz-checksum-crc32: QU+jOQ==", S3_OK},
        {"x-amz-trailer: x-amz-checksum-crc32", S3_OK},
        {"x-amz-checksum-sha256: 16j7swfXgJRpypq8sAguT41WUeRtPNt2LQLQvzfJ5ZI=", S3_INVALID_REQUEST},
        {"x-amz-checksum-crc32c: AAAAAA==", S3_INVALID_REQUEST},
        {"x-amz-trailer: x-amz-checksum-crc64nvme", S3_INVALID_REQUEST},
    };
    char request[256];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct s3_given g;

        snprintf(request, sizeof(request), "PUT /b/k?partNumber=1&uploadId=u\n%s", rows[i].header);
        given(&g, request);
        g.http.content_length = 10;
        g.r.identity.auth.payload = AUTH_PAYLOAD_UNSIGNED_TRAILER;
        g.r.identity.auth.framed = true;
        g.r.default_algo = CHECKSUM_CRC32;
        g.r.algo_is_fixed = true;
        assert_int_equal(s3_body_begin(&g.r), rows[i].code);
        if (strstr(rows[i].header, "sha256") != NULL)
            assert_string_equal(g.r.error.message,
                                "Checksum Type mismatch occurred, expected checksum Type: crc32, "
                                "actual checksum Type: sha256");
        close_body(&g);
    }
}

static void test_body__a_document_has_a_limit(void **state)
{
    static char much[65 << 10];
    struct s3_given g;

    (void)state;
    memset(much, 'x', sizeof(much));
    open_body(&g, "PUT /b", ((struct str){much, sizeof(much)}), false);
    assert_int_equal(send_body(&g, ((struct str){much, sizeof(much)}), 4096), ERR_TOO_LARGE);
    assert_int_equal(s3_body_end(&g.r, ERR_TOO_LARGE), S3_MAX_MESSAGE_LENGTH_EXCEEDED);
    close_body(&g);

    open_body(&g, "PUT /b", STR("<a/>"), false);
    assert_ok(send_body(&g, STR("<a/>"), 1));
    assert_int_equal(s3_body_end(&g.r, OK), S3_OK);
    assert_str(buf_str(&g.r.body), STR("<a/>"));
    close_body(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body__framed_bytes_resume_at_the_right_one),
        cmocka_unit_test(test_body__plain_bytes_resume_at_the_right_one),
        cmocka_unit_test(test_body__a_cut_or_changed_body_is_refused),
        cmocka_unit_test(test_body__a_failure_in_the_middle_is_what_is_answered),
        cmocka_unit_test(test_body__a_put_without_a_length_has_a_limit),
        cmocka_unit_test(test_body__a_part_has_the_uploads_checksum),
        cmocka_unit_test(test_body__a_document_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
