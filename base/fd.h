/*
 * Writing to a descriptor whose other end may not read: a pipe that nobody reads, a terminal that
 * is stopped (Ctrl-S). Each wait has an end, so a program never hangs because of its messages.
 *
 * Threads: any. Nothing here sets an error's text (base/err.h): the log uses it in the middle of
 * other people's work. errno says more.
 */
#ifndef KISEKI_BASE_FD_H
#define KISEKI_BASE_FD_H

#include "base/err.h"

#include <stddef.h>

/*
 * Writes all of it, whatever the descriptor's O_NONBLOCK. ERR_TIMEOUT: it took nothing for
 * `wait_ms`; ERR_IO: errno says why. *out_written (NULL is fine): how much went out in any case.
 * Pieces of at most 4096 bytes (PIPE_BUF) are written whole to a pipe.
 */
MUST_USE enum err fd_write_within(int fd, const char *data, size_t len, int wait_ms,
                                  size_t *out_written);

/* Opens /dev/null where standard input, output or error are closed: the next file must not
 * become the place that messages go to. */
void fd_open_standard(void);

#endif
