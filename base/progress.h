/*
 * Progress of long work: on a terminal one line that is redrawn, with a bar, rate and time left;
 * otherwise a plain line every few seconds, for logs. A line at the end, unless quiet, or broken
 * off before anything was done.
 *
 *     struct progress p;
 *     progress_begin(&p, "scrub", slices, quiet);
 *     ... progress_add(&p, 1, bytes) ...
 *     progress_end(&p, err);
 *
 * Goes to standard error, so that results on standard output stay clean. One thread at a time.
 */
#ifndef KISEKI_BASE_PROGRESS_H
#define KISEKI_BASE_PROGRESS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    /* immutable after begin */
    const char *what;
    uint64_t total; /* items; 0: not known */
    bool quiet, terminal;
    int64_t begun_us;
    /* what was done */
    uint64_t items, bytes;
    int64_t shown_us;
    char waits_for[96]; /* why nothing is done right now; "" otherwise */
    bool was_waiting;
};

void progress_begin(struct progress *p, const char *what, uint64_t total, bool quiet);
void progress_add(struct progress *p, uint64_t items, uint64_t bytes);
/* Says why the work stands, at once and then every half a minute, until something is added. */
void progress_wait(struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The last line; with an error it does not say that all is done. Changes no err_text(). */
void progress_end(struct progress *p, enum err how);

/* "35.3 MiB"; pure. */
void progress_size(char *out, size_t size, double bytes);

/* The line as it is shown after `elapsed_us`; pure. Cut to `size`. */
void progress_text(const struct progress *p, int64_t elapsed_us, char *out, size_t size);

#endif
