/*
 * The options as data: one table from which flags, environment variables, names in a configuration
 * file, --help and the man page are made. Each row names the commands that it belongs to; the
 * others refuse it.
 *
 * Pure but for option_variables(), which reads the environment. Any thread.
 */
#ifndef KISEKI_GATEWAY_APP_OPTIONS_H
#define KISEKI_GATEWAY_APP_OPTIONS_H

#include "base/err.h"
#include "base/str.h"

/* The commands, as bits; gateway/app/commands.h has their table. */
enum command_bit {
    COMMAND_SERVE = 1u << 0,
    COMMAND_STATUS = 1u << 1,
    COMMAND_HEALTH = 1u << 2,
    COMMAND_GC = 1u << 3,
    COMMAND_FSCK = 1u << 4,
    COMMAND_SCRUB = 1u << 5,
    COMMAND_DUMP = 1u << 6,
    COMMAND_LOAD = 1u << 7,
    COMMAND_VERSION = 1u << 8,
    COMMAND_MAN = 1u << 9,
    COMMAND_KEY = 1u << 10,
    COMMAND_CONFIG = 1u << 11,
    COMMAND_ROUTES = 1u << 12,
    COMMAND_MIGRATE = 1u << 13
};

enum option_type {
    OPTION_TEXT,
    OPTION_URL,    /* may hold a password: also from a file */
    OPTION_SECRET, /* environment or file only */
    OPTION_SIZE,   /* bytes, with K, M, G or T (powers of 1,024) */
    OPTION_NUMBER,
    OPTION_DURATION, /* seconds, with s, m, h or d */
    OPTION_FLAG      /* command line only */
};

/* What a running gateway does with a new value of its configuration file at SIGHUP. */
enum option_change {
    OPTION_RESTART, /* says that it needs a restart */
    OPTION_RELOAD   /* takes it (gateway/app/reload.h) */
};

/* ERR_INVALID with what is wrong with the value; `label` is what the user calls the option. */
typedef enum err option_check(const char *label, struct str value);

struct option_row {
    const char *name; /* --name; the variable is KISEKI_NAME */
    enum option_type type;
    size_t offset;        /* of its member of struct config */
    const char *fallback; /* NULL: none */
    const char *value;    /* what --help calls the value */
    const char *help;     /* NULL: shown nowhere, for tests */
    uint64_t min, max;    /* numbers */
    unsigned commands;    /* bits */
    option_check *check;  /* texts; NULL: anything but an empty one */
    enum option_change change;
};

extern const struct option_row option_rows[];
extern const size_t option_count; /* at most OPTIONS_MAX */

#define OPTIONS_MAX 64

#define OPTION_LABEL_MAX  64
#define OPTION_NUMBER_MAX 32

/* KISEKI_STORE_ACCESS_KEY of store-access-key. */
void option_variable(const struct option_row *o, char out[OPTION_LABEL_MAX]);
/* NULL: there is no such option. */
const struct option_row *option_find(struct str name);
/* Whether its value may come from the file that KISEKI_NAME_FILE names. */
bool option_from_file(const struct option_row *o);

/*
 * A number of the row's type, within its limits; ERR_INVALID says what it should be, `label` first.
 */
MUST_USE enum err option_number(const struct option_row *o, const char *label, struct str text,
                                uint64_t *out);
/* With the largest unit that leaves no fraction: "64M", "15s", "0". */
void option_print_number(const struct option_row *o, uint64_t n, char out[OPTION_NUMBER_MAX]);

/*
 * "unknown option --kep-deleted: did you mean --keep-deleted?", or which commands take it.
 * Returns ERR_INVALID.
 */
enum err option_refuse(const char *given, struct str name, unsigned command);
/* The same for a name in a configuration file; row: of a setting that no file may have, or NULL. */
enum err option_refuse_in_file(struct str name, const struct option_row *row);

/*
 * Calls `each` with a line for each variable of the environment that begins with KISEKI_ and is no
 * option's; KISEKI_TEST_* is the tests' and passed over.
 */
void option_variables(void (*each)(const char *line));

#endif
