/* A light HTTP load generator: one thread, epoll, kept connections, requests made beforehand.
 *
 *     load PORT REQUESTS BODY CONNECTIONS SECONDS (once|cycle)
 *
 * REQUESTS holds records of two 32-bit native numbers (head bytes, body bytes) and the head as it
 * goes over the wire; bodies are the first bytes of the file BODY. Each connection to 127.0.0.1
 * sends the next record when its answer is complete. After SECONDS, or after the last record when
 * asked for "once", running requests are finished and counted. The last line of output is JSON:
 * what was measured. Nothing is signed, copied or allocated while the clock runs.
 *
 * Exit code 0 even when the server answered with errors (they are counted, the first is shown);
 * 1 when it could not be measured at all. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 1024,
    HEAD_BYTES = 16384, /* of an answer */
    MAX_SAMPLES = 4 * 1000 * 1000,
    STALL_MS = 60 * 1000,
};

enum state { IDLE, SENDING, HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

struct file {
    const char *data;
    size_t len;
};

struct conn {
    int fd;
    enum state state;
    bool writable_asked; /* EPOLLOUT is in the interest set */
    bool close_after;
    int status;
    const char *head; /* the request, inside the mapped file */
    size_t head_len, body_len, sent;
    uint64_t started_ns;
    uint64_t left;       /* bytes of the body or of the chunk */
    char in[HEAD_BYTES]; /* the answer's head, then a line of chunked framing */
    size_t in_len;
};

static struct {
    uint16_t port;
    int epoll;
    struct file requests, body;
    size_t next; /* offset of the next record */
    bool once;
    uint64_t deadline_ns;
    uint64_t done, errors, bytes_in, bytes_out;
    int running;
    uint32_t *samples_us;
    size_t samples;
    char first_error[512];
} g;

static char scratch[1 << 20];

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct file map_file(const char *path)
{
    struct file out = {0};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        die(path);
    out.len = (size_t)st.st_size;
    if (out.len > 0) {
        void *data = mmap(NULL, out.len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        if (data == MAP_FAILED)
            die(path);
        out.data = data;
    }
    close(fd);
    return out;
}

static void conn_watch(struct conn *c, int op, bool writable)
{
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0u), .data.ptr = c};
    if (epoll_ctl(g.epoll, op, c->fd, &event) != 0)
        die("epoll_ctl");
    c->writable_asked = writable;
}

static void conn_open(struct conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(g.port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0)
        die("fcntl");
    conn_watch(c, EPOLL_CTL_ADD, false);
}

static void record_error(const struct conn *c, const char *text, size_t len)
{
    if (g.errors++ == 0) {
        int n = snprintf(g.first_error, sizeof g.first_error, "%d %.*s", c->status,
                         (int)(len < 400 ? len : 400), text);
        for (int i = 0; i < n && i < (int)sizeof g.first_error; i++) {
            unsigned char b = (unsigned char)g.first_error[i];
            if (b < 32 || b > 126 || b == '"' || b == '\\')
                g.first_error[i] = ' ';
        }
    }
}

static void conn_send(struct conn *c)
{
    size_t total = c->head_len + c->body_len;
    while (c->sent < total) {
        struct iovec iov[2];
        int n = 0;
        size_t body_sent = 0;
        ssize_t wrote;
        if (c->sent < c->head_len) {
            iov[n].iov_base = (void *)(uintptr_t)(c->head + c->sent);
            iov[n++].iov_len = c->head_len - c->sent;
        } else {
            body_sent = c->sent - c->head_len;
        }
        if (c->body_len > body_sent) {
            iov[n].iov_base = (void *)(uintptr_t)(g.body.data + body_sent);
            iov[n++].iov_len = c->body_len - body_sent;
        }
        wrote = writev(c->fd, iov, n);
        if (wrote < 0 && errno == EAGAIN)
            break;
        if (wrote < 0) { /* refused in the middle of the body: its answer is still to be read */
            c->close_after = true;
            c->sent = total;
            break;
        }
        c->sent += (size_t)wrote;
    }
    if ((c->sent < total) != c->writable_asked)
        conn_watch(c, EPOLL_CTL_MOD, c->sent < total);
    if (c->sent == total)
        c->state = HEAD;
}

