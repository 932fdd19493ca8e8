/*
 * "Did you mean ...?": the known word that is closest to a misspelt one.
 *
 *     struct suggest s;
 *     suggest_begin(&s, wrong);
 *     suggest_offer(&s, "listen"); ...
 *     if (s.best[0] != '\0') ...
 *
 * Close is a distance of a third of the word's length: letters added, lost, changed or swapped.
 * Pure.
 */
#ifndef KISEKI_GATEWAY_APP_SUGGEST_H
#define KISEKI_GATEWAY_APP_SUGGEST_H

#include "base/str.h"

#define SUGGEST_MAX 64 /* longer words have no suggestion */

struct suggest {
    struct str wrong;
    size_t distance; /* of best */
    char best[SUGGEST_MAX];
};

void suggest_begin(struct suggest *s, struct str wrong);
void suggest_offer(struct suggest *s, const char *word);

#endif
