/*
 * What the tests of gateway/http share: a server with a small handler (http_client.h has a client).
 *
 * The handler answers by path; what each does stands at rig_head(). It counts every call, so that
 * tests can see that done() comes exactly once.
 */
#ifndef KISEKI_TESTS_UNIT_GATEWAY_HTTP_RIG_H
#define KISEKI_TESTS_UNIT_GATEWAY_HTTP_RIG_H

#include "tests/unit/base/unit.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/http/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define RIG_COLLECT_MAX ((size_t)4 * 1024 * 1024)

struct rig {
    struct http_server *server;
    struct pool *pool;
    atomic_int heads, works, body_ends, dones, refused;
    atomic_int generators_closed;
    atomic_int last_result; /* what body_end() was told */
    atomic_int last_status; /* what done() saw */
    atomic_int complete;    /* requests that done() saw sent whole */
    _Atomic uint64_t bytes_in, bytes_out;
    atomic_bool hold_sink;    /* /stuck never resumes */
    atomic_int inside;        /* works that run now */
    atomic_int sink_full;     /* writes that a stuck sink did not take */
    atomic_size_t sink_bytes; /* taken by sinks */
    atomic_int saw_gone;      /* works that ended because their client left */
    atomic_bool release;      /* lets /wait go on */
    bool is_tls;              /* clients speak TLS */
};

/* A sink that takes a little, says ERR_AGAIN, and is resumed by a thread of its own. */
struct rig_sink {
    struct http_sink sink;
    struct http_request *r;
    uint64_t total;
    unsigned calls;
    size_t room;       /* takes at most this much a call; 0: all */
    uint64_t fail_at;  /* fails from this byte on; 0: never */
    bool early;        /* resumes before write() returns */
    bool stuck;        /* is never resumed */
    bool naps;         /* takes all, but the second piece only after 1.5 s */
    unsigned pause_ms; /* before each write */
};

struct rig_generator {
    struct http_body body;
    struct rig *rig;
    uint64_t size, given;
    size_t piece;
    uint64_t fail_at; /* 0: never */
    uint64_t end_at;  /* 0: at size */
    bool blocks;
    char *bytes;
};

static inline uint64_t rig_number(const struct http_request *r, const char *name, uint64_t other)
{
    const struct http_arg *arg = http_target_arg(&r->target, name);
    uint64_t value = other;
    return arg != NULL && str_to_u64(arg->value, &value) == OK ? value : other;
}

static inline void *rig_resume_later(void *arg)
{
    struct http_request *r = arg;
    usleep(((struct rig_sink *)r->user)->naps ? 1500000 : 200);
    http_request_resume_body(r);
    http_request_unref(r);
    return NULL;
}

static inline enum err rig_sink_write(struct http_sink *base, struct str data, size_t *out_taken)
{
    struct rig_sink *s = (struct rig_sink *)base;
    s->calls++;
    if (s->pause_ms > 0)
        usleep((useconds_t)s->pause_ms * 1000);
    if (s->fail_at > 0 && s->total + data.len >= s->fail_at)
        return err_set(ERR_CORRUPT, "the sink fails");
    if ((s->room == 0 && !(s->naps && s->calls == 2)) ||
        (s->calls % 2 == 0 && data.len <= s->room && !s->stuck)) {
        s->total += data.len;
        atomic_fetch_add(&((struct rig *)s->r->ctx)->sink_bytes, data.len);
        return OK;
    }
    size_t room = s->stuck ? s->room - (size_t)s->total : s->room; /* stuck: in all */
    *out_taken = data.len < room ? data.len : room;
    s->total += *out_taken;
    if (s->stuck) {
        atomic_fetch_add(&((struct rig *)s->r->ctx)->sink_full, 1);
        return ERR_AGAIN;
    }
    if (s->early) {
        http_request_resume_body(s->r);
        return ERR_AGAIN;
    }
    pthread_t thread;
    http_request_ref(s->r);
    assert_int_equal(pthread_create(&thread, NULL, rig_resume_later, s->r), 0);
    pthread_detach(thread);
    return ERR_AGAIN;
}

static inline enum err rig_next(struct http_body *base, bool may_block, struct str *out)
{
    struct rig_generator *g = (struct rig_generator *)base;
    if (g->blocks && !may_block && g->given > 0)
        return ERR_AGAIN;
    if (may_block)
        usleep(300);
    uint64_t end = g->end_at > 0 ? g->end_at : g->size;
    if (g->fail_at > 0 && g->given >= g->fail_at)
        return err_set(ERR_CORRUPT, "the generator fails");
    size_t len = end - g->given < g->piece ? (size_t)(end - g->given) : g->piece;
    for (size_t i = 0; i < len; i++, g->given++)
        g->bytes[i] = (char)('a' + g->given % 26);
    *out = (struct str){g->bytes, len};
    return OK;
}

