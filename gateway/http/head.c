/* The head of a request: from the request line (on_target) to a checked struct http_request. */
#include "gateway/http/connection.h"
#include "gateway/http/strict.h"

#include "base/clock.h"

#include <poll.h>
#include <string.h>

/* A request's id: a counter through a bijection (splitmix64): unique, not telling the count. */
static void make_id(struct http_server *s, char out[17])
{
    uint64_t z = (atomic_fetch_add(&s->next_id, 1) * 0x9e3779b97f4a7c15U) + s->id_key;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    z ^= z >> 31;
    for (int i = 0; i < 16; i++)
        out[i] = "0123456789ABCDEF"[(z >> (60 - 4 * i)) & 15];
    out[16] = '\0';
}

static void link_exchange(struct exchange *x)
{
    struct http_server *s = x->server;
    atomic_fetch_add(&s->requests_total, 1);
    pthread_mutex_lock(&s->lock);
    x->next = s->exchanges;
    if (x->next != NULL)
        x->next->previous = x;
    s->exchanges = x;
    x->peer->exchange = x;
    pthread_mutex_unlock(&s->lock);
}

static struct http_peer *peer_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/*
 * libmicrohttpd would parse the query next, from behind the '?' that it has found already, up to a
 * NUL. Before 1.0 many arguments exhaust the connection's memory there and leave it without a
 * buffer to read into: never answered, never closed. target.c needs none of that.
 */
static void hide_query(struct str target)
{
    size_t question = str_find(target, '?');
    if (question + 1 < target.len)
        ((char *)(uintptr_t)target.ptr)[question + 1] = '\0'; /* its own buffer: see strict.h */
}

void *http_on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct http_server *s = cls;
    struct http_peer *peer = peer_of(mhd);
    struct arena *arena = arena_new(s->options.arena_max_bytes);
    struct exchange *x = arena != NULL ? arena_alloc(arena, sizeof(*x)) : NULL;
    struct str raw = x != NULL ? arena_str(arena, str_of(target)) : STR_NONE;
    if (x == NULL || raw.ptr == NULL || peer == NULL) {
        arena_free(arena);
        return NULL; /* on_access closes the connection */
    }
    struct http_request *r = &x->r;
    atomic_init(&x->refs, 1);
    atomic_init(&x->wait, WAIT_NONE);
    x->server = s;
    x->peer = peer;
    x->mhd = mhd;
    x->mhd_target = str_of(target);
    r->arena = arena;
    r->ctx = s->handler.ctx;
    r->start_us = clock_mono_us();
    r->content_length = -1;
    r->remote = arena_str(arena, peer->remote_text);
    r->is_tls = s->options.tls_cert_path != NULL;
    r->target.raw = raw;
    buf_init(&r->body, 0);
    buf_init(&x->kept, (size_t)2 * HTTP_CONNECTION_MEMORY);
    make_id(s, r->id);
    if (s->parses_in_place)
        hide_query(x->mhd_target);
    link_exchange(x);
    atomic_store(&peer->deadline_ms, clock_boot_ms() + (int64_t)s->options.head_timeout_s * 1000);
    return x;
}

struct field_list {
    struct http_header *fields;
    size_t count, room;
};

static enum MHD_Result add_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                 size_t name_size, const char *value, size_t value_size)
{
    (void)kind;
    struct field_list *list = cls;
    if (list->count < list->room) {
        list->fields[list->count].name = (struct str){name, name_size};
        list->fields[list->count].value = (struct str){value != NULL ? value : "", value_size};
        list->count++;
    }
    return MHD_YES;
}

enum err http_collect_fields(struct exchange *x, enum MHD_ValueKind kind,
                             const struct http_header **out, size_t *out_count)
{
    int found = MHD_get_connection_values_n(x->mhd, kind, NULL, NULL);
    struct field_list list = {.room = found > 0 ? (size_t)found : 0};
    *out = NULL;
    *out_count = 0;
    if (list.room == 0)
        return OK;
    list.fields = arena_array(x->r.arena, list.room, sizeof(*list.fields));
    if (list.fields == NULL)
        return err_set(ERR_NOMEM, "no memory for header fields");
    (void)MHD_get_connection_values_n(x->mhd, kind, add_field, &list);
    *out = list.fields;
    *out_count = list.count;
    return OK;
}

static enum err check_layout(struct exchange *x, const char *method, const char *version)
{
    if (!x->server->parses_in_place)
        return OK;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (info == NULL)
        return err_set(ERR_BUG, "libmicrohttpd does not tell the size of the header");
    struct http_layout layout = {str_of(method), x->mhd_target, str_of(version),
                                 method + info->header_size};
    x->body_start = layout.end;
    return http_strict_layout(&layout, x->r.headers, x->r.header_count);
}

/*
 * libmicrohttpd sends 100 Continue when the first Expect is that word and nothing else: the client
 * may have written a list with empty elements around it, which has room for the word.
 */
static void unwrap_expect(const struct http_request *r)
{
    static const char word[] = "100-continue";
    struct str value = http_header(r, "Expect");
    if (value.len >= sizeof(word))
        memcpy((char *)(uintptr_t)value.ptr, word, sizeof(word)); /* its own buffer: see strict.h */
}

/* A client that has ended its stream has sent its body, and waits for nothing before it. */
static bool has_ended(const struct http_peer *peer)
{
    struct pollfd look = {.fd = peer->fd, .events = POLLRDHUP};
    return poll(&look, 1, 0) > 0 && (look.revents & POLLRDHUP) != 0;
}

/* Fills in the request from the head. Its strings stay in libmicrohttpd's memory until done(). */
enum err http_read_head(struct exchange *x, const char *method, const char *version)
{
    struct http_request *r = &x->r;
    r->method = str_of(method);
    r->version = str_of(version);
    enum err err = http_collect_fields(x, MHD_HEADER_KIND, &r->headers, &r->header_count);
    if (err == OK)
        err = check_layout(x, method, version);
    if (err != OK) {
        r->headers = NULL; /* nothing of it is to be trusted, not for logs either */
        r->header_count = 0;
        return err;
    }
    struct http_header *fields = (struct http_header *)r->headers;
    for (size_t i = 0; i < r->header_count; i++)
        fields[i].value = str_trim(fields[i].value);
    struct http_framing framing;
    err = http_strict_check(r->method, r->version, r->headers, r->header_count, &framing);
    if (err != OK)
        return err;
    r->content_length = framing.content_length;
    r->is_chunked = framing.is_chunked;
    r->wants_100 = framing.wants_100 && !has_ended(x->peer);
    if (r->wants_100 && x->server->parses_in_place)
        unwrap_expect(r);
    struct str raw = r->target.raw;
    err = http_target_parse(raw, r->arena, &r->target);
    r->target.raw = raw;
    r->host = r->target.authority.len > 0 ? r->target.authority : framing.host;
    return err;
}
