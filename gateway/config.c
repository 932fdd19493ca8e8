#include "gateway/config.h"

#include "base/buf.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRET_MAX ((size_t)4096)

enum option_type {
    OPTION_TEXT,
    OPTION_URL,    /* may hold a password: also from a file */
    OPTION_SECRET, /* environment or file only */
    OPTION_SIZE,   /* bytes, with K, M, G or T (powers of 1,024) */
    OPTION_NUMBER,
    OPTION_DURATION, /* seconds, with s, m, h or d */
    OPTION_FLAG
};

struct option_row {
    const char *name; /* --name; the variable is KISEKI_NAME */
    enum option_type type;
    size_t offset;
    const char *fallback; /* NULL: none */
    const char *value;    /* what --help calls the value */
    const char *help;
    uint64_t min, max; /* numbers */
};

#define AT(member) offsetof(struct config, member)

/* clang-format off */
static const struct option_row options[] = {
    {"listen", OPTION_TEXT, AT(listen), "127.0.0.1:9000", "HOST:PORT", "where S3 is served", 0, 0},
    {"metrics-listen", OPTION_TEXT, AT(metrics_listen), NULL, "HOST:PORT", "serve /metrics (Prometheus), /live and /ready here", 0, 0},
    {"region", OPTION_TEXT, AT(region), "us-east-1", "NAME", "the region that buckets report", 0, 0},
    {"domain", OPTION_TEXT, AT(domain), NULL, "NAME[,NAME]", "domains for virtual-host requests (BUCKET.NAME)", 0, 0},
    {"tls-cert", OPTION_TEXT, AT(tls_cert), NULL, "FILE", "certificate chain (PEM): serve https; read again on SIGHUP", 0, 0},
    {"tls-key", OPTION_TEXT, AT(tls_key), NULL, "FILE", "its private key (PEM)", 0, 0},
    {"data", OPTION_TEXT, AT(data), "data", "FOLDER", "where the embedded default keeps everything", 0, 0},
    {"meta", OPTION_URL, AT(meta), NULL, "URL", "metadata: sqlite:PATH or postgres://... [sqlite:DATA/meta.db]", 0, 0},
    {"meta-connections", OPTION_NUMBER, AT(meta_connections), "4", "N", "connections to PostgreSQL", 1, 64},
    {"store", OPTION_TEXT, AT(store), NULL, "URL", "slices: dir:PATH or s3://BUCKET[/PREFIX]?endpoint=URL&region=R [dir:DATA/store]", 0, 0},
    {"store-timeout", OPTION_DURATION, AT(store_timeout_s), "60s", "TIME", "give up a call of the store after so long, with all its retries", 1, 3600},
    {"store-ca", OPTION_TEXT, AT(store_ca), NULL, "FILE", "certificates to trust for an https store", 0, 0},
    {"store-access-key", OPTION_SECRET, AT(store_access_key), NULL, "KEY", "access key for an S3 store", 0, 0},
    {"store-secret-key", OPTION_SECRET, AT(store_secret_key), NULL, "KEY", "secret key for an S3 store", 0, 0},
    {"access-key", OPTION_SECRET, AT(access_key), NULL, "KEY", "the root user's access key", 0, 0},
    {"secret-key", OPTION_SECRET, AT(secret_key), NULL, "KEY", "the root user's secret key", 0, 0},
    {"master-key", OPTION_SECRET, AT(master_key), NULL, "KEY", "64 hex digits that seal secrets in the database", 0, 0},
    {"test-users", OPTION_SECRET, AT(test_users), NULL, "LIST", "more users, NAME:ACCESS:SECRET[,...]", 0, 0},
    {"memory-size", OPTION_SIZE, AT(memory_size), "128M", "SIZE", "memory for transfers and the read cache", 16 << 20, 1ull << 42},
    {"cache-dir", OPTION_TEXT, AT(cache_dir), NULL, "FOLDER", "disk cache for slices of a remote store", 0, 0},
    {"cache-size", OPTION_SIZE, AT(cache_size), "10G", "SIZE", "the most that the disk cache takes", 0, 1ull << 50},
    {"inline-size", OPTION_SIZE, AT(inline_size), "64K", "SIZE", "objects up to this size are kept in the database", 0, 1 << 20},
    {"workers", OPTION_NUMBER, AT(workers), "64", "N", "requests that may wait for the database at once; half as many more for the store", 1, 4096},
    {"io-threads", OPTION_NUMBER, AT(io_threads), "16", "N", "requests to the store at once", 1, 1024},
    {"http-threads", OPTION_NUMBER, AT(http_threads), "2", "N", "threads that move bytes", 1, 256},
    {"connections", OPTION_NUMBER, AT(connections), "10000", "N", "client connections at once", 1, 1000000},
    {"lease", OPTION_DURATION, AT(lease_s), "15s", "TIME", "after this silence others take a gateway for dead", 1, 3600},
    {"keep-deleted", OPTION_DURATION, AT(keep_deleted_s), "0", "TIME", "keep dead slices, so that a database backup stays restorable", 0, 3650 * 86400},
    {"stop-timeout", OPTION_DURATION, AT(stop_timeout_s), "30s", "TIME", "finish running requests for so long on SIGTERM", 0, 3600},
    {"log-level", OPTION_TEXT, AT(log_level), "info", "LEVEL", "debug, info, warn or error", 0, 0},
    {"log-format", OPTION_TEXT, AT(log_format), "text", "FORMAT", "text or json", 0, 0},
    {"json", OPTION_FLAG, AT(json), NULL, NULL, "print JSON (status, gc)", 0, 0},
    {"apply", OPTION_FLAG, AT(apply), NULL, NULL, "gc: free it, instead of saying what would be freed", 0, 0},
    {"wait", OPTION_FLAG, AT(wait), NULL, NULL, "gc --apply: wait for second deletions, too", 0, 0},
    {"repair", OPTION_FLAG, AT(repair), NULL, NULL, "fsck: set right what is certain; wants gateways stopped", 0, 0},
    {"check-store", OPTION_FLAG, AT(check_store), NULL, NULL, "fsck: look at the slices in the store, too", 0, 0},
    {"rate", OPTION_SIZE, AT(rate), "100M", "SIZE", "scrub: read so much a second, 0 for as much as can be", 0, 1ull << 50},
    {"quiet", OPTION_FLAG, AT(quiet), NULL, NULL, "tools: show no progress", 0, 0},
    {"help", OPTION_FLAG, AT(help), NULL, NULL, "this list", 0, 0},
};
/* clang-format on */
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

