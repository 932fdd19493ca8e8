#include "gateway/app/options.h"

#include "base/log.h"
#include "gateway/app/commands.h"
#include "gateway/app/config.h"
#include "gateway/app/suggest.h"
#include "gateway/http/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/* --- what a text may be ----------------------------------------------------------------------- */

static bool all_of(struct str s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) &&
            (c == '\0' || strchr(more, c) == NULL))
            return false;
    }
    return true;
}

static enum err check_address(const char *label, struct str s)
{
    struct http_address a;

    return http_address_parse(s, &a) == OK ? OK : err_prefix(ERR_INVALID, "%s", label);
}

static enum err check_region(const char *label, struct str s)
{
    return s.len <= 63 && all_of(s, "-_") ? OK
                                          : err_set(ERR_INVALID,
                                                    "%s: \"" STR_FMT "\" is no region's name "
                                                    "(up to 63 letters, digits, '-' and '_')",
                                                    label, STR_ARG(s));
}

static bool is_domain(struct str s)
{
    struct str rest = s, name;
    size_t names = 0;

    if (s.len > 253 || str_ends(s, STR(".")) || !all_of(s, "-."))
        return false;
    for (; str_split(&rest, '.', &name); names++)
        if (name.len == 0 || name.len > 63 || name.ptr[0] == '-' || name.ptr[name.len - 1] == '-')
            return false;
    return names > 0;
}

static enum err check_domains(const char *label, struct str s)
{
    struct str rest = s, domain;
    size_t count = 0;

    for (; str_split(&rest, ',', &domain); count++)
        if (!is_domain(str_trim(domain)))
            return err_set(ERR_INVALID,
                           "%s: \"" STR_FMT "\" is no domain (NAME[,NAME...], such as "
                           "s3.example.org)",
                           label, STR_ARG(str_trim(domain)));
    if (str_ends(s, STR(",")))
        return err_set(ERR_INVALID, "%s: \"" STR_FMT "\" ends with a comma", label, STR_ARG(s));
    if (count > CONFIG_DOMAINS_MAX)
        return err_set(ERR_INVALID, "%s: %zu domains are more than %d", label, count,
                       CONFIG_DOMAINS_MAX);
    return OK;
}

static enum err check_level(const char *label, struct str s)
{
    enum log_level level;

    return log_level_parse(s, &level) == OK
               ? OK
               : err_set(ERR_INVALID, "%s: \"" STR_FMT "\" is not debug, info, warn or error",
                         label, STR_ARG(s));
}

static enum err check_format(const char *label, struct str s)
{
    return str_eq(s, STR("text")) || str_eq(s, STR("json"))
               ? OK
               : err_set(ERR_INVALID, "%s: \"" STR_FMT "\" is not text or json", label, STR_ARG(s));
}

/* --- the table -------------------------------------------------------------------------------- */

#define AT(member) offsetof(struct config, member)

#define SERVE  (COMMAND_SERVE | COMMAND_CONFIG)
#define STATUS COMMAND_STATUS
#define HEALTH COMMAND_HEALTH
#define GC     COMMAND_GC
#define FSCK   COMMAND_FSCK
#define SCRUB  COMMAND_SCRUB
#define DUMP   COMMAND_DUMP
#define LOAD   COMMAND_LOAD
#define FILES  (GC | FSCK | SCRUB) /* tools that read or delete slices */
#define VOLUME (SERVE | STATUS | FILES | DUMP | LOAD | COMMAND_KEY | COMMAND_MIGRATE)
#define ANY    (VOLUME | HEALTH)
#define ALL    (~0u)

