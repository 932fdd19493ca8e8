#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct err_info last;
static _Thread_local unsigned memory_refusals;

static const char *const names[ERR_COUNT] = {
    [OK] = "ok",
    [ERR_NOMEM] = "out of memory",
    [ERR_INVALID] = "invalid",
    [ERR_NOT_FOUND] = "not found",
    [ERR_EXISTS] = "exists",
    [ERR_CONDITION] = "condition failed",
    [ERR_CONFLICT] = "conflict",
    [ERR_NOT_EMPTY] = "not empty",
    [ERR_TOO_LARGE] = "too large",
    [ERR_DENIED] = "denied",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_IO] = "i/o error",
    [ERR_CORRUPT] = "corrupt",
    [ERR_TIMEOUT] = "timed out",
    [ERR_BUSY] = "busy",
    [ERR_FULL] = "no room left",
    [ERR_AGAIN] = "would block",
    [ERR_FENCED] = "fenced",
    [ERR_UNKNOWN] = "outcome unknown",
    [ERR_CANCELLED] = "cancelled",
    [ERR_BUG] = "bug",
};

/* The arguments may point into the recorded text, so the new one is made beside it. */
static void record(enum err code, const char *prefix, const char *text)
{
    struct err_info next = {.code = code};
    size_t used = 0;

    memory_refusals += code == ERR_NOMEM;
    if (prefix != NULL) {
        used = strnlen(prefix, sizeof(next.text) - 3);
        memcpy(next.text, prefix, used);
        memcpy(next.text + used, ": ", 2);
        used += 2;
    }
    size_t more = strnlen(text, sizeof(next.text) - 1 - used);
    memcpy(next.text + used, text, more);
    next.text[used + more] = '\0';
    last = next;
}

enum err err_set(enum err code, const char *fmt, ...)
{
    int saved_errno = errno;
    char text[ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    record(code, NULL, n < 0 ? err_name(code) : text);
    errno = saved_errno;
    return code;
}

enum err err_prefix(enum err code, const char *fmt, ...)
{
    int saved_errno = errno;
    char prefix[ERR_TEXT_MAX];
    va_list args;

    if (code == OK)
        return OK;
    va_start(args, fmt);
    int n = vsnprintf(prefix, sizeof(prefix), fmt, args);
    va_end(args);
    if (n >= 0)
        record(code, prefix, err_text(code));
    errno = saved_errno;
    return code;
}

const char *err_text(enum err code)
{
    if (code != OK && last.code == code && last.text[0] != '\0')
        return last.text;
    return err_name(code);
}

const char *err_name(enum err code)
{
    if ((int)code < 0 || code >= ERR_COUNT)
        return "unknown error code";
    return names[code];
}

unsigned err_memory_refusals(void)
{
    return memory_refusals;
}

void err_memory_refused(void)
{
    memory_refusals++;
}

void err_save(enum err code, struct err_info *out)
{
    const char *text = err_text(code);
    size_t len = strnlen(text, sizeof(out->text) - 1);

    out->code = code;
    memmove(out->text, text, len);
    out->text[len] = '\0';
}

enum err err_restore(const struct err_info *info)
{
    record(info->code, NULL, info->text);
    return info->code;
}
