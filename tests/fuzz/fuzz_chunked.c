/*
 * aws-chunked: the first byte picks the kind of framing, the second the length of pieces. Decoding
 * in pieces must give what decoding at once gives, and never more than was announced.
 */
#include "gateway/sign/chunked.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum s3_code decode(const struct auth *auth, struct str body, size_t step, struct buf *out)
{
    struct chunked c;
    struct s3_error error;
    enum s3_code code = S3_OK;

    if (chunked_init(&c, auth, STR("x-amz-checksum-crc32c, x-amz-checksum-crc32")) != OK)
        abort();
    for (size_t at = 0; at < body.len && code == S3_OK; at += step) {
        struct str in = str_sub(body, at, step), piece;
        while (in.len > 0 && code == S3_OK) {
            size_t before = in.len;
            code = chunked_next(&c, &in, &piece, &error);
            if (code == S3_OK && in.len == before)
                abort(); /* no progress */
            buf_append_str(out, piece);
        }
    }
    if (code == S3_OK)
        code = chunked_finish(&c, &error);
    for (size_t i = 0; code == S3_OK && i < c.trailer_count; i++)
        if (c.trailers[i].name.len + c.trailers[i].value.len > CHUNKED_TRAILER_MAX)
            abort();
    if (out->len > auth->decoded_length || (code == S3_OK && out->len != auth->decoded_length))
        abort();
    chunked_fini(&c);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        enum auth_payload kind;
        uint64_t length;
        const char *seed;
    } kinds[] = {
        {AUTH_PAYLOAD_UNSIGNED_TRAILER, 5, ""},
        {AUTH_PAYLOAD_CHUNKED, 66560,
         "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"},
        {AUTH_PAYLOAD_CHUNKED_TRAILER, 66560,
         "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"},
        {AUTH_PAYLOAD_CHUNKED_TRAILER, 0,
         "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"},
    };

    if (size < 2)
        return 0;
    size_t kind = data[0] % (sizeof(kinds) / sizeof(kinds[0]));
    struct auth auth = {
        .payload = kinds[kind].kind,
        .decoded_length = kinds[kind].length,
        .signature = str_of(kinds[kind].seed),
        .scope = {STR("20130524"), STR("us-east-1"), STR("s3")},
        .timestamp = STR("20130524T000000Z"),
    };
    if (sigv4_key(STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), &auth.scope, auth.signing_key) !=
        OK)
        return 0;
    struct str body = {(const char *)data + 2, size - 2};
    struct buf whole, pieces;
    buf_init(&whole, 1 << 20);
    buf_init(&pieces, 1 << 20);
    enum s3_code at_once = decode(&auth, body, body.len + 1, &whole);
    enum s3_code in_pieces = decode(&auth, body, 1 + data[1] % 64, &pieces);
    if (at_once != in_pieces || !str_eq(buf_str(&whole), buf_str(&pieces)))
        abort();
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