/* clang-format off */
const struct option_row option_rows[] = {
    {"config", OPTION_TEXT, AT(config), NULL, "FILE", "configuration file: a line NAME = VALUE for each setting", 0, 0, ANY, NULL, OPTION_RESTART},
    {"listen", OPTION_TEXT, AT(listen), "127.0.0.1:9000", "HOST:PORT", "address that serves S3", 0, 0, SERVE | HEALTH, check_address, OPTION_RESTART},
    {"metrics-listen", OPTION_TEXT, AT(metrics_listen), NULL, "HOST:PORT", "address that serves /metrics (Prometheus), /live and /ready", 0, 0, SERVE | HEALTH, check_address, OPTION_RESTART},
    {"region", OPTION_TEXT, AT(region), "us-east-1", "NAME", "the region that buckets report", 0, 0, SERVE, check_region, OPTION_RESTART},
    {"domain", OPTION_TEXT, AT(domain), NULL, "NAME[,NAME]", "domains for virtual-host requests (BUCKET.NAME)", 0, 0, SERVE, check_domains, OPTION_RESTART},
    {"tls-cert", OPTION_TEXT, AT(tls_cert), NULL, "FILE", "certificate chain (PEM): serve https; reloaded on SIGHUP", 0, 0, SERVE | HEALTH, NULL, OPTION_RELOAD},
    {"tls-key", OPTION_TEXT, AT(tls_key), NULL, "FILE", "its private key (PEM)", 0, 0, SERVE | HEALTH, NULL, OPTION_RELOAD},
    {"data", OPTION_TEXT, AT(data), "data", "FOLDER", "folder for everything, without --meta and --store", 0, 0, VOLUME, NULL, OPTION_RESTART},
    {"meta", OPTION_URL, AT(meta), NULL, "URL", "metadata: sqlite:PATH or postgres://... [sqlite:DATA/meta.db]", 0, 0, VOLUME, NULL, OPTION_RESTART},
    {"meta-password", OPTION_SECRET, AT(meta_password), NULL, "TEXT", "PostgreSQL's password, when it is not in the URL", 0, 0, VOLUME, NULL, OPTION_RESTART},
    {"meta-connections", OPTION_NUMBER, AT(meta_connections), "4", "N", "connections to PostgreSQL", 1, 64, VOLUME, NULL, OPTION_RESTART},
    {"store", OPTION_TEXT, AT(store), NULL, "URL", "slices: dir:PATH or s3://BUCKET[/PREFIX]?endpoint=URL&region=R [dir:DATA/store]", 0, 0, VOLUME, NULL, OPTION_RESTART},
    {"store-timeout", OPTION_DURATION, AT(store_timeout_s), "60s", "TIME", "time limit of a request to the store, retries included", 1, 3600, VOLUME, NULL, OPTION_RESTART},
    {"store-ca", OPTION_TEXT, AT(store_ca), NULL, "FILE", "CA certificates (PEM) for an https store", 0, 0, VOLUME, NULL, OPTION_RESTART},
    {"store-access-key", OPTION_SECRET, AT(store_access_key), NULL, "KEY", "access key for an S3 store", 0, 0, VOLUME, NULL, OPTION_RESTART},
    {"store-secret-key", OPTION_SECRET, AT(store_secret_key), NULL, "KEY", "secret key for an S3 store", 0, 0, VOLUME, NULL, OPTION_RESTART},
    {"access-key", OPTION_SECRET, AT(access_key), NULL, "KEY", "the root user's access key", 0, 0, SERVE, NULL, OPTION_RELOAD},
    {"secret-key", OPTION_SECRET, AT(secret_key), NULL, "KEY", "the root user's secret key", 0, 0, SERVE, NULL, OPTION_RELOAD},
    {"master-key", OPTION_SECRET, AT(master_key), NULL, "KEY", "64 hex digits; encrypts secrets in the database", 0, 0, VOLUME, NULL, OPTION_RESTART},
    {"test-users", OPTION_SECRET, AT(test_users), NULL, "LIST", NULL, 0, 0, SERVE, NULL, OPTION_RESTART},
    {"memory-size", OPTION_SIZE, AT(memory_size), "128M", "SIZE", "memory for transfers, the read cache and large requests", 16 << 20, 1ull << 42, SERVE | FILES, NULL, OPTION_RESTART},
    {"cache-dir", OPTION_TEXT, AT(cache_dir), NULL, "FOLDER", "disk cache for slices of a remote store", 0, 0, SERVE, NULL, OPTION_RESTART},
    {"cache-size", OPTION_SIZE, AT(cache_size), "10G", "SIZE", "maximum size of the disk cache", 0, 1ull << 50, SERVE, NULL, OPTION_RESTART},
    {"inline-size", OPTION_SIZE, AT(inline_size), "64K", "SIZE", "objects up to this size are kept in the database", 0, 1 << 20, SERVE, NULL, OPTION_RESTART},
    {"workers", OPTION_NUMBER, AT(workers), "64", "N", "threads for requests that use the database; half as many more for the store, a quarter as many for long work", 1, 4096, SERVE, NULL, OPTION_RESTART},
    {"io-threads", OPTION_NUMBER, AT(io_threads), "16", "N", "concurrent requests to the store", 1, 1024, SERVE | FILES, NULL, OPTION_RESTART},
    {"http-threads", OPTION_NUMBER, AT(http_threads), "2", "N", "network threads", 1, 256, SERVE, NULL, OPTION_RESTART},
    {"connections", OPTION_NUMBER, AT(connections), "10000", "N", "maximum of open client connections", 1, 1000000, SERVE, NULL, OPTION_RELOAD},
    {"lease", OPTION_DURATION, AT(lease_s), "15s", "TIME", "time without a heartbeat after which others consider this gateway dead", 1, 3600, SERVE, NULL, OPTION_RESTART},
    {"keep-deleted", OPTION_DURATION, AT(keep_deleted_s), "0", "TIME", "keep deleted slices this long, so that a database backup stays restorable", 0, 3650 * 86400, SERVE | FILES, NULL, OPTION_RESTART},
    {"stop-delay", OPTION_DURATION, AT(stop_delay_s), "0", "TIME", "after SIGTERM, keep serving this long while /ready answers 503", 0, 600, SERVE, NULL, OPTION_RELOAD},
    {"stop-timeout", OPTION_DURATION, AT(stop_timeout_s), "30s", "TIME", "time for running requests to finish after SIGTERM", 0, 3600, SERVE, NULL, OPTION_RELOAD},
    {"log-level", OPTION_TEXT, AT(log_level), "info", "LEVEL", "debug, info, warn or error", 0, 0, SERVE, check_level, OPTION_RELOAD},
    {"log-format", OPTION_TEXT, AT(log_format), "text", "FORMAT", "text or json", 0, 0, SERVE, check_format, OPTION_RELOAD},
    {"json", OPTION_FLAG, AT(json), NULL, NULL, "print JSON", 0, 0, STATUS | GC | COMMAND_KEY | COMMAND_CONFIG | COMMAND_ROUTES, NULL, OPTION_RESTART},
    {"apply", OPTION_FLAG, AT(apply), NULL, NULL, "free it, instead of only reporting it", 0, 0, GC, NULL, OPTION_RESTART},
    {"wait", OPTION_FLAG, AT(wait), NULL, NULL, "with --apply: wait for second deletions, too", 0, 0, GC, NULL, OPTION_RESTART},
    {"repair", OPTION_FLAG, AT(repair), NULL, NULL, "repair what is certain; gateways must be stopped", 0, 0, FSCK, NULL, OPTION_RESTART},
    {"check-store", OPTION_FLAG, AT(check_store), NULL, NULL, "check the slices in the store, too", 0, 0, FSCK, NULL, OPTION_RESTART},
    {"rate", OPTION_SIZE, AT(rate), "100M", "SIZE", "bytes to read per second; 0: no limit", 0, 1ull << 50, SCRUB | COMMAND_CONFIG, NULL, OPTION_RESTART},
    {"quiet", OPTION_FLAG, AT(quiet), NULL, NULL, "show no progress", 0, 0, FILES | DUMP | LOAD | COMMAND_MIGRATE, NULL, OPTION_RESTART},
    {"help", OPTION_FLAG, AT(help), NULL, NULL, "this page", 0, 0, ALL, NULL, OPTION_RESTART},
};
/* clang-format on */
const size_t option_count = sizeof(option_rows) / sizeof(option_rows[0]);
_Static_assert(sizeof(option_rows) / sizeof(option_rows[0]) <= OPTIONS_MAX, "struct config");

