/*
 * Addresses to listen on, as settings have them: HOST:PORT, [IPV6]:PORT, :PORT. The one parser of
 * them: settings are checked by it, listen.c binds by it, and URLs for people are made by it.
 */
#ifndef KISEKI_GATEWAY_HTTP_ADDRESS_H
#define KISEKI_GATEWAY_HTTP_ADDRESS_H

#include "base/err.h"
#include "base/str.h"

struct addrinfo;

struct http_address {
    struct str host; /* without its brackets; empty: any; borrowed from the text */
    bool is_ipv6;    /* it had brackets */
    uint16_t port;
};

/* By its form only. Pure. ERR_INVALID says what it should be. */
MUST_USE enum err http_address_parse(struct str text, struct http_address *out);

/* Whether the host means every address of the machine: none, `*`, 0.0.0.0, [::], 0. */
bool http_address_is_any(const struct http_address *a);

/*
 * What getaddrinfo() makes of it; freeaddrinfo() is the caller's. Blocks on DNS for a host's name.
 * ERR_INVALID: not of that form, or there is no such host.
 */
MUST_USE enum err http_address_resolve(const char *text, struct addrinfo **out);

/*
 * Whether one socket address belongs to both, however they are written: localhost:9000 and
 * 127.0.0.1:9000, or :9000 and anything at 9000. Never for port 0, which the kernel chooses. False
 * also if one does not resolve: binding it says why. Blocks as http_address_resolve() does.
 */
bool http_addresses_collide(const char *a, const char *b);

#endif
