#include "gateway/s3/proto/names.h"

#include <string.h>

/* --- buckets -----------------------------------------------------------------------------------*/

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z');
}

bool names_region_valid(struct str name)
{
    if (name.len == 0 || name.len > NAMES_BUCKET_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!is_lower_alnum(c) && !(c >= 'A' && c <= 'Z') && c != '-')
            return false;
    }
    return true;
}

static bool label_valid(struct str label)
{
    if (label.len == 0 || !is_lower_alnum(label.ptr[0]) ||
        !is_lower_alnum(label.ptr[label.len - 1]))
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!is_lower_alnum(label.ptr[i]) && label.ptr[i] != '-')
            return false;
    return true;
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.ptr[i]))
            return false;
    return s.len > 0;
}

static bool is_reserved(struct str name)
{
    static const char *const prefixes[] = {"xn--", "sthree-", "amzn-s3-demo-"};
    static const char *const suffixes[] = {"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (str_starts(name, str_of(prefixes[i])))
            return true;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (str_ends(name, str_of(suffixes[i])))
            return true;
    return false;
}

bool names_bucket_valid(struct str name)
{
    struct str rest = name, label;
    size_t labels = 0, numbers = 0;

    if (name.len < NAMES_BUCKET_MIN || name.len > NAMES_BUCKET_MAX)
        return false;
    if (name.ptr[name.len - 1] == '.') /* str_split() sees no label behind it */
        return false;
    while (str_split(&rest, '.', &label)) {
        if (!label_valid(label))
            return false;
        labels++;
        numbers += all_digits(label);
    }
    if (labels == 4 && numbers == 4)
        return false;
    return !is_reserved(name);
}

enum s3_code names_check_bucket(struct str name, struct s3_error *error)
{
    if (names_bucket_valid(name))
        return S3_OK;
    s3_fail(error, S3_INVALID_BUCKET_NAME, NULL);
    s3_error_add(error, "BucketName", name);
    return S3_INVALID_BUCKET_NAME;
}

/* --- keys --------------------------------------------------------------------------------------*/

enum s3_code names_check_key(struct str key, struct s3_error *error)
{
    if (key.len == 0)
        return s3_fail_argument(error, "The key must not be empty", "Key", key);
    if (key.len > NAMES_KEY_MAX) {
        s3_fail(error, S3_KEY_TOO_LONG, NULL);
        s3_error_add(error, "MaxSizeAllowed", STR("1024"));
        return S3_KEY_TOO_LONG;
    }
    if (memchr(key.ptr, 0, key.len) != NULL)
        return s3_fail_argument(error, "The key must not hold a NUL byte", "Key", STR_NONE);
    if (!str_is_utf8(key))
        return s3_fail(error, S3_INVALID_URI, "The key is not valid UTF-8.");
    return S3_OK;
}

/* --- where requests carry them -----------------------------------------------------------------*/

struct str names_host_without_port(struct str host)
{
    size_t end;

    host = str_trim(host);
    if (host.len > 0 && host.ptr[0] == '[') { /* IPv6: colons inside */
        end = str_find(host, ']');
        return str_sub(host, 0, end < host.len ? end + 1 : end);
    }
    end = str_find(host, ':');
    return str_sub(host, 0, end);
}

static struct str without_last_dot(struct str host)
{
    return host.len > 0 && host.ptr[host.len - 1] == '.' ? str_sub(host, 0, host.len - 1) : host;
}

struct str names_host_bucket(struct str host, const struct str *domains, size_t domain_count)
{
    struct str bucket = STR_NONE;

    host = without_last_dot(names_host_without_port(host));
    for (size_t i = 0; i < domain_count; i++) {
        if (str_eq_nocase(host, domains[i]))
            return STR_NONE; /* the domain itself, even if a shorter one is configured too */
        if (domains[i].len == 0 || host.len <= domains[i].len + 1)
            continue;
        size_t dot = host.len - domains[i].len - 1;
        if (host.ptr[dot] != '.' || !str_eq_nocase(str_sub(host, dot + 1, host.len), domains[i]))
            continue;
        if (bucket.len == 0 || dot < bucket.len) /* the longest domain leaves the shortest name */
            bucket = str_sub(host, 0, dot);
    }
    return bucket;
}

struct str names_lower(struct arena *arena, struct str name)
{
    struct str copy;
    char *text;
    size_t first = 0;

    while (first < name.len && !(name.ptr[first] >= 'A' && name.ptr[first] <= 'Z'))
        first++;
    if (first == name.len)
        return name;
    copy = arena_str(arena, name);
    text = (char *)(uintptr_t)copy.ptr;
    for (size_t i = first; text != NULL && i < name.len; i++)
        if (text[i] >= 'A' && text[i] <= 'Z')
            text[i] = (char)(text[i] - 'A' + 'a');
    return copy;
}

void names_split_path(struct str path, struct str *out_bucket, struct str *out_key)
{
    if (path.len > 0 && path.ptr[0] == '/')
        path = str_sub(path, 1, path.len);
    size_t slash = str_find(path, '/');
    *out_bucket = str_sub(path, 0, slash);
    *out_key = str_sub(path, slash + 1, path.len);
}

static enum s3_code bad_source(struct str header, struct s3_error *error)
{
    return s3_fail_argument(
        error, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        "x-amz-copy-source", header);
}

/* Splits "...?versionId=V" at the last such mark; a bare `?` is part of the key. */
static void split_version(struct str *source, struct str *out_version)
{
    struct str mark = STR("?versionId=");

    *out_version = STR_NONE;
    for (size_t i = source->len; i-- > 0;) {
        if (!str_starts(str_sub(*source, i, source->len), mark))
            continue;
        *out_version = str_sub(*source, i + mark.len, source->len);
        *source = str_sub(*source, 0, i);
        return;
    }
}

/* Decoded into the arena; sets *ok to false when an escape is broken or memory is out. */
static struct str decoded(struct arena *arena, struct str s, enum percent_plus plus, bool *ok)
{
    struct buf b;
    struct str out = STR_NONE;

    buf_init(&b, s.len + 1);
    if (percent_decode(&b, s, plus) != OK)
        *ok = false;
    else
        out = arena_str(arena, buf_str(&b));
    if (out.ptr == NULL)
        *ok = false;
    buf_fini(&b);
    return out;
}

enum s3_code names_copy_source(struct arena *arena, struct str header, enum percent_plus plus,
                               struct copy_source *out, struct s3_error *error)
{
    struct str version, source = str_trim(header);
    bool ok = true;

    *out = (struct copy_source){0};
    if (str_starts(source, STR("arn:")) || str_starts(source, STR("/arn:")))
        return bad_source(header, error);
    split_version(&source, &version);
    /* Some clients encode the slash between bucket and key too, so decode before splitting. */
    source = decoded(arena, source, plus, &ok);
    out->version_id = decoded(arena, version, PERCENT_PLUS_LITERAL, &ok);
    if (!ok)
        return bad_source(header, error);
    names_split_path(source, &out->bucket, &out->key);
    if (out->bucket.len == 0 || out->key.len == 0)
        return bad_source(header, error);
    return names_check_key(out->key, error);
}
