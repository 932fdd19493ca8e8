#include "meta/names/key.h"

#include "base/clock.h"

bool object_cond_any(const struct object_cond *c)
{
    return object_cond_wants_key(c) || object_cond_has_etag(c) || c->if_absent || c->has_size ||
           c->has_mtime || c->has_unmodified;
}

bool object_cond_wants_key(const struct object_cond *c)
{
    return c->if_present || c->if_match.len > 0;
}

bool object_cond_has_etag(const struct object_cond *c)
{
    return c->if_match.len > 0 || c->if_none_match.len > 0;
}

bool object_cond_holds(const struct object_cond *c, const struct object_attr *now)
{
    if (c->if_absent || (c->if_match.len > 0 && !str_eq(c->if_match, now->etag)))
        return false;
    if (c->if_none_match.len > 0 && str_eq(c->if_none_match, now->etag))
        return false;
    if (c->has_size && now->size != c->if_size)
        return false;
    if (c->has_mtime && clock_seconds(now->mtime_ms) != c->if_mtime_s)
        return false;
    return !c->has_unmodified || clock_seconds(now->mtime_ms) <= c->if_unmodified_s;
}
