/*
 * A dump that is loaded: whatever stands in it, it is loaded or refused with a reason. Each goes
 * into a copy of one empty database, beside which no store is.
 */
#include "base/log.h"
#include "meta/tools/dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

static void remove_folder(void)
{
    char command[96];

    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", folder);
}

static struct meta *open_database(const char *name)
{
    char url[128];
    struct meta_options options = {.url = url, .host = "fuzz"};
    struct meta *m = NULL;

    snprintf(url, sizeof(url), "sqlite:%s/%s", folder, name);
    if (meta_open(&options, &m) != OK)
        abort();
    return m;
}

static void copy(const char *from, const char *to)
{
    char a[128], b[128], bytes[65536];
    FILE *in, *out;

    snprintf(a, sizeof(a), "%s/%s", folder, from);
    snprintf(b, sizeof(b), "%s/%s", folder, to);
    in = fopen(a, "rb");
    out = fopen(b, "wb");
    if (in == NULL || out == NULL)
        abort();
    for (size_t n; (n = fread(bytes, 1, sizeof(bytes), in)) > 0;)
        if (fwrite(bytes, 1, n, out) != n)
            abort();
    fclose(in);
    fclose(out);
}

static void set_up(void)
{
    log_setup(LOG_ERROR, LOG_TEXT, STDERR_FILENO);
    snprintf(folder, sizeof(folder), "%s/kiseki-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL)
        abort();
    atexit(remove_folder);
    meta_close(open_database("empty.db"));
}

static enum err claim(void *arg, const struct dump_header *h, int64_t *out_generation)
{
    (void)arg;
    *out_generation = h->generation + 1;
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *in;
    struct meta *m;
    enum err err;

    if (size == 0)
        return 0;
    if (folder[0] == '\0')
        set_up();
    copy("empty.db", "loaded.db");
    m = open_database("loaded.db");
    in = fmemopen((void *)(uintptr_t)data, size, "rb");
    if (in == NULL)
        abort();
    err = dump_load(m, in, claim, NULL, NULL);
    if (err != OK && err_text(err)[0] == '\0')
        abort();
    fclose(in);
    meta_close(m);
    return 0;
}
