#include "gateway/http/reply.h"

#include "gateway/http/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HEADER_VALUE_MAX 4096

enum err http_reply_header(struct http_request *r, const char *name, struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0')
            return err_set(ERR_INVALID, "a line end or NUL in the value of %s", name);
    struct http_reply *reply = &r->reply;
    struct http_reply_field *field = arena_alloc(r->arena, sizeof(*field));
    struct str name_copy = arena_str(r->arena, str_of(name));
    struct str value_copy = arena_str(r->arena, value);
    if (field == NULL || name_copy.ptr == NULL || value_copy.ptr == NULL)
        return err_set(ERR_NOMEM, "no memory for the answer's %s", name);
    field->name = name_copy;
    field->value = value_copy;
    if (reply->fields_end != NULL)
        *reply->fields_end = field;
    else
        reply->fields = field;
    reply->fields_end = &field->next;
    return OK;
}

enum err http_reply_printf(struct http_request *r, const char *name, const char *fmt, ...)
{
    char text[HEADER_VALUE_MAX];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(text))
        return err_set(ERR_TOO_LARGE, "the value of %s is too long", name);
    return http_reply_header(r, name, (struct str){text, (size_t)len});
}

/* Releases the body that was set before, if any. */
static void drop_body(struct http_reply *reply)
{
    if (reply->body != NULL)
        reply->body->close(reply->body);
    if (reply->bytes_free != NULL)
        reply->bytes_free(reply->bytes_arg);
    reply->body = NULL;
    reply->bytes = STR_NONE;
    reply->bytes_free = NULL;
    reply->bytes_arg = NULL;
    reply->content_length = 0;
    reply->has_length = false;
}

void http_reply_bytes(struct http_request *r, unsigned status, struct str bytes)
{
    drop_body(&r->reply);
    r->reply.status = status;
    r->reply.bytes = bytes;
}

void http_reply_generator(struct http_request *r, unsigned status, struct http_body *body,
                          uint64_t content_length)
{
    drop_body(&r->reply);
    r->reply.status = status;
    r->reply.body = body;
    r->reply.content_length = content_length;
    r->reply.has_length = content_length != HTTP_LENGTH_UNKNOWN;
}

void http_reply_empty(struct http_request *r, unsigned status)
{
    drop_body(&r->reply);
    r->reply.status = status;
}

void http_reply_head_only(struct http_request *r, unsigned status, uint64_t content_length)
{
    drop_body(&r->reply);
    r->reply.status = status;
    r->reply.content_length = content_length;
    r->reply.has_length = true;
}

void http_reply_reset(struct http_request *r)
{
    drop_body(&r->reply);
    memset(&r->reply, 0, sizeof(r->reply));
}
