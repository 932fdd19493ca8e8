#include "meta/names/pairs.h"

/* The two lengths that every pair has at least. */
#define PAIR_MIN_BYTES (4 + 4)

void pairs_pack(struct buf *out, struct pairs p)
{
    buf_put_u32(out, (uint32_t)p.count);
    for (size_t i = 0; i < p.count; i++) {
        buf_put_bytes(out, p.items[i].name);
        buf_put_bytes(out, p.items[i].value);
    }
}

enum err pairs_unpack(struct arena *a, struct str packed, struct pairs *out)
{
    *out = (struct pairs){.items = NULL, .count = 0};
    if (packed.len == 0)
        return OK;
    struct unpack u = unpack_of(packed);
    uint32_t count = unpack_u32(&u);
    if (u.failed || count > u.left / PAIR_MIN_BYTES)
        return err_set(ERR_CORRUPT, "a list of headers or tags has an impossible length");
    struct pair *items = arena_array(a, count, sizeof(*items));
    if (items == NULL)
        return err_set(ERR_NOMEM, "no memory for %u headers or tags", count);
    for (size_t i = 0; i < count; i++) {
        items[i].name = unpack_bytes(&u);
        items[i].value = unpack_bytes(&u);
    }
    if (u.failed || u.left != 0)
        return err_set(ERR_CORRUPT, "a list of headers or tags is cut off or too long");
    *out = (struct pairs){.items = items, .count = count};
    return OK;
}

struct str pairs_get(struct pairs p, struct str name)
{
    for (size_t i = 0; i < p.count; i++)
        if (str_eq_nocase(p.items[i].name, name))
            return p.items[i].value;
    return STR_NONE;
}
