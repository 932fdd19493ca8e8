/*
 * kiseki serve, from the settings to the exit code: what is started in which order, the welcome,
 * and the stop: no new requests, those under way end, then the parts end in reverse order.
 */
#include "gateway/app/commands.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rand.h"
#include "gateway/app/endpoint.h"
#include "gateway/app/machine.h"
#include "gateway/app/monitor.h"
#include "gateway/app/options.h"
#include "gateway/app/reload.h"
#include "gateway/http/address.h"
#include "gateway/s3/core/pipeline.h"
#include "gateway/app/volume.h"
#include "meta/access/account.h"

#include <errno.h>
#include <limits.h>
#include <libgen.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX     ((size_t)16384)
#define LANE_WAIT_MS  30000 /* in the queue of what waits for the store or takes long */
#define LONG_NICE     10
#define EXIT_AFTER_MS 900 /* behind --stop-timeout */
#define WELCOME_MAX   ((size_t)32 << 10)
#define WELCOME_MS    1000

/* A gateway from start to stop. */
#define GIVEN_MAX 64 /* root and users of tests */

struct gateway {
    const struct config *config; /* as it was started */
    struct reload reload;
    uint64_t connections; /* the limit in force */
    struct volume volume;
    struct fs *fs;
    struct pool *workers, *store_workers, *long_workers;
    struct metrics *metrics;
    struct bucket_contexts *contexts;
    struct s3 s3;
    struct str domains[CONFIG_DOMAINS_MAX];
    struct given_key keys[GIVEN_MAX]; /* the first is root's */
    size_t key_count;
    struct monitor monitor;
    struct http_server *s3_server, *monitor_server;
};

/* --- users ------------------------------------------------------------------------------------ */

/* NAME:ACCESS:SECRET[,...] */
static enum err take_test_users(struct gateway *g)
{
    struct str rest = str_of(g->config->test_users != NULL ? g->config->test_users : ""), entry;
    enum err err = OK;

    g->key_count = 1;
    while (err == OK && str_split(&rest, ',', &entry)) {
        struct given_key *k = &g->keys[g->key_count];

        if (g->key_count == GIVEN_MAX)
            return err_set(ERR_INVALID, "KISEKI_TEST_USERS names more than %d users",
                           GIVEN_MAX - 1);
        if (!str_split(&entry, ':', &k->account) || !str_split(&entry, ':', &k->access_key) ||
            entry.len == 0)
            return err_set(ERR_INVALID, "KISEKI_TEST_USERS is NAME:ACCESS:SECRET[,...]");
        if (str_eq(k->account, STR(ACCOUNT_ROOT)))
            return err_set(ERR_INVALID, "KISEKI_TEST_USERS: the root user is no test user");
        k->secret = entry;
        err = given_key_valid(k);
        g->key_count++;
    }
    if (err != OK)
        err_prefix(err, "KISEKI_TEST_USERS");
    return err;
}

/* An access key is one user's: otherwise the last one would take it from root, say. */
static enum err check_users(const struct gateway *g)
{
    for (size_t i = 1; i < g->key_count; i++) {
        for (size_t k = 0; k < i; k++)
            if (str_eq(g->keys[i].access_key, g->keys[k].access_key))
                return err_set(ERR_INVALID,
                               "KISEKI_TEST_USERS: the access key of " STR_FMT
                               " is that of " STR_FMT,
                               STR_ARG(g->keys[i].account), STR_ARG(g->keys[k].account));
    }
    return OK;
}

static enum err take_keys(struct gateway *g)
{
    g->keys[0] = (struct given_key){STR(ACCOUNT_ROOT), str_of(g->volume.access_key),
                                    str_of(g->volume.secret_key)};
    return check_users(g);
}

/* --- start ------------------------------------------------------------------------------------ */