/* --- names ------------------------------------------------------------------------------------ */

void option_variable(const struct option_row *o, char out[OPTION_LABEL_MAX])
{
    size_t n = (size_t)snprintf(out, OPTION_LABEL_MAX, "KISEKI_%s", o->name);

    for (size_t i = 0; i < n && i < OPTION_LABEL_MAX - 1; i++)
        if (out[i] == '-')
            out[i] = '_';
        else if (out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 'a' + 'A');
}

const struct option_row *option_find(struct str name)
{
    for (size_t i = 0; i < option_count; i++)
        if (str_eq(name, str_of(option_rows[i].name)))
            return &option_rows[i];
    return NULL;
}

bool option_from_file(const struct option_row *o)
{
    return o->type == OPTION_SECRET || o->type == OPTION_URL;
}

/* "gc", "status and gc", "gc, fsck and scrub" */
static void print_commands(unsigned commands, char *out, size_t size)
{
    size_t at = 0, left = (size_t)__builtin_popcount(commands);

    out[0] = '\0';
    for (size_t i = 0; i < command_count && at < size; i++) {
        if ((commands & command_rows[i].bit) == 0)
            continue;
        left--;
        at += (size_t)snprintf(out + at, size - at, "%s%s", command_rows[i].name,
                               left > 1    ? ", "
                               : left == 1 ? " and "
                                           : "");
    }
}

