/*
 * kiseki dump and kiseki load: metadata to and from a file. A load takes the store over for the
 * new database (fs/marker.h), so that gateways of the old one refuse it.
 */
#include "base/log.h"
#include "base/progress.h"
#include "fs/marker.h"
#include "gateway/app/commands.h"
#include "gateway/app/tool.h"
#include "meta/tools/dump.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void count_row(void *progress)
{
    progress_add(progress, 1, 0);
}

/* A dump holds small objects: for its owner only, and never over a file that is there. */
static FILE *private_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (fd >= 0 && f == NULL)
        close(fd);
    return f;
}

/* FILE, "-" or none: the standard stream. */
static FILE *stream_of(const struct config *c, const char *mode, FILE *standard)
{
    FILE *f = standard;

    if (c->file != NULL && strcmp(c->file, "-") != 0)
        f = mode[0] == 'w' ? private_file(c->file) : fopen(c->file, mode);
    if (f == NULL)
        fprintf(stderr, "kiseki: %s: %m\n", c->file);
    else if (f == stdin && isatty(STDIN_FILENO) == 1)
        fputs("kiseki: reading the dump from standard input\n", stderr);
    return f;
}

static enum err write_dump(const struct config *c, struct meta *m, FILE *out)
{
    struct progress p;
    struct dump_progress rows = {count_row, &p};
    uint64_t total = 0;
    enum err err = dump_count(m, &total);

    if (err != OK)
        return err;
    progress_begin(&p, "rows", total, c->quiet);
    err = dump_write(m, out, &rows);
    progress_end(&p, err);
    return err;
}

/* Nobody means to have a volume on a screen, and what small objects hold could control it. */
static bool would_fill_a_terminal(const struct config *c)
{
    return c->file == NULL && isatty(STDOUT_FILENO) == 1;
}

int command_dump(const struct config *c)
{
    struct volume volume;
    struct meta *meta = NULL;
    FILE *out = NULL;
    enum err err;

    if (would_fill_a_terminal(c)) {
        fputs(
            "kiseki: standard output is a terminal: name a FILE, or \"-\" to write the dump here\n",
            stderr);
        return TOOL_FAILED;
    }
    err = tool_open_meta(c, &volume, &meta);
    if (err == OK) {
        out = stream_of(c, "w", stdout);
        if (out == NULL)
            err = err_set(ERR_IO, "no dump was written");
    }
    if (err == OK)
        err = write_dump(c, meta, out);
    if (out != NULL && out != stdout && fclose(out) != 0 && err == OK)
        err = err_set(ERR_IO, "the dump could not be written: %m");
    if (err != OK && out != NULL && out != stdout)
        (void)unlink(c->file); /* ours, and a part of a dump is of no use */
    meta_close(meta);
    volume_forget(&volume);
    return err == OK ? 0 : tool_fail(err);
}

/* --- loading ---------------------------------------------------------------------------------- */

struct owner {
    struct store *store;
    struct dump_header header;
    int64_t generation;
};

static enum err claim(void *arg, const struct dump_header *h, int64_t *out_generation)
{
    struct owner *o = arg;
    enum err err = marker_next_generation(o->store, h->uuid, h->generation, out_generation);

    o->header = *h;
    o->generation = *out_generation;
    return err;
}

static enum err load_dump(const struct config *c, struct owner *o, struct meta *m, FILE *in)
{
    struct progress p;
    struct dump_progress rows = {count_row, &p};
    enum err err;

    progress_begin(&p, "rows", 0, c->quiet);
    err = dump_load(m, in, claim, o, &rows);
    progress_end(&p, err);
    if (err == OK) /* from here on the database that the dump was made of is refused */
        err = marker_set(o->store, o->header.uuid, o->generation);
    return err;
}

/* The store of the volume that is moved: it is there, and has a marker. */
static enum err open_its_store(struct volume *v, struct store **out)
{
    struct store_options options = v->options.store;
    enum err err;

    options.must_have = MARKER_NAME;
    err = store_open(v->store_url, &options, out);
    return err != ERR_NOT_FOUND
               ? err
               : err_prefix(err, "this is not the store of the volume in the dump (check --store)");
}

int command_load(const struct config *c)
{
    struct volume volume = {0};
    struct meta *meta = NULL;
    struct owner owner = {.store = NULL};
    FILE *in = NULL;
    enum err err = OK;

    log_set_level(LOG_WARN); /* the id that an empty database gets is not the volume's */
    in = stream_of(c, "r", stdin);
    if (in == NULL)
        err = err_set(ERR_IO, "nothing was loaded");
    if (err == OK)
        err = volume_prepare(c, false, &volume);
    if (err == OK) /* before tables are made */
        err = open_its_store(&volume, &owner.store);
    if (err == OK)
        err = meta_open(&volume.options.meta, &meta);
    if (err == OK)
        err = load_dump(c, &owner, meta, in);
    if (err == OK)
        printf("loaded volume %s, generation %lld\n", owner.header.uuid,
               (long long)owner.generation);
    store_close(owner.store);
    if (in != NULL && in != stdin)
        fclose(in);
    meta_close(meta);
    volume_forget(&volume);
    return err == OK ? 0 : tool_fail(err);
}
