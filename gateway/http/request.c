#include "gateway/http/request.h"

static bool find(const struct http_header *list, size_t count, struct str name, size_t *at,
                 struct str *out)
{
    for (; *at < count; (*at)++) {
        if (str_eq_nocase(list[*at].name, name)) {
            *out = list[*at].value;
            (*at)++;
            return true;
        }
    }
    return false;
}

bool http_header_next(const struct http_request *r, const char *name, size_t *at,
                      struct str *out_value)
{
    return find(r->headers, r->header_count, str_of(name), at, out_value);
}

struct str http_header(const struct http_request *r, const char *name)
{
    size_t at = 0;
    struct str value = STR_NONE;
    (void)http_header_next(r, name, &at, &value);
    return value;
}

bool http_has_header(const struct http_request *r, const char *name)
{
    size_t at = 0;
    struct str value;
    return http_header_next(r, name, &at, &value);
}

struct str http_trailer(const struct http_request *r, const char *name)
{
    size_t at = 0;
    struct str value = STR_NONE;
    (void)find(r->trailers, r->trailer_count, str_of(name), &at, &value);
    return value;
}
