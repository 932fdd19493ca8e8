/*
 * kiseki migrate: the schema of a volume that an older release made becomes today's, with its steps
 * on standard error.
 */
#include "base/progress.h"
#include "gateway/app/commands.h"
#include "gateway/app/tool.h"

#include <stdio.h>

struct migration {
    struct progress progress;
    bool quiet, begun;
};

static void show_step(void *arg, size_t done, size_t count, const char *what)
{
    struct migration *m = arg;

    if (!m->begun || m->progress.total != count) {
        if (m->begun)
            progress_end(&m->progress, OK); /* the next version */
        progress_begin(&m->progress, "steps of the migration", count, m->quiet);
        m->begun = true;
    }
    progress_add(&m->progress, done - m->progress.items, 0);
    if (what[0] != '\0')
        progress_wait(&m->progress, "%s", what);
}

int command_migrate(const struct config *c)
{
    struct migration migration = {.quiet = c->quiet};
    struct volume volume;
    struct meta_volume about;
    struct meta *meta = NULL;
    enum err err = tool_migrate_meta(c, &volume, show_step, &migration, &meta);
    int code = 0;

    if (migration.begun)
        progress_end(&migration.progress, err);
    if (err != OK) {
        code = tool_fail(err);
    } else {
        meta_volume(meta, &about);
        if (about.migrated_from > 0)
            printf("volume %s: migrated from schema version %lld to %lld\n", about.uuid,
                   (long long)about.migrated_from, (long long)about.schema_version);
        else
            printf("volume %s has schema version %lld already\n", about.uuid,
                   (long long)about.schema_version);
    }
    meta_close(meta);
    volume_forget(&volume);
    return code;
}
