/*
 * Certificate and key, loaded from PEM files and exchanged while connections go on.
 *
 * GnuTLS borrows what the callback gives until the handshake is over, and a handshake may take as
 * long as head_timeout_s (listen.c cuts it then). So replaced keys are retired first and freed by
 * a later reload, when no handshake can hold them any more, or at the end.
 * A client that speaks http where https is spoken gets a 400 in plain text: GnuTLS reads by a
 * function of ours, which looks at the first bytes of each connection.
 */
#include "gateway/http/connection.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CHAIN_MAX 16

struct tls_keys {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned chain_len;
    gnutls_privkey_t key;
    int64_t expires_s;     /* when the first certificate does, since 1970 */
    int64_t retired_ms;    /* boot clock; of those behind the first */
    struct tls_keys *next; /* the one that this replaced */
};

static void keys_free(struct tls_keys *k)
{
    if (k == NULL)
        return;
    for (unsigned i = 0; i < k->chain_len; i++)
        gnutls_pcert_deinit(&k->chain[i]);
    gnutls_privkey_deinit(k->key);
    free(k);
}

static enum err bad_file(const char *path, int code)
{
    return err_set(ERR_INVALID, "%s: %s", path, gnutls_strerror(code));
}

/* GnuTLS's texts for a file without the thing that is looked for say something else. */
static bool is_missing(int code)
{
    return code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ||
           code == GNUTLS_E_BASE64_DECODING_ERROR ||
           code == GNUTLS_E_BASE64_UNEXPECTED_HEADER_ERROR || code == GNUTLS_E_NO_CERTIFICATE_FOUND;
}

static enum err load_file(const char *path, gnutls_datum_t *out)
{
    errno = 0;
    int code = gnutls_load_file(path, out);
    return code == 0 ? OK
                     : err_set(ERR_INVALID, "cannot read %s: %s", path,
                               errno != 0 ? strerror(errno) : gnutls_strerror(code));
}

static enum err load_chain(struct tls_keys *k, const char *path)
{
    gnutls_datum_t pem = {0};
    enum err err = load_file(path, &pem);
    if (err != OK)
        return err;
    unsigned count = CHAIN_MAX;
    int code = gnutls_pcert_list_import_x509_raw(k->chain, &count, &pem, GNUTLS_X509_FMT_PEM, 0);
    gnutls_free(pem.data);
    if (is_missing(code) || (code >= 0 && count == 0))
        return err_set(ERR_INVALID, "%s: no certificate in it (PEM: BEGIN CERTIFICATE)", path);
    if (code < 0)
        return bad_file(path, code);
    k->chain_len = count;
    return OK;
}

