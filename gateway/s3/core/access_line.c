#include "gateway/s3/core/access_line.h"

#include "base/log.h"

#include <string.h>

#define QUERY_MAX    1024
#define HOST_MAX     ((size_t)255)
#define AGENT_MAX    ((size_t)300)
#define ARG_NAME_MAX 64

/* Lower case. A presigned URL is a password until it expires; SigV2 calls it Signature. */
static const char *const secrets[] = {
    "x-amz-signature",
    "signature",
    "x-amz-security-token",
    "authorization",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decoded and in lower case, as a later reader would read it; false: too long to be a secret's. */
static bool plain_name(struct str name, char out[ARG_NAME_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool coded = c == '%' && i + 2 < name.len && hex_digit(name.ptr[i + 1]) >= 0 &&
                     hex_digit(name.ptr[i + 2]) >= 0;

        if (len + 1 >= ARG_NAME_MAX)
            return false;
        if (coded) {
            c = (char)(hex_digit(name.ptr[i + 1]) * 16 + hex_digit(name.ptr[i + 2]));
            i += 2;
        }
        out[len++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    out[len] = '\0';
    return true;
}

static bool is_secret(struct str name)
{
    char text[ARG_NAME_MAX];

    if (!plain_name(name, text))
        return false;
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
        if (strcmp(text, secrets[i]) == 0)
            return true;
    return false;
}

static void append(struct str s, char *out, size_t size, size_t *len)
{
    size_t n = s.len < size - *len ? s.len : size - *len;

    if (n > 0)
        memcpy(out + *len, s.ptr, n);
    *len += n;
}

size_t access_line_query(struct str raw, char *out, size_t size)
{
    struct str rest = raw, arg;
    size_t len = 0;
    bool first = true;

    while (len < size && str_split(&rest, '&', &arg)) {
        size_t equals = str_find(arg, '=');

        if (!first)
            append(STR("&"), out, size, &len);
        first = false;
        if (equals < arg.len && is_secret(str_sub(arg, 0, equals))) {
            append(str_sub(arg, 0, equals + 1), out, size, &len);
            append(STR("REDACTED"), out, size, &len);
        } else {
            append(arg, out, size, &len);
        }
    }
    return len;
}

static struct str agent_of(const struct http_request *http)
{
    for (size_t i = 0; i < http->header_count; i++)
        if (str_eq_nocase(http->headers[i].name, STR("user-agent")))
            return str_sub(http->headers[i].value, 0, AGENT_MAX);
    return STR_NONE;
}

enum s3_code access_line_code(const struct http_request *http, const struct s3_request *r)
{
    return r != NULL && http->reply.status >= 300 ? r->error.code : S3_OK;
}

void access_line_write(const struct http_request *http, const struct s3_request *r)
{
    enum s3_code code = access_line_code(http, r);
    char query[QUERY_MAX];

    if (!log_enabled(LOG_INFO))
        return;
    size_t query_len = access_line_query(http->target.raw_query, query, sizeof(query));
    const struct log_field fields[] = {
        {"remote", http->remote, 0, false},
        {"key", r != NULL ? r->identity.auth.access_key : STR_NONE, 0, false},
        {"op", r != NULL && r->op != NULL ? str_of(r->op->name) : STR("-"), 0, false},
        {"method", http->method, 0, false},
        {"target", http->target.raw_path, 0, false},
        {"status", STR_NONE, http->reply.status, true},
        {"in", STR_NONE, (int64_t)http->bytes_in, true},
        {"out", STR_NONE, (int64_t)http->bytes_out, true},
        {"us", STR_NONE, http->end_us - http->start_us, true},
        {"whole", STR_NONE, http->is_complete, true},
        {"code", code == S3_OK ? STR("-") : str_of(s3_code_name(code)), 0, false},
        {"ttfb_us", STR_NONE, http->first_byte_us > 0 ? http->first_byte_us - http->start_us : -1,
         true},
        {"host", str_sub(http->host, 0, HOST_MAX), 0, false},
        {"agent", agent_of(http), 0, false},
        {"query", (struct str){query, query_len}, 0, false},
    };

    log_fields(LOG_INFO, "request", fields, sizeof(fields) / sizeof(fields[0]));
}
