/*
 * What the command-line tools share: a volume opened as a tool (a session without background
 * jobs), and the exit code of one that could not begin.
 */
#ifndef KISEKI_GATEWAY_TOOL_H
#define KISEKI_GATEWAY_TOOL_H

#include "gateway/volume.h"

#define TOOL_FAILED 2

struct tool {
    struct volume volume;
    struct fs *fs;
};

/* Says why on standard error if it can not; tool_close() in any case. */
MUST_USE bool tool_open(const struct config *c, struct tool *out);
void tool_close(struct tool *t);

/* A line of standard error; the exit code of a tool that could not do its work. */
int tool_fail(enum err err);
/* A finding, one line of standard output; `arg` is not used. */
void tool_report(void *arg, const char *finding);

#endif
