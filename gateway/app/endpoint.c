#include "gateway/app/endpoint.h"

#include <stdio.h>
#include <string.h>

void endpoint_url(const char *scheme, const char *listen, const char *path, char *out, size_t size)
{
    static const char *const any[] = {":", "*:", "0.0.0.0:", "[::]:", "0:"};
    const char *host = "", *rest = listen;

    for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++) {
        size_t len = strlen(any[i]);

        if (strncmp(listen, any[i], len) != 0)
            continue;
        host = "127.0.0.1";
        rest = listen + len - 1;
        break;
    }
    snprintf(out, size, "%s://%s%s%s", scheme, host, rest, path);
}
