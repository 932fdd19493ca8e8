/* --help and the manual page, from the tables of commands and options. */
#ifndef KISEKI_GATEWAY_APP_HELP_H
#define KISEKI_GATEWAY_APP_HELP_H

#include "gateway/app/commands.h"

#include <stdio.h>

/* The list of commands. */
void help_all(FILE *out);
/* One command: usage, what it does, its options, its variables, exit codes, an example. */
void help_command(const struct command *command, FILE *out);
/* All of it as a page for man(1). */
void help_man(FILE *out);

#endif
