/*
 * Parses --store s3://BUCKET[/PREFIX]?endpoint=...: every mistake is refused here, with the form
 * that was expected, before anything is connected.
 */
#include "fs/store/s3_internal.h"

#include "base/codec.h"

#include <stdio.h>
#include <string.h>

static enum err bad(const char *why)
{
    return err_set(ERR_INVALID, "s3://BUCKET[/PREFIX]?endpoint=http://HOST:PORT&region=R: %s", why);
}

/* Copies into a fixed array when it fits and has no control characters or spaces. */
static bool copy_text(char *out, size_t size, struct str s)
{
    if (s.len >= size)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7f)
            return false;
    if (s.len > 0)
        memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return true;
}

static bool only_of(struct str s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || strchr(more, c) == NULL))
            return false;
    }
    return true;
}

struct endpoint {
    struct str scheme;
    struct str host; /* with its port, unless that is the scheme's own */
};

static enum err parse_endpoint(struct str url, struct endpoint *out)
{
    struct str rest;
    struct str port;

    if (str_starts_nocase(url, STR("http://")))
        out->scheme = STR("http");
    else if (str_starts_nocase(url, STR("https://")))
        out->scheme = STR("https");
    else
        return bad("the endpoint must begin with http:// or https://");
    rest = str_sub(url, out->scheme.len + 3, url.len);
    if (str_ends(rest, STR("/")))
        rest.len--;
    if (rest.len == 0 || !only_of(rest, ".-_:[]"))
        return bad("the endpoint must be scheme://HOST[:PORT] and no more");
    /* curl leaves the scheme's own port out of the Host header, which is signed. */
    port = str_eq(out->scheme, STR("http")) ? STR(":80") : STR(":443");
    if (str_ends(rest, port))
        rest.len -= port.len;
    out->host = rest;
    return OK;
}

struct settings {
    struct str endpoint;
    struct str region;
    struct str style;
    struct str checksum;
};

static enum err parse_settings(struct str query, struct buf *decoded, struct settings *out)
{
    const struct {
        struct str name;
        struct str *value;
    } known[] = {
        {STR("endpoint"), &out->endpoint},
        {STR("region"), &out->region},
        {STR("style"), &out->style},
        {STR("checksum"), &out->checksum},
    };
    struct str pair;

    /* Decoding never makes text longer, so the buffer's bytes do not move once reserved. */
    if (buf_reserve(decoded, query.len + 1) == NULL)
        return buf_check(decoded);
    while (str_split(&query, '&', &pair)) {
        size_t eq = str_find(pair, '=');
        struct str name = str_sub(pair, 0, eq);
        size_t at = decoded->len;
        struct str *value = NULL;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            if (str_eq(name, known[i].name))
                value = known[i].value;
        if (value == NULL)
            return bad("known settings are endpoint, region, style and checksum");
        if (percent_decode(decoded, str_sub(pair, eq + 1, pair.len), PERCENT_PLUS_LITERAL) != OK)
            return bad("a broken %-escape");
        *value = str_sub(buf_str(decoded), at, decoded->len - at);
    }
    return buf_check(decoded);
}

static enum err parse_names(struct str path, struct s3_target *t)
{
    size_t slash = str_find(path, '/');
    struct str bucket = str_sub(path, 0, slash);
    struct str prefix = str_sub(path, slash + 1, path.len);

    if (bucket.len < 3 || !only_of(bucket, ".-_") ||
        !copy_text(t->bucket, sizeof(t->bucket), bucket))
        return bad("the bucket's name must have 3 to 63 letters, digits, '.' and '-'");
    while (str_ends(prefix, STR("/")))
        prefix.len--;
    if (str_starts(prefix, STR("/")) || !only_of(prefix, "/._-~") || prefix.len > S3_PREFIX_MAX)
        return bad("the prefix may have letters, digits and /._-~");
    if (prefix.len > 0)
        snprintf(t->prefix, sizeof(t->prefix), STR_FMT "/", STR_ARG(prefix));
    return OK;
}

static enum err apply(const struct settings *set, struct s3_target *t)
{
    char aws[S3_HOST_MAX];
    struct endpoint endpoint = {0};
    struct str region = set->region.len > 0 ? set->region : STR("us-east-1");
    /* A dot in the bucket's name would not match the certificate *.s3.REGION.amazonaws.com. */
    bool dotted = strchr(t->bucket, '.') != NULL;

    if (!only_of(region, "-_") || !copy_text(t->region, sizeof(t->region), region))
        return bad("the region may have letters, digits and '-'");
    t->own_endpoint = set->endpoint.len > 0;
    snprintf(aws, sizeof(aws), "https://s3.%s.amazonaws.com", t->region);
    enum err err = parse_endpoint(t->own_endpoint ? set->endpoint : str_of(aws), &endpoint);
    if (err != OK)
        return err;

    if (str_eq(set->style, STR("path")))
        t->path_style = true;
    else if (str_eq(set->style, STR("virtual")))
        t->path_style = false;
    else if (set->style.len == 0)
        t->path_style = t->own_endpoint || dotted;
    else
        return bad("style is path or virtual");
    if (set->checksum.len > 0 && !str_eq(set->checksum, STR("off")))
        return bad("checksum may only be off");
    t->checksum = set->checksum.len == 0;

    if (endpoint.host.len + sizeof(t->bucket) + 2 > sizeof(t->host))
        return bad("the endpoint is too long");
    snprintf(t->host, sizeof(t->host), "%s%s" STR_FMT, t->path_style ? "" : t->bucket,
             t->path_style ? "" : ".", STR_ARG(endpoint.host));
    snprintf(t->base, sizeof(t->base), STR_FMT "://%s", STR_ARG(endpoint.scheme), t->host);
    return OK;
}

enum err s3_target_parse(const char *spec, struct s3_target *out)
{
    struct str all = str_of(spec);
    size_t mark = str_find(all, '?');
    struct settings set = {0};
    struct buf decoded;

    memset(out, 0, sizeof(*out));
    buf_init(&decoded, 4096);
    enum err err = parse_names(str_sub(all, 0, mark), out);
    if (err == OK && mark + 1 < all.len)
        err = parse_settings(str_sub(all, mark + 1, all.len), &decoded, &set);
    if (err == OK)
        err = apply(&set, out);
    buf_fini(&decoded);
    return err;
}
