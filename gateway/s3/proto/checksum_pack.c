#include "gateway/s3/proto/checksum_pack.h"

#define FORMAT            1
#define CHECKSUM_PACK_MAX ((size_t)64)
#define PARTS_PACK_MAX    ((size_t)2 << 20) /* of 10,000 parts with SHA-256 */

int checksum_code(enum checksum_algo algo, enum checksum_type type)
{
    return (int)algo | (int)type << 8;
}

enum checksum_algo checksum_code_algo(int code)
{
    int algo = code & 0xff;

    return algo < CHECKSUM_ALGOS ? (enum checksum_algo)algo : CHECKSUM_NONE;
}

enum checksum_type checksum_code_type(int code)
{
    int type = code >> 8;

    return type <= CHECKSUM_COMPOSITE ? (enum checksum_type)type : CHECKSUM_TYPE_NONE;
}

static void put_checksum(struct buf *b, const struct checksum *sum)
{
    buf_put_u8(b, (uint8_t)sum->algo);
    buf_put_u8(b, (uint8_t)sum->type);
    buf_put_u32(b, sum->parts);
    buf_append(b, sum->bytes, checksum_size(sum->algo));
}

static struct checksum get_checksum(struct unpack *u)
{
    struct checksum sum = {0};
    uint8_t algo = unpack_u8(u), type = unpack_u8(u);
    uint32_t parts = unpack_u32(u);

    if (u->failed || algo >= CHECKSUM_ALGOS || type > CHECKSUM_COMPOSITE) {
        u->failed = true;
        return sum;
    }
    sum = (struct checksum){.algo = algo, .type = type, .parts = parts};
    for (size_t i = 0; i < checksum_size(algo); i++)
        sum.bytes[i] = unpack_u8(u);
    return sum;
}

static struct str packed_in(struct arena *a, struct buf *b)
{
    struct str packed = buf_check(b) == OK ? arena_str(a, buf_str(b)) : STR_NONE;

    buf_fini(b);
    return packed;
}

struct str checksum_pack(struct arena *a, const struct checksum *sum)
{
    struct buf b;

    if (sum->algo == CHECKSUM_NONE)
        return STR("");
    buf_init(&b, CHECKSUM_PACK_MAX);
    buf_put_u8(&b, FORMAT);
    put_checksum(&b, sum);
    return packed_in(a, &b);
}

struct checksum checksum_unpack(struct str packed)
{
    struct unpack u = unpack_of(packed);
    uint8_t format = unpack_u8(&u);
    struct checksum sum = get_checksum(&u);

    return u.failed || format != FORMAT ? (struct checksum){0} : sum;
}

struct str object_parts_pack(struct arena *a, const struct object_part *parts, size_t count)
{
    struct buf b;

    buf_init(&b, PARTS_PACK_MAX);
    buf_put_u8(&b, FORMAT);
    buf_put_u32(&b, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        buf_put_u32(&b, parts[i].number);
        buf_put_u64(&b, parts[i].size);
        put_checksum(&b, &parts[i].sum);
    }
    return packed_in(a, &b);
}

enum err object_parts_unpack(struct arena *a, struct str packed, struct object_part **out,
                             size_t *out_count)
{
    struct unpack u = unpack_of(packed);
    uint8_t format = unpack_u8(&u);
    uint32_t count = unpack_u32(&u);

    *out = NULL;
    *out_count = 0;
    if (packed.len == 0)
        return OK;
    if (u.failed || format != FORMAT || count > 10000)
        return err_set(ERR_CORRUPT, "the list of parts of an object is damaged");
    *out = arena_array(a, count + 1, sizeof(**out));
    if (*out == NULL)
        return err_set(ERR_NOMEM, "out of memory for %u parts", count);
    for (uint32_t i = 0; i < count; i++) {
        (*out)[i].number = unpack_u32(&u);
        (*out)[i].size = unpack_u64(&u);
        (*out)[i].sum = get_checksum(&u);
    }
    *out_count = count;
    return u.failed ? err_set(ERR_CORRUPT, "the list of parts of an object is damaged") : OK;
}
