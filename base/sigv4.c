#include "base/sigv4.h"

#include "base/codec.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* Strings to sign are short; a scope that a client made endless must not be. */
#define TO_SIGN_MAX 4096
/* Arguments or headers that are sorted on the stack; more of them cost an allocation. */
#define FEW 24

/* --- canonical request -------------------------------------------------------------------------*/

static void put_line(struct buf *out, struct str s)
{
    buf_append_str(out, s);
    buf_append_char(out, '\n');
}

/* A struct buf may move while it grows, so names are kept as positions until it is complete. */
struct span {
    size_t from, len;
};
struct pair {
    struct span name, value;
    const char *base; /* of the buf, set when it is complete; for the comparison */
};

static struct str span_str(const struct pair *p, struct span s)
{
    return (struct str){p->base + s.from, s.len};
}

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int order = str_cmp(span_str(x, x->name), span_str(y, y->name));

    return order ? order : str_cmp(span_str(x, x->value), span_str(y, y->value));
}

static struct span put_encoded(struct buf *text, struct str s)
{
    size_t from = text->len;

    percent_encode(text, s, PERCENT_KEEP_NONE);
    return (struct span){from, text->len - from};
}

/* Sorted by encoded name, then by encoded value. `pairs` is room for all arguments. */
static enum err put_sorted_query(const struct sigv4_request *r, struct pair *pairs,
                                 struct buf *text, struct buf *out)
{
    for (size_t i = 0; i < r->arg_count; i++) {
        pairs[i].name = put_encoded(text, r->args[i].name);
        pairs[i].value = put_encoded(text, r->args[i].value);
    }
    enum err err = buf_check(text);
    if (err != OK)
        return err;
    for (size_t i = 0; i < r->arg_count; i++)
        pairs[i].base = buf_str(text).ptr;
    qsort(pairs, r->arg_count, sizeof(*pairs), compare_pairs);
    for (size_t i = 0; i < r->arg_count; i++) {
        if (i > 0)
            buf_append_char(out, '&');
        buf_append_str(out, span_str(&pairs[i], pairs[i].name));
        buf_append_char(out, '=');
        buf_append_str(out, span_str(&pairs[i], pairs[i].value));
    }
    return OK;
}

static enum err put_query(const struct sigv4_request *r, struct buf *out)
{
    struct pair few[FEW], *pairs = few;
    struct buf text;

