/*
 * kiseki gc: the rounds of the background jobs at once, or what they would find, counted as text
 * or JSON.
 */
#include "fs/tools/gc.h"
#include "gateway/app/commands.h"
#include "gateway/app/tool.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void print_json(const struct gc_counts *n, bool applied)
{
    json_t *doc =
        json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "applied", applied,
                  "set_aside", (json_int_t)n->set_aside, "files", (json_int_t)n->files, "pieces",
                  (json_int_t)n->pieces, "links", (json_int_t)n->links, "kept", (json_int_t)n->kept,
                  "slices", (json_int_t)n->slices, "slices_again", (json_int_t)n->slices_again,
                  "again_in_ms", (json_int_t)(n->slices_again > 0 ? n->again_in_ms : 0), "sessions",
                  (json_int_t)n->sessions, "ranges", (json_int_t)n->ranges);
    char *text = doc != NULL ? json_dumps(doc, JSON_INDENT(2)) : NULL;

    puts(text != NULL ? text : "{}");
    free(text);
    json_decref(doc);
}

static void print_text(const struct gc_counts *n, bool applied)
{
    printf("%s\n", applied ? "left:" : "to be freed (--apply frees it):");
    printf("  %lld deleted files, %lld pieces, %lld sets of hidden links\n", (long long)n->files,
           (long long)n->pieces, (long long)n->links);
    if (n->kept > 0)
        printf("  of them %lld are kept (--keep-deleted)\n", (long long)n->kept);
    printf("  %lld slices to delete\n", (long long)n->slices);
    if (n->set_aside > 0)
        printf("  %lld slices could not be deleted and are tried again later, such as: %s\n",
               (long long)n->set_aside, n->why);
    printf("  %lld sessions whose lease is over, %lld ranges of slice names of such\n",
           (long long)n->sessions, (long long)n->ranges);
    if (n->slices_again > 0)
        printf("  %lld slices were deleted once, and will be again within %lld s, in case an "
               "abandoned upload arrives late%s\n",
               (long long)n->slices_again,
               (long long)(n->again_in_ms > 0 ? n->again_in_ms / 1000 + 1 : 0),
               applied ? " (--wait waits)" : "");
    if (n->live_sessions > 1)
        printf("gateways or tools are at work (%lld): gateways free it by themselves, too\n",
               (long long)(n->live_sessions - 1));
}

int command_gc(const struct config *c)
{
    struct tool tool;
    struct gc_counts counts;
    struct progress p;
    int code = 0;
    enum err err;

    if (!tool_open(c, &tool)) {
        tool_close(&tool);
        return TOOL_FAILED;
    }
    err = gc_count(fs_meta(tool.fs), &counts);
    if (err == OK && c->apply) {
        progress_begin(&p, "slices deleted", (uint64_t)counts.slices, c->quiet || c->json);
        err = gc_run(tool.fs, c->wait, &p, &counts);
        progress_end(&p, err);
    }
    if (err != OK)
        code = tool_fail(err);
    else if (c->json)
        print_json(&counts, c->apply);
    else
        print_text(&counts, c->apply);
    tool_close(&tool);
    return code;
}
