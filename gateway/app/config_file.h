/*
 * The form of a configuration file:
 *
 *     # a comment, up to the end of its line
 *     listen = 0.0.0.0:9000        # behind a value, too, after a blank
 *     cache-dir = "/srv/my #1"     # quotes keep blanks at the ends, and a # after a blank
 *
 * A line has one `name = value`; blanks around both do not count, and blank lines are fine. There
 * are no sections and no escapes: a value in quotes ends at the next quote. Pure. Any thread.
 */
#ifndef KISEKI_GATEWAY_APP_CONFIG_FILE_H
#define KISEKI_GATEWAY_APP_CONFIG_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* `value` is terminated; both are borrowed from the text for the call. */
typedef enum err config_file_line(void *arg, unsigned line, struct str name, const char *value);

/*
 * Calls `each` for the settings in their order; the first error ends it. `text` is changed in
 * place. ERR_INVALID says what is wrong, without file or line: *out_line is the line's number.
 */
MUST_USE enum err config_file_parse(char *text, config_file_line *each, void *arg,
                                    unsigned *out_line);

/* The value as a file may hold it: in quotes if it needs them. */
void config_file_quote(struct str value, struct buf *out);

#endif
