#include "fs/cache/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/*
 * S3-FIFO (Yang et al., SOSP 2023). New entries go to the small queue; what is asked for again
 * while it is there moves to the main queue when its turn to leave comes, the rest leaves after one
 * pass.
 * Ghosts remember what left the small queue: what soon comes back goes to the main queue. An
 * entry of the main queue that was hit goes round again, once a hit, at most three times.
 */
#define SHARDS       8
#define HITS_MAX     3
#define HITS_TO_MAIN 2  /* being read once after read-ahead is not yet popularity */
#define SMALL_SHARE  10 /* the small queue gives way first while it has a tenth of the entries */
#define PINNED_MAX   64 /* pinned entries passed over in a queue before it is given up */

enum queue_kind { QUEUE_SMALL, QUEUE_MAIN, QUEUES };

struct entry {
    struct entry *chain; /* of its bucket */
    struct entry *newer; /* of its queue */
    struct page *page;
    uint64_t hash;
    struct slice_name slice;
    uint32_t granule;
    unsigned hits;
};

struct queue {
    struct entry *oldest, *newest;
    size_t count;
};

/* A collision of two ghosts forgets the older one. */
struct ghost {
    uint64_t hash;
    uint64_t left; /* the shard's count of ghosts when it left; 0: none */
};

struct shard {
    pthread_mutex_t lock;
    /* guarded by lock */
    struct entry **buckets;
    struct ghost *ghosts;
    struct queue queues[QUEUES];
    uint64_t ghost_count;
};

struct cache {
    /* immutable */
    struct pages *pages;
    size_t mask; /* buckets and ghosts of a shard, less one */
    struct shard shards[SHARDS];
    /* atomic */
    _Atomic uint64_t hits, misses;
    _Atomic unsigned turn; /* the shard to evict from next */
};

/* --- making ----------------------------------------------------------------------------------- */

enum err cache_new(struct pages *pages, struct cache **out)
{
    struct cache *c = calloc(1, sizeof(*c));
    size_t size = 16;
    bool ok = c != NULL;

    *out = NULL;
    while (size < pages->limit / SHARDS)
        size *= 2;
    for (size_t i = 0; c != NULL && i < SHARDS; i++) {
        struct shard *s = &c->shards[i];

        pthread_mutex_init(&s->lock, NULL);
        s->buckets = calloc(size, sizeof(s->buckets[0]));
        s->ghosts = calloc(size, sizeof(s->ghosts[0]));
        ok = ok && s->buckets != NULL && s->ghosts != NULL;
    }
    if (!ok) {
        cache_free(c);
        return err_set(ERR_NOMEM, "out of memory for the cache");
    }
    c->pages = pages;
    c->mask = size - 1;
    *out = c;
    return OK;
}

void cache_free(struct cache *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &c->shards[i];

        for (size_t q = 0; q < QUEUES; q++) {
            while (s->queues[q].oldest != NULL) {
                struct entry *e = s->queues[q].oldest;

                s->queues[q].oldest = e->newer;
                page_unref(c->pages, e->page);
                free(e);
            }
        }
        free(s->buckets);
        free(s->ghosts);
        pthread_mutex_destroy(&s->lock);
    }
    free(c);
}

/* --- finding ---------------------------------------------------------------------------------- */

