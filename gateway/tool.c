#include "gateway/tool.h"

#include "base/log.h"

#include <stdio.h>

#define LEASE_MS 3000 /* short: epochs, by which things are freed, come with its heartbeats */

int tool_fail(enum err err)
{
    log_fatal("kiseki: %s", err_text(err));
    return TOOL_FAILED;
}

void tool_report(void *arg, const char *finding)
{
    (void)arg;
    puts(finding);
}

bool tool_open(const struct config *c, struct tool *out)
{
    enum err err = log_start(); /* a heartbeat must not wait for a terminal that is stopped */

    log_set_level(LOG_WARN); /* what a gateway says as it comes and goes is of no interest here */
    *out = (struct tool){.fs = NULL};
    if (err == OK)
        err = volume_prepare(c, false, &out->volume);
    if (err == OK) {
        struct fs_options options = out->volume.options;

        options.tool = true;
        options.cache_dir = NULL;
        options.meta.lease_ms = LEASE_MS;
        err = fs_open(&options, &out->fs);
    }
    if (err != OK)
        (void)tool_fail(err);
    return err == OK;
}

void tool_close(struct tool *t)
{
    fs_close(t->fs);
    volume_forget(&t->volume);
    log_stop();
}
