/*
 * Settings, as the table of options (gateway/app/options.h) has them.
 *
 * A flag wins over the environment, the environment over the default. A secret has no flag (it
 * would show in the list of processes): it comes from its variable, or from the file that the
 * variable's name with _FILE gives, as containers have it (both are refused). An empty variable is
 * not set; an empty flag is refused.
 * Threads: read by main before others start; immutable afterwards.
 */
#ifndef KISEKI_GATEWAY_APP_CONFIG_H
#define KISEKI_GATEWAY_APP_CONFIG_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_DOMAINS_MAX 32

struct config {
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
};

/*
 * Fills *out from argv[first..], the environment and defaults, as far as options belong to the
 * command (one bit of options.h). ERR_INVALID with a line that names the option, or
 * why a file cannot be read (gateway/app/private_file.h); free with
 * config_free() in every case. After --help nothing more is looked at.
 */
MUST_USE enum err config_load(int argc, char **argv, int first, unsigned command,
                              struct config *out);
void config_free(struct config *c);

#endif
