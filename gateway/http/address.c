#include "gateway/http/address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HOST_MAX ((size_t)256)

enum err http_address_parse(struct str text, struct http_address *out)
{
    size_t colon = text.len;
    uint64_t port = 0;
    bool ok;

    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    *out = (struct http_address){.host = str_sub(text, 0, colon > 0 ? colon - 1 : 0)};
    ok = colon > 0 && str_to_u64(str_sub(text, colon, text.len), &port) == OK && port <= 65535;
    out->port = (uint16_t)port;
    out->is_ipv6 =
        out->host.len > 2 && str_starts(out->host, STR("[")) && str_ends(out->host, STR("]"));
    if (out->is_ipv6)
        out->host = str_sub(out->host, 1, out->host.len - 2);
    else if (str_find(out->host, ':') < out->host.len)
        ok = false;
    return ok && out->host.len < HOST_MAX
               ? OK
               : err_set(ERR_INVALID,
                         "\"" STR_FMT "\" is no address to listen on (HOST:PORT, [IPV6]:PORT)",
                         STR_ARG(text));
}

bool http_address_is_any(const struct http_address *a)
{
    return a->host.len == 0 || str_eq(a->host, STR("*")) || str_eq(a->host, STR("0")) ||
           str_eq(a->host, STR("0.0.0.0")) || str_eq(a->host, STR("::"));
}

enum err http_address_resolve(const char *text, struct addrinfo **out)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct http_address a;
    char host[HOST_MAX], port[8];
    enum err err = http_address_parse(str_of(text), &a);
    int failed;

    *out = NULL;
    if (err != OK)
        return err;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    snprintf(host, sizeof(host), STR_FMT, STR_ARG(a.host));
    snprintf(port, sizeof(port), "%u", a.port);
    failed = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, out);
    return failed == 0
               ? OK
               : err_set(ERR_INVALID, "cannot listen on %s: %s", text, gai_strerror(failed));
}

/* An IPv4 address as IPv6 has it, so that the two compare. */
static void address_of(const struct addrinfo *a, struct in6_addr *out)
{
    const void *address = a->ai_addr;

    memset(out, 0, sizeof(*out));
    if (a->ai_family == AF_INET6) {
        *out = ((const struct sockaddr_in6 *)address)->sin6_addr;
    } else if (a->ai_family == AF_INET) {
        out->s6_addr[10] = out->s6_addr[11] = 0xff;
        memcpy(out->s6_addr + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
    }
}

/* `any` takes `one`, too: [::] also what comes by IPv4, since listen.c binds it for both. */
static bool takes(const struct in6_addr *any, const struct in6_addr *one)
{
    static const struct in6_addr any_v4 = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    return IN6_IS_ADDR_UNSPECIFIED(any) ||
           (memcmp(any, &any_v4, sizeof(any_v4)) == 0 && IN6_IS_ADDR_V4MAPPED(one));
}

static bool meet(const struct addrinfo *a, const struct addrinfo *b)
{
    struct in6_addr x, y;

    address_of(a, &x);
    address_of(b, &y);
    return memcmp(&x, &y, sizeof(x)) == 0 || takes(&x, &y) || takes(&y, &x);
}

static bool is_same_port(const char *a, const char *b)
{
    struct http_address x, y;

    return http_address_parse(str_of(a), &x) == OK && http_address_parse(str_of(b), &y) == OK &&
           x.port == y.port && x.port != 0;
}

bool http_addresses_collide(const char *a, const char *b)
{
    struct addrinfo *of_a = NULL, *of_b = NULL;
    bool collide = false;

    if (is_same_port(a, b) && http_address_resolve(a, &of_a) == OK &&
        http_address_resolve(b, &of_b) == OK)
        for (const struct addrinfo *x = of_a; x != NULL; x = x->ai_next)
            for (const struct addrinfo *y = of_b; y != NULL; y = y->ai_next)
                collide = collide || meet(x, y);
    if (of_a != NULL)
        freeaddrinfo(of_a);
    if (of_b != NULL)
        freeaddrinfo(of_b);
    return collide;
}