static enum err load_key(struct tls_keys *k, const char *path)
{
    gnutls_datum_t pem = {0};
    enum err err = load_file(path, &pem);
    if (err != OK)
        return err;
    int code = gnutls_privkey_init(&k->key);
    if (code == 0)
        code = gnutls_privkey_import_x509_raw(k->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_memset(pem.data, 0, pem.size);
    gnutls_free(pem.data);
    if (is_missing(code))
        return err_set(ERR_INVALID, "%s: no private key in it (PEM: BEGIN PRIVATE KEY)", path);
    return code == 0 ? OK : bad_file(path, code);
}

/* Certificate and key belong together: their public parts have one id. */
static enum err check_pair(const struct tls_keys *k, const char *cert_path, const char *key_path)
{
    unsigned char of_cert[64], of_key[64];
    size_t cert_size = sizeof(of_cert), key_size = sizeof(of_key);
    gnutls_pubkey_t public_key = NULL;
    int code = gnutls_pubkey_init(&public_key);
    if (code == 0)
        code = gnutls_pubkey_import_privkey(public_key, k->key, 0, 0);
    if (code == 0)
        code = gnutls_pubkey_get_key_id(public_key, 0, of_key, &key_size);
    if (code == 0)
        code = gnutls_pubkey_get_key_id(k->chain[0].pubkey, 0, of_cert, &cert_size);
    gnutls_pubkey_deinit(public_key);
    if (code != 0)
        return bad_file(key_path, code);
    if (cert_size != key_size || memcmp(of_cert, of_key, key_size) != 0)
        return err_set(ERR_INVALID, "%s is not the key of %s", key_path, cert_path);
    return OK;
}

/* Of the server's own certificate; 0 when it cannot be read. */
static int64_t expiry_of(gnutls_pcert_st *cert)
{
    gnutls_x509_crt_t x509 = NULL;
    int64_t expires = 0;
    if (gnutls_pcert_export_x509(cert, &x509) == 0) {
        expires = (int64_t)gnutls_x509_crt_get_expiration_time(x509);
        gnutls_x509_crt_deinit(x509);
    }
    return expires;
}

int64_t http_server_certificate_expiry(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    int64_t expires = s->tls != NULL ? s->tls->expires_s : 0;
    pthread_mutex_unlock(&s->lock);
    return expires;
}

static enum err load_keys(const char *cert_path, const char *key_path, struct tls_keys **out)
{
    struct tls_keys *k = calloc(1, sizeof(*k));
    if (k == NULL)
        return err_set(ERR_NOMEM, "no memory for a certificate");
    enum err err = load_chain(k, cert_path);
    if (err == OK)
        err = load_key(k, key_path);
    if (err == OK)
        err = check_pair(k, cert_path, key_path);
    if (err != OK) {
        keys_free(k);
        return err;
    }
    k->expires_s = expiry_of(&k->chain[0]);
    *out = k;
    return OK;
}

/* Takes out of the list what was retired before any handshake of now began. */
static struct tls_keys *cut_expired(struct http_server *s)
{
    int64_t grace_ms = ((int64_t)s->options.head_timeout_s + s->options.idle_timeout_s) * 2000;
    int64_t before = clock_boot_ms() - grace_ms;
    for (struct tls_keys *k = s->tls; k != NULL && k->next != NULL; k = k->next) {
        if (k->next->retired_ms < before) {
            struct tls_keys *expired = k->next; /* and all behind it, which are older */
            k->next = NULL;
            return expired;
        }
    }
    return NULL;
}

static void free_list(struct tls_keys *k)
{
    while (k != NULL) {
        struct tls_keys *next = k->next;
        keys_free(k);
        k = next;
    }
}

enum err http_tls_load(struct http_server *s, const char *cert_path, const char *key_path)
{
    struct tls_keys *fresh = NULL;
    enum err err = load_keys(cert_path, key_path, &fresh);
    if (err != OK || fresh == NULL)
        return err;
    pthread_mutex_lock(&s->lock);
    fresh->next = s->tls;
    if (fresh->next != NULL)
        fresh->next->retired_ms = clock_boot_ms();
    s->tls = fresh;
    struct tls_keys *expired = cut_expired(s);
    pthread_mutex_unlock(&s->lock);
    free_list(expired);
    return OK;
}

void http_tls_free(struct http_server *s)
{
    free_list(s->tls);
    s->tls = NULL;
}

/* libmicrohttpd sets the session's pointer to its connection; ours is that one's context. */
static int retrieve(gnutls_session_t session, const gnutls_datum_t *ca_names, int ca_count,
                    const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                    gnutls_pcert_st **out_chain, unsigned *out_len, gnutls_privkey_t *out_key)
{
    (void)ca_names;
    (void)ca_count;
    (void)algorithms;
    (void)algorithm_count;
    struct MHD_Connection *mhd = gnutls_session_get_ptr(session);
    const union MHD_ConnectionInfo *info =
        mhd != NULL ? MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT) : NULL;
    struct http_peer *peer = info != NULL ? info->socket_context : NULL;
    if (peer == NULL)
        return -1;
    pthread_mutex_lock(&peer->server->lock);
    struct tls_keys *k = peer->server->tls;
    pthread_mutex_unlock(&peer->server->lock);
    *out_chain = k->chain;
    *out_len = k->chain_len;
    *out_key = k->key;
    return 0;
}

void *http_tls_callback(void)
{
    gnutls_certificate_retrieve_function2 *function = retrieve;
    void *pointer;
    memcpy(&pointer, &function, sizeof(pointer)); /* ISO C has no cast for it */
    return pointer;
}

/* --- who speaks plain http -------------------------------------------------------------------- */

static const char spoke_plainly[] =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 47\r\n"
    "Server: Kiseki\r\nConnection: close\r\n\r\n"
    "This port speaks https: the URL is https://...\n";

/* The first bytes of a request line. A TLS record begins with 20 to 23 and a version. */
static bool is_plain_http(const char *data, size_t len)
{
    static const char *const methods[] = {"GET ", "HEAD", "PUT ", "POST", "DELE", "PATC", "OPTI"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (len >= 4 && memcmp(data, methods[i], 4) == 0)
            return true;
    return false;
}

/* What came with it is read, since closing a socket with unread bytes resets it, and the client
 * might never see the answer. Then GnuTLS finds the end of the stream, and libmicrohttpd closes. */
static void answer_plainly(struct http_peer *peer)
{
    char rest[4096];
    for (int i = 0; i < 16 && recv(peer->fd, rest, sizeof(rest), MSG_DONTWAIT) > 0; i++) {
    }
    (void)!send(peer->fd, spoke_plainly, sizeof(spoke_plainly) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(peer->fd, SHUT_WR);
    atomic_fetch_add(&peer->server->refused_total, 1);
}

/* GnuTLS's own way of reading, but for the first bytes. */
static ssize_t pull(gnutls_transport_ptr_t arg, void *data, size_t size)
{
    struct http_peer *peer = arg;
    ssize_t n = recv(peer->fd, data, size, 0);
    if (n > 0 && !peer->has_spoken) {
        peer->has_spoken = true;
        if (is_plain_http(data, (size_t)n)) {
            answer_plainly(peer);
            return 0;
        }
    }
    return n;
}

void http_tls_watch(struct http_peer *peer, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (info == NULL || info->tls_session == NULL || peer->fd < 0)
        return;
    gnutls_transport_ptr_t from, to;
    gnutls_transport_get_ptr2(info->tls_session, &from, &to);
    gnutls_transport_set_ptr2(info->tls_session, peer, to);
    gnutls_transport_set_pull_function(info->tls_session, pull);
}
