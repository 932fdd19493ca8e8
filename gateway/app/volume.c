#include "gateway/app/volume.h"

#include "base/codec.h"
#include "base/rand.h"
#include "fs/marker.h"
#include "gateway/app/private_file.h"
#include "meta/access/account.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_TEXT_MAX ((size_t)1024)

static enum err copy_text(char *out, size_t size, const char *text, const char *what)
{
    if (str_of(text).len >= size)
        return err_set(ERR_INVALID, "%s is too long", what);
    memcpy(out, text, str_of(text).len + 1);
    return OK;
}

/* --- keys ------------------------------------------------------------------------------------- */

/* What examples have where a secret belongs. */
static enum err check_placeholder(const char *value, const char *name)
{
    if (value == NULL || strstr(value, "change-me") == NULL)
        return OK;
    return err_set(ERR_INVALID,
                   "%s holds a placeholder (change-me): choose a value of your own "
                   "(openssl rand -hex 20 makes one)",
                   name);
}

static enum err check_placeholders(const struct config *c)
{
    enum err err = check_placeholder(c->access_key, "KISEKI_ACCESS_KEY");

    if (err == OK)
        err = check_placeholder(c->secret_key, "KISEKI_SECRET_KEY");
    if (err == OK)
        err = check_placeholder(c->store_access_key, "KISEKI_STORE_ACCESS_KEY");
    if (err == OK)
        err = check_placeholder(c->store_secret_key, "KISEKI_STORE_SECRET_KEY");
    if (err == OK)
        err = check_placeholder(c->meta_password, "KISEKI_META_PASSWORD");
    return err == OK ? check_placeholder(c->meta, "KISEKI_META") : err;
}

/* Two lines: access key, secret key. */
static enum err load_credentials(struct volume *v, bool create)
{
    char text[FILE_TEXT_MAX];
    struct str rest, access, secret = STR_NONE;
    enum err err = private_file_read(v->credentials_path, text, sizeof(text));

