/*
 * Giving up: the process is about to stop. Requests under way end because their sockets are shut
 * down, which curl notices at once (its progress callback is called once a second only); naps
 * between attempts end by the condition variable.
 */
#include "fs/store/s3_internal.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

bool s3_is_cancelled(struct s3_store *s)
{
    return atomic_load(&s->base.cancelled);
}

void s3_nap(struct s3_store *s, int64_t ms)
{
    struct timespec until = clock_mono_after(ms);
    int timed_out = 0;

    pthread_mutex_lock(&s->lock);
    while (!s3_is_cancelled(s) && timed_out == 0)
        timed_out = pthread_cond_clockwait(&s->cancel, &s->lock, CLOCK_MONOTONIC, &until);
    pthread_mutex_unlock(&s->lock);
}

/* One that has no place in the table ends within a second, by on_progress(). */
static curl_socket_t on_open(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct s3_store *s = user;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    pthread_mutex_lock(&s->lock);
    if (s->socket_count < S3_SOCKETS_MAX)
        s->sockets[s->socket_count++] = fd;
    pthread_mutex_unlock(&s->lock);
    return fd;
}

static int on_close(void *user, curl_socket_t fd)
{
    struct s3_store *s = user;
    size_t i = 0;

    pthread_mutex_lock(&s->lock);
    while (i < s->socket_count && s->sockets[i] != fd)
        i++;
    if (i < s->socket_count)
        s->sockets[i] = s->sockets[--s->socket_count];
    pthread_mutex_unlock(&s->lock); /* before the number can be another's */
    return close(fd);
}

static int on_progress(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    (void)down_total, (void)down, (void)up_total, (void)up;
    return s3_is_cancelled(user);
}

void s3_cancellable(struct s3_store *s, CURL *curl)
{
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, s);
    curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, s);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, s);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

void s3_cancel(struct store *store)
{
    struct s3_store *s = (struct s3_store *)store;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->socket_count; i++)
        (void)shutdown(s->sockets[i], SHUT_RDWR);
    pthread_cond_broadcast(&s->cancel);
    pthread_mutex_unlock(&s->lock);
}
