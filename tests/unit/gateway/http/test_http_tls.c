#include "tests/unit/gateway/http_cert.h"
#include "tests/unit/gateway/http_client.h"

#include <curl/curl.h>
#include <sys/stat.h>

static struct rig rig;
static char folder[] = "/tmp/kiseki-tls-XXXXXX";
static char cert_path[100], key_path[100], other_cert[100], other_key[100];

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void copy_file(const char *from, const char *to)
{
    char text[8192];
    FILE *f = fopen(from, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    write_file(to, text);
}

static int setup(void **state)
{
    (void)state;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(cert_path, sizeof(cert_path), "%s/cert.pem", folder);
    snprintf(key_path, sizeof(key_path), "%s/key.pem", folder);
    snprintf(other_cert, sizeof(other_cert), "%s/cert2.pem", folder);
    snprintf(other_key, sizeof(other_key), "%s/key2.pem", folder);
    cert_make_pair(other_cert, other_key, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(cert_path);
    unlink(key_path);
    unlink(other_cert);
    unlink(other_key);
    rmdir(folder);
    curl_global_cleanup();
    return 0;
}

static int start(void **state)
{
    (void)state;
    cert_make_pair(cert_path, key_path, 1);
    struct http_options options = {.tls_cert_path = cert_path, .tls_key_path = key_path};
    rig_start_with(&rig, &options);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

struct received {
    uint64_t len;
    char text[200];
};

static size_t receive(char *data, size_t size, size_t count, void *arg)
{
    (void)size;
    struct received *r = arg;
    size_t room =
        sizeof(r->text) - 1 - (r->len < sizeof(r->text) - 1 ? r->len : sizeof(r->text) - 1);
    size_t n = count < room ? count : room;
    if (n > 0) {
        memcpy(r->text + r->len, data, n);
        r->text[r->len + n] = '\0';
    }
    r->len += count;
    return count;
}

static size_t upload(char *data, size_t size, size_t count, void *arg)
{
    uint64_t *left = arg;
    size_t n = size * count < *left ? size * count : (size_t)*left;
    memset(data, 'x', n);
    *left -= n;
    return n;
}

static CURL *new_curl(const char *target, const char *ca)
{
    char url[200];
    CURL *curl = curl_easy_init();
    assert_non_null(curl);
    snprintf(url, sizeof(url), "https://localhost:%u%s", http_server_port(rig.server), target);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 10000L);
    curl_easy_setopt(curl, CURLOPT_IPRESOLVE, CURL_IPRESOLVE_V4);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    return curl;
}

static CURLcode run(CURL *curl, struct received *out, long *out_status)
{
    memset(out, 0, sizeof(*out));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    CURLcode code = curl_easy_perform(curl);
    *out_status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, out_status);
    return code;
}

static void expect(const char *ca, CURLcode code)
{
    struct received got;
    long status;
    CURL *curl = new_curl("/hello", ca);
    CURLcode was = run(curl, &got, &status);
    if (was != code)
        fail_msg("%s, not %s", curl_easy_strerror(was), curl_easy_strerror(code));
    if (code == CURLE_OK) {
        assert_int_equal(status, 200);
        assert_string_equal(got.text, "hello");
    }
    curl_easy_cleanup(curl);
}

static void test_tls__serves_every_kind_of_answer(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        uint64_t size;
    } rows[] = {
        {"/hello", 5},
        {"/work", 6},
        {"/gen?size=3000000&piece=70000", 3000000},
        {"/gen?size=3000&piece=100&block=1", 3000},
        {"/gen?size=300000&piece=5000&chunked=1", 300000},
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct received got;
        long status;
        CURL *curl = new_curl(rows[i].target, cert_path);
        assert_int_equal(run(curl, &got, &status), CURLE_OK);
        assert_int_equal(status, 200);
        assert_int_equal(got.len, rows[i].size);
        curl_easy_cleanup(curl);
    }
}

