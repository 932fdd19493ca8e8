/*
 * Limits of control groups hold for all groups below, so a group's own and those of all above it
 * are read: of version 2 in its tree, of version 1 in the tree of "memory". Inside of a container
 * the path of /proc/self/cgroup may be that of the host, and is not there; the top is then the
 * container's own group.
 */
#include "gateway/app/machine.h"

#include "base/str.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 4096

/* The first number of the first line that begins so; UINT64_MAX: there is none ("max"). */
static uint64_t number_of(const char *path, const char *begin)
{
    char line[LINE_MAX_BYTES];
    uint64_t number, found = UINT64_MAX;
    FILE *f = fopen(path, "re");

    while (f != NULL && found == UINT64_MAX && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, begin, strlen(begin)) == 0 &&
            sscanf(line + strlen(begin), "%" SCNu64, &number) == 1)
            found = number;
    if (f != NULL)
        fclose(f);
    return found;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The least limit of the group and of those above it. `group` is cut. */
static uint64_t limit_of_group(const char *tree, char *group, const char *file)
{
    char path[3 * LINE_MAX_BYTES];
    uint64_t limit = UINT64_MAX;

    for (;;) {
        char *last = strrchr(group, '/');

        snprintf(path, sizeof(path), "%s%s/%s", tree, strcmp(group, "/") == 0 ? "" : group, file);
        limit = least(limit, number_of(path, ""));
        if (last == NULL)
            return limit;
        *last = '\0';
    }
}

/* Lines are ID:CONTROLLERS:PATH; version 2 has the line 0::PATH. */
static uint64_t limit_of_groups(const char *root)
{
    char line[LINE_MAX_BYTES], tree[LINE_MAX_BYTES];
    uint64_t limit = UINT64_MAX;
    FILE *f;

    snprintf(tree, sizeof(tree), "%s/proc/self/cgroup", root);
    f = fopen(tree, "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        struct str rest = str_of(line), id, controllers;
        bool second, first;

        line[strcspn(line, "\n")] = '\0';
        rest = str_of(line);
        if (!str_split(&rest, ':', &id) || !str_split(&rest, ':', &controllers))
            continue;
        second = controllers.len == 0;
        first = str_eq(controllers, STR("memory"));
        if (!second && !first)
            continue;
        snprintf(tree, sizeof(tree), "%s/sys/fs/cgroup%s", root, first ? "/memory" : "");
        limit = least(limit, limit_of_group(tree, line + (rest.ptr - line),
                                            first ? "memory.limit_in_bytes" : "memory.max"));
    }
    if (f != NULL)
        fclose(f);
    return limit;
}

uint64_t machine_memory(const char *root)
{
    char path[LINE_MAX_BYTES];
    uint64_t kib, limit = limit_of_groups(root);

    snprintf(path, sizeof(path), "%s/proc/meminfo", root);
    kib = number_of(path, "MemTotal:");
    if (kib <= UINT64_MAX >> 10)
        limit = least(limit, kib << 10);
    return limit == UINT64_MAX ? 0 : limit;
}
