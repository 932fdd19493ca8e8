#include "gateway/errors/errors.h"

#include "base/arena.h"
#include "gateway/s3/proto/xml_write.h"

#define NAME_SHOWN ((size_t)200) /* of a name that a client made up */

struct row {
    const char *name;
    unsigned status;
    const char *message;
};

static const struct row rows[S3_CODES] = {[S3_OK] = {"OK", 200, ""},
#define ROW(code, http_status, text, default_message) [code] = {text, http_status, default_message},
                                          S3_ERRORS(ROW)
#undef ROW
};

static const struct row *row_of(enum s3_code code)
{
    if ((unsigned)code >= S3_CODES)
        code = S3_INTERNAL_ERROR;
    return &rows[code];
}

const char *s3_code_name(enum s3_code code)
{
    return row_of(code)->name;
}

unsigned s3_code_status(enum s3_code code)
{
    return row_of(code)->status;
}

const char *s3_code_message(enum s3_code code)
{
    return row_of(code)->message;
}

enum s3_code s3_fail(struct s3_error *e, enum s3_code code, const char *message)
{
    if (e != NULL) {
        e->code = code;
        e->message = message;
        e->content_range = NULL;
        e->extra_count = 0;
        e->is_logged = false;
    }
    return code;
}

enum s3_code s3_fail_memory(struct s3_error *e)
{
    return s3_fail(e, S3_SLOW_DOWN, S3_NO_MEMORY);
}

enum s3_code s3_fail_not_built(struct s3_error *e, struct arena *a, const char *what,
                               struct str name)
{
    struct str shown = str_sub(name, 0, name.len < NAME_SHOWN ? name.len : NAME_SHOWN);
    char *message = arena_printf(a,
                                 "The %s \"" STR_FMT "\" that you provided implies functionality "
                                 "that is not implemented",
                                 what, STR_ARG(shown));

    s3_fail(e, S3_NOT_IMPLEMENTED, message);
    s3_error_add(e, what[0] == 'h' ? "Header" : "Argument", shown);
    return S3_NOT_IMPLEMENTED;
}

void s3_error_add(struct s3_error *e, const char *name, struct str value)
{
    if (e == NULL || e->extra_count >= S3_ERROR_EXTRAS)
        return;
    e->extra[e->extra_count++] = (struct s3_error_extra){name, value};
}

enum s3_code s3_fail_argument(struct s3_error *e, const char *message, const char *name,
                              struct str value)
{
    s3_fail(e, S3_INVALID_ARGUMENT, message);
    s3_error_add(e, "ArgumentName", str_of(name));
    s3_error_add(e, "ArgumentValue", value);
    return S3_INVALID_ARGUMENT;
}

static const enum s3_code of_err[ERR_COUNT] = {
    [OK] = S3_OK,
    [ERR_NOMEM] = S3_SLOW_DOWN, /* a bounded pool is used up for now */
    [ERR_INVALID] = S3_INVALID_ARGUMENT,
    [ERR_NOT_FOUND] = S3_NO_SUCH_KEY,
    [ERR_EXISTS] = S3_PRECONDITION_FAILED,
    [ERR_CONDITION] = S3_PRECONDITION_FAILED,
    [ERR_CONFLICT] = S3_OPERATION_ABORTED,
    [ERR_NOT_EMPTY] = S3_BUCKET_NOT_EMPTY,
    [ERR_TOO_LARGE] = S3_ENTITY_TOO_LARGE,
    [ERR_DENIED] = S3_SLOW_DOWN, /* the store refuses us, not the client: it may come back */
    [ERR_UNSUPPORTED] = S3_NOT_IMPLEMENTED,
    [ERR_IO] = S3_INTERNAL_ERROR,
    [ERR_CORRUPT] = S3_INTERNAL_ERROR,
    [ERR_TIMEOUT] = S3_SLOW_DOWN,
    [ERR_BUSY] = S3_SLOW_DOWN,
    [ERR_FULL] = S3_INSUFFICIENT_STORAGE,
    [ERR_AGAIN] = S3_SLOW_DOWN,
    [ERR_FENCED] = S3_SLOW_DOWN,
    [ERR_UNKNOWN] = S3_INTERNAL_ERROR,
    [ERR_CANCELLED] = S3_SLOW_DOWN,
    [ERR_BUG] = S3_INTERNAL_ERROR,
};

/* SDKs repeat a 503 whatever its code; people read the text. NULL: the code's own. */
static const char *const text_of_err[ERR_COUNT] = {
    [ERR_NOMEM] = S3_NO_MEMORY,
    [ERR_DENIED] =
        "The database or the store behind this server refuses its requests. The server's "
        "log says why.",
    [ERR_TIMEOUT] = "The database or the store behind this server did not answer in time. Please "
                    "try again.",
    [ERR_BUSY] =
        "The database or the store behind this server does not answer, or cannot take more "
        "right now. Please try again; the server's log says why.",
    [ERR_FENCED] =
        "This server has lost its lease in the database and is getting a new one. Please "
        "try again.",
    [ERR_CANCELLED] = "This request was given up: its client has left, or the server is stopping.",
    [ERR_UNKNOWN] = "The database's answer was lost: whether the request took effect is not known. "
                    "Please try again.",
    [ERR_IO] =
        "The database or the store behind this server failed. Please try again; the server's "
        "log says why.",
    [ERR_CORRUPT] = "What is stored is damaged, and is not served. The server's log names it.",
};

const char *s3_text_of(enum err err)
{
    return (unsigned)err < ERR_COUNT ? text_of_err[err] : NULL;
}

enum s3_code s3_code_of(enum err err)
{
    return (unsigned)err < ERR_COUNT ? of_err[err] : S3_INTERNAL_ERROR;
}

void s3_error_write(struct buf *out, const struct s3_error *e, struct str resource,
                    struct str request_id, struct str host_id)
{
    xml_begin(out);
    xml_open(out, "Error");
    xml_cstr(out, "Code", s3_code_name(e->code));
    xml_cstr(out, "Message", e->message != NULL ? e->message : s3_code_message(e->code));
    for (size_t i = 0; i < e->extra_count; i++)
        xml_text(out, e->extra[i].name, e->extra[i].value);
    if (resource.len > 0)
        xml_text(out, "Resource", resource);
    xml_text(out, "RequestId", request_id);
    xml_text(out, "HostId", host_id);
    xml_close(out, "Error");
}
