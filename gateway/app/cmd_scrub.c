/*
 * kiseki scrub: reads every slice and compares its checksums (fs/tools/scrub.h), with progress.
 */
#include "fs/tools/scrub.h"
#include "gateway/app/commands.h"
#include "gateway/app/tool.h"

#include <stdio.h>

int command_scrub(const struct config *c)
{
    struct tool tool;
    struct progress p;
    struct check_totals totals;
    struct scrub s = {.rate = c->rate, .progress = &p, .report = tool_report};
    int code = TOOL_FAILED;
    enum err err;

    if (tool_open(c, &tool)) {
        err = check_totals(fs_meta(tool.fs), &totals);
        if (err == OK) {
            progress_begin(&p, "slices", totals.slices, c->quiet);
            err = scrub_run(tool.fs, &s);
            progress_end(&p, err);
        }
        code = err != OK ? tool_fail(err) : s.bad > 0 ? 1 : 0;
    }
    if (code != TOOL_FAILED)
        printf("%llu slices read, %llu bad\n", (unsigned long long)s.slices,
               (unsigned long long)s.bad);
    tool_close(&tool);
    return code;
}