/* Sends the next record, or leaves the connection idle when there is none or time is over. */
static void conn_next(struct conn *c, uint64_t now)
{
    uint32_t lens[2];
    c->state = IDLE;
    if (g.next == g.requests.len && !g.once)
        g.next = 0;
    if (now >= g.deadline_ns || g.next == g.requests.len)
        return;
    memcpy(lens, g.requests.data + g.next, sizeof lens);
    c->head = g.requests.data + g.next + sizeof lens;
    c->head_len = lens[0];
    c->body_len = lens[1];
    g.next += sizeof lens + lens[0];
    if (g.next > g.requests.len || c->body_len > g.body.len) {
        fprintf(stderr, "load: broken request file\n");
        exit(1);
    }
    c->sent = c->in_len = 0;
    c->status = 0;
    c->close_after = false;
    c->started_ns = now;
    c->state = SENDING;
    g.running++;
    conn_send(c);
}

static void conn_done(struct conn *c)
{
    uint64_t now = now_ns();
    g.running--;
    g.done++;
    g.bytes_out += c->body_len;
    if (g.samples < MAX_SAMPLES)
        g.samples_us[g.samples++] = (uint32_t)((now - c->started_ns) / 1000);
    if (c->close_after) {
        close(c->fd);
        conn_open(c);
    }
    conn_next(c, now);
}

static const char *header(const char *head, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':') {
            line += 3 + len;
            return line + strspn(line, " ");
        }
    }
    return NULL;
}

/* The head is complete in c->in; rest is what came behind it. */
static void conn_head(struct conn *c, const char *rest, size_t rest_len)
{
    const char *length = header(c->in, "content-length");
    const char *encoding = header(c->in, "transfer-encoding");
    const char *connection = header(c->in, "connection");
    c->status = (int)strtol(c->in + strcspn(c->in, " "), NULL, 10);
    if (connection != NULL && strncasecmp(connection, "close", 5) == 0)
        c->close_after = true;
    c->left = length != NULL ? strtoull(length, NULL, 10) : 0;
    c->state = encoding != NULL && strncasecmp(encoding, "chunked", 7) == 0 ? CHUNK_SIZE : LENGTH;
    c->in_len = 0;
    if (c->status < 200 || c->status > 299)
        record_error(c, rest, rest_len);
}

/* Takes a line of chunked framing from data; returns what it used. */
static size_t chunk_line(struct conn *c, const char *data, size_t len)
{
    const char *end = memchr(data, '\n', len);
    size_t used = end != NULL ? (size_t)(end - data) + 1 : len;
    if (c->in_len + used >= sizeof c->in) {
        fprintf(stderr, "load: a line of %zu bytes in a chunked answer\n", c->in_len + used);
        exit(1);
    }
    memcpy(c->in + c->in_len, data, used);
    c->in_len += used;
    if (end == NULL)
        return used;
    c->in[c->in_len] = 0;
    if (c->state == CHUNK_SIZE) {
        c->left = strtoull(c->in, NULL, 16);
        c->state = c->left > 0 ? CHUNK_DATA : TRAILER;
    } else if (c->state == CHUNK_END) {
        c->state = CHUNK_SIZE;
    } else if (c->in_len <= 2) { /* the empty line behind the trailers */
        c->state = LENGTH;
        c->left = 0;
    }
    c->in_len = 0;
    return used;
}

/* Takes bytes of the answer behind its head; returns true when it is complete. */
static bool conn_body(struct conn *c, const char *data, size_t len)
{
    size_t at = 0;
    while (at < len || (c->state == LENGTH && c->left == 0)) {
        if (c->state == LENGTH || c->state == CHUNK_DATA) {
            size_t n = len - at < c->left ? len - at : (size_t)c->left;
            c->left -= n;
            at += n;
            g.bytes_in += n;
            if (c->state == LENGTH && c->left == 0)
                return true;
            if (c->left == 0)
                c->state = CHUNK_END;
        } else {
            at += chunk_line(c, data + at, len - at);
        }
    }
    return false;
}

