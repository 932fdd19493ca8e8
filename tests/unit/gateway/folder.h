/* A temporary folder for a test, removed with all that is in it. */
#ifndef KISEKI_TESTS_UNIT_GATEWAY_FOLDER_H
#define KISEKI_TESTS_UNIT_GATEWAY_FOLDER_H

#include "tests/unit/base/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static inline char *folder_new(void)
{
    const char *base = getenv("TMPDIR");
    char *path = malloc(512);

    assert_non_null(path);
    snprintf(path, 512, "%s/kiseki-test-XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline int folder_remove_one(const char *path, const struct stat *st, int type,
                                    struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void folder_free(char *path)
{
    assert_int_equal(nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(path);
}

static inline void folder_write(const char *folder, const char *name, const char *text)
{
    char path[2048];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

#endif
