#include "gateway/s3/proto/checksum.h"

#include "base/codec.h"

#include <stdio.h>
#include <string.h>

#define HEADER_PREFIX  "x-amz-checksum-"
#define ELEMENT_PREFIX "Checksum"

struct row {
    const char *name;
    const char *header;
    const char *element;
    enum hash_kind hash;
    bool full_object; /* of parts: can be combined mathematically */
    bool composite;
};

static const struct row rows[CHECKSUM_ALGOS] = {
    [CHECKSUM_NONE] = {"", "", "", HASH_KINDS, false, false},
    [CHECKSUM_CRC32] = {"CRC32", "x-amz-checksum-crc32", "ChecksumCRC32", HASH_CRC32, true, true},
    [CHECKSUM_CRC32C] = {"CRC32C", "x-amz-checksum-crc32c", "ChecksumCRC32C", HASH_CRC32C, true,
                         true},
    [CHECKSUM_CRC64NVME] = {"CRC64NVME", "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME",
                            HASH_CRC64NVME, true, false},
    [CHECKSUM_SHA1] = {"SHA1", "x-amz-checksum-sha1", "ChecksumSHA1", HASH_SHA1, false, true},
    [CHECKSUM_SHA256] = {"SHA256", "x-amz-checksum-sha256", "ChecksumSHA256", HASH_SHA256, false,
                         true},
};

/* Of the same form, but no algorithm. */
static const char *const not_algorithms[] = {"mode", "type", "algorithm"};

static const struct row *row_of(enum checksum_algo algo)
{
    return &rows[(unsigned)algo < CHECKSUM_ALGOS ? algo : CHECKSUM_NONE];
}

size_t checksum_size(enum checksum_algo algo)
{
    const struct row *row = row_of(algo);

    return row->hash == HASH_KINDS ? 0 : hash_size(row->hash);
}

enum hash_kind checksum_hash(enum checksum_algo algo)
{
    return row_of(algo)->hash;
}

const char *checksum_algo_name(enum checksum_algo algo)
{
    return row_of(algo)->name;
}

const char *checksum_type_name(enum checksum_type type)
{
    if (type == CHECKSUM_FULL_OBJECT)
        return "FULL_OBJECT";
    return type == CHECKSUM_COMPOSITE ? "COMPOSITE" : "";
}

const char *checksum_header_name(enum checksum_algo algo)
{
    return row_of(algo)->header;
}

const char *checksum_element_name(enum checksum_algo algo)
{
    return row_of(algo)->element;
}

static bool find_algo(struct str name, enum checksum_algo *out)
{
    for (unsigned i = CHECKSUM_NONE + 1; i < CHECKSUM_ALGOS; i++) {
        if (str_eq_nocase(name, str_of(rows[i].name))) {
            *out = (enum checksum_algo)i;
            return true;
        }
    }
    return false;
}

enum s3_code checksum_algo_parse(struct str name, enum checksum_algo *out, struct s3_error *error)
{
    *out = CHECKSUM_NONE;
    if (find_algo(str_trim(name), out))
        return S3_OK;
    return s3_fail(error, S3_INVALID_REQUEST,
                   "Checksum algorithm provided is unsupported. Please try again with any of the "
                   "valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
}

enum s3_code checksum_type_parse(struct str name, enum checksum_type *out, struct s3_error *error)
{
    name = str_trim(name);
    *out = CHECKSUM_TYPE_NONE;
    if (str_eq_nocase(name, STR("FULL_OBJECT")))
        *out = CHECKSUM_FULL_OBJECT;
    else if (str_eq_nocase(name, STR("COMPOSITE")))
        *out = CHECKSUM_COMPOSITE;
    else
        return s3_fail(error, S3_INVALID_REQUEST, "Value for x-amz-checksum-type is invalid.");
    return S3_OK;
}

static bool of_name(struct str name, struct str prefix, enum checksum_algo *out, bool *out_known)
{
    *out = CHECKSUM_NONE;
    *out_known = false;
    if (name.len <= prefix.len || !str_starts_nocase(name, prefix))
        return false;
    name = str_sub(name, prefix.len, name.len);
    for (size_t i = 0; i < sizeof(not_algorithms) / sizeof(not_algorithms[0]); i++)
        if (str_eq_nocase(name, str_of(not_algorithms[i])))
            return false;
    *out_known = find_algo(name, out);
    return true;
}

bool checksum_of_header(struct str header_name, enum checksum_algo *out, bool *out_known)
{
    return of_name(header_name, STR(HEADER_PREFIX), out, out_known);
}

bool checksum_of_element(struct str element, enum checksum_algo *out, bool *out_known)
{
    return of_name(element, STR(ELEMENT_PREFIX), out, out_known);
}

enum s3_code checksum_upload_rule(enum checksum_algo algo, enum checksum_type type,
                                  enum checksum_algo *out_algo, enum checksum_type *out_type,
                                  struct s3_error *error)
{
    if (algo == CHECKSUM_NONE && type != CHECKSUM_TYPE_NONE)
        return s3_fail(error, S3_INVALID_REQUEST,
                       "The x-amz-checksum-type header can only be used with the "
                       "x-amz-checksum-algorithm header.");
    if (algo == CHECKSUM_NONE)
        algo = CHECKSUM_CRC64NVME;
    const struct row *row = row_of(algo);
    if (type == CHECKSUM_TYPE_NONE)
        type = row->composite ? CHECKSUM_COMPOSITE : CHECKSUM_FULL_OBJECT;
    if (type == CHECKSUM_COMPOSITE ? !row->composite : !row->full_object)
        return s3_fail(error, S3_INVALID_REQUEST,
                       type == CHECKSUM_COMPOSITE
                           ? "The COMPOSITE checksum type cannot be used with the crc64nvme "
                             "checksum algorithm."
                           : "The FULL_OBJECT checksum type cannot be used with the sha1 and "
                             "sha256 checksum algorithms.");
    *out_algo = algo;
    *out_type = type;
    return S3_OK;
}

/* --- text --------------------------------------------------------------------------------------*/

static enum s3_code bad_value(struct s3_error *error)
{
    return s3_fail(error, S3_BAD_DIGEST, "Value for x-amz-checksum header is invalid.");
}

enum s3_code checksum_parse(enum checksum_algo algo, struct str text, bool composite,
                            struct checksum *out, struct s3_error *error)
{
    struct str digest = str_trim(text);

