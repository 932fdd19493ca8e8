#include "fs/cache/disk_cache_index.h"

#include <stdlib.h>
#include <string.h>

static uint32_t bucket_of(const struct disk_index *x, const struct disk_slot *s)
{
    uint64_t h = s->slice.id * UINT64_C(0x9E3779B97F4A7C15) + s->granule;

    h = (h ^ s->slice.tag ^ (h >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    return (uint32_t)(h >> 32) & x->mask;
}

static bool is_same(const struct disk_slot *a, const struct disk_slot *b)
{
    return a->slice.id == b->slice.id && a->slice.tag == b->slice.tag && a->granule == b->granule;
}

enum err disk_index_init(struct disk_index *x, uint32_t slots)
{
    uint32_t buckets = 16;

    while (buckets < slots)
        buckets *= 2;
    *x = (struct disk_index){.count = slots, .mask = buckets - 1};
    x->slots = calloc(slots, sizeof(*x->slots));
    x->hits = calloc(slots, sizeof(*x->hits));
    x->chain = calloc(slots, sizeof(*x->chain));
    x->buckets = calloc(buckets, sizeof(*x->buckets));
    if (x->slots != NULL && x->hits != NULL && x->chain != NULL && x->buckets != NULL)
        return OK;
    disk_index_fini(x);
    return err_set(ERR_NOMEM, "out of memory for a disk cache of %u granules", slots);
}

void disk_index_fini(struct disk_index *x)
{
    free(x->slots);
    free(x->hits);
    free(x->chain);
    free(x->buckets);
    *x = (struct disk_index){.slots = NULL};
}

bool disk_index_find_any(const struct disk_index *x, const struct disk_slot *want, uint32_t *out)
{
    uint32_t at = x->buckets[bucket_of(x, want)];

    while (at != 0 && !is_same(&x->slots[at - 1], want))
        at = x->chain[at - 1];
    *out = at - 1;
    return at != 0;
}

bool disk_index_find(const struct disk_index *x, const struct disk_slot *want, uint32_t *out)
{
    return disk_index_find_any(x, want, out) && x->slots[*out].len == want->len;
}

void disk_index_hit(struct disk_index *x, uint32_t slot, uint8_t most)
{
    if (x->hits[slot] < most)
        x->hits[slot]++;
}

void disk_index_remove(struct disk_index *x, uint32_t slot)
{
    uint32_t *at = &x->buckets[bucket_of(x, &x->slots[slot])];

    while (*at != slot + 1)
        at = &x->chain[*at - 1];
    *at = x->chain[slot];
    x->slots[slot].len = 0;
    x->hits[slot] = 0;
    x->used--;
}

uint32_t disk_index_take(struct disk_index *x)
{
    for (;;) {
        uint32_t slot = x->hand;

        x->hand = (x->hand + 1) % x->count;
        if (x->slots[slot].len == 0)
            return slot;
        if (x->hits[slot] == 0) {
            disk_index_remove(x, slot);
            return slot;
        }
        x->hits[slot]--;
    }
}

void disk_index_add(struct disk_index *x, uint32_t slot, const struct disk_slot *entry)
{
    uint32_t *bucket = &x->buckets[bucket_of(x, entry)], other;

    if (disk_index_find_any(x, entry, &other) || x->slots[slot].len != 0)
        return;
    x->slots[slot] = *entry;
    x->chain[slot] = *bucket;
    *bucket = slot + 1;
    x->used++;
}
