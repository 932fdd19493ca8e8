/*
 * One setting of a struct config by its row in the table: as text, compared, and where it comes
 * from. Pure. Any thread.
 */
#ifndef KISEKI_GATEWAY_APP_SETTING_H
#define KISEKI_GATEWAY_APP_SETTING_H

#include "base/buf.h"
#include "gateway/app/config.h"

#define SETTING_MASK "********"

/* Its member of the struct: a char *, uint64_t or bool, as the row's type says. */
void *setting_place(struct config *c, const struct option_row *o);
/* The text of one that is a text; NULL: not set. Borrowed. */
const char *setting_text(const struct config *c, const struct option_row *o);
bool setting_is_text(const struct option_row *o);
bool setting_is_set(const struct config *c, const struct option_row *o);
/* Whether the value must not be shown, or not all of it: a secret, a URL with a password. */
bool setting_is_secret(const struct option_row *o, const char *value);

/* The value as its flag would take it, nothing if it is not set; of a secret SETTING_MASK. */
void setting_print(const struct config *c, const struct option_row *o, struct buf *out);
bool setting_equal(const struct config *a, const struct config *b, const struct option_row *o);

/* "flag", "variable", "file", "default", or "unset". */
const char *setting_source(const struct config *c, const struct option_row *o);
/* More of it: "variable KISEKI_SECRET_KEY_FILE", "file /etc/kiseki.conf:3". */
void setting_print_origin(const struct config *c, const struct option_row *o, struct buf *out);

#endif
