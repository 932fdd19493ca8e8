/*
 * The small header and query parsers: Range, Content-Range, conditions, copy source, Host, query
 * arguments. The first eight bytes are an object's size; the rest is the text.
 */
#include "base/clock.h"
#include "gateway/sign/signature.h"
#include "gateway/s3/proto/conditions.h"
#include "gateway/s3/proto/names.h"
#include "gateway/s3/proto/range.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_range(struct str text, uint64_t size)
{
    struct range r;
    char out[RANGE_TEXT_MAX];

    if (range_parse(text, size, &r) == RANGE_PART) {
        if (r.len == 0 || r.first >= size || r.len > size - r.first)
            abort();
        range_content(&r, size, out);
    }
    if (range_parse_copy(text, size, &r, NULL) == S3_OK &&
        (r.first > size || r.len > size - r.first))
        abort();
    if (range_parse_content(text, &r, NULL) == S3_OK && r.first + r.len < r.first)
        abort();
}

static void check_conditions(struct str text)
{
    struct str etag = STR("d41d8cd98f00b204e9800998ecf8427e");
    struct conditions c = {text, text, text, text};
    struct str one;
    int64_t ms;

    enum condition_result read = conditions_read(&c, etag, 1000, 2000);
    if ((read == CONDITION_PROCEED) != (conditions_copy_source(&c, etag, 1000, 2000) == 0))
        abort();
    (void)conditions_write(&c, etag);
    if (conditions_form(text, &one) == CONDITION_ETAG && one.len == 0)
        abort();
    if (clock_parse_any(text, &ms) == OK && !conditions_date_valid(text))
        abort();
    (void)conditions_if_range(text, etag, 1000);
}

static void check_names(struct arena *arena, struct str text)
{
    const struct str domains[] = {STR("s3.local"), STR("local")};
    struct copy_source source;
    struct str bucket = names_host_bucket(text, domains, 2);

    if (bucket.len >= text.len && text.len > 0)
        abort();
    (void)names_bucket_valid(text);
    if (names_copy_source(arena, text, PERCENT_PLUS_SPACE, &source, NULL) == S3_OK &&
        (source.bucket.len == 0 || source.key.len == 0 || source.key.len > NAMES_KEY_MAX))
        abort();
}

static void check_query(struct arena *arena, struct str text)
{
    struct sigv4_arg *args;
    size_t count;

    for (int plus = 0; plus < 2; plus++)
        if (auth_query_args(text, plus ? PERCENT_PLUS_SPACE : PERCENT_PLUS_LITERAL, arena, &args,
                            &count) == OK &&
            count > text.len)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t object;

    if (size < sizeof(object))
        return 0;
    memcpy(&object, data, sizeof(object));
    struct str text = {(const char *)data + sizeof(object), size - sizeof(object)};
    struct arena *arena = arena_new(16 << 20);
    if (arena == NULL)
        return 0;
    check_range(text, object);
    check_conditions(text);
    check_names(arena, text);
    check_query(arena, text);
    arena_free(arena);
    return 0;
}
