#include "gateway/app/endpoint.h"

#include "gateway/http/address.h"

#include <stdio.h>

void endpoint_url(const char *scheme, const char *listen, const char *path, char *out, size_t size)
{
    struct http_address a;
    bool known = http_address_parse(str_of(listen), &a) == OK; /* the options' table has checked */

    if (known && http_address_is_any(&a))
        a = (struct http_address){.host = STR("127.0.0.1"), .port = a.port};
    snprintf(out, size, known && a.is_ipv6 ? "%s://[" STR_FMT "]:%u%s" : "%s://" STR_FMT ":%u%s",
             scheme, STR_ARG(a.host), a.port, path);
}