static void set_up_s3(struct gateway *g)
{
    struct str rest = str_of(g->config->domain), domain;

    g->s3 = (struct s3){
        .fs = g->fs,
        .meta = fs_meta(g->fs),
        .metrics = g->metrics,
        .contexts = g->contexts,
        .region = str_of(g->config->region),
        .domains = g->domains,
    };
    while (g->s3.domain_count < CONFIG_DOMAINS_MAX && str_split(&rest, ',', &domain))
        g->domains[g->s3.domain_count++] = str_trim(domain);
    rand_hex(g->s3.host_id, 32);
}

/* Both are bound before either listens, which is when the kernel would refuse the second. */
static enum err check_ports(const struct config *c)
{
    return c->metrics_listen == NULL || !http_addresses_collide(c->listen, c->metrics_listen)
               ? OK
               : err_set(ERR_INVALID, "--listen %s and --metrics-listen %s need different ports",
                         c->listen, c->metrics_listen);
}

static enum err prepare_monitor(struct gateway *g)
{
    struct http_options options = {
        .listen = g->config->metrics_listen,
        .threads = 1,
        .max_connections = 64,
        .head_timeout_s = 5,
        .idle_timeout_s = 10,
        .pool = g->workers,
        .store_pool = g->store_workers,
    };
    struct http_handler handler = monitor_handler(&g->monitor);

    if (g->config->metrics_listen == NULL)
        return OK;
    return http_server_prepare(&options, &handler, &g->monitor_server);
}

static bool take_block(void *gateway, size_t bytes)
{
    return reservation_block_take(((struct gateway *)gateway)->fs, bytes);
}

static void give_block(void *gateway, size_t bytes)
{
    reservation_block_give(((struct gateway *)gateway)->fs, bytes);
}

static enum err prepare_s3(struct gateway *g)
{
    const struct config *c = g->config;
    struct http_options options = {
        .listen = c->listen,
        .threads = (unsigned)c->http_threads,
        .max_connections = (unsigned)c->connections,
        .block_take = take_block,
        .block_give = give_block,
        .block_arg = g,
        .tls_cert_path = c->tls_cert,
        .tls_key_path = c->tls_key,
        .pool = g->workers,
        .store_pool = g->store_workers,
        .long_pool = g->long_workers,
    };
    struct http_handler handler = s3_handler(&g->s3);

    return http_server_prepare(&options, &handler, &g->s3_server);
}

/*
 * Requests that wait for the store, and those that take long, have threads of their own: half and a
 * quarter of --workers, beside those.
 */
static enum err start_workers(struct gateway *g)
{
    size_t workers = (size_t)g->config->workers;
    struct pool_options store = {.name = "worker-store",
                                 .threads = (workers + 1) / 2,
                                 .max_queued = QUEUE_MAX,
                                 .wait_ms = LANE_WAIT_MS,
                                 .fair = true};
    struct pool_options slow = {.name = "worker-long",
                                .threads = (workers + 3) / 4,
                                .max_queued = QUEUE_MAX,
                                .wait_ms = LANE_WAIT_MS,
                                .nice = LONG_NICE,
                                .fair = true};
    enum err err = pool_new("worker", workers, QUEUE_MAX, &g->workers);

    if (err == OK)
        err = pool_open(&store, &g->store_workers);
    return err == OK ? pool_open(&slow, &g->long_workers) : err;
}

/* The folders that fill up. */
static enum err start_survey(struct gateway *g)
{
    const struct volume *v = &g->volume;
    struct survey_folders folders = {.cache = g->config->cache_dir};
    char metadata[sizeof(v->meta_url)];

    if (strncmp(v->meta_url, "sqlite:", 7) == 0) {
        snprintf(metadata, sizeof(metadata), "%s", v->meta_url + 7);
        folders.metadata = dirname(metadata);
    }
    if (strncmp(v->store_url, "dir:", 4) == 0)
        folders.store = v->store_url + 4;
    return survey_start(g->fs, &folders, &g->monitor.survey);
}

