/*
 * Where finished lines of the log wait for the one thread that writes them. Only base/log.c
 * includes this.
 *
 *     log_ring_put() --copy--> 256 KiB of whole lines --one thread--> descriptor
 *
 * Putting takes a mutex for the time of a memcpy, and nothing else: the reader of the log may
 * sleep, its disk may be full, no caller waits for it. A line that finds no room is dropped and
 * counted, and so is every line after it until all that waits is written: what is read is runs of
 * whole lines in order, and between them a line that says how many are missing. A write that fails
 * (full disk, closed descriptor) loses its lines, which are counted and said likewise once writing
 * works again.
 *
 * Before log_ring_start() and after log_ring_stop() a line is written at once by its caller, which
 * waits a second at most for a reader that sleeps, and not at all again until it reads.
 */
#ifndef KISEKI_BASE_LOG_RING_H
#define KISEKI_BASE_LOG_RING_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* A line has at most so many bytes, its newline included: a pipe takes them in one piece. */
#define LOG_LINE_MAX ((size_t)4096)

/* Formats the line "`lines` were dropped because of `why`" and returns its length. */
typedef size_t log_notice_fn(uint64_t lines, const char *why, char out[LOG_LINE_MAX]);

/* The descriptor of all lines from now on, at first standard error; not while the thread runs. */
void log_ring_use(int fd);
/* Starts the thread. ERR_NOMEM: it cannot be; lines go on to be written by their callers. */
MUST_USE enum err log_ring_start(log_notice_fn *notice);
/* Writes what waits, for at most `ms` (the rest is dropped), and ends the thread. One that does not
 * end in time is left to itself; calling again, as log_fatal() and log_stop() do, is fine. */
void log_ring_stop(int64_t ms);

/* One line, ending with its newline. Any thread. */
void log_ring_put(const char *line, size_t len);

/* Lines dropped so far. */
uint64_t log_ring_dropped(void);

#endif
