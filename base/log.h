/*
 * The log: one line an event on standard error, as text or as JSON.
 *
 * The process has one log; log_setup() is called once before other threads start; its descriptor
 * is immutable afterwards, level and format are not. After log_start() no caller waits
 * for the reader of the log: a line is formatted on the stack and copied into a bounded ring
 * (base/log_ring.h) that one thread writes; a line that finds no room is dropped and counted, and
 * the log says how many once lines flow again. Lines keep their order and never mix. Control
 * characters and invalid UTF-8 of the arguments are escaped: a client cannot forge a line. A line
 * has at most 4096 bytes (what a pipe takes in one piece) and a field 1200; longer ones are cut
 * with "...".
 */
#ifndef KISEKI_BASE_LOG_H
#define KISEKI_BASE_LOG_H

#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVELS };
enum log_format { LOG_TEXT, LOG_JSON };

void log_setup(enum log_level level, enum log_format format, int fd);
/* Any time, any thread: of lines that begin afterwards. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
/*
 * From now on lines go through the ring; the process must not fork. Before it, and after
 * log_stop(), a line is written by its caller, which waits a second at most. ERR_NOMEM: no thread.
 */
MUST_USE enum err log_start(void);
/* Writes what waits, for a second at most. Called by main once other threads are quiet. */
void log_stop(void);
/* Lines that were dropped so far, for metrics. */
uint64_t log_dropped(void);
bool log_enabled(enum log_level level);
/* "debug", "info", "warn", "error"; ERR_INVALID otherwise. */
MUST_USE enum err log_level_parse(struct str text, enum log_level *out);

/* The id that lines of this thread carry from now on ("" for none); copied, at most 39 bytes. */
void log_set_request_id(const char *id);

void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_debug(...) (log_enabled(LOG_DEBUG) ? log_line(LOG_DEBUG, __VA_ARGS__) : (void)0)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

/*
 * The last words of a process: what the log still holds, then this line on standard error as it is
 * (no time, no level). Waits at most a second for each; the log's thread has ended afterwards.
 */
void log_fatal(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* A line with named fields, for access lines: in text `name=value`, in JSON members. */
struct log_field {
    const char *name;
    struct str text; /* used when is_number is false */
    int64_t number;
    bool is_number;
};
void log_fields(enum log_level level, const char *event, const struct log_field *fields,
                size_t count);

#endif
