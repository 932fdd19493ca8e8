/*
 * Who gets in when all connections are taken. The accepting thread asks here for each newcomer.
 *
 *   1. there is room                    -> in
 *   2. one is idle                      -> in, and the oldest idle connection of the address that
 *                                          has the most connections is closed for it
 *   3. one address has more than half of the connections, the newcomer's has less than half of
 *      that                             -> in, and some of that address's connections that wait
 *                                          for their client to send are closed
 *   4. else                             -> it waits in the waiting room (a socket and its address,
 *                                          nothing more) until one of these is so
 *
 * Idle is a connection without a request in flight: nothing or half a head has come, or an answer
 * only lingers. When the waiting room is full, the address with the most connections loses one of
 * those that wait there. An address is an IPv4 address or an IPv6 /64. Behind a proxy all clients
 * have one address, and rules 3 and the last never hurt anybody but each other.
 * Origins and idle lists are guarded by the server's lock; the waiting room is the accepting
 * thread's.
 */
#include "gateway/http/connection.h"

#include "base/clock.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections that were closed for others and are not gone yet, at most. */
#define EVICTED_MAX 64

/* Rule 3 closes this many at once, because finding them takes a walk over all peers. */
#define SLOW_AT_ONCE 16

struct http_origin_key http_origin_key(const struct sockaddr *address)
{
    struct http_origin_key key = {{0}};
    if (address != NULL && address->sa_family == AF_INET) {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)address;
        key.bytes[10] = key.bytes[11] = 0xff;
        memcpy(key.bytes + 12, &in4->sin_addr, 4);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        memcpy(key.bytes, &in6->sin6_addr, IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? 16 : 8);
    }
    return key;
}

static size_t bucket_of(const struct http_origin_key *key)
{
    uint64_t a, b;
    memcpy(&a, key->bytes, 8);
    memcpy(&b, key->bytes + 8, 8);
    uint64_t h = (a ^ (b * 0x9e3779b97f4a7c15U)) * 0xbf58476d1ce4e5b9U;
    return (size_t)(h >> 32) % HTTP_ORIGIN_BUCKETS;
}

static struct http_origin *find_origin(const struct http_server *s,
                                       const struct http_origin_key *key)
{
    struct http_origin *o = s->origins[bucket_of(key)];
    while (o != NULL && memcmp(&o->key, key, sizeof(*key)) != 0)
        o = o->next;
    return o;
}

static void push_idle(struct http_peer *peer)
{
    struct http_origin *o = peer->origin;
    if (o == NULL || peer->is_idle)
        return;
    peer->is_idle = true;
    peer->idle_next = NULL;
    peer->idle_previous = o->idle_last;
    if (o->idle_last != NULL)
        o->idle_last->idle_next = peer;
    else
        o->idle_first = peer;
    o->idle_last = peer;
}

static void drop_idle(struct http_peer *peer)
{
    struct http_origin *o = peer->origin;
    if (o == NULL || !peer->is_idle)
        return;
    peer->is_idle = false;
    if (peer->idle_previous != NULL)
        peer->idle_previous->idle_next = peer->idle_next;
    else
        o->idle_first = peer->idle_next;
    if (peer->idle_next != NULL)
        peer->idle_next->idle_previous = peer->idle_previous;
    else
        o->idle_last = peer->idle_previous;
}

void http_admit_add(struct http_peer *peer, const struct sockaddr *address)
{
    struct http_server *s = peer->server;
    struct http_origin_key key = http_origin_key(address);
    struct http_origin *o = find_origin(s, &key);
    if (o == NULL) {
        o = calloc(1, sizeof(*o));
        if (o == NULL)
            return; /* served, but never closed for another */
        o->key = key;
        o->next = s->origins[bucket_of(&key)];
        s->origins[bucket_of(&key)] = o;
    }
    o->count++;
    peer->origin = o;
    push_idle(peer);
}

static void free_origin(struct http_server *s, struct http_origin *o)
{
    struct http_origin **link = &s->origins[bucket_of(&o->key)];
    while (*link != o)
        link = &(*link)->next;
    *link = o->next;
    free(o);
}

/* A connection in the waiting room may get in now. */
static void wake_waiting(struct http_server *s)
{
    if (atomic_load(&s->waiting_count) > 0)
        http_accept_wake(s);
}

void http_admit_remove(struct http_peer *peer)
{
    struct http_server *s = peer->server;
    struct http_origin *o = peer->origin;
    drop_idle(peer);
    peer->origin = NULL;
    if (o != NULL && --o->count == 0)
        free_origin(s, o);
    if (peer->is_evicted)
        s->evicted--;
    wake_waiting(s);
}

void http_admit_idle(struct http_peer *peer)
{
    push_idle(peer);
    wake_waiting(peer->server);
}

void http_admit_busy(struct http_peer *peer)
{
    drop_idle(peer);
}

static void evict(struct http_peer *peer)
{
    struct http_server *s = peer->server;
    drop_idle(peer);
    peer->is_evicted = true;
    s->evicted++;
    atomic_fetch_add(&s->evicted_total, 1);
    http_watch_cut(peer);
}

