/*
 * The program's commands, one function each: it gets the settings and returns the exit code.
 * Failures are one line on standard error that says what to do. Tools exit with 0 when all is
 * well, 1 when they found something wrong or failed, 2 when they could not begin.
 */
#ifndef KISEKI_GATEWAY_COMMANDS_H
#define KISEKI_GATEWAY_COMMANDS_H

#include "gateway/config.h"

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

#endif
