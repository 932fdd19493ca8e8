/*
 * A script, cut in steps at its lines `-- step: WHAT`, so that who runs a long one (a migration)
 * can be shown how far it is. Steps end at such lines only, since the engines' own ends of
 * statements stand in the bodies of functions and triggers, too.
 */
#include "meta/sql/driver.h"

#include <stdlib.h>
#include <string.h>

#define MARK           "\n-- step: "
#define STEP_MAX_BYTES ((size_t)1 << 20)

static enum err add_step(struct sql_steps *steps, enum sql_dialect dialect, struct str what,
                         struct str text)
{
    struct sql_step *all = realloc(steps->all, (steps->count + 1) * sizeof(*all));
    struct buf expanded;
    enum err err;

    if (all == NULL)
        return err_set(ERR_NOMEM, "no memory for a script");
    steps->all = all;
    buf_init(&expanded, STEP_MAX_BYTES);
    err = sql_expand(dialect, text, NULL, &expanded);
    if (err == OK)
        err = buf_check(&expanded);
    if (err == OK) {
        all[steps->count].what = strndup(what.ptr, what.len);
        all[steps->count].text = strdup(expanded.data != NULL ? expanded.data : "");
        if (all[steps->count].what == NULL || all[steps->count].text == NULL)
            err = err_set(ERR_NOMEM, "no memory for a script");
        steps->count++;
    }
    buf_fini(&expanded);
    return err;
}

enum err steps_of(enum sql_dialect dialect, const char *script, struct sql_steps *out)
{
    struct str what = STR("");
    const char *at = script;
    enum err err = OK;

    *out = (struct sql_steps){.count = 0};
    while (err == OK && at != NULL) {
        const char *end = strstr(at, MARK);
        size_t len = end != NULL ? (size_t)(end - at) : strlen(at);

        err = add_step(out, dialect, what, (struct str){at, len});
        at = end != NULL ? end + strlen(MARK) : NULL;
        if (at != NULL) {
            what = (struct str){at, strcspn(at, "\n")};
            at += what.len;
        }
    }
    return err;
}

void steps_free(struct sql_steps *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        free(steps->all[i].what);
        free(steps->all[i].text);
    }
    free(steps->all);
    *steps = (struct sql_steps){.count = 0};
}

void steps_report(const struct sql_steps *steps, size_t done)
{
    const char *what = done < steps->count ? steps->all[done].what : "";

    if (steps->watch != NULL)
        steps->watch->step(steps->watch->arg, done, steps->count, what);
}
