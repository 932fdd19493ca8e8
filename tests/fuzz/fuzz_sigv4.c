/*
 * Signatures: any request text through parse and check. Nothing but AWS's own examples (among the
 * seeds) can be signed right, so anything that verifies is compared with a second look at it.
 */
#include "tests/unit/gateway/auth_text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct str domains[] = {{"s3.amazonaws.com", 16}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* 2013, when version 4's examples were signed; version 2's are from 2007. */
    static const int64_t times[] = {INT64_C(1369353600000), INT64_C(1175024202000)};
    struct auth_key key = {.secret = STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                           .enabled = true};

    for (size_t t = 0; t < 2; t++) {
        struct arena *arena = arena_new(16 << 20);
        struct auth_request r;
        struct auth auth;
        struct s3_error error;
        if (arena != NULL &&
            auth_text_parse(arena, (struct str){(const char *)data, size}, times[t], &r)) {
            r.domains = domains;
            r.domain_count = 1;
            const struct sigv4_header *headers;
            size_t count;
            if (auth_headers(&r, arena, &headers, &count, &error) == S3_OK) {
                if (count < r.header_count)
                    abort();
                for (size_t i = r.header_count; i < count; i++)
                    if (!str_is_token(headers[i].name) || str_has_control(headers[i].value))
                        abort();
            }
            enum s3_code code = auth_parse(&r, arena, &auth, &error);
            if (code == S3_OK && auth.kind != AUTH_ANONYMOUS)
                code = auth_check(&r, arena, &key, &auth, &error);
            if (code == S3_OK && auth.kind != AUTH_ANONYMOUS) {
                key.secret = STR("another");
                if (auth_check(&r, arena, &key, &auth, &error) == S3_OK)
                    abort(); /* the secret must matter */
            }
            if (code != S3_OK && error.code != code)
                abort();
        }
        arena_free(arena);
    }
    return 0;
}