enum err option_refuse(const char *given, struct str name, unsigned bit)
{
    const char *command = command_name(bit);
    const struct option_row *o = option_find(name);
    struct suggest s;
    char whose[160];

    if (o != NULL) {
        print_commands(o->commands, whose, sizeof(whose));
        return err_set(ERR_INVALID, "%s takes no --%s, which is an option of %s (kiseki %s --help)",
                       command, o->name, whose, command);
    }
    suggest_begin(&s, name);
    for (size_t i = 0; i < option_count; i++)
        if ((option_rows[i].commands & bit) != 0 && option_rows[i].type != OPTION_SECRET)
            suggest_offer(&s, option_rows[i].name);
    if (s.best[0] != '\0')
        return err_set(ERR_INVALID, "unknown option %s: did you mean --%s? (kiseki %s --help)",
                       given, s.best, command);
    return err_set(ERR_INVALID, "unknown option %s (kiseki %s --help lists them)", given, command);
}

static bool is_variables_name(struct str name, const struct option_row *o)
{
    char variable[OPTION_LABEL_MAX];

    option_variable(o, variable);
    return str_eq(name, str_of(variable));
}

enum err option_refuse_in_file(struct str name, const struct option_row *row)
{
    struct suggest s;
    int len = (int)(name.len < 100 ? name.len : 100);

    if (row != NULL && row->type == OPTION_FLAG)
        return err_set(ERR_INVALID, "%s is for the command line only", row->name);
    if (row != NULL)
        return err_set(ERR_INVALID, "%s has no place in a configuration file", row->name);
    suggest_begin(&s, name);
    for (size_t i = 0; i < option_count; i++) {
        if (is_variables_name(name, &option_rows[i]))
            return err_set(ERR_INVALID, "write %s: names in a file are those of the flags",
                           option_rows[i].name);
        if (option_rows[i].type != OPTION_FLAG)
            suggest_offer(&s, option_rows[i].name);
    }
    if (s.best[0] != '\0')
        return err_set(ERR_INVALID, "unknown setting %.*s: did you mean %s?", len, name.ptr,
                       s.best);
    return err_set(ERR_INVALID, "unknown setting %.*s (kiseki config lists them)", len, name.ptr);
}

