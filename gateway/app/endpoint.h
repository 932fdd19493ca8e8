/*
 * Addresses for people and tools on this machine, made of an address to listen on.
 */
#ifndef KISEKI_GATEWAY_APP_ENDPOINT_H
#define KISEKI_GATEWAY_APP_ENDPOINT_H

#include <stddef.h>

/*
 * "http://127.0.0.1:9000/path" of HOST:PORT as --listen takes it: where it means any address
 * (gateway/http/address.h), 127.0.0.1 stands for it. Cut to `size`.
 */
void endpoint_url(const char *scheme, const char *listen, const char *path, char *out, size_t size);

#endif