static void test_tls__takes_uploads_of_every_kind(void **state)
{
    (void)state;
    static const struct {
        const char *target, *text;
        uint64_t size;
        bool chunked;
        long status;
    } rows[] = {
        {"/sink", "3000000", 3000000, false, 200},
        {"/sink?room=5000", "3000000", 3000000, true, 200},
        {"/sink", "0", 0, false, 200},
        {"/workecho", "xxx", 3, true, 200},
        {"/sink?fail=20000", "refused: the sink fails", 500000, false, 400},
        {"/sink?fail=20000", "refused: the sink fails", 300000000, true, 400}, /* in the middle */
        {"/status?code=403", "some text", 300000000, false, 403},
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct received got;
        long status;
        uint64_t left = rows[i].size;
        CURL *curl = new_curl(rows[i].target, cert_path);
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, upload);
        curl_easy_setopt(curl, CURLOPT_READDATA, &left);
        if (!rows[i].chunked)
            curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)rows[i].size);
        CURLcode code = run(curl, &got, &status);
        print_message("%zu: %s\n", i, curl_easy_strerror(code));
        assert_int_equal(status, rows[i].status);
        assert_string_equal(got.text, rows[i].text);
        curl_easy_cleanup(curl);
    }
}

static void test_tls__refuses_old_versions(void **state)
{
    (void)state;
    static const struct {
        long version;
        CURLcode code;
    } rows[] = {
        {CURL_SSLVERSION_TLSv1_1 | CURL_SSLVERSION_MAX_TLSv1_1, CURLE_SSL_CONNECT_ERROR},
        {CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2, CURLE_OK},
        {CURL_SSLVERSION_TLSv1_3 | CURL_SSLVERSION_MAX_TLSv1_3, CURLE_OK},
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct received got;
        long status;
        CURL *curl = new_curl("/hello", cert_path);
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, rows[i].version);
        assert_int_equal(run(curl, &got, &status), rows[i].code);
        curl_easy_cleanup(curl);
    }
}

/* Whether TLS 1.2 with one of these ciphers is spoken. */
static void expect_ciphers(const char *ciphers, CURLcode code)
{
    struct received got;
    long status;
    CURL *curl = new_curl("/hello", cert_path);

    curl_easy_setopt(curl, CURLOPT_SSLVERSION,
                     (long)(CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2));
    curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, ciphers);
    assert_int_equal(run(curl, &got, &status), code);
    curl_easy_cleanup(curl);
}

/*
 * Who gets hold of the certificate's key must not be able to read what was recorded before: with
 * RSA key exchange, which only an RSA certificate allows, he would.
 */
static void test_tls__wants_forward_secrecy(void **state)
{
    struct http_options options = {.tls_cert_path = cert_path, .tls_key_path = key_path};

    (void)state;
    for (int rsa = 0; rsa < 2; rsa++) {
        if (rsa) {
            rig_stop(&rig);
            cert_write_pair(EVP_RSA_gen(2048), cert_path, key_path, 4);
            rig_start_with(&rig, &options);
        }
        expect_ciphers("AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA:AES256-SHA",
                       CURLE_SSL_CONNECT_ERROR);
        expect_ciphers(rsa ? "ECDHE-RSA-AES128-GCM-SHA256" : "ECDHE-ECDSA-AES128-GCM-SHA256",
                       CURLE_OK);
    }
}

/* They learn what is wrong; a body behind the head does not reset what they are sent. */
static void test_tls__answers_clients_that_speak_plain_http(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD / HTTP/1.0\r\n\r\n",
        "PUT /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"};
    for (size_t i = 0; i < LENGTH_OF(requests); i++) {
        struct client *c = client_connect_plain(&rig);
        client_send(c, requests[i]);
        while (client_more(c)) {
        }
        assert_non_null(memmem(c->buf, c->len, "HTTP/1.1 400 ", 13));
        assert_non_null(memmem(c->buf, c->len, "\r\n\r\nThis port speaks https: ", 28));
        assert_int_equal(c->buf[c->len - 1], '\n');
        client_close(c);
    }
    expect(cert_path, CURLE_OK);
}

