/*
 * Small files that hold secrets: keys that the first start makes, files that a variable with _FILE
 * names, the configuration file. Texts without NUL bytes. Any thread; all of it blocks on the disk.
 */
#ifndef KISEKI_GATEWAY_APP_PRIVATE_FILE_H
#define KISEKI_GATEWAY_APP_PRIVATE_FILE_H

#include "base/err.h"

#include <stddef.h>

/*
 * The whole file as a text in out[size], without the line ends behind its last line. A pipe will
 * do. ERR_NOT_FOUND, ERR_DENIED: it cannot be opened; ERR_IO; ERR_TOO_LARGE: `size` bytes or more;
 * ERR_INVALID: a NUL byte, behind which everything would be lost without a word. After an error
 * nothing of it is left in `out`.
 */
MUST_USE enum err private_file_read(const char *path, char *out, size_t size);

/* Mode 0600; whole or not at all, also when the machine stops: a new name, synced, renamed. */
MUST_USE enum err private_file_write(const char *path, const char *text);

#endif