/* Its metrics first, so that an operator can see why S3 does not come up. */
static enum err begin_serving(struct gateway *g)
{
    enum err err = OK;

    g->monitor.metrics = g->metrics;
    g->monitor.fs = g->fs;
    if (g->monitor_server != NULL)
        err = start_survey(g);
    set_up_s3(g);
    if (err == OK && g->monitor_server != NULL)
        err = http_server_begin(g->monitor_server);
    if (err == OK)
        err = http_server_begin(g->s3_server);
    if (err == OK)
        g->monitor.server = g->s3_server;
    return err;
}

/* Addresses, certificates and users come first: what is wrong with them must not leave a volume. */
static enum err start(struct gateway *g)
{
    enum err err = start_workers(g);

    if (err == OK)
        err = take_test_users(g);
    if (err == OK)
        err = check_ports(g->config);
    if (err == OK)
        err = prepare_monitor(g);
    if (err == OK)
        err = prepare_s3(g);
    if (err == OK)
        err = volume_prepare(g->config, true, &g->volume);
    if (err == OK)
        err = take_keys(g);
    if (err == OK)
        err = fs_open(&g->volume.options, &g->fs);
    if (err == OK)
        err = account_keys_give(fs_meta(g->fs), g->keys, g->key_count);
    if (err == OK) /* no kind of document has any use yet */
        err = bucket_contexts_new(fs_meta(g->fs), NULL, 0, &g->contexts);
    if (err == OK)
        err = metrics_new(s3_op_name, s3_op_count(), &g->metrics);
    return err == OK ? begin_serving(g) : err;
}

/* --- what is printed -------------------------------------------------------------------------- */

/*
 * Which volume this is: of a relative --data there may be one in each folder, and a new one where
 * an old one was expected must not go unseen.
 */
static void write_volume(const struct gateway *g, struct buf *out)
{
    struct meta_volume about;
    char path[PATH_MAX];

    meta_volume(fs_meta(g->fs), &about);
    buf_append_cstr(out, about.created_now ? "made a new volume" : "volume");
    if (g->volume.embedded && realpath(g->config->data, path) != NULL)
        buf_printf(out, " in %s%s\n", path,
                   about.created_now && g->config->data[0] != '/'
                       ? " (--data is relative to the folder that kiseki is started in)"
                       : "");
    else
        buf_printf(out, " %s\n", about.uuid);
}

/* Commands to paste: they read the keys from their file, so that no log and no history has them. */
static void write_examples(const struct gateway *g, const char *endpoint, struct buf *out)
{
    const char *host = strstr(endpoint, "://") + 3, *file = g->volume.credentials_path;
    char path[PATH_MAX];

    if (realpath(file, path) != NULL) /* another terminal is in another folder */
        file = path;
    buf_printf(
        out,
        "\nTry:\n"
        "  export AWS_ACCESS_KEY_ID=$(sed -n 1p '%s') AWS_SECRET_ACCESS_KEY=$(sed -n 2p '%s') "
        "AWS_DEFAULT_REGION=%s\n",
        file, file, g->config->region);
    buf_printf(
        out,
        "  aws --endpoint-url %s s3 mb s3://first && echo hello | aws --endpoint-url %s s3 cp - "
        "s3://first/hello\n",
        endpoint, endpoint);
    buf_printf(out,
               "  s3cmd --host=%s --host-bucket= %s--access_key=$AWS_ACCESS_KEY_ID "
               "--secret_key=$AWS_SECRET_ACCESS_KEY ls s3://first\n\n",
               host, g->config->tls_cert != NULL ? "" : "--no-ssl ");
}

/*
 * Keys that a person gave are not repeated: a container's log is read by many. Those that were made
 * are shown once, on a terminal; after that their file has them.
 */
