#include "gateway/http/connection.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Forward secrecy only: a thief of the certificate's key cannot read what was recorded before. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA"

/* What libmicrohttpd is told; ours, which may change, is lower. */
#define CONNECTIONS_MAX 1000000

/* Descriptors that the rest of the program may need besides connections, also waiting ones. */
#define OTHER_FDS 768

static void fill_defaults(struct http_options *o)
{
    o->threads = o->threads ? o->threads : 2;
    o->max_connections = o->max_connections ? o->max_connections : 10000;
    o->idle_timeout_s = o->idle_timeout_s ? o->idle_timeout_s : 60;
    o->head_timeout_s = o->head_timeout_s ? o->head_timeout_s : 60;
    o->gone_after_s = o->gone_after_s ? o->gone_after_s : 5;
    o->linger_s = o->linger_s ? o->linger_s : 10;
    o->body_min_rate = o->body_min_rate ? o->body_min_rate : 1024;
    o->reply_min_rate = o->reply_min_rate ? o->reply_min_rate : 1024;
    o->body_rate_window_s = o->body_rate_window_s ? o->body_rate_window_s : 30;
    o->arena_max_bytes = o->arena_max_bytes ? o->arena_max_bytes : (size_t)64 * 1024 * 1024;
}

static enum err copy_options(struct http_server *s, const struct http_options *from)
{
    struct http_options *o = &s->options;
    *o = *from;
    fill_defaults(o);
    o->listen = from->listen != NULL ? strdup(from->listen) : NULL;
    o->tls_cert_path = from->tls_cert_path != NULL ? strdup(from->tls_cert_path) : NULL;
    o->tls_key_path = from->tls_key_path != NULL ? strdup(from->tls_key_path) : NULL;
    if ((from->listen != NULL && o->listen == NULL) ||
        (from->tls_cert_path != NULL && o->tls_cert_path == NULL) ||
        (from->tls_key_path != NULL && o->tls_key_path == NULL)) {
        return err_set(ERR_NOMEM, "no memory for a server");
    }
    if ((o->tls_cert_path == NULL) != (o->tls_key_path == NULL))
        return err_set(ERR_INVALID, "a certificate needs its key and a key its certificate");
    return OK;
}

/* libmicrohttpd's messages are mostly about what clients did: for the debug log only. */
static void log_message(void *cls, const char *format, va_list args)
{
    (void)cls;
    if (!log_enabled(LOG_DEBUG))
        return;
    char text[512];
    int len = vsnprintf(text, sizeof(text), format, args);
    size_t end = len < 0 ? 0 : (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    while (end > 0 && text[end - 1] == '\n')
        end--;
    text[end] = '\0';
    log_debug("libmicrohttpd: %s", text);
}

/* The target is parsed from its raw form (target.c); libmicrohttpd's own stays as it is. */
static size_t keep_escapes(void *cls, struct MHD_Connection *mhd, char *text)
{
    (void)cls;
    (void)mhd;
    return strlen(text);
}

/* As many descriptors as connections may need; fewer connections where the system has less. */
static unsigned limit_connections(unsigned most)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)most + OTHER_FDS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return most;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = before;
    if (limit.rlim_cur < wanted) {
        rlim_t left =
            limit.rlim_cur > 2 * OTHER_FDS ? limit.rlim_cur - OTHER_FDS : limit.rlim_cur / 2;
        log_warn("%llu open files are allowed: at most %llu connections, not %u (raise the limit "
                 "to %llu)",
                 (unsigned long long)limit.rlim_cur, (unsigned long long)left, most,
                 (unsigned long long)wanted);
        return (unsigned)left;
    }
    return most;
}

void http_server_limit(struct http_server *s, unsigned max_connections)
{
    atomic_store(&s->max_connections, limit_connections(max_connections));
    if (s->accepts)
        http_accept_wake(s); /* the waiting room may have somebody who gets in now */
}

static enum err start_daemon(struct http_server *s)
{
    const struct http_options *o = &s->options;
    bool is_tls = o->tls_cert_path != NULL;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG | (is_tls ? MHD_USE_TLS : 0);
    /* Its limit is divided among the threads; ours is admit.c's. */
    unsigned limit = (CONNECTIONS_MAX + 256) * o->threads;
    struct MHD_OptionItem options[16];
    size_t n = 0;
    if (o->threads > 1)
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, o->threads, NULL};
    if (is_tls) {
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
                                               (void *)(uintptr_t)TLS_PRIORITIES};
        options[n++] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0, http_tls_callback()};
    }
    s->parses_in_place = strncmp(MHD_get_version(), "0.9.", 4) == 0;
    if (!s->parses_in_place)
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL};
    options[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, http_on_access, s, MHD_OPTION_EXTERNAL_LOGGER, log_message, NULL,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_LIMIT, limit, MHD_OPTION_CONNECTION_TIMEOUT, o->idle_timeout_s,
        MHD_OPTION_URI_LOG_CALLBACK, http_on_target, s, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes,
        NULL, MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
        http_on_connection, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    return s->daemon != NULL ? OK
                             : err_set(ERR_IO, "libmicrohttpd does not start: %s", strerror(errno));
}

