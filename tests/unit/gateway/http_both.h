/*
 * Tests that run on http and on https. The file that includes this says with which options, whose
 * certificate is filled in here:
 *
 *     static const struct http_options both_options = {.gone_after_s = 1};
 *     #include "tests/unit/gateway/http_both.h"
 */
#ifndef KISEKI_TESTS_UNIT_GATEWAY_HTTP_BOTH_H
#define KISEKI_TESTS_UNIT_GATEWAY_HTTP_BOTH_H

#include "tests/unit/gateway/http_cert.h"
#include "tests/unit/gateway/http_client.h"

static struct rig rig;
static struct cert_files files;

static int setup_files(void **state)
{
    (void)state;
    return cert_files_make(&files);
}

static int remove_files(void **state)
{
    (void)state;
    return cert_files_remove(&files);
}

static int start(void **state)
{
    (void)state;
    struct http_options options = both_options;
    rig_start_with(&rig, &options);
    return 0;
}

static int start_tls(void **state)
{
    (void)state;
    struct http_options options = both_options;
    options.tls_cert_path = files.cert;
    options.tls_key_path = files.key;
    rig_start_with(&rig, &options);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

/* clang-format off */
#define BOTH(test)                                                                                 \
    {#test ", http", test, start, stop, NULL}, {#test ", https", test, start_tls, stop, NULL}
/* clang-format on */

#endif
