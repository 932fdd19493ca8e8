#include "base/log.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log_ring.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES LOG_LINE_MAX
/* Escaped bytes of one field: a key of 1024 plain bytes fits, and no field hides the others. */
#define FIELD_MAX_BYTES 1200
/* Kept free for what closes a cut line: `..."}` and the newline. */
#define LINE_RESERVE 16
#define FLUSH_MS     1000 /* what waits at the end is written for so long */
#define FATAL_MS     1000

static _Atomic int threshold = LOG_INFO;
static _Atomic int format = LOG_TEXT; /* of lines that begin from now on */
static _Thread_local char request_id[40];

static const char level_names[LOG_LEVELS][8] = {"debug", "info", "warn", "error"};

struct line {
    char data[LINE_MAX_BYTES];
    size_t len;
    bool json; /* all of it, whatever is set meanwhile */
};

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

void log_set_format(enum log_format new_format)
{
    atomic_store(&format, (int)new_format);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

enum err log_level_parse(struct str text, enum log_level *out)
{
    for (int i = 0; i < LOG_LEVELS; i++) {
        if (str_eq(text, str_of(level_names[i]))) {
            *out = (enum log_level)i;
            return OK;
        }
    }
    return err_set(ERR_INVALID, "a log level is one of debug, info, warn, error");
}

void log_set_request_id(const char *id)
{
    size_t len = strnlen(id, sizeof(request_id) - 1);

    memmove(request_id, id, len);
    request_id[len] = '\0';
}

/* What the program itself says; too much is cut. */
static void put(struct line *l, const char *text)
{
    size_t len = strlen(text), room = sizeof(l->data) - l->len;

    if (len > room)
        len = room;
    memcpy(l->data + l->len, text, len);
    l->len += len;
}

/* Code point of a well-formed sequence of `len` bytes. */
static unsigned code_point(const unsigned char *p, size_t len)
{
    unsigned c = len == 1 ? p[0] : p[0] & (0xFFU >> (len + 1));

    for (size_t i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3F);
    return c;
}

/* Controls (C0, DEL, C1) and the line separators of Unicode: what could fake a line or a colour. */
static bool is_control(unsigned c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029;
}

/*
 * Writes the form of the character at `p` (`len` bytes, 0 for an invalid byte) into out and
 * returns its size.
 */
static size_t escape(const unsigned char *p, size_t len, bool json, bool quoted, char out[16])
{
    unsigned c = len ? code_point(p, len) : *p;

    if (len == 0) /* JSON has no form for a byte that is no character: a visible one instead */
        return (size_t)snprintf(out, 16, json ? "\\\\x%02x" : "\\x%02x", c);
    if (c == '\n' || c == '\r' || c == '\t')
        return (size_t)snprintf(out, 16, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    if (is_control(c))
        return (size_t)snprintf(out, 16, json || c > 0xFF ? "\\u%04x" : "\\x%02x", c);
    if (c == '\\' || (c == '"' && quoted)) {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    memcpy(out, p, len);
    return len;
}

/* Appends a client's bytes in a form that cannot end the line, at most `limit` bytes of it. */
static void put_escaped(struct line *l, struct str s, bool quoted, size_t limit)
{
    size_t room = sizeof(l->data) - LINE_RESERVE;
    size_t end = room - l->len < limit ? room : l->len + limit;

    for (size_t at = 0; at < s.len;) {
        const unsigned char *p = (const unsigned char *)s.ptr + at;
        size_t len = str_utf8_at(s, at);
        char form[16];
        size_t n = escape(p, len, l->json, quoted, form);
        if (l->len + n > end) {
            put(l, "...");
            return;
        }
        memcpy(l->data + l->len, form, n);
        l->len += n;
        at += len ? len : 1;
    }
}

/* Text that needs no quotes in the text format. */
static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || strchr("\"\\=", s.ptr[i]) != NULL)
            return false;
    return s.len > 0;
}

static void put_string_member(struct line *l, const char *name, struct str value, size_t limit)
{
    bool json = l->json, quotes = json || !is_plain(value);

    put(l, json ? ",\"" : " ");
    put(l, name);
    put(l, json ? "\":" : "=");
    put(l, quotes ? "\"" : "");
    put_escaped(l, value, quotes, limit);
    put(l, quotes ? "\"" : "");
}

static void put_number_member(struct line *l, const char *name, int64_t value)
{
    char text[32];

    put(l, l->json ? ",\"" : " ");
    put(l, name);
    put(l, l->json ? "\":" : "=");
    snprintf(text, sizeof(text), "%lld", (long long)value);
    put(l, text);
}

static void begin_line(struct line *l, enum log_level level, const char *id)
{
    bool json = atomic_load_explicit(&format, memory_order_relaxed) == LOG_JSON;
    char now[CLOCK_TEXT_MAX];

    l->len = 0;
    l->json = json;
    clock_iso(clock_wall_ms(), now);
    put(l, json ? "{\"time\":\"" : "");
    put(l, now);
    put(l, json ? "\",\"level\":\"" : " ");
    put(l, level_names[level]);
    put(l, json ? "\"" : "");
    if (id[0] != '\0')
        put_string_member(l, "request_id", str_of(id), FIELD_MAX_BYTES);
}

static void end_line(struct line *l)
{
    put(l, l->json ? "}\n" : "\n");
}

static void put_message(struct line *l, const char *member, struct str text)
{
    if (l->json) {
        put_string_member(l, member, text, LINE_MAX_BYTES);
    } else {
        put(l, " ");
        put_escaped(l, text, false, LINE_MAX_BYTES);
    }
}

void log_line(enum log_level level, const char *fmt, ...)
{
    int saved_errno = errno;
    char text[LINE_MAX_BYTES];
    struct line l;
    va_list args;

    if (!log_enabled(level))
        return;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    begin_line(&l, level, request_id);
    put_message(&l, "msg", str_of(n < 0 ? fmt : text));
    end_line(&l);
    log_ring_put(l.data, l.len);
    errno = saved_errno;
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields,
                size_t count)
{
    int saved_errno = errno;
    struct line l;

    if (!log_enabled(level))
        return;
    begin_line(&l, level, request_id);
    put_message(&l, "event", str_of(event));
    for (size_t i = 0; i < count; i++) {
        /* A field that could not even be begun and closed is left out, and so are the rest. */
        if (l.len + strlen(fields[i].name) + 64 > sizeof(l.data) - LINE_RESERVE)
            break;
        if (fields[i].is_number)
            put_number_member(&l, fields[i].name, fields[i].number);
        else
            put_string_member(&l, fields[i].name, fields[i].text, FIELD_MAX_BYTES);
    }
    end_line(&l);
    log_ring_put(l.data, l.len);
    errno = saved_errno;
}

/* --- the descriptor and its thread ------------------------------------------------------------ */

/* No request's id: these were lines of many. */
static size_t format_notice(uint64_t lines, const char *why, char out[LOG_LINE_MAX])
{
    char text[200];
    struct line l;

    begin_line(&l, LOG_WARN, "");
    snprintf(text, sizeof(text), "%llu lines of this log were dropped: %s",
             (unsigned long long)lines, why);
    put_message(&l, "msg", str_of(text));
    end_line(&l);
    memcpy(out, l.data, l.len);
    return l.len;
}

void log_setup(enum log_level level, enum log_format new_format, int fd)
{
    atomic_store(&threshold, (int)level);
    atomic_store(&format, (int)new_format);
    log_ring_use(fd);
}

enum err log_start(void)
{
    return log_ring_start(format_notice);
}

void log_stop(void)
{
    log_ring_stop(FLUSH_MS);
}

uint64_t log_dropped(void)
{
    return log_ring_dropped();
}

void log_fatal(const char *fmt, ...)
{
    char text[LINE_MAX_BYTES];
    va_list args;
    int n;

    log_stop();
    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text) - 1, fmt, args);
    va_end(args);
    if (n < 0)
        return;
    if ((size_t)n > sizeof(text) - 2)
        n = (int)sizeof(text) - 2;
    text[n] = '\n';
    if (fd_write_within(STDERR_FILENO, text, (size_t)n + 1, FATAL_MS, NULL) != OK)
        return; /* nothing reads it */
}
