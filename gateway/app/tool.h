/*
 * What the command-line tools share: a volume opened as a tool (a session without background
 * jobs), or its metadata only, and the exit code of one that could not begin.
 *
 * No tool but `load` makes anything: where there is no volume they say so, and no table, folder,
 * bucket or marker was made.
 */
#ifndef KISEKI_GATEWAY_APP_TOOL_H
#define KISEKI_GATEWAY_APP_TOOL_H

#include "gateway/app/volume.h"

#define TOOL_FAILED 2

struct tool {
    struct volume volume;
    struct fs *fs;
};

/* Says why on standard error if it cannot; tool_close() in any case. */
MUST_USE bool tool_open(const struct config *c, struct tool *out);
void tool_close(struct tool *t);

/*
 * The metadata without a session, for what only reads it. A store that is another volume's is
 * refused; one that is away, or lost, is a warning on standard error. meta_close(*out) and
 * volume_forget() in any case.
 */
MUST_USE enum err tool_open_meta(const struct config *c, struct volume *volume, struct meta **out);
/* The same, and an older schema is migrated, with a call for each step; NULL: it is not. */
MUST_USE enum err tool_migrate_meta(const struct config *c, struct volume *volume,
                                    meta_step_fn *step, void *step_arg, struct meta **out);

/*
 * A line of standard error; the exit code of a tool that could not do its work. Silent when
 * standard output is a pipe whose reader has left (`| head -1`): it has what it wanted.
 */
int tool_fail(enum err err);
/*
 * At the end of a command: `code`, or TOOL_FAILED when what it printed did not arrive. SIGPIPE is
 * ignored (fs/store/store.h), so this is how a reader that left is noticed.
 */
int tool_finish_output(int code);
/* A finding, one line of standard output; `arg` is not used. */
void tool_report(void *arg, const char *finding);

#endif