/* --- variables -------------------------------------------------------------------------------- */

static bool is_variable(const struct option_row *o, struct str name, struct suggest *s)
{
    char known[OPTION_LABEL_MAX + 8];
    size_t len;

    if (o->type == OPTION_FLAG)
        return false;
    option_variable(o, known);
    if (str_eq(name, str_of(known)))
        return true;
    suggest_offer(s, known);
    if (!option_from_file(o))
        return false;
    len = strlen(known);
    snprintf(known + len, sizeof(known) - len, "_FILE");
    suggest_offer(s, known);
    return str_eq(name, str_of(known));
}

static void look_at_variable(struct str name, void (*each)(const char *line))
{
    struct suggest s;
    char line[256];
    bool known = false;

    suggest_begin(&s, name);
    for (size_t i = 0; i < option_count && !known; i++)
        known = is_variable(&option_rows[i], name, &s);
    if (known)
        return;
    if (s.best[0] != '\0')
        snprintf(line, sizeof(line), "the variable %.*s is no setting: did you mean %s?",
                 (int)(name.len < 100 ? name.len : 100), name.ptr, s.best);
    else
        snprintf(line, sizeof(line), "the variable %.*s is no setting, and is ignored",
                 (int)(name.len < 100 ? name.len : 100), name.ptr);
    each(line);
}

void option_variables(void (*each)(const char *line))
{
    for (char **at = environ; at != NULL && *at != NULL; at++) {
        struct str name = str_sub(str_of(*at), 0, str_find(str_of(*at), '='));

        if (str_starts(name, STR("KISEKI_")) && !str_starts(name, STR("KISEKI_TEST_")))
            look_at_variable(name, each);
    }
}

/* --- numbers ---------------------------------------------------------------------------------- */

static const struct unit {
    char letter;
    uint64_t factor;
} sizes[] = {{'T', 1ull << 40}, {'G', 1 << 30}, {'M', 1 << 20}, {'K', 1 << 10}, {'\0', 1}},
  times[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}, {'\0', 1}};

static const struct unit *units_of(const struct option_row *o)
{
    static const struct unit none = {'\0', 1};

    return o->type == OPTION_SIZE ? sizes : o->type == OPTION_DURATION ? times : &none;
}

void option_print_number(const struct option_row *o, uint64_t n, char out[OPTION_NUMBER_MAX])
{
    const struct unit *u = units_of(o);

    while (u->letter != '\0' && (n == 0 || n % u->factor != 0))
        u++;
    snprintf(out, OPTION_NUMBER_MAX, "%llu%c", (unsigned long long)(n / u->factor), u->letter);
}

enum err option_number(const struct option_row *o, const char *label, struct str text,
                       uint64_t *out)
{
    struct str digits = text;
    const struct unit *u = units_of(o);
    char low[OPTION_NUMBER_MAX], high[OPTION_NUMBER_MAX];
    uint64_t value;

    while (u->letter != '\0' && (text.len == 0 || text.ptr[text.len - 1] != u->letter))
        u++;
    digits.len -= u->letter != '\0' ? 1 : 0;
    if (str_to_u64(digits, &value) != OK)
        return err_set(ERR_INVALID, "%s: \"" STR_FMT "\" is not a whole number%s", label,
                       STR_ARG(text),
                       o->type == OPTION_SIZE       ? " of bytes, or of K, M, G or T, such as 512M"
                       : o->type == OPTION_DURATION ? " of seconds, or 15s, 10m, 2h, 7d"
                                                    : "");
    option_print_number(o, o->min, low);
    option_print_number(o, o->max, high);
    if (value > UINT64_MAX / u->factor || value * u->factor < o->min || value * u->factor > o->max)
        return err_set(ERR_INVALID, "%s: " STR_FMT " is out of range (%s to %s)", label,
                       STR_ARG(text), low, high);
    *out = value * u->factor;
    return OK;
}