static void write_welcome(const struct gateway *g, struct buf *out)
{
    const struct volume *v = &g->volume;
    char endpoint[512];

    endpoint_url(g->config->tls_cert != NULL ? "https" : "http", g->config->listen, "", endpoint,
                 sizeof(endpoint));
    buf_printf(out, "Kiseki %s serves S3 at %s\n", KISEKI_VERSION, endpoint);
    write_volume(g, out);
    if (g->config->access_key != NULL)
        return;
    buf_printf(out, "\n  access key  %s\n", v->access_key);
    if (v->made_credentials && isatty(STDOUT_FILENO))
        buf_printf(out, "  secret key  %s\n  (made just now, kept in %s)\n", v->secret_key,
                   v->credentials_path);
    else
        buf_printf(out, "  (the secret key is in %s)\n", v->credentials_path);
    write_examples(g, endpoint, out);
}

/* The gateway serves whether it is read or not. */
static void print_welcome(const struct gateway *g)
{
    struct buf text;

    buf_init(&text, WELCOME_MAX);
    write_welcome(g, &text);
    if (buf_check(&text) != OK ||
        fd_write_within(STDOUT_FILENO, text.data, text.len, WELCOME_MS, NULL) != OK)
        log_warn("the welcome could not be printed on standard output");
    buf_fini(&text);
}

/* --- running and stopping --------------------------------------------------------------------- */

/*
 * The root user's key may have a new value in its file: then the old one is revoked, everywhere.
 * This asks the database only if it has. Blocks main, and so SIGTERM, for as long as a database
 * that is away is waited for.
 */
static bool reload_root(struct gateway *g)
{
    struct volume fresh;
    enum err err = volume_root_key(reload_current(&g->reload), &g->volume, &fresh);
    bool same = err == OK && strcmp(fresh.access_key, g->volume.access_key) == 0 &&
                strcmp(fresh.secret_key, g->volume.secret_key) == 0;
    struct given_key before = g->keys[0];

    if (err == OK && !same) {
        g->keys[0].access_key = str_of(fresh.access_key);
        g->keys[0].secret = str_of(fresh.secret_key);
        err = check_users(g);
        if (err == OK)
            err = account_keys_give(fs_meta(g->fs), g->keys, g->key_count);
        g->keys[0] = before; /* which points into g->volume */
    }
    if (err != OK) {
        log_error("SIGHUP: the root user's key is not taken over: %s", err_text(err));
    } else if (!same) {
        memcpy(g->volume.access_key, fresh.access_key, sizeof(fresh.access_key));
        memcpy(g->volume.secret_key, fresh.secret_key, sizeof(fresh.secret_key));
        log_info("SIGHUP: the root user's key is %s now, or has another secret",
                 g->volume.access_key);
        g->keys[0].access_key = str_of(g->volume.access_key);
        g->keys[0].secret = str_of(g->volume.secret_key);
    }
    volume_forget(&fresh);
    return err == OK;
}

/* A certificate that is about to expire must not wait for a mistake elsewhere to be mended. */
static void reload(struct gateway *g)
{
    bool ok = reload_settings(&g->reload);
    const struct config *now = reload_current(&g->reload), *tls = reload_current_tls(&g->reload);

    if (now->connections != g->connections)
        http_server_limit(g->s3_server, (unsigned)now->connections);
    g->connections = now->connections;
    ok = (http_server_reload_tls(g->s3_server, tls->tls_cert, tls->tls_key) == OK) && ok;
    ok = reload_root(g) && ok;
    log_info("SIGHUP: done%s", ok ? "" : ", with errors");
}

static void wait_for_stop(struct gateway *g, const sigset_t *signals)
{
    int signal = 0;

    while (sigwait(signals, &signal) == 0) {
        if (signal != SIGHUP) {
            log_info("%s: stopping", signal == SIGTERM ? "SIGTERM" : "SIGINT");
            return;
        }
        reload(g);
    }
}

/*
 * Load balancers need a while to see that /ready answers 503; until then they send requests here,
 * which are served. A second signal ends the wait.
 */
