/*
 * The program's commands: a table with what --help and the man page say of each, and one function
 * each that gets the settings and returns the exit code.
 *
 * Failures are one line on standard error that says what to do. Tools exit with 0 when all is
 * well, 1 when they found something wrong or failed, 2 when they could not begin.
 */
#ifndef KISEKI_GATEWAY_APP_COMMANDS_H
#define KISEKI_GATEWAY_APP_COMMANDS_H

#include "gateway/app/config.h"

#include <stddef.h>

struct command {
    const char *name;
    unsigned bit; /* of options.h */
    int (*run)(const struct config *c);
    const char *argument; /* as usage shows it, [FILE]; NULL: it takes none */
    const char *summary;  /* a line of the list */
    const char *text;     /* a paragraph, lines of at most 90 columns */
    const char *exits;    /* its exit codes, a line */
    const char *example;  /* lines to paste */
};

extern const struct command command_rows[];
extern const size_t command_count;

/* NULL: there is none. */
const struct command *command_find(const char *name);
/* Its name by its bit. */
const char *command_name(unsigned bit);

int command_serve(const struct config *c);
/* Volume, sessions, counts and bytes; --json. */
int command_status(const struct config *c);
/* 0 when the gateway on this machine answers: for containers. */
int command_health(const struct config *c);

/* What may be freed; --apply frees it, --wait waits for second deletions. */
int command_gc(const struct config *c);
/* Is the volume whole? 1 when something was found; --check-store, --repair. */
int command_fsck(const struct config *c);
/* Reads all slices and checks them; 1 when something was found. */
int command_scrub(const struct config *c);
/* Metadata to a file, or standard output; and from it into an empty database. */
int command_dump(const struct config *c);
int command_load(const struct config *c);

/* An older schema becomes that of this program. */
int command_migrate(const struct config *c);

/* Access keys: list, create NAME, disable, enable and remove KEY; --json. */
int command_key(const struct config *c);

/* The settings in force and where each comes from; --json. */
int command_config(const struct config *c);
/* The routing table: what S3 operations there are, and what each needs; --json. */
int command_routes(const struct config *c);

int command_version(const struct config *c);
/* The manual page, of the same tables (gateway/app/help.h). */
int command_man(const struct config *c);

#endif
