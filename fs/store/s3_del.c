/*
 * DeleteObjects: many deletions in one call, so that a backlog of slices does not cost a round trip
 * each. Asked for quietly, the answer lists what was refused; all else is gone.
 */
#include "fs/store/s3_internal.h"

#include "base/codec.h"
#include "base/hash.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define BODY_MAX ((size_t)1 << 20)

/* Our names have no character that XML gives a meaning; the prefix of the URL may. */
static void append_escaped(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '&')
            buf_append_cstr(out, "&amp;");
        else if (*text == '<')
            buf_append_cstr(out, "&lt;");
        else if (*text == '>')
            buf_append_cstr(out, "&gt;");
        else
            buf_append_char(out, *text);
}

static enum err make_body(const struct s3_store *s, const char *const *names, size_t count,
                          struct buf *out)
{
    buf_append_cstr(out, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                         "<Quiet>true</Quiet>");
    for (size_t i = 0; i < count; i++) {
        buf_append_cstr(out, "<Object><Key>");
        append_escaped(out, s->target.prefix);
        append_escaped(out, names[i]);
        buf_append_cstr(out, "</Key></Object>");
    }
    buf_append_cstr(out, "</Delete>");
    return buf_check(out);
}

static enum err post(struct s3_store *s, struct str body, struct s3_answer *a)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)body.ptr, .iov_len = body.len};
    const struct sigv4_arg args[] = {{.name = STR("delete"), .value = STR("")}};
    struct s3_request r = {.method = "POST",
                           .args = args,
                           .arg_count = 1,
                           .iov = &iov,
                           .iov_count = 1,
                           .body_len = body.len};
    uint8_t digest[HASH_MAX_BYTES];
    enum err err = hash_once(HASH_MD5, body.ptr, body.len, digest);

    if (err != OK)
        return err;
    base64_encode(digest, hash_size(HASH_MD5), r.md5);
    err = s3_call(s, &r, a);
    return err == OK ? buf_check(&a->text) : err;
}

struct refusals {
    const struct s3_store *s;
    const char *const *names;
    size_t count;
    struct err_info *results;
};

/* What a code in the answer's body means, as if it were the answer to a single deletion. */
static enum err code_of(const char *code)
{
    static const struct {
        const char *code;
        long status;
    } known[] = {{"AccessDenied", 403},       {"InternalError", 500},      {"SlowDown", 503},
                 {"ServiceUnavailable", 503}, {"RequestTimeout", 408},     {"NoSuchKey", 404},
                 {"InvalidRequest", 400},     {"XMinioObjectLocked", 403}, {"ObjectLocked", 403}};
    struct s3_answer a = {.status = 400};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(code, known[i].code) == 0)
            a.status = known[i].status;
    return s3_answer_error(&a);
}

static void on_refused(void *user, const char *key, const char *code, const char *message)
{
    struct refusals *x = user;
    size_t skip = strlen(x->s->target.prefix);
    enum err err = code_of(code);

    if (strncmp(key, x->s->target.prefix, skip) != 0 || err == ERR_NOT_FOUND)
        return;
    for (size_t i = 0; i < x->count; i++)
        if (strcmp(x->names[i], key + skip) == 0)
            err_save(err_set(err, "%s: DELETE %s: %s%s%s", x->s->base.label, x->names[i], code,
                             message[0] ? ": " : "", message),
                     &x->results[i]);
}

/* The store has no such call, or not as we make it: single deletions do as well. */
static bool is_unknown(const struct s3_answer *a)
{
    return a->status == 501 || a->status == 405 || strcmp(a->code, "NotImplemented") == 0 ||
           strcmp(a->code, "MethodNotAllowed") == 0;
}

static void set_all(struct err_info *results, size_t count, enum err err)
{
    struct err_info info;

    err_save(err, &info);
    for (size_t i = 0; i < count; i++)
        results[i] = info;
}

/* True: results are set. */
static bool conclude(struct s3_store *s, const char *const *names, size_t count, enum err err,
                     const struct s3_answer *a, struct err_info *results)
{
    struct refusals x = {.s = s, .names = names, .count = count, .results = results};

    if (err != OK && is_unknown(a)) {
        if (!atomic_exchange(&s->no_del_many, true))
            log_info("%s has no DeleteObjects: slices are deleted one by one", s->base.label);
        return false;
    }
    if (err == ERR_BUSY || err == ERR_NOMEM) {
        set_all(results, count, err);
        return true;
    }
    if (err != OK)
        return false; /* refused as a whole: single calls tell which of them is why */
    for (size_t i = 0; i < count; i++)
        results[i].code = OK;
    if (!s3_xml_refused(buf_str(&a->text), on_refused, &x))
        return false;
    return true;
}

bool s3_del_many(struct store *store, const char *const *names, size_t count,
                 struct err_info *results)
{
    struct s3_store *s = (struct s3_store *)store;
    struct s3_answer a;
    struct buf body;
    bool done = false;

    if (atomic_load(&s->no_del_many))
        return false;
    buf_init(&body, BODY_MAX);
    s3_answer_init(&a);
    if (make_body(s, names, count, &body) == OK)
        done = conclude(s, names, count, post(s, buf_str(&body), &a), &a, results);
    s3_answer_fini(&a);
    buf_fini(&body);
    return done;
}
