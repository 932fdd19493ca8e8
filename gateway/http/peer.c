/* Open connections: their list, for the watch (watch.c), and their addresses as text. */
#include "gateway/http/connection.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sockaddr *address_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info != NULL ? info->client_addr : NULL;
}

static void print_remote(struct MHD_Connection *mhd, struct http_peer *peer)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    const struct sockaddr *address = address_of(mhd);
    bool is_v6 = address != NULL && address->sa_family == AF_INET6;
    if (is_v6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
        port = ntohs(in6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            is_v6 = false;
            memmove(ip, ip + strlen("::ffff:"), strlen(ip + strlen("::ffff:")) + 1);
        }
    } else if (address != NULL && address->sa_family == AF_INET) {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)address;
        inet_ntop(AF_INET, &in4->sin_addr, ip, sizeof(ip));
        port = ntohs(in4->sin_port);
    }
    snprintf(peer->remote, sizeof(peer->remote), is_v6 ? "[%s]:%u" : "%s:%u", ip, port);
    peer->remote_text = str_of(peer->remote);
}

static void peer_open(struct http_server *s, struct MHD_Connection *mhd, void **context)
{
    atomic_fetch_add(&s->connections, 1);
    atomic_fetch_add(&s->connections_total, 1);
    struct http_peer *peer = calloc(1, sizeof(*peer));
    *context = peer;
    if (peer == NULL)
        return; /* on_target refuses */
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    peer->server = s;
    peer->fd = info != NULL ? info->connect_fd : -1;
    print_remote(mhd, peer);
    if (s->options.tls_cert_path != NULL)
        http_tls_watch(peer, mhd);
    atomic_init(&peer->deadline_ms, clock_boot_ms() + (int64_t)s->options.head_timeout_s * 1000);
    pthread_mutex_lock(&s->lock);
    peer->next = s->peers;
    if (peer->next != NULL)
        peer->next->previous = peer;
    s->peers = peer;
    http_watch_add(peer);
    http_admit_add(peer, address_of(mhd));
    pthread_mutex_unlock(&s->lock);
}

static void peer_close(struct http_server *s, void **context)
{
    atomic_fetch_sub(&s->connections, 1);
    struct http_peer *peer = *context;
    *context = NULL;
    if (peer == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    http_watch_remove(peer);
    http_admit_remove(peer);
    if (peer->previous != NULL)
        peer->previous->next = peer->next;
    else
        s->peers = peer->next;
    if (peer->next != NULL)
        peer->next->previous = peer->previous;
    pthread_mutex_unlock(&s->lock);
    free(peer);
}

void http_on_connection(void *cls, struct MHD_Connection *mhd, void **peer,
                        enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        peer_open(cls, mhd, peer);
    else
        peer_close(cls, peer);
}