static inline void rig_rest(struct http_body *base, size_t unread)
{
    ((struct rig_generator *)base)->given -= unread;
}

static inline void rig_close(struct http_body *base)
{
    struct rig_generator *g = (struct rig_generator *)base;
    atomic_fetch_add(&g->rig->generators_closed, 1);
    free(g->bytes);
    free(g);
}

static inline void rig_generate(struct http_request *r)
{
    struct rig_generator *g = calloc(1, sizeof(*g));
    g->body = (struct http_body){rig_next, rig_rest, rig_close};
    g->rig = r->ctx;
    g->size = rig_number(r, "size", 100);
    g->piece = (size_t)rig_number(r, "piece", 10);
    g->fail_at = rig_number(r, "fail", 0);
    g->end_at = rig_number(r, "end", 0);
    g->blocks = rig_number(r, "block", 0) != 0;
    g->bytes = malloc(g->piece);
    bool known = rig_number(r, "chunked", 0) == 0;
    http_reply_generator(r, 200, &g->body, known ? g->size : HTTP_LENGTH_UNKNOWN);
}

static inline void rig_say(struct http_request *r, unsigned status, const char *text)
{
    http_reply_bytes(r, status, arena_str(r->arena, str_of(text)));
}

static inline enum http_next rig_take(struct http_request *r)
{
    struct rig_sink *s = arena_alloc(r->arena, sizeof(*s));
    s->sink.write = rig_sink_write;
    s->r = r;
    s->room = (size_t)rig_number(r, "room", 0);
    s->fail_at = rig_number(r, "fail", 0);
    s->early = rig_number(r, "early", 0) != 0;
    s->stuck = rig_number(r, "stuck", 0) != 0;
    s->naps = rig_number(r, "nap", 0) != 0;
    s->pause_ms = (unsigned)rig_number(r, "pause", 0);
    r->user = s;
    r->sink = &s->sink;
    return HTTP_BODY;
}

/*
 * /hello        200 "hello" at once         /work    the same from a worker
 * /echo         the body, collected         /workecho  likewise after a worker said HTTP_BODY
 * /sink         counts the body (?room= ?early= ?fail= ?stuck= ?nap= ?pause=)
 * /gen          a generator (?size= ?piece= ?block= ?chunked= ?fail= ?end=)
 * /status       ?code=                      /wait    a worker waits for rig.release
 * /fields       ?count= header fields of 1,000 bytes
 * /trailers     names and values after a body
 */
static inline enum http_next rig_head(struct http_request *r)
{
    struct rig *rig = r->ctx;
    atomic_fetch_add(&rig->heads, 1);
    struct str path = r->target.path;
    if (str_eq(path, STR("/echo")) || str_eq(path, STR("/trailers"))) {
        r->collect_max = RIG_COLLECT_MAX;
        return HTTP_BODY;
    }
    if (str_starts(path, STR("/work")) || str_eq(path, STR("/wait")))
        return HTTP_WORK;
    if (str_eq(path, STR("/sink")))
        return rig_take(r);
    if (str_eq(path, STR("/gen"))) {
        rig_generate(r);
    } else if (str_eq(path, STR("/status"))) {
        unsigned code = (unsigned)rig_number(r, "code", 200);
        rig_say(r, code, "some text");
    } else if (str_eq(path, STR("/fields"))) {
        char value[1001];
        memset(value, 'v', sizeof(value));
        rig_say(r, 200, "fields");
        for (uint64_t i = rig_number(r, "count", 1); i > 0; i--)
            assert_ok(http_reply_header(r, "x-amz-meta-long", (struct str){value, 1000}));
    } else if (str_eq(path, STR("/hello"))) {
        rig_say(r, 200, "hello");
        assert_ok(http_reply_header(r, "x-empty", STR("")));
        assert_ok(http_reply_header(r, "x-twice", STR("1")));
        assert_ok(http_reply_header(r, "x-twice", STR("2\t3")));
        assert_int_equal(http_reply_header(r, "x-bad", STR("a\r\nInjected: 1")), ERR_INVALID);
    } else {
        rig_say(r, 404, "no such path");
    }
    return HTTP_REPLY;
}

