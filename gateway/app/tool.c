#include "gateway/app/tool.h"

#include "base/log.h"
#include "fs/marker.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define LEASE_MS      3000 /* short: epochs, by which things are freed, come with its heartbeats */
#define STORE_LOOK_MS 5000

static bool reader_left(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};

    return poll(&out, 1, 0) > 0 && (out.revents & POLLERR) != 0;
}

int tool_finish_output(int code)
{
    int failed = fflush(stdout) | ferror(stdout);

    if (failed == 0)
        return code;
    if (!reader_left() && code == 0)
        fprintf(stderr, "kiseki: standard output: %m\n");
    return code == 0 ? TOOL_FAILED : code;
}

int tool_fail(enum err err)
{
    if (err == ERR_IO && reader_left())
        return TOOL_FAILED;
    log_fatal("kiseki: %s", err_text(err));
    return TOOL_FAILED;
}

void tool_report(void *arg, const char *finding)
{
    (void)arg;
    puts(finding);
}

static enum err advise(enum err err)
{
    if (err != ERR_NOT_FOUND)
        return err;
    return err_prefix(err, "there is no volume here (`kiseki serve` makes one; or check --data, "
                           "--meta and --store)");
}

/* Of the embedded default: before its keys, which are not there either, are missed. */
static enum err prepare(const struct config *c, struct volume *out)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/meta.db", c->data);
    if (c->meta == NULL && c->store == NULL && access(path, F_OK) != 0 && errno == ENOENT) {
        *out = (struct volume){.embedded = true};
        return err_set(ERR_NOT_FOUND, "there is no %s", path);
    }
    return volume_prepare(c, false, out);
}

bool tool_open(const struct config *c, struct tool *out)
{
    enum err err = log_start(); /* a heartbeat must not wait for a terminal that is stopped */

    log_set_level(LOG_WARN); /* what a gateway says as it comes and goes is of no interest here */
    *out = (struct tool){.fs = NULL};
    if (err == OK)
        err = prepare(c, &out->volume);
    if (err == OK) {
        struct fs_options options = out->volume.options;

        options.tool = true;
        options.cache_dir = NULL;
        options.meta.lease_ms = LEASE_MS;
        err = fs_open(&options, &out->fs);
    }
    if (err != OK)
        (void)tool_fail(advise(err));
    return err == OK;
}

void tool_close(struct tool *t)
{
    fs_close(t->fs);
    volume_forget(&t->volume);
    log_stop();
}

/* ERR_DENIED: another volume's. The store need not be there for what the database alone answers. */
static enum err check_store(struct meta *m, const struct volume *v)
{
    struct store_options options = v->options.store;
    struct store *store = NULL;
    enum err err;

    options.must_have = MARKER_NAME;
    options.call_timeout_ms = STORE_LOOK_MS;
    options.request_timeout_ms = STORE_LOOK_MS / 2;
    err = store_open(v->store_url, &options, &store);
    if (err == OK) {
        err = marker_check(m, store, false);
    } else {
        fprintf(stderr, "kiseki: the store was not looked at: %s\n", err_text(err));
        err = OK;
    }
    store_close(store);
    return err == ERR_DENIED ? err : OK;
}

enum err tool_migrate_meta(const struct config *c, struct volume *volume, meta_step_fn *step,
                           void *step_arg, struct meta **out)
{
    enum err err = prepare(c, volume);

    *out = NULL;
    log_set_level(LOG_WARN);
    volume->options.meta.must_exist = true;
    volume->options.meta.migrates = step != NULL;
    volume->options.meta.step = step;
    volume->options.meta.step_arg = step_arg;
    if (err == OK)
        err = meta_open(&volume->options.meta, out);
    if (err == OK)
        err = check_store(*out, volume);
    return advise(err);
}

enum err tool_open_meta(const struct config *c, struct volume *volume, struct meta **out)
{
    return tool_migrate_meta(c, volume, NULL, NULL, out);
}