/* Neither TLS nor http: closed without a word. */
static void test_tls__survives_noise(void **state)
{
    (void)state;
    struct client *c = client_connect_plain(&rig);
    client_send(c, "SSH-2.0-OpenSSH_9.2\r\n");
    while (client_more(c)) {
    }
    assert_null(memmem(c->buf, c->len, "HTTP", 4));
    client_close(c);
    expect(cert_path, CURLE_OK);
}

static void test_reload__gives_new_handshakes_the_new_certificate(void **state)
{
    (void)state;
    expect(cert_path, CURLE_OK);
    CURL *kept = new_curl("/hello", cert_path);
    struct received got;
    long status, connects = -1;
    assert_int_equal(run(kept, &got, &status), CURLE_OK);
    copy_file(other_cert, cert_path);
    copy_file(other_key, key_path);
    assert_ok(http_server_reload_tls(rig.server, cert_path, key_path));
    assert_int_equal(run(kept, &got, &status), CURLE_OK); /* running connections go on */
    curl_easy_getinfo(kept, CURLINFO_NUM_CONNECTS, &connects);
    assert_int_equal(connects, 0);
    curl_easy_cleanup(kept);
    expect(other_cert, CURLE_OK);
    for (int i = 0; i < 20; i++)
        assert_ok(http_server_reload_tls(rig.server, cert_path, key_path));
    expect(other_cert, CURLE_OK);
}

static void test_reload__of_broken_files_keeps_the_old_certificate(void **state)
{
    (void)state;
    char saved[100];
    snprintf(saved, sizeof(saved), "%s/saved.pem", folder);
    copy_file(cert_path, saved);
    log_setup(LOG_LEVELS, LOG_TEXT, 2);
    copy_file(other_cert, cert_path); /* without its key */
    assert_int_equal(http_server_reload_tls(rig.server, cert_path, key_path), ERR_INVALID);
    assert_non_null(strstr(err_text(ERR_INVALID), "is not the key of"));
    write_file(cert_path, "nonsense");
    assert_int_equal(http_server_reload_tls(rig.server, cert_path, key_path), ERR_INVALID);
    write_file(cert_path, "");
    assert_int_equal(http_server_reload_tls(rig.server, cert_path, key_path), ERR_INVALID);
    unlink(cert_path);
    assert_int_equal(http_server_reload_tls(rig.server, cert_path, key_path), ERR_INVALID);
    assert_non_null(strstr(err_text(ERR_INVALID), cert_path));
    log_setup(LOG_ERROR, LOG_TEXT, 2);
    expect(saved, CURLE_OK);
    unlink(saved);
}

static void test_start__without_a_proper_pair_fails(void **state)
{
    (void)state;
    struct http_handler handler = {rig_head, rig_work, rig_body_end, rig_done, NULL, NULL, &rig};
    struct http_server *s = NULL;
    cert_make_pair(cert_path, key_path, 3);
    struct http_options rows[] = {
        {.tls_cert_path = cert_path},
        {.tls_key_path = key_path},
        {.tls_cert_path = cert_path, .tls_key_path = other_key},
        {.tls_cert_path = key_path, .tls_key_path = cert_path},
        {.tls_cert_path = "/nonexistent", .tls_key_path = key_path},
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        rows[i].listen = "127.0.0.1:0";
        assert_int_equal(http_server_start(&rows[i], &handler, &s), ERR_INVALID);
        print_message("%s\n", err_text(ERR_INVALID));
    }
}

#define TLS(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TLS(test_tls__serves_every_kind_of_answer),
        TLS(test_tls__takes_uploads_of_every_kind),
        TLS(test_tls__refuses_old_versions),
        TLS(test_tls__wants_forward_secrecy),
        TLS(test_tls__answers_clients_that_speak_plain_http),
        TLS(test_tls__survives_noise),
        TLS(test_reload__gives_new_handshakes_the_new_certificate),
        TLS(test_reload__of_broken_files_keeps_the_old_certificate),
        cmocka_unit_test(test_start__without_a_proper_pair_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
