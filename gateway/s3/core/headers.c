#include "gateway/s3/core/headers.h"

#include <string.h>

enum twice { ONCE, LIST, APART };

enum empty { AS_ABSENT, COUNTS };

/* Which operations obey a header: all, none, or those whose row takes its group. */
enum where {
    NOWHERE = 0,
    ANYWHERE = 1u << 30,
    AT_COPIES = S3_TAKES_SOURCE,
    AT_PART_COPIES = S3_TAKES_SOURCE_RANGE,
    AT_APPENDS = S3_TAKES_OFFSET,
    AT_PATCHES = S3_TAKES_PATCH,
    AT_CONDITIONS = S3_TAKES_CONDITIONS,
    AT_DELETES = S3_TAKES_DELETE
};

static const struct rule {
    struct str name;
    enum twice twice;
    enum empty empty;
    enum where where;
    const char *values; /* not NULL: obeyed with one of these only, which change nothing */
} rules[] = {
#define NAME(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
#define RULE(name, twice, empty, where) {NAME(name), twice, empty, where, NULL},
#define VALUES(name, values)            {NAME(name), ONCE, AS_ABSENT, NOWHERE, values},
#include "gateway/s3/core/headers.def"
#undef RULE
#undef VALUES
};

/* The names' lengths alone exclude nearly all rules, which are searched many times a request. */
static const uint8_t lengths[] = {
#define RULE(name, twice, empty, where) sizeof(name) - 1,
#define VALUES(name, values)            sizeof(name) - 1,
#include "gateway/s3/core/headers.def"
#undef RULE
#undef VALUES
};

#define RULES ((size_t)(sizeof(rules) / sizeof(rules[0])))

/* Families: each header is by itself. */
static const struct rule families[] = {
    {NAME("x-amz-cf-"), APART, AS_ABSENT, ANYWHERE, NULL}, /* CloudFront's */
    {NAME("x-amz-checksum-"), APART, COUNTS, ANYWHERE, NULL},
    {NAME("x-amz-meta-"), APART, COUNTS, ANYWHERE, NULL},
    {NAME("x-amz-sdk-"), APART, AS_ABSENT, ANYWHERE, NULL},
};

/* An x-amz-* header that we have never heard of. */
static const struct rule unknown = {{"", 0}, APART, AS_ABSENT, NOWHERE, NULL};
/* Any other header: not S3's business. */
static const struct rule foreign = {{"", 0}, APART, COUNTS, ANYWHERE, NULL};

static bool may_be_ours(struct str name)
{
    return name.len >= 4 && memchr("xXcCiIdDeErR", name.ptr[0], 12) != NULL;
}

static const struct rule *rule_named(struct str name)
{
    const uint8_t *at = lengths, *end = lengths + RULES;

    if (name.len > UINT8_MAX)
        return NULL;
    while ((at = memchr(at, (int)name.len, (size_t)(end - at))) != NULL) {
        const struct rule *rule = &rules[at++ - lengths];

        if (str_eq_nocase(name, rule->name))
            return rule;
    }
    return NULL;
}

static const struct rule *rule_of(struct str name)
{
    const struct rule *rule = may_be_ours(name) ? rule_named(name) : &foreign;

    if (rule != NULL)
        return rule;
    if (!str_starts_nocase(name, STR("x-amz-")))
        return &foreign;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (str_starts_nocase(name, families[i].name))
            return &families[i];
    return &unknown;
}

/* --- once, or joined -------------------------------------------------------------------------- */

/* All headers of one rule of the table. */
struct group {
    size_t count, bytes;
    size_t at; /* of the first, in the new list */
};

static enum s3_code came_twice(struct s3_request *r, const struct sigv4_header *h)
{
    return s3_fail_argument(&r->error, "A header that has one value was given more than once",
                            arena_cstr(r->arena, h->name), h->value);
}

/* Moves the first value to where all values of the group fit, joined as "a, b". */
static bool make_room(struct arena *arena, struct sigv4_header *first, const struct group *g)
{
    char *text = arena_alloc(arena, g->bytes + 2 * g->count);

    if (text != NULL && first->value.len > 0)
        memcpy(text, first->value.ptr, first->value.len);
    first->value.ptr = text;
    return text != NULL;
}

static void join(struct sigv4_header *first, struct str value)
{
    char *end = (char *)(uintptr_t)first->value.ptr + first->value.len; /* make_room()'s */

    memcpy(end, ", ", 2);
    if (value.len > 0)
        memcpy(end + 2, value.ptr, value.len);
    first->value.len += 2 + value.len;
}

static bool is_dropped(const struct rule *rule, struct str value)
{
    return rule->empty == AS_ABSENT && str_trim(value).len == 0;
}

static enum s3_code count_groups(struct s3_request *r, struct group *groups)
{
    for (size_t i = 0; i < r->header_count; i++) {
        const struct rule *rule = rule_of(r->headers[i].name);
        struct group *g;

        if (rule->twice == APART || is_dropped(rule, r->headers[i].value))
            continue;
        g = &groups[rule - rules];
        g->bytes += r->headers[i].value.len;
        if (++g->count > 1 && rule->twice == ONCE)
            return came_twice(r, &r->headers[i]);
    }
    return S3_OK;
}

enum s3_code headers_normalize(struct s3_request *r)
{
    struct sigv4_header *kept = arena_array(r->arena, r->header_count + 1, sizeof(*kept));
    struct group groups[RULES] = {{0}};
    size_t count = 0;
    enum s3_code code = count_groups(r, groups);

    if (code != S3_OK || kept == NULL)
        return code != S3_OK ? code : s3_fail_memory(&r->error);
    for (size_t i = 0; i < r->header_count; i++) {
        const struct sigv4_header *h = &r->headers[i];
        const struct rule *rule = rule_of(h->name);
        struct group *g = rule->twice == APART ? NULL : &groups[rule - rules];

        if (is_dropped(rule, h->value))
            continue;
        if (g != NULL && g->at > 0) {
            join(&kept[g->at - 1], h->value);
            continue;
        }
        kept[count++] = *h;
        if (g == NULL || g->count < 2)
            continue;
        g->at = count;
        if (!make_room(r->arena, &kept[count - 1], g))
            return s3_fail_memory(&r->error);
    }
    r->headers = kept;
    r->header_count = count;
    return S3_OK;
}

/* --- obeyed, or refused ----------------------------------------------------------------------- */

static bool is_one_of(const char *values, struct str value)
{
    struct str rest = str_of(values), one;

    while (str_split(&rest, ',', &one))
        if (str_eq(value, one))
            return true;
    return false;
}

enum s3_code headers_check_built(struct s3_request *r)
{
    for (size_t i = 0; i < r->header_count; i++) {
        const struct sigv4_header *h = &r->headers[i];
        const struct rule *rule = rule_of(h->name);

        if (rule->where == ANYWHERE || (r->op->takes & rule->where) != 0 ||
            (rule->values != NULL && is_one_of(rule->values, h->value)))
            continue;
        if (str_eq_nocase(h->name, STR("x-amz-security-token")))
            return s3_fail(&r->error, S3_INVALID_TOKEN, NULL);
        return s3_fail_not_built(&r->error, r->arena, "header", h->name);
    }
    return S3_OK;
}