    *out = (struct checksum){.algo = algo, .type = CHECKSUM_FULL_OBJECT};
    size_t dash = str_find(digest, '-'); /* not a digit of base64 */
    if (composite && dash < digest.len) {
        uint64_t parts;
        if (str_to_u64(str_sub(digest, dash + 1, digest.len), &parts) != OK || parts == 0 ||
            parts > UINT32_MAX)
            return bad_value(error);
        out->type = CHECKSUM_COMPOSITE;
        out->parts = (uint32_t)parts;
        digest = str_sub(digest, 0, dash);
    }
    if (algo == CHECKSUM_NONE || base64_decode(digest, out->bytes, checksum_size(algo)) != OK)
        return bad_value(error);
    return S3_OK;
}

void checksum_text(const struct checksum *c, bool with_parts, char out[CHECKSUM_TEXT_MAX])
{
    base64_encode(c->bytes, checksum_size(c->algo), out);
    if (with_parts && c->type == CHECKSUM_COMPOSITE) {
        size_t len = strlen(out);
        snprintf(out + len, CHECKSUM_TEXT_MAX - len, "-%u", (unsigned)c->parts);
    }
}

bool checksum_eq(const struct checksum *a, const struct checksum *b)
{
    return a->algo == b->algo && a->type == b->type &&
           memcmp(a->bytes, b->bytes, checksum_size(a->algo)) == 0;
}

/* --- joining -----------------------------------------------------------------------------------*/

static uint64_t crc_number(const struct checksum *c)
{
    uint64_t value = 0;

    for (size_t i = 0; i < checksum_size(c->algo); i++)
        value = value << 8 | c->bytes[i];
    return value;
}

enum err checksum_join_init(struct checksum_join *j, enum checksum_algo algo,
                            enum checksum_type type)
{
    const struct row *row = row_of(algo);

    *j = (struct checksum_join){.sum = {.algo = algo, .type = type}};
    if (type == CHECKSUM_COMPOSITE && row->composite)
        return hash_init(&j->hash, row->hash);
    if (type == CHECKSUM_FULL_OBJECT && row->full_object)
        return OK;
    return err_set(ERR_INVALID, "checksum %s cannot be %s", row->name, checksum_type_name(type));
}

enum err checksum_join_add(struct checksum_join *j, const struct checksum *part, uint64_t len_bytes)
{
    if (part->algo != j->sum.algo)
        return err_set(ERR_INVALID, "a part's checksum is %s, not %s",
                       checksum_algo_name(part->algo), checksum_algo_name(j->sum.algo));
    if (j->sum.type == CHECKSUM_COMPOSITE)
        hash_update(&j->hash, part->bytes, checksum_size(part->algo));
    else if (j->sum.parts == 0)
        j->crc = crc_number(part);
    else
        j->crc = crc_combine(checksum_hash(part->algo), j->crc, crc_number(part), len_bytes);
    j->sum.parts++;
    return OK;
}

void checksum_join_finish(struct checksum_join *j, struct checksum *out)
{
    *out = j->sum;
    if (out->type == CHECKSUM_COMPOSITE) {
        hash_final(&j->hash, out->bytes);
        return;
    }
    size_t size = checksum_size(out->algo);
    for (size_t i = 0; i < size; i++)
        out->bytes[i] = (uint8_t)(j->crc >> (8 * (size - 1 - i)));
}

void checksum_join_fini(struct checksum_join *j)
{
    hash_fini(&j->hash);
}