    if (r->arg_count == 0)
        return OK;
    if (r->arg_count > FEW) {
        pairs = calloc(r->arg_count, sizeof(*pairs));
        if (pairs == NULL)
            return err_set(ERR_NOMEM, "no memory for a canonical query");
    }
    buf_init(&text, out->max);
    enum err err = put_sorted_query(r, pairs, &text, out);
    buf_fini(&text);
    if (pairs != few)
        free(pairs);
    return err;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int compare_names(struct str a, struct str b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        int order = (unsigned char)lower(a.ptr[i]) - (unsigned char)lower(b.ptr[i]);
        if (order != 0)
            return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

/* Headers of one name keep their order: it is the order in which their values are joined. */
static int compare_headers(const void *a, const void *b)
{
    const struct sigv4_header *x = *(const struct sigv4_header *const *)a;
    const struct sigv4_header *y = *(const struct sigv4_header *const *)b;
    int order = compare_names(x->name, y->name);

    return order ? order : (x > y) - (x < y);
}

static void put_lower(struct buf *out, struct str s)
{
    char *to = buf_reserve(out, s.len);

    if (to == NULL)
        return;
    for (size_t i = 0; i < s.len; i++)
        to[i] = lower(s.ptr[i]);
    buf_added(out, s.len);
}

/* Without outer blanks, and each run of inner ones as one space. */
static void put_folded(struct buf *out, struct str s)
{
    s = str_trim(s);
    for (size_t at = 0; at < s.len;) {
        size_t end = at;
        while (end < s.len && s.ptr[end] != ' ' && s.ptr[end] != '\t')
            end++;
        buf_append(out, s.ptr + at, end - at);
        if (end < s.len)
            buf_append_char(out, ' ');
        while (end < s.len && (s.ptr[end] == ' ' || s.ptr[end] == '\t'))
            end++;
        at = end;
    }
}

static void put_sorted_headers(const struct sigv4_request *r, const struct sigv4_header **sorted,
                               struct buf *out, struct buf *signed_headers)
{
    for (size_t i = 0; i < r->header_count; i++)
        sorted[i] = &r->headers[i];
    qsort(sorted, r->header_count, sizeof(*sorted), compare_headers);
    for (size_t i = 0; i < r->header_count; i++) {
        if (i > 0 && compare_names(sorted[i - 1]->name, sorted[i]->name) == 0) {
            buf_append_char(out, ',');
        } else {
            if (i > 0) {
                buf_append_char(out, '\n');
                buf_append_char(signed_headers, ';');
            }
            put_lower(out, sorted[i]->name);
            put_lower(signed_headers, sorted[i]->name);
            buf_append_char(out, ':');
        }
        put_folded(out, sorted[i]->value);
    }
    buf_append_char(out, '\n');
}

static enum err put_headers(const struct sigv4_request *r, struct buf *out,
                            struct buf *signed_headers)
{
    const struct sigv4_header *few[FEW], **sorted = few;

    if (r->header_count == 0)
        return OK;
    if (r->header_count > FEW) {
        sorted = calloc(r->header_count, sizeof(*sorted));
        if (sorted == NULL)
            return err_set(ERR_NOMEM, "no memory for canonical headers");
    }
    put_sorted_headers(r, sorted, out, signed_headers);
    if (sorted != few)
        free(sorted);
    return OK;
}

enum err sigv4_canonical(const struct sigv4_request *r, struct buf *out, struct buf *signed_headers)
{
    size_t signed_from = signed_headers->len;

    put_line(out, r->method);
    percent_encode(out, r->path, PERCENT_KEEP_SLASH);
    buf_append_char(out, '\n');
    enum err err = put_query(r, out);
    buf_append_char(out, '\n');
    if (err == OK)
        err = put_headers(r, out, signed_headers);
    buf_append_char(out, '\n');
    if (err == OK)
        err = buf_check(signed_headers);
    if (err != OK)
        return err;
    put_line(out, str_sub(buf_str(signed_headers), signed_from, signed_headers->len));
    buf_append_str(out, r->payload_hash);
    return buf_check(out);
}

/* --- signing key -------------------------------------------------------------------------------
 * Four HMACs a key, but the key changes once a day. A gateway meets few secrets at a time, so a
 * thread keeps the last few; without locks, and gone with the thread.
 */

#define CACHED_KEYS  8
#define CACHE_ID_MAX 256

struct cached_key {
    size_t id_len; /* 0: empty */
    char id[CACHE_ID_MAX];
    uint8_t key[32];
};
static _Thread_local struct cached_key cached_keys[CACHED_KEYS];
static _Thread_local size_t next_replaced;

/* The four inputs with their lengths before them; 0 when they are too long to be kept. */
static size_t cache_id(struct str secret, const struct sigv4_scope *scope, char out[CACHE_ID_MAX])
{
    const struct str parts[4] = {secret, scope->date, scope->region, scope->service};
    size_t len = 0;

    for (size_t i = 0; i < 4; i++) {
        if (parts[i].len > UINT8_MAX || parts[i].len + 1 > CACHE_ID_MAX - len)
            return 0;
        out[len++] = (char)(unsigned char)parts[i].len;
        if (parts[i].len)
            memcpy(out + len, parts[i].ptr, parts[i].len);
        len += parts[i].len;
    }
    return len;
}

static enum err derive_key(struct str secret, const struct sigv4_scope *scope, uint8_t out[32])
{
    const struct str steps[4] = {scope->date, scope->region, scope->service, STR("aws4_request")};
    struct buf first;

    buf_init(&first, TO_SIGN_MAX);
    buf_append_cstr(&first, "AWS4");
    buf_append_str(&first, secret);
    enum err err = buf_check(&first);
    struct str key = buf_str(&first);
    for (size_t i = 0; err == OK && i < 4; i++) {
        uint8_t next[32] = {0};
        err = hmac_sha256(key, steps[i], next);
        memcpy(out, next, sizeof(next));
        key = (struct str){(const char *)out, sizeof(next)};
    }
    buf_fini(&first);
    return err;
}

enum err sigv4_key(struct str secret, const struct sigv4_scope *scope, uint8_t out[32])
{
    char id[CACHE_ID_MAX];
    size_t id_len = cache_id(secret, scope, id);

    for (size_t i = 0; id_len > 0 && i < CACHED_KEYS; i++) {
        const struct cached_key *c = &cached_keys[i];
        if (c->id_len == id_len && memcmp(c->id, id, id_len) == 0) {
            memcpy(out, c->key, sizeof(c->key));
            return OK;
        }
    }
    enum err err = derive_key(secret, scope, out);
    if (err == OK && id_len > 0) {
        struct cached_key *c = &cached_keys[next_replaced++ % CACHED_KEYS];
        c->id_len = id_len;
        memcpy(c->id, id, id_len);
        memcpy(c->key, out, sizeof(c->key));
    }
    return err;
}

/* --- strings to sign ---------------------------------------------------------------------------*/

static void put_head(struct buf *out, const char *algorithm, struct str timestamp,
                     const struct sigv4_scope *scope)
{
    buf_append_cstr(out, algorithm);
    buf_append_char(out, '\n');
    put_line(out, timestamp);
    buf_append_str(out, scope->date);
    buf_append_char(out, '/');
    buf_append_str(out, scope->region);
    buf_append_char(out, '/');
    buf_append_str(out, scope->service);
    buf_append_cstr(out, "/aws4_request\n");
}

static enum err sign(const uint8_t key[32], struct buf *to_sign, char out[SIGV4_SIGNATURE_HEX + 1])
{
    uint8_t signature[32];

    enum err err = buf_check(to_sign);
    if (err == OK)
        err = hmac_sha256((struct str){(const char *)key, 32}, buf_str(to_sign), signature);
    if (err == OK)
        hex_encode(signature, sizeof(signature), out);
    buf_fini(to_sign);
    return err;
}

enum err sigv4_sign(const uint8_t key[32], struct str timestamp, const struct sigv4_scope *scope,
                    struct str canonical, char out[SIGV4_SIGNATURE_HEX + 1])
{
    struct buf to_sign;
    uint8_t digest[32];
    char hex[2 * sizeof(digest) + 1];

    enum err err = hash_once(HASH_SHA256, canonical.ptr, canonical.len, digest);
    if (err != OK)
        return err;
    hex_encode(digest, sizeof(digest), hex);
    buf_init(&to_sign, TO_SIGN_MAX);
    put_head(&to_sign, "AWS4-HMAC-SHA256", timestamp, scope);
    buf_append_cstr(&to_sign, hex);
    return sign(key, &to_sign, out);
}

enum err sigv4_sign_chunk(const uint8_t key[32], struct str timestamp,
                          const struct sigv4_scope *scope, struct str previous,
                          struct str chunk_hash, char out[SIGV4_SIGNATURE_HEX + 1])
{
    struct buf to_sign;

    buf_init(&to_sign, TO_SIGN_MAX);
    put_head(&to_sign, "AWS4-HMAC-SHA256-PAYLOAD", timestamp, scope);
    put_line(&to_sign, previous);
    /* The hash of nothing stands where a chunk's own headers would be. */
    put_line(&to_sign, STR("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    buf_append_str(&to_sign, chunk_hash);
    return sign(key, &to_sign, out);
}

enum err sigv4_sign_trailer(const uint8_t key[32], struct str timestamp,
                            const struct sigv4_scope *scope, struct str previous,
                            struct str trailer_hash, char out[SIGV4_SIGNATURE_HEX + 1])
{
    struct buf to_sign;

    buf_init(&to_sign, TO_SIGN_MAX);
    put_head(&to_sign, "AWS4-HMAC-SHA256-TRAILER", timestamp, scope);
    put_line(&to_sign, previous);
    buf_append_str(&to_sign, trailer_hash);
    return sign(key, &to_sign, out);
}