static void *place(struct config *c, const struct option_row *o)
{
    return (char *)c + o->offset;
}

static bool is_text(const struct option_row *o)
{
    return o->type == OPTION_TEXT || o->type == OPTION_URL || o->type == OPTION_SECRET;
}

/* KISEKI_STORE_ACCESS_KEY of store-access-key. */
static void variable_name(const struct option_row *o, char out[64])
{
    size_t n = (size_t)snprintf(out, 64, "KISEKI_%s", o->name);

    for (size_t i = 0; i < n && i < 63; i++) {
        if (out[i] == '-')
            out[i] = '_';
        else if (out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 'a' + 'A');
    }
}

static const char *option_label(const struct option_row *o, char label[64])
{
    if (o->type == OPTION_SECRET)
        variable_name(o, label);
    else
        snprintf(label, 64, "--%s", o->name);
    return label;
}

static uint64_t unit_factor(const struct option_row *o, char unit)
{
    static const char sizes[] = "KMGT", times[] = "smhd";
    static const uint64_t seconds[] = {1, 60, 3600, 86400};
    const char *found = strchr(o->type == OPTION_SIZE ? sizes : times, unit);

    if (found == NULL || unit == '\0')
        return 0;
    return o->type == OPTION_SIZE ? 1ull << (10 * (found - sizes + 1)) : seconds[found - times];
}

static enum err set_number(struct config *c, const struct option_row *o, const char *text)
{
    struct str digits = str_of(text);
    uint64_t factor = 1, value, *out = place(c, o);
    char label[64];

    if (o->type != OPTION_NUMBER && digits.len > 0) {
        uint64_t unit = unit_factor(o, digits.ptr[digits.len - 1]);

        factor = unit > 0 ? unit : 1;
        digits.len -= unit > 0 ? 1 : 0;
    }
    if (str_to_u64(digits, &value) != OK || value > UINT64_MAX / factor)
        return err_set(ERR_INVALID, "%s: \"%s\" is not a number%s", option_label(o, label), text,
                       o->type == OPTION_SIZE       ? " of bytes such as 64K, 512M or 10G"
                       : o->type == OPTION_DURATION ? " of seconds, or 15s, 10m, 2h, 7d"
                                                    : "");
    *out = value * factor;
    if (*out < o->min || *out > o->max)
        return err_set(ERR_INVALID, "%s: %s is out of range (%llu to %llu)", option_label(o, label),
                       text, (unsigned long long)o->min, (unsigned long long)o->max);
    return OK;
}

static enum err set_option(struct config *c, const struct option_row *o, const char *text)
{
    char **out = place(c, o);

    if (o->type == OPTION_FLAG) {
        *(bool *)place(c, o) = true;
        return OK;
    }
    if (!is_text(o))
        return set_number(c, o, text);
    free(*out);
    *out = strdup(text);
    return *out != NULL ? OK : err_set(ERR_NOMEM, "out of memory");
}