static void wait_for_balancers(struct gateway *g, const sigset_t *signals)
{
    uint64_t delay_s = reload_current(&g->reload)->stop_delay_s;
    struct timespec delay = {.tv_sec = (time_t)delay_s};
    int signal;

    atomic_store(&g->monitor.stopping, true);
    if (delay_s == 0)
        return;
    log_info("serving for another %llu s, while /ready answers 503", (unsigned long long)delay_s);
    do
        signal = sigtimedwait(signals, NULL, &delay);
    while (signal == SIGHUP || (signal < 0 && errno == EINTR));
}

/*
 * The last resort: a thread that hangs in a system call or in a library cannot be asked to
 * end. What a process leaves behind is cleaned up by others (ARCHITECTURE.md, "Crash
 * points").
 */
static void *end_in_time(void *deadline)
{
    const int64_t *at = deadline;
    int64_t left = *at - clock_boot_ms();

    if (left > 0)
        clock_nap(left);
    log_error("the stop timeout is over and something still runs: exiting anyway");
    log_stop();
    _exit(1);
}

static void stop(struct gateway *g)
{
    unsigned deadline_ms = (unsigned)(reload_current(&g->reload)->stop_timeout_s * 1000);
    static int64_t exit_boot_ms; /* for a thread that nobody joins */
    pthread_t watch;

    exit_boot_ms = clock_boot_ms() + deadline_ms + EXIT_AFTER_MS;
    if (pthread_create(&watch, NULL, end_in_time, &exit_boot_ms) == 0)
        (void)pthread_detach(watch);
    g->monitor.server = NULL; /* /ready says so; a metrics request may have it still */
    http_server_stop(g->s3_server, deadline_ms);
    http_server_stop(g->monitor_server, 200);
    http_server_free(g->monitor_server);
    http_server_free(g->s3_server);
    pool_free(g->long_workers);
    pool_free(g->store_workers);
    pool_free(g->workers);
    survey_stop(g->monitor.survey);
    bucket_contexts_free(g->contexts);
    fs_close(g->fs);
    metrics_free(g->metrics);
    volume_forget(&g->volume);
    reload_fini(&g->reload);
}

static void warn_of_variable(const char *line)
{
    log_warn("%s", line);
}

/* The memory is taken as it is needed: what is too much would show only under load, by a kill. */
static void warn_of_memory(const struct config *c)
{
    uint64_t there = machine_memory("");

    if (there > 0 && c->memory_size > there)
        log_warn("--memory-size is %llu MiB, but this machine, or the control group of kiseki, "
                 "has %llu MiB: the system may end kiseki when it uses them",
                 (unsigned long long)(c->memory_size >> 20), (unsigned long long)(there >> 20));
}

/*
 * What a big request has freed goes back to the system. Else glibc takes the size of the first
 * large block that is freed for usual, and keeps as much in each of its arenas. The blocks of
 * answers (256 KiB) are not large: a mapping of its own would cost each download page faults.
 */
static void set_up_malloc(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 320 << 10);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int command_serve(const struct config *c)
{
    struct gateway g = {.config = c, .connections = c->connections};
    sigset_t signals;
    enum err err;

    set_up_malloc();
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* inherited: only this thread takes them */
    reload_init(&g.reload, c);
    log_setup(LOG_INFO, LOG_TEXT, STDERR_FILENO);
    reload_log(c);
    err = log_start();
    option_variables(warn_of_variable);
    warn_of_memory(c);
    if (err == OK)
        err = hash_start();
    if (err == OK)
        err = start(&g);
    if (err != OK) {
        struct err_info why;

        err_save(err, &why);
        stop(&g);
        log_fatal("kiseki: %s", why.text);
        return 1;
    }
    log_info("kiseki %s serves %s", KISEKI_VERSION, c->listen);
    print_welcome(&g);
    wait_for_stop(&g, &signals);
    wait_for_balancers(&g, &signals);
    stop(&g);
    log_info("stopped");
    log_stop();
    return 0;
}
