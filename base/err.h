/*
 * Errors: a small closed set of codes, and one line of text beside the last one.
 *
 * A function that can fail returns `enum err` and must have its result used. The code drives
 * logic, the text drives logs. The text is set where the failure happens, in thread-local
 * memory, paired with its code: err_text(code) returns it only if it belongs to that code,
 * so a stale text cannot mislead. It lives until the next err_set() of the thread; whoever
 * carries a failure to another thread copies it (struct err_info).
 *
 * Threads: every function may be called by any thread; nothing blocks.
 */
#ifndef KISEKI_BASE_ERR_H
#define KISEKI_BASE_ERR_H

#define MUST_USE               __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum err {
    OK = 0,
    ERR_NOMEM,       /* out of memory, or of a bounded pool that never waits */
    ERR_INVALID,     /* the caller's argument or the client's input is malformed */
    ERR_NOT_FOUND,   /* the thing named does not exist */
    ERR_EXISTS,      /* the thing named exists already */
    ERR_CONDITION,   /* a condition of the caller does not hold (If-Match and the like) */
    ERR_CONFLICT,    /* a concurrent change won; nothing was done; trying again may succeed */
    ERR_NOT_EMPTY,   /* a container still holds something */
    ERR_TOO_LARGE,   /* over a limit that the header of the function names */
    ERR_DENIED,      /* permission refused by a peer, a disk or a check */
    ERR_UNSUPPORTED, /* well-formed, but not built */
    ERR_IO,          /* a disk, a socket or a peer failed */
    ERR_CORRUPT,     /* bytes are not what their checksum says */
    ERR_TIMEOUT,     /* a deadline passed */
    ERR_BUSY,        /* overloaded or a server is away for now; nothing was done; try later */
    ERR_FULL,        /* a disk has no room left; nothing was done */
    ERR_AGAIN,       /* would block; the function says what calls back */
    ERR_FENCED,      /* our session's lease is over: nothing may be written any more */
    ERR_UNKNOWN,     /* a commit's outcome is unknown and could not be resolved */
    ERR_CANCELLED,   /* given up on request (client gone, shutting down) */
    ERR_BUG,         /* a state that should not be: logged, answered, never aborted on */
    ERR_COUNT
};

/* Room for one line of text; longer text is cut. */
#define ERR_TEXT_MAX 512

/* A failure with its text, to be carried across threads. */
struct err_info {
    enum err code;
    char text[ERR_TEXT_MAX];
};

/* Records text for `code` in this thread and returns `code`: `return err_set(...)` works. */
enum err err_set(enum err code, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Puts "<prefix>: " before the text of `code`, if it is the thread's last, and returns `code`. */
enum err err_prefix(enum err code, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The text recorded for `code` by this thread, else err_name(code). Never NULL. */
const char *err_text(enum err code);

/* The code's own name in lower case: "not found". Never NULL, also for wrong values. */
const char *err_name(enum err code);

/*
 * How often this thread was refused memory so far: counted by err_set(ERR_NOMEM), arenas and bufs.
 * A caller that compares it before and after some work knows whether a refusal of a client's input
 * may come from there.
 */
unsigned err_memory_refusals(void);
void err_memory_refused(void);

/* Copies code and text out of this thread; err_restore() puts them into another one. */
void err_save(enum err code, struct err_info *out);
enum err err_restore(const struct err_info *info);

#endif