    if (err == ERR_NOT_FOUND && create) {
        rand_text(v->access_key, 20, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
        rand_text(v->secret_key, 40,
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
        snprintf(text, sizeof(text), "%s\n%s\n", v->access_key, v->secret_key);
        v->made_credentials = true;
        return private_file_write(v->credentials_path, text);
    }
    if (err != OK)
        return err;
    rest = str_of(text);
    if (!str_split(&rest, '\n', &access) || !str_split(&rest, '\n', &secret) || rest.len > 0 ||
        access_key_valid(access, secret) != OK)
        return err_set(ERR_INVALID,
                       "%s should hold an access key and a secret key, a line each; remove it to "
                       "have new ones made",
                       v->credentials_path);
    memcpy(v->access_key, access.ptr, access.len);
    memcpy(v->secret_key, secret.ptr, secret.len);
    return OK;
}

static enum err parse_master_key(struct volume *v, struct str text, const char *where)
{
    text = str_trim(text);
    if (hex_decode(text, v->master_key, sizeof(v->master_key)) != OK &&
        base64_decode(text, v->master_key, sizeof(v->master_key)) != OK)
        return err_set(ERR_INVALID,
                       "%s should hold 64 hex digits (make them with: openssl rand "
                       "-hex 32)",
                       where);
    v->has_master_key = true;
    for (size_t i = 1; i < sizeof(v->master_key); i++)
        if (v->master_key[i] != v->master_key[0])
            return OK;
    return err_set(ERR_INVALID,
                   "%s holds one byte again and again, which is no key (make one with:"
                   " openssl rand -hex 32)",
                   where);
}

static bool is_there(const char *folder, const char *name)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

/* Beside a database whose key is lost none is made: it would pass for the one that is missed. */
static enum err load_master_key(struct volume *v, const char *data, bool create)
{
    char path[4096], text[FILE_TEXT_MAX];
    enum err err;

    snprintf(path, sizeof(path), "%s/master.key", data);
    err = private_file_read(path, text, sizeof(text));
    if (err == ERR_NOT_FOUND && create && !is_there(data, "meta.db")) {
        rand_hex(text, 64);
        err = parse_master_key(v, str_of(text), path);
        snprintf(text + 64, 2, "\n");
        return err == OK ? private_file_write(path, text) : err;
    }
    if (err == ERR_NOT_FOUND)
        return err_set(ERR_DENIED,
                       "%s is missing, and the volume's secrets are sealed with it: put it back, "
                       "or set KISEKI_MASTER_KEY",
                       path);
    if (err != OK)
        return err;
    return parse_master_key(v, str_of(text), path);
}

/* The root user's; of the embedded default from its file, which is made when `create`. */
static enum err choose_root(const struct config *c, bool create, struct volume *v)
{
    enum err err;

    if ((c->access_key == NULL) != (c->secret_key == NULL))
        return err_set(ERR_INVALID, "set both KISEKI_ACCESS_KEY and KISEKI_SECRET_KEY, or neither");
    if (c->access_key == NULL && !v->embedded)
        return err_set(ERR_INVALID, "set KISEKI_ACCESS_KEY and KISEKI_SECRET_KEY: the root user of "
                                    "this volume");
    if (c->access_key == NULL)
        return load_credentials(v, create);
    err = copy_text(v->access_key, sizeof(v->access_key), c->access_key, "KISEKI_ACCESS_KEY");
    if (err == OK)
        err = copy_text(v->secret_key, sizeof(v->secret_key), c->secret_key, "KISEKI_SECRET_KEY");
    if (err == OK)
        err = access_key_valid(str_of(v->access_key), str_of(v->secret_key));
    return err == ERR_INVALID ? err_prefix(err, "KISEKI_ACCESS_KEY and KISEKI_SECRET_KEY") : err;
}

enum err volume_root_key(const struct config *c, const struct volume *v, struct volume *out)
{
    enum err err = check_placeholders(c);

    memset(out, 0, sizeof(*out));
    out->embedded = v->embedded;
    memcpy(out->credentials_path, v->credentials_path, sizeof(out->credentials_path));
    return err == OK ? choose_root(c, false, out) : err;
}

/* A tool needs no root user, only the master key. */
static enum err choose_keys(const struct config *c, bool create, struct volume *v)
{
    enum err err = check_placeholders(c);

    if (err == OK && (create || c->access_key != NULL || c->secret_key != NULL))
        err = choose_root(c, create, v);
    if (err == OK && c->master_key != NULL)
        return parse_master_key(v, str_of(c->master_key), "KISEKI_MASTER_KEY");
    return err == OK && v->embedded ? load_master_key(v, c->data, create) : err;
}

/* A put that was given up may land late: in a proxy, in a store that was paused. What it leaves is
 * deleted again after so many time limits of a call. */
#define LATE_PUTS 15

/* --- places ----------------------------------------------------------------------------------- */

/* As a parameter of the URL, where any byte may stand, percent-encoded. */
static enum err add_password(const char *password, char *url, size_t size)
{
    size_t at = strlen(url);

    if (strncmp(url, "postgres", 8) != 0)
        return err_set(ERR_INVALID, "KISEKI_META_PASSWORD is for --meta postgres://...");
    at +=
        (size_t)snprintf(url + at, size - at, "%cpassword=", strchr(url, '?') != NULL ? '&' : '?');
    for (const char *p = password; *p != '\0' && at + 4 < size; p++)
        at += (size_t)snprintf(url + at, size - at, "%%%02X", (unsigned char)*p);
    return at + 4 < size ? OK : err_set(ERR_INVALID, "KISEKI_META_PASSWORD is too long");
}

static enum err choose_places(const struct config *c, bool create, struct volume *v)
{
    enum err err = OK;

    if (c->meta == NULL && c->meta_password != NULL)
        return err_set(ERR_INVALID, "KISEKI_META_PASSWORD is for --meta postgres://...");

    if ((c->meta == NULL) != (c->store == NULL))
        return err_set(ERR_INVALID, "set both --meta and --store, or neither (then everything is "
                                    "kept in --data)");
    v->embedded = c->meta == NULL;
    snprintf(v->credentials_path, sizeof(v->credentials_path), "%s/credentials", c->data);
    if (v->embedded) {
        if (create && mkdir(c->data, 0700) != 0 && errno != EEXIST)
            return err_set(ERR_DENIED, "cannot make the folder %s: %m", c->data);
        if (create && !is_there(c->data, "meta.db") && is_there(c->data, "store/" MARKER_NAME))
            return err_set(ERR_DENIED,
                           "%s/meta.db is missing, but %s/store holds a volume's slices: put the "
                           "database back, or begin anew with another --data",
                           c->data, c->data);
        snprintf(v->meta_url, sizeof(v->meta_url), "sqlite:%s/meta.db", c->data);
        snprintf(v->store_url, sizeof(v->store_url), "dir:%s/store", c->data);
        return OK;
    }
    err = copy_text(v->meta_url, sizeof(v->meta_url), c->meta, "--meta");
    if (err == OK && c->meta_password != NULL)
        err = add_password(c->meta_password, v->meta_url, sizeof(v->meta_url));
    return err == OK ? copy_text(v->store_url, sizeof(v->store_url), c->store, "--store") : err;
}

enum err volume_prepare(const struct config *c, bool create, struct volume *out)
{
    enum err err;

    memset(out, 0, sizeof(*out));
    err = choose_places(c, create, out);
    if (err == OK)
        err = choose_keys(c, create, out);
    if (err != OK)
        return err;
    if (gethostname(out->host, sizeof(out->host) - 1) != 0)
        snprintf(out->host, sizeof(out->host), "unknown");
    out->options = (struct fs_options){
        .meta =
            {
                .url = out->meta_url,
                .host = out->host,
                .master_key = out->has_master_key ? (struct str){(const char *)out->master_key, 32}
                                                  : STR_NONE,
                .lease_ms = (int64_t)c->lease_s * 1000,
                .keep_deleted_ms = (int64_t)c->keep_deleted_s * 1000,
                .late_put_ms = (int64_t)c->store_timeout_s * LATE_PUTS * 1000,
                .connections = c->meta_connections,
            },
        .store_url = out->store_url,
        .store =
            {
                .access_key = c->store_access_key,
                .secret_key = c->store_secret_key,
                .ca_file = c->store_ca,
                /*
                 * A call is a few attempts; each may take half of it, or stand still for a sixth.
                 */
                .call_timeout_ms = (unsigned)c->store_timeout_s * 1000,
                .request_timeout_ms = (unsigned)c->store_timeout_s * 500,
                .stall_timeout_ms = (unsigned)c->store_timeout_s * 1000 / 6 + 1000,
                .connect_timeout_ms = (unsigned)c->store_timeout_s * 1000 / 12 + 500,
            },
        .cache_dir = c->cache_dir,
        .cache_bytes = c->cache_size,
        .memory_bytes = c->memory_size,
        .inline_max = c->inline_size,
        .io_threads = c->io_threads,
    };
    return OK;
}

void volume_forget(struct volume *v)
{
    explicit_bzero(v, sizeof(*v));
}
