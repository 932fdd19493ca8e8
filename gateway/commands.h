/*
 * The program's commands, one function each: it gets the settings and returns the exit code.
 * Failures are one line on standard error that says what to do.
 */
#ifndef KISEKI_GATEWAY_COMMANDS_H
#define KISEKI_GATEWAY_COMMANDS_H

#include "gateway/config.h"

int command_serve(const struct config *c);
/* Volume, sessions, counts and bytes; --json. */
int command_status(const struct config *c);
/* 0 when the gateway on this machine answers: for containers. */
int command_health(const struct config *c);

#endif
