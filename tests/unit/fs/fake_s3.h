/*
 * A scripted HTTP server in a thread, for one test program: it answers the nth request with the
 * nth reply, whatever was asked, and keeps the requests. One connection at a time, kept open
 * unless a reply says else. The script is set up while no request runs.
 */
#ifndef KISEKI_TESTS_UNIT_FS_FAKE_S3_H
#define KISEKI_TESTS_UNIT_FS_FAKE_S3_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAKE_MAX 64

struct fake_reply {
    int status;       /* 0: closes the connection without an answer */
    const char *body; /* NULL is empty */
    size_t claimed;   /* Content-Length; 0: that of the body */
    int delay_ms;     /* before the answer */
    bool close;       /* after the answer, unannounced */
};

struct fake_request {
    char head[2048]; /* request line and headers */
    char body[256];  /* its beginning */
    size_t body_len;
};

struct fake_s3 {
    int port;
    int fd;
    pthread_t thread;
    pthread_mutex_t lock;
    /* guarded by lock */
    struct fake_reply script[FAKE_MAX];
    size_t script_len;
    struct fake_request requests[FAKE_MAX];
    size_t request_count;
    size_t connection_count;
};

/* Reads up to the blank line. The length of the head, 0 at the end of the connection. */
static size_t fake_read_head(FILE *in, char *head, size_t size)
{
    size_t len = 0;
    int c;

    while (len + 1 < size && (c = fgetc(in)) != EOF) {
        head[len++] = (char)c;
        head[len] = '\0';
        if (len >= 4 && memcmp(head + len - 4, "\r\n\r\n", 4) == 0)
            return len;
    }
    return 0;
}

static bool fake_read_request(FILE *in, struct fake_request *r)
{
    memset(r, 0, sizeof(*r));
    if (fake_read_head(in, r->head, sizeof(r->head)) == 0)
        return false;
    const char *length = strcasestr(r->head, "\r\ncontent-length:");
    size_t left = length != NULL ? strtoul(length + 17, NULL, 10) : 0;
    for (; left > 0; left--) {
        int c = fgetc(in);
        if (c == EOF)
            return false;
        if (r->body_len < sizeof(r->body) - 1)
            r->body[r->body_len] = (char)c;
        r->body_len++;
    }
    return true;
}

/* False when the connection is to be closed. */
static bool fake_answer(int fd, const struct fake_reply *reply, bool head_only)
{
    const char *body = reply->body != NULL ? reply->body : "";
    size_t len = reply->claimed ? reply->claimed : strlen(body);
    char text[16384];

    usleep((useconds_t)reply->delay_ms * 1000);
    if (reply->status == 0)
        return false;
    int n = snprintf(text, sizeof(text), "HTTP/1.1 %d Whatever\r\nContent-Length: %zu\r\n\r\n%s",
                     reply->status, len, head_only ? "" : body);
    if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        return false;
    return !reply->close;
}

static void fake_serve(struct fake_s3 *f, int fd)
{
    struct fake_request request;
    struct fake_reply reply;
    FILE *in = fdopen(fd, "r");

    while (in != NULL && fake_read_request(in, &request)) {
        pthread_mutex_lock(&f->lock);
        size_t at = f->request_count < f->script_len ? f->request_count : f->script_len - 1;
        reply = f->script[at];
        if (f->request_count < FAKE_MAX)
            f->requests[f->request_count++] = request;
        pthread_mutex_unlock(&f->lock);
        if (!fake_answer(fd, &reply, strncmp(request.head, "HEAD ", 5) == 0))
            break;
    }
    if (in != NULL)
        fclose(in);
}

static void *fake_run(void *arg)
{
    struct fake_s3 *f = arg;
    int fd;

    while ((fd = accept(f->fd, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&f->lock);
        f->connection_count++;
        pthread_mutex_unlock(&f->lock);
        fake_serve(f, fd);
    }
    return NULL;
}

static int fake_s3_start(struct fake_s3 *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    memset(f, 0, sizeof(*f));
    pthread_mutex_init(&f->lock, NULL);
    f->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&address, len) < 0 || listen(f->fd, 16) < 0 ||
        getsockname(f->fd, (struct sockaddr *)&address, &len) < 0)
        return -1;
    f->port = ntohs(address.sin_port);
    return pthread_create(&f->thread, NULL, fake_run, f) == 0 ? 0 : -1;
}

/* Every client's connection must be closed before. */
static void fake_s3_stop(struct fake_s3 *f)
{
    shutdown(f->fd, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->fd);
    pthread_mutex_destroy(&f->lock);
}

static void fake_s3_expect(struct fake_s3 *f, struct fake_reply reply)
{
    pthread_mutex_lock(&f->lock);
    if (f->script_len < FAKE_MAX)
        f->script[f->script_len++] = reply;
    pthread_mutex_unlock(&f->lock);
}

/* Forgets the script and the requests. */
static void fake_s3_reset(struct fake_s3 *f)
{
    pthread_mutex_lock(&f->lock);
    f->script_len = f->request_count = f->connection_count = 0;
    pthread_mutex_unlock(&f->lock);
}

#endif