/* Finisher of splitmix64 over the three numbers. */
static uint64_t hash_of(struct slice_name slice, uint32_t granule)
{
    uint64_t h = slice.id * UINT64_C(0x9E3779B97F4A7C15) + granule;

    h = (h ^ slice.tag ^ (h >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94D049BB133111EB);
    return h ^ (h >> 31);
}

static struct shard *shard_of(struct cache *c, uint64_t hash)
{
    return &c->shards[(hash >> 56) % SHARDS];
}

/* With the shard's lock held. */
static struct entry *find(struct cache *c, struct shard *s, uint64_t hash, struct slice_name slice,
                          uint32_t granule)
{
    struct entry *e = s->buckets[hash & c->mask];

    while (e != NULL && (e->hash != hash || e->slice.id != slice.id || e->slice.tag != slice.tag ||
                         e->granule != granule))
        e = e->chain;
    return e;
}

static struct page *look_up(struct cache *c, struct slice_name slice, uint32_t granule, bool hit)
{
    uint64_t hash = hash_of(slice, granule);
    struct shard *s = shard_of(c, hash);
    struct page *page = NULL;
    struct entry *e;

    pthread_mutex_lock(&s->lock);
    e = find(c, s, hash, slice, granule);
    if (e != NULL) {
        page = page_ref(e->page);
        if (hit && e->hits < HITS_MAX)
            e->hits++;
    }
    pthread_mutex_unlock(&s->lock);
    return page;
}

struct page *cache_get(struct cache *c, struct slice_name slice, uint32_t granule)
{
    struct page *page = look_up(c, slice, granule, true);

    atomic_fetch_add_explicit(page != NULL ? &c->hits : &c->misses, 1, memory_order_relaxed);
    return page;
}

struct page *cache_peek(struct cache *c, struct slice_name slice, uint32_t granule)
{
    return look_up(c, slice, granule, false);
}

bool cache_has(struct cache *c, struct slice_name slice, uint32_t granule)
{
    uint64_t hash = hash_of(slice, granule);
    struct shard *s = shard_of(c, hash);
    bool has;

    pthread_mutex_lock(&s->lock);
    has = find(c, s, hash, slice, granule) != NULL;
    pthread_mutex_unlock(&s->lock);
    return has;
}

/* --- coming and going ------------------------------------------------------------------------- */

static void push(struct queue *q, struct entry *e)
{
    e->newer = NULL;
    if (q->newest != NULL)
        q->newest->newer = e;
    else
        q->oldest = e;
    q->newest = e;
    q->count++;
}

static struct entry *pop(struct queue *q)
{
    struct entry *e = q->oldest;

    q->oldest = e->newer;
    if (q->oldest == NULL)
        q->newest = NULL;
    q->count--;
    return e;
}

/* Among the ghosts as long as not more have come since than there is room for. */
static bool was_here(struct cache *c, struct shard *s, uint64_t hash)
{
    const struct ghost *g = &s->ghosts[hash & c->mask];

    return g->left != 0 && g->hash == hash && s->ghost_count - g->left <= c->mask;
}

void cache_put(struct cache *c, struct slice_name slice, uint32_t granule, struct page *page)
{
    uint64_t hash = hash_of(slice, granule);
    struct shard *s = shard_of(c, hash);
    struct entry *e;

    if (pages_wanted(c->pages))
        return;
    e = malloc(sizeof(*e));
    if (e == NULL)
        return;
    *e = (struct entry){.hash = hash, .slice = slice, .granule = granule};
    pthread_mutex_lock(&s->lock);
    if (find(c, s, hash, slice, granule) == NULL) {
        e->page = page_ref(page);
        e->chain = s->buckets[hash & c->mask];
        s->buckets[hash & c->mask] = e;
        push(&s->queues[was_here(c, s, hash) ? QUEUE_MAIN : QUEUE_SMALL], e);
        e = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    free(e);
}

static void forget(struct cache *c, struct shard *s, struct entry *e, bool leave_ghost)
{
    struct entry **at = &s->buckets[e->hash & c->mask];

    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    if (leave_ghost)
        s->ghosts[e->hash & c->mask] = (struct ghost){e->hash, ++s->ghost_count};
}

/* The queue to take from: NULL when both are empty or pinned. */
static struct queue *next_queue(struct shard *s, const size_t pinned[QUEUES])
{
    struct queue *small = &s->queues[QUEUE_SMALL], *big = &s->queues[QUEUE_MAIN];
    bool small_ok = small->count > 0 && pinned[QUEUE_SMALL] < PINNED_MAX;
    bool big_ok = big->count > 0 && pinned[QUEUE_MAIN] < PINNED_MAX;

    if (small_ok && (!big_ok || small->count * SMALL_SHARE >= small->count + big->count))
        return small;
    return big_ok ? big : NULL;
}

/* With the shard's lock held. Only we hold the page of what is returned: its reference is moved. */
static struct entry *pick_victim(struct cache *c, struct shard *s)
{
    size_t pinned[QUEUES] = {0};
    struct queue *q;

    for (q = next_queue(s, pinned); q != NULL; q = next_queue(s, pinned)) {
        bool small = q == &s->queues[QUEUE_SMALL];
        struct entry *e = pop(q);

        if (atomic_load(&e->page->refs) > 1) { /* a response sends it: letting go frees nothing */
            pinned[small ? QUEUE_SMALL : QUEUE_MAIN]++;
            push(q, e);
        } else if (small && e->hits >= HITS_TO_MAIN) {
            e->hits = 0;
            push(&s->queues[QUEUE_MAIN], e);
        } else if (!small && e->hits > 0) {
            e->hits--;
            push(q, e);
        } else {
            forget(c, s, e, small);
            return e;
        }
    }
    return NULL;
}

bool cache_evict_one(void *cache)
{
    struct cache *c = cache;
    unsigned turn = atomic_fetch_add_explicit(&c->turn, 1, memory_order_relaxed);

    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *s = &c->shards[(turn + i) % SHARDS];
        struct entry *e;

        pthread_mutex_lock(&s->lock);
        e = pick_victim(c, s);
        pthread_mutex_unlock(&s->lock);
        if (e != NULL) {
            page_unref(c->pages, e->page);
            free(e);
            return true;
        }
    }
    return false;
}

void cache_stats(struct cache *c, struct cache_stats *out)
{
    *out = (struct cache_stats){.hits = atomic_load(&c->hits), .misses = atomic_load(&c->misses)};
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &c->shards[i];

        pthread_mutex_lock(&s->lock);
        out->entries += s->queues[QUEUE_SMALL].count + s->queues[QUEUE_MAIN].count;
        pthread_mutex_unlock(&s->lock);
    }
}
