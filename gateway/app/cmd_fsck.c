/* kiseki fsck: fs/tools/fsck.h on a volume, and its findings as an exit code. */
#include "fs/tools/fsck.h"
#include "gateway/app/commands.h"
#include "gateway/app/tool.h"

#include <stdio.h>

int command_fsck(const struct config *c)
{
    struct tool tool;
    struct fsck f = {
        .repair = c->repair, .store = c->check_store, .quiet = c->quiet, .report = tool_report};
    int code = TOOL_FAILED;
    enum err err;

    if (tool_open(c, &tool)) {
        err = fsck_run(tool.fs, &f);
        code = err != OK ? tool_fail(err) : f.findings > 0 ? 1 : 0;
    }
    if (code != TOOL_FAILED && f.findings == 0)
        printf("the volume is whole\n");
    else if (code != TOOL_FAILED)
        printf("%llu findings, %llu rows or objects repaired\n", (unsigned long long)f.findings,
               (unsigned long long)f.repaired);
    tool_close(&tool);
    return code;
}
