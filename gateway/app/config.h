/*
 * Settings, as the table of options (gateway/app/options.h) has them.
 *
 *     flag  >  variable  >  configuration file  >  default
 *
 * The first place that gives a setting decides. The file (gateway/app/config_file.h) is the one
 * that --config or KISEKI_CONFIG names; all of it is checked, whichever command reads it, and it
 * may hold every option that takes a value, by its name without the dashes. A secret has no flag
 * (it would show in the list of processes): it comes from its variable, from the file that the
 * variable's name with _FILE gives, as containers have it (both are refused), or from the
 * configuration file, as `secret-key` or as `secret-key-file`. A configuration file that holds
 * secrets must be its owner's alone (mode 0600). An empty variable is not set; an empty flag or
 * value in the file is refused.
 * Threads: loaded by main; immutable afterwards.
 */
#ifndef KISEKI_GATEWAY_APP_CONFIG_H
#define KISEKI_GATEWAY_APP_CONFIG_H

#include "base/err.h"
#include "gateway/app/options.h"

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_DOMAINS_MAX 32

/* Where a setting comes from: a later one wins. */
enum config_source {
    CONFIG_UNSET,
    CONFIG_DEFAULT,
    CONFIG_FILE,
    CONFIG_VARIABLE,
    CONFIG_FLAG,
    CONFIG_SOURCES
};

struct config_origin {
    enum config_source source;
    unsigned line;   /* of the configuration file */
    bool is_in_file; /* the value is what a file holds that NAME_FILE or NAME-file names */
};

struct config {
    char *config; /* the configuration file's path; NULL: there is none */
    char *listen, *metrics_listen, *region, *domain;
    char *tls_cert, *tls_key;
    char *log_level, *log_format;
    char *data, *meta, *meta_password, *store, *store_ca;
    char *store_access_key, *store_secret_key;
    char *access_key, *secret_key, *master_key;
    char *test_users;
    char *cache_dir;
    uint64_t cache_size, memory_size, inline_size;
    uint64_t workers, io_threads, http_threads, connections, meta_connections;
    uint64_t lease_s, keep_deleted_s, stop_delay_s, stop_timeout_s, store_timeout_s;
    bool json; /* commands that print: as JSON */
    /* of tools */
    bool apply, wait, repair, check_store, quiet;
    uint64_t rate;
    char *file; /* the argument that is no option, NULL: none */
    char *name; /* of the command key: the argument after it */
    bool help;

    struct config_origin origins[OPTIONS_MAX]; /* as option_rows has them */
    /* What it was loaded from, borrowed: for config_reload(). */
    int argc, first;
    char **argv;
    unsigned command;
};

/*
 * Fills *out from argv[first..], the environment, the configuration file and defaults, as far as
 * options belong to the command (one bit of options.h). argv must outlive *out. ERR_INVALID with a
 * line that names the option, or file and line; or why a file cannot be read
 * (gateway/app/private_file.h); ERR_DENIED: others may read a file that holds secrets. Free with
 * config_free() in every case. After --help nothing more is looked at. Blocks on the disk.
 */
MUST_USE enum err config_load(int argc, char **argv, int first, unsigned command,
                              struct config *out);
/* The same once more: what files hold may have changed. */
MUST_USE enum err config_reload(const struct config *c, struct config *out);
void config_free(struct config *c);

#endif