/* Appends to the head; when it ends in data, goes on with the body. */
static bool conn_head_bytes(struct conn *c, const char *data, size_t len)
{
    size_t room = sizeof c->in - 1 - c->in_len;
    size_t take = len < room ? len : room;
    size_t before = c->in_len;
    const char *end;
    memcpy(c->in + before, data, take);
    c->in_len += take;
    c->in[c->in_len] = 0;
    end = strstr(c->in, "\r\n\r\n");
    if (end == NULL) {
        if (c->in_len == sizeof c->in - 1) {
            fprintf(stderr, "load: an answer's head is too long\n");
            exit(1);
        }
        return false;
    }
    take = (size_t)(end - c->in) + 4 - before; /* bytes of data that belong to the head */
    conn_head(c, data + take, len - take);
    if (c->status == 100) {
        fprintf(stderr, "load: 100 Continue was not asked for\n");
        exit(1);
    }
    return conn_body(c, data + take, len - take);
}

static void conn_readable(struct conn *c)
{
    ssize_t n = recv(c->fd, scratch, sizeof scratch, 0);
    bool complete;
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        if (c->state == IDLE) {
            conn_watch(c, EPOLL_CTL_DEL, false);
            return;
        }
        record_error(c, "connection closed by the server", 31);
        c->close_after = true;
        conn_done(c);
        return;
    }
    if (c->state == SENDING) { /* an answer before the end of the request: not to be reused */
        c->close_after = true;
        c->state = HEAD;
    }
    if (c->state == HEAD)
        complete = conn_head_bytes(c, scratch, (size_t)n);
    else
        complete = conn_body(c, scratch, (size_t)n);
    if (complete)
        conn_done(c);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t percentile(unsigned percent)
{
    return g.samples == 0 ? 0 : g.samples_us[(g.samples - 1) * percent / 100];
}

static void run(void)
{
    struct epoll_event events[64];
    while (g.running > 0) {
        int n = epoll_wait(g.epoll, events, 64, STALL_MS);
        if (n == 0) {
            errno = ETIMEDOUT;
            die("the server does not answer");
        }
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if ((events[i].events & EPOLLOUT) && c->state == SENDING)
                conn_send(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                conn_readable(c);
        }
    }
}

int main(int argc, char **argv)
{
    static struct conn conns[MAX_CONNECTIONS];
    long count;
    uint64_t start, elapsed;
    if (argc != 7) {
        fprintf(stderr, "usage: load PORT REQUESTS BODY CONNECTIONS SECONDS once|cycle\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    g.port = (uint16_t)strtoul(argv[1], NULL, 10);
    g.requests = map_file(argv[2]);
    g.body = map_file(argv[3]);
    count = strtol(argv[4], NULL, 10);
    g.once = strcmp(argv[6], "once") == 0;
    g.samples_us = calloc(MAX_SAMPLES, sizeof *g.samples_us);
    g.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (count < 1 || count > MAX_CONNECTIONS || g.samples_us == NULL || g.epoll < 0)
        die("start");
    for (long i = 0; i < count; i++)
        conn_open(&conns[i]);
    start = now_ns();
    g.deadline_ns = start + (uint64_t)(strtod(argv[5], NULL) * 1e9);
    for (long i = 0; i < count; i++)
        conn_next(&conns[i], start);
    run();
    elapsed = now_ns() - start;
    qsort(g.samples_us, g.samples, sizeof *g.samples_us, by_value);
    printf("{\"requests\": %llu, \"errors\": %llu, \"seconds\": %.6f, \"bytes_in\": %llu, "
           "\"bytes_out\": %llu, \"p50_us\": %u, \"p99_us\": %u, \"first_error\": \"%s\"}\n",
           (unsigned long long)g.done, (unsigned long long)g.errors, (double)elapsed / 1e9,
           (unsigned long long)g.bytes_in, (unsigned long long)g.bytes_out, percentile(50),
           percentile(99), g.first_error);
    return 0;
}
