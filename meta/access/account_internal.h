/*
 * What the files of meta/account*.c share. Nothing else includes this.
 */
#ifndef KISEKI_META_ACCESS_ACCOUNT_INTERNAL_H
#define KISEKI_META_ACCESS_ACCOUNT_INTERNAL_H

#include "meta/access/account.h"
#include "meta/sql/calls.h"

/* access_keys.enabled */
enum { KEY_DISABLED = 0, KEY_ENABLED = 1, KEY_GIVEN = 2 };

/* A row of access_key_get or access_keys_page, without the secret; false: not one of ours. */
bool account_key_of(const struct sql_call *c, size_t row, struct access_key *out);
/* Out of memory with it. */
void account_forget(struct meta *m, struct str access_key);
/* Reads the first keys into memory. */
MUST_USE enum err account_preload(struct meta *m);

#endif