static inline enum http_next rig_work(struct http_request *r)
{
    struct rig *rig = r->ctx;
    atomic_fetch_add(&rig->works, 1);
    if (str_eq(r->target.path, STR("/wait"))) {
        atomic_fetch_add(&rig->inside, 1);
        while (!atomic_load(&rig->release) && !http_request_stopping(r) && !http_request_gone(r))
            usleep(500);
        atomic_fetch_add(&rig->saw_gone, http_request_gone(r) ? 1 : 0);
        atomic_fetch_sub(&rig->inside, 1);
    }
    if (str_eq(r->target.path, STR("/workecho")) && r->collect_max == 0) {
        r->collect_max = RIG_COLLECT_MAX;
        return HTTP_BODY;
    }
    if (str_eq(r->target.path, STR("/workecho"))) {
        http_reply_bytes(r, 200, buf_str(&r->body));
        return HTTP_REPLY;
    }
    rig_say(r, 200, "worked");
    return HTTP_REPLY;
}

static inline enum http_next rig_body_end(struct http_request *r, enum err result)
{
    struct rig *rig = r->ctx;
    atomic_fetch_add(&rig->body_ends, 1);
    atomic_store(&rig->last_result, (int)result);
    if (result != OK) {
        char text[ERR_TEXT_MAX];
        snprintf(text, sizeof(text), "refused: %s", err_text(result));
        rig_say(r, result == ERR_TOO_LARGE ? 413 : 400, text);
        return HTTP_REPLY;
    }
    if (str_eq(r->target.path, STR("/workecho")))
        return HTTP_WORK;
    if (r->sink != NULL) {
        struct rig_sink *s = r->user;
        http_reply_bytes(r, 200,
                         str_of(arena_printf(r->arena, "%llu", (unsigned long long)s->total)));
        return HTTP_REPLY;
    }
    if (str_eq(r->target.path, STR("/trailers"))) {
        struct buf text;
        buf_init(&text, 4096);
        for (size_t i = 0; i < r->trailer_count; i++) {
            buf_printf(&text, STR_FMT "=" STR_FMT ";", STR_ARG(r->trailers[i].name),
                       STR_ARG(r->trailers[i].value));
        }
        http_reply_bytes(r, 200, arena_str(r->arena, buf_str(&text)));
        buf_fini(&text);
        return HTTP_REPLY;
    }
    http_reply_bytes(r, 200, buf_str(&r->body));
    return HTTP_REPLY;
}

static inline void rig_done(struct http_request *r)
{
    struct rig *rig = r->ctx;
    atomic_store(&rig->last_status, (int)r->reply.status);
    atomic_fetch_add(&rig->bytes_in, r->bytes_in);
    atomic_fetch_add(&rig->bytes_out, r->bytes_out);
    atomic_fetch_add(&rig->complete, r->is_complete ? 1 : 0);
    assert_true(r->end_us >= r->start_us);
    atomic_fetch_add(&rig->dones, 1);
}

static inline void rig_refuse(struct http_request *r, unsigned status, const char *why)
{
    struct rig *rig = r->ctx;
    atomic_fetch_add(&rig->refused, 1);
    rig_say(r, status, why);
}

static inline void rig_start_with(struct rig *rig, struct http_options *options)
{
    memset(rig, 0, sizeof(*rig));
    rig->is_tls = options->tls_cert_path != NULL;
    log_setup(getenv("RIG_DEBUG") != NULL ? LOG_DEBUG : LOG_ERROR, LOG_TEXT, 2);
    assert_ok(pool_new("rig", 4, options->pool ? 1 : 4096, &rig->pool));
    options->pool = rig->pool;
    options->linger_s = options->linger_s ? options->linger_s : 1;
    if (options->listen == NULL)
        options->listen = "127.0.0.1:0";
    struct http_handler handler = {rig_head,   rig_work, rig_body_end, rig_done,
                                   rig_refuse, NULL,     rig};
    assert_ok(http_server_start(options, &handler, &rig->server));
}

static inline void rig_start(struct rig *rig)
{
    struct http_options options = {0};
    rig_start_with(rig, &options);
}

static inline void rig_stop(struct rig *rig)
{
    http_server_stop(rig->server, 2000);
    http_server_free(rig->server);
    pool_free(rig->pool);
}

/* Waits for a counter to reach a value; done() comes a little after the answer. */
static inline void rig_wait(atomic_int *counter, int value)
{
    for (int i = 0; i < 4000 && atomic_load(counter) != value; i++)
        usleep(1000);
    assert_int_equal(atomic_load(counter), value);
}

/* Waits until nobody is connected: all of the test before are done. */
static inline void rig_settle(struct rig *rig)
{
    struct http_server_stats stats = {.connections = 1};
    for (int i = 0; i < 5000 && stats.connections > 0; i++) {
        http_server_stats(rig->server, &stats);
        usleep(1000);
    }
    assert_int_equal(stats.connections, 0);
}

#endif
