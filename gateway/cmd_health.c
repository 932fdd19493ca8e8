#include "gateway/commands.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS 5000L

static size_t swallow(char *data, size_t size, size_t count, void *arg)
{
    (void)data;
    (void)arg;
    return size * count;
}

/* An address to listen at is one to connect to, but for "any". */
static void url_of(const char *scheme, const char *listen, const char *path, char *out, size_t size)
{
    const char *host = listen;

    if (strncmp(listen, "0.0.0.0:", 8) == 0)
        host = listen + 7;
    if (strncmp(listen, "[::]:", 5) == 0)
        host = listen + 4;
    snprintf(out, size, "%s://%s%s%s", scheme, host[0] == ':' ? "127.0.0.1" : "", host, path);
}

/* HTTP status, 0 when there is no answer. The certificate is not the question here. */
static long ask(const char *url)
{
    CURL *curl = curl_easy_init();
    long status = 0;

    if (curl == NULL)
        return 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    return status;
}

/* /ready where there is a metrics listener; else any answer of S3 (an anonymous GET gives 403). */
int command_health(const struct config *c)
{
    bool monitored = c->metrics_listen != NULL;
    char url[512];
    long status;

    if (monitored)
        url_of("http", c->metrics_listen, "/ready", url, sizeof(url));
    else
        url_of(c->tls_cert != NULL ? "https" : "http", c->listen, "/", url, sizeof(url));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = ask(url);
    curl_global_cleanup();
    if (status == 200 || (!monitored && status > 0 && status < 500)) {
        puts("healthy");
        return 0;
    }
    fprintf(stderr, "kiseki: %s answers %ld\n", url, status);
    return 1;
}
