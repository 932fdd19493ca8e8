/*
 * kiseki health: asks a running gateway, for health checks of containers. It needs no volume and
 * no key.
 */
#include "gateway/app/commands.h"
#include "gateway/app/endpoint.h"

#include <curl/curl.h>
#include <stdio.h>

#define TIMEOUT_MS 5000L

static size_t swallow(char *data, size_t size, size_t count, void *arg)
{
    (void)data;
    (void)arg;
    return size * count;
}

/* HTTP status, 0 without an answer (then *out_why). The certificate is not the question here. */
static long ask(const char *url, const char **out_why)
{
    CURL *curl = curl_easy_init();
    CURLcode code;
    long status = 0;

    *out_why = "out of memory";
    if (curl == NULL)
        return 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    code = curl_easy_perform(curl);
    *out_why = code == CURLE_GOT_NOTHING
                   ? "the connection was closed (is it https? Then give --tls-cert and --tls-key)"
                   : curl_easy_strerror(code);
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    return status;
}

/* /ready where there is a metrics listener; else any answer of S3 (an anonymous GET gives 403). */
int command_health(const struct config *c)
{
    bool monitored = c->metrics_listen != NULL;
    char url[512];
    const char *why;
    long status;

    if (monitored)
        endpoint_url("http", c->metrics_listen, "/ready", url, sizeof(url));
    else
        endpoint_url(c->tls_cert != NULL ? "https" : "http", c->listen, "/", url, sizeof(url));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = ask(url, &why);
    curl_global_cleanup();
    if (status == 200 || (!monitored && status > 0 && status < 500 && status != 400)) {
        puts("healthy");
        return 0;
    }
    if (status == 0)
        fprintf(stderr, "kiseki: nothing answers at %s: %s\n", url, why);
    else
        fprintf(stderr, "kiseki: %s answers with status %ld%s\n", url, status,
                monitored && status == 503 ? ": not ready, its log says why"
                : status == 400            ? " (is it https? Then give --tls-cert and --tls-key)"
                                           : "");
    return 1;
}