/* The file's bytes without the line end that editors add. */
static enum err set_from_file(struct config *c, const struct option_row *o, const char *path)
{
    char text[SECRET_MAX + 1];
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        n = read(fd, text, SECRET_MAX);
        close(fd);
    }
    if (n < 0)
        return err_set(ERR_INVALID, "can not read %s: %m", path);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    text[n] = '\0';
    return set_option(c, o, text);
}

static enum err load_environment(struct config *c, const struct option_row *o)
{
    char name[64], file_name[72];
    const char *value, *path;

    variable_name(o, name);
    snprintf(file_name, sizeof(file_name), "%s_FILE", name);
    value = getenv(name);
    path = getenv(file_name);
    if (o->type == OPTION_FLAG)
        return OK;
    if (value != NULL && value[0] != '\0')
        return set_option(c, o, value);
    if ((o->type == OPTION_SECRET || o->type == OPTION_URL) && path != NULL && path[0] != '\0')
        return set_from_file(c, o, path);
    return o->fallback != NULL ? set_option(c, o, o->fallback) : OK;
}

static const struct option_row *find_option(struct str name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (str_eq(name, str_of(options[i].name)))
            return &options[i];
    }
    return NULL;
}

/* `--name=value`, `--name value` or `--flag`; *at moves past what was taken. */
static enum err load_flag(struct config *c, int argc, char **argv, int *at)
{
    const char *text = argv[(*at)++], *value = NULL;
    const struct option_row *o = NULL;
    struct str name = STR_NONE;

    if (strncmp(text, "--", 2) == 0) {
        size_t end;

        name = str_of(text + 2);
        end = str_find(name, '=');
        value = end < name.len ? name.ptr + end + 1 : NULL;
        name.len = end;
        o = find_option(name);
    } else if (strcmp(text, "-h") == 0) {
        o = find_option(STR("help"));
    }
    if (o == NULL && (text[0] != '-' || text[1] == '\0') && c->file == NULL) {
        c->file = strdup(text);
        return c->file != NULL ? OK : err_set(ERR_NOMEM, "out of memory");
    }
    if (o == NULL)
        return err_set(ERR_INVALID, "unknown option %s (kiseki --help lists them)", text);
    if (o->type == OPTION_SECRET) {
        char variable[64];

        variable_name(o, variable);
        return err_set(ERR_INVALID, "--%s would show in the list of processes: set %s or %s_FILE",
                       o->name, variable, variable);
    }
    if (o->type != OPTION_FLAG && value == NULL) {
        if (*at >= argc)
            return err_set(ERR_INVALID, "--%s needs a value", o->name);
        value = argv[(*at)++];
    }
    return set_option(c, o, value);
}

enum err config_load(int argc, char **argv, int first, struct config *out)
{
    enum err err = OK;
    int at = first;

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; err == OK && i < OPTION_COUNT; i++)
        err = load_environment(out, &options[i]);
    while (err == OK && at < argc)
        err = load_flag(out, argc, argv, &at);
    return err;
}

void config_free(struct config *c)
{
    free(c->file);
    c->file = NULL;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char **text = place(c, &options[i]);

        if (!is_text(&options[i]))
            continue;
        if (*text != NULL && options[i].type == OPTION_SECRET)
            explicit_bzero(*text, strlen(*text));
        free(*text);
        *text = NULL;
    }
}

void config_help(FILE *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *o = &options[i];
        char left[96], variable[64];

        if (o->type == OPTION_SECRET)
            continue;
        variable_name(o, variable);
        snprintf(left, sizeof(left), "--%s %s", o->name, o->value != NULL ? o->value : "");
        fprintf(out, "  %-28s %s", left, o->help);
        fprintf(out, o->fallback != NULL ? " [%s]\n" : "\n", o->fallback);
    }
    fputs("\nEach is also an environment variable: --cache-dir is KISEKI_CACHE_DIR.\n"
          "Secrets are variables only, or files named by the variable with _FILE:\n",
          out);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char variable[64];

        if (options[i].type != OPTION_SECRET)
            continue;
        variable_name(&options[i], variable);
        fprintf(out, "  %-28s %s\n", variable, options[i].help);
    }
}

void config_man(FILE *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *o = &options[i];
        char variable[64];

        variable_name(o, variable);
        if (o->type == OPTION_SECRET)
            fprintf(out, ".TP\n.BR %s \", \" %s_FILE\n%s\n", variable, variable, o->help);
        else
            fprintf(out, ".TP\n.BI \\-\\-%s \" %s\" \" \" ( %s )\n%s%s%s\n", o->name,
                    o->value != NULL ? o->value : "", variable, o->help,
                    o->fallback != NULL ? "; default " : "",
                    o->fallback != NULL ? o->fallback : "");
    }
}
