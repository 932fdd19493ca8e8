#include "meta/names/key.h"

static int64_t whole_seconds(int64_t ms)
{
    return ms >= 0 ? ms / 1000 : -((999 - ms) / 1000);
}

bool object_cond_holds(const struct object_cond *c, const struct object_attr *now)
{
    if (c->if_absent || (c->if_match.len > 0 && !str_eq(c->if_match, now->etag)))
        return false;
    if (c->if_none_match.len > 0 && str_eq(c->if_none_match, now->etag))
        return false;
    if (c->has_size && now->size != c->if_size)
        return false;
    if (c->has_mtime && whole_seconds(now->mtime_ms) != c->if_mtime_s)
        return false;
    return !c->has_unmodified || whole_seconds(now->mtime_ms) <= c->if_unmodified_s;
}