void http_server_free(struct http_server *s)
{
    if (s == NULL)
        return;
    http_tls_free(s);
    http_watch_stop(s); /* not before: peers are taken out of it to the end */
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->deaf);
    free((void *)(uintptr_t)s->options.listen);
    free((void *)(uintptr_t)s->options.tls_cert_path);
    free((void *)(uintptr_t)s->options.tls_key_path);
    free(s);
}

enum err http_server_prepare(const struct http_options *options, const struct http_handler *handler,
                             struct http_server **out)
{
    *out = NULL;
    struct http_server *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return err_set(ERR_NOMEM, "no memory for a server");
    s->listen_fd = s->wake_fd = s->watch_fd = -1;
    s->handler = *handler;
    s->id_key = rand_u64();
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->deaf, NULL);
    enum err err = copy_options(s, options);
    if (err == OK && s->options.tls_cert_path != NULL)
        err = http_tls_load(s, s->options.tls_cert_path, s->options.tls_key_path);
    if (err == OK)
        err = http_bind(s);
    if (err != OK) {
        http_accept_stop(s);
        http_server_free(s);
        return err;
    }
    *out = s;
    return OK;
}

enum err http_server_begin(struct http_server *s)
{
    http_server_limit(s, s->options.max_connections);
    enum err err = start_daemon(s);
    return err == OK ? http_accept_start(s) : err;
}

enum err http_server_start(const struct http_options *options, const struct http_handler *handler,
                           struct http_server **out)
{
    enum err err = http_server_prepare(options, handler, out);
    if (err == OK)
        err = http_server_begin(*out);
    if (err != OK && *out != NULL) {
        struct err_info why;
        err_save(err, &why);
        http_server_stop(*out, 0);
        http_server_free(*out);
        *out = NULL;
        err = err_restore(&why);
    }
    return err;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

const char *http_server_address(const struct http_server *s)
{
    return s->address;
}

enum err http_server_reload_tls(struct http_server *s, const char *cert_path, const char *key_path)
{
    if (s->options.tls_cert_path == NULL)
        return OK;
    enum err err = http_tls_load(s, cert_path, key_path);
    if (err == OK)
        log_info("reloaded the certificate %s", cert_path);
    else
        log_error("the certificate in use stays: %s", err_text(err));
    return err;
}

void http_server_quiesce(struct http_server *s)
{
    http_accept_quiesce(s);
}

static void nap(void)
{
    struct timespec pause = {0, 5 * 1000 * 1000};
    nanosleep(&pause, NULL);
}

/* Those that wait for a sink will not be resumed by anybody else. */
static void wake_all(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    for (struct exchange *x = s->exchanges; x != NULL; x = x->next)
        http_request_resume_body(&x->r);
    pthread_mutex_unlock(&s->lock);
}

void http_server_stop(struct http_server *s, unsigned deadline_ms)
{
    if (s == NULL)
        return;
    atomic_store(&s->closing, true);
    http_server_quiesce(s);
    int64_t deadline = clock_boot_ms() + deadline_ms;
    while (atomic_load(&s->requests) > 0 && clock_boot_ms() < deadline)
        nap();
    uint64_t left = atomic_load(&s->requests);
    if (left > 0)
        log_warn("stopping: %llu requests are cut off", (unsigned long long)left);
    atomic_store(&s->cutting, true);
    if (s->handler.cut != NULL && s->daemon != NULL) /* what never began has nothing to cut */
        s->handler.cut(s->handler.ctx);
    while (atomic_load(&s->held) > 0) {
        wake_all(s);
        nap();
    }
    http_accept_stop(s);
    if (s->daemon != NULL)
        MHD_stop_daemon(s->daemon);
}

void http_server_stats(const struct http_server *s, struct http_server_stats *out)
{
    out->connections = atomic_load(&s->connections);
    out->connections_total = atomic_load(&s->connections_total);
    out->requests = atomic_load(&s->requests);
    out->requests_total = atomic_load(&s->requests_total);
    out->suspended = atomic_load(&s->held);
    out->refused_total = atomic_load(&s->refused_total);
    out->timeouts_total = atomic_load(&s->timeouts_total);
    out->gone_total = atomic_load(&s->gone_total);
    out->evicted_total = atomic_load(&s->evicted_total);
}