/* The origin with the most connections, or with the most of those that have an idle one. */
static struct http_origin *heaviest(const struct http_server *s, bool with_idle)
{
    struct http_origin *found = NULL;
    for (size_t i = 0; i < HTTP_ORIGIN_BUCKETS; i++) {
        for (struct http_origin *o = s->origins[i]; o != NULL; o = o->next)
            if ((!with_idle || o->idle_first != NULL) && (found == NULL || o->count > found->count))
                found = o;
    }
    return found;
}

/* The oldest; rather not one for which something has just come. */
static struct http_peer *oldest_idle(const struct http_origin *o)
{
    enum { LOOKS = 8 };
    struct http_peer *peer = o->idle_first;
    for (int i = 0; i < LOOKS && peer != NULL; i++, peer = peer->idle_next)
        if (http_watch_unread(peer) == 0)
            return peer;
    return o->idle_first;
}

/* Rule 3. */
static bool evict_slow(struct http_server *s, const struct http_origin_key *newcomer)
{
    struct http_origin *most = heaviest(s, false), *mine = find_origin(s, newcomer);
    unsigned count = mine != NULL ? mine->count : 0;
    int evicted = 0;
    if (most == NULL || most->count <= atomic_load(&s->max_connections) / 2 ||
        count >= most->count / 2)
        return false;
    for (struct http_peer *p = s->peers; p != NULL && evicted < SLOW_AT_ONCE; p = p->next) {
        if (p->origin == most && !p->is_evicted && atomic_load(&p->wants_body)) {
            evict(p);
            evicted++;
        }
    }
    return evicted > 0;
}

static bool admits(struct http_server *s, const struct http_origin_key *newcomer)
{
    bool ok = false;
    pthread_mutex_lock(&s->lock);
    uint64_t open = atomic_load(&s->connections);
    if (open < atomic_load(&s->max_connections) + s->evicted) {
        ok = true;
    } else if (s->evicted < EVICTED_MAX) {
        struct http_origin *o = heaviest(s, true);
        if (o != NULL) {
            evict(oldest_idle(o));
            ok = true;
        } else {
            ok = evict_slow(s, newcomer);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return ok;
}

/* libmicrohttpd's thread counts a connection when it takes it: near the limit, wait for that. */
static void hand_over(struct http_server *s, const struct http_waiting *w)
{
    enum { NEAR = 64, TRIES = 100 };
    uint64_t before = atomic_load(&s->connections_total);
    bool is_near = atomic_load(&s->connections) + NEAR >= atomic_load(&s->max_connections);
    /* On failure libmicrohttpd has closed it and says why in the log. */
    if (MHD_add_connection(s->daemon, w->fd, (const struct sockaddr *)&w->from, w->size) == MHD_NO)
        return;
    for (int i = 0; is_near && i < TRIES && atomic_load(&s->connections_total) == before; i++)
        (void)usleep(50);
}

static void leave_room(struct http_server *s, size_t at)
{
    s->waiting_len--;
    memmove(&s->waiting[at], &s->waiting[at + 1], (s->waiting_len - at) * sizeof(s->waiting[0]));
    atomic_store(&s->waiting_count, s->waiting_len);
}

void http_admit_waiting(struct http_server *s)
{
    struct http_origin_key failed = {{0}}; /* no address; one answer does for all of a crowd */
    for (size_t i = 0; i < s->waiting_len;) {
        struct http_waiting w = s->waiting[i];
        if (memcmp(&w.key, &failed, sizeof(failed)) == 0) {
            i++;
        } else if (admits(s, &w.key)) {
            leave_room(s, i);
            hand_over(s, &w);
        } else {
            failed = w.key;
            i++;
        }
    }
}

static unsigned weight_of(const struct http_server *s, const struct http_origin_key *key)
{
    const struct http_origin *o = find_origin(s, key);
    return o != NULL ? o->count : 0;
}

/* Whoever has most already. */
static void make_space(struct http_server *s)
{
    size_t victim = 0;
    unsigned most = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->waiting_len; i++) {
        unsigned weight = weight_of(s, &s->waiting[i].key);
        if (weight > most) {
            most = weight;
            victim = i;
        }
    }
    pthread_mutex_unlock(&s->lock);
    (void)close(s->waiting[victim].fd);
    atomic_fetch_add(&s->evicted_total, 1);
    leave_room(s, victim);
}

void http_admit(struct http_server *s, const struct http_waiting *newcomer)
{
    if (s->waiting_len == 0 && admits(s, &newcomer->key)) {
        hand_over(s, newcomer);
        return;
    }
    if (s->waiting_len == HTTP_WAITING_MAX)
        make_space(s);
    s->waiting[s->waiting_len++] = *newcomer;
    atomic_store(&s->waiting_count, s->waiting_len);
    http_admit_waiting(s);
}

void http_admit_close(struct http_server *s)
{
    while (s->waiting_len > 0) {
        (void)close(s->waiting[0].fd);
        leave_room(s, 0);
    }
}
