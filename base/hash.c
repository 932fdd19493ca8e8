#include "base/hash.h"

#include "base/crc.h"

#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* --- what is fetched once a process: OpenSSL 3 looks algorithms up slowly ----------------------*/

static const char *const evp_names[] = {
    [HASH_MD5] = "MD5", [HASH_SHA1] = "SHA1", [HASH_SHA256] = "SHA256"};
#define EVP_KINDS (sizeof(evp_names) / sizeof(evp_names[0]))

static EVP_MD *digests[EVP_KINDS];
static EVP_MAC *hmac;
static pthread_key_t thread_key;
static pthread_mutex_t fetch_lock = PTHREAD_MUTEX_INITIALIZER;
static bool has_key; /* guarded by fetch_lock */
static _Atomic bool fetched;

/* Contexts that one thread uses again and again; freed when it ends. */
struct contexts {
    EVP_MD_CTX *digest;
    EVP_MAC_CTX *hmac[EVP_KINDS];
};

static void contexts_free(void *arg)
{
    struct contexts *c = arg;

    EVP_MD_CTX_free(c->digest);
    for (size_t i = 0; i < EVP_KINDS; i++)
        EVP_MAC_CTX_free(c->hmac[i]);
    free(c);
}

static bool fetch_all(void)
{
    bool out_of_memory = false;

    ERR_clear_error();
    for (size_t i = 0; i < EVP_KINDS; i++)
        if (digests[i] == NULL)
            digests[i] = EVP_MD_fetch(NULL, evp_names[i], NULL);
    if (hmac == NULL)
        hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error())
        out_of_memory = out_of_memory || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    return !out_of_memory; /* what is missing for another reason will not come */
}

/* ERR_NOMEM: the next caller tries again. */
static enum err fetch(void)
{
    enum err err = OK;

    if (atomic_load_explicit(&fetched, memory_order_acquire))
        return OK;
    pthread_mutex_lock(&fetch_lock);
    if (!atomic_load(&fetched)) {
        if (!has_key)
            has_key = pthread_key_create(&thread_key, contexts_free) == 0;
        if (has_key && fetch_all())
            atomic_store_explicit(&fetched, true, memory_order_release);
        else
            err = err_set(ERR_NOMEM, "no memory for OpenSSL's algorithms");
    }
    pthread_mutex_unlock(&fetch_lock);
    return err;
}

static struct contexts *contexts_of_thread(void)
{
    if (fetch() != OK)
        return NULL;
    struct contexts *c = pthread_getspecific(thread_key);
    if (c != NULL)
        return c;
    c = calloc(1, sizeof(*c));
    if (c != NULL && pthread_setspecific(thread_key, c) != 0) {
        free(c);
        c = NULL;
    }
    return c;
}

static enum err no_digest(enum hash_kind kind)
{
    return err_set(ERR_UNSUPPORTED, "OpenSSL gives no %s here", evp_names[kind]);
}

static enum err no_memory(void)
{
    return err_set(ERR_NOMEM, "no memory for a digest");
}

/* --- streaming -------------------------------------------------------------------------------*/

static bool is_crc(enum hash_kind kind)
{
    return kind == HASH_CRC32 || kind == HASH_CRC32C || kind == HASH_CRC64NVME;
}

size_t hash_size(enum hash_kind kind)
{
    static const size_t sizes[HASH_KINDS] = {
        [HASH_MD5] = 16,  [HASH_SHA1] = 20,  [HASH_SHA256] = 32,
        [HASH_CRC32] = 4, [HASH_CRC32C] = 4, [HASH_CRC64NVME] = 8};
    return (unsigned)kind < HASH_KINDS ? sizes[kind] : 0;
}

enum err hash_init(struct hash *h, enum hash_kind kind)
{
    *h = (struct hash){.kind = kind};
    if (is_crc(kind))
        return OK;
    if ((unsigned)kind >= EVP_KINDS)
        return err_set(ERR_BUG, "no hash has the number %d", (int)kind);
    if (fetch() != OK)
        return no_memory();
    if (digests[kind] == NULL)
        return no_digest(kind);
    h->evp = EVP_MD_CTX_new();
    if (h->evp == NULL || EVP_DigestInit_ex2(h->evp, digests[kind], NULL) != 1) {
        hash_fini(h);
        return no_memory();
    }
    return OK;
}

static uint64_t crc_update(enum hash_kind kind, uint64_t crc, const void *data, size_t len)
{
    switch (kind) {
    case HASH_CRC32:
        return len ? crc32_z((uint32_t)crc, data, len) : crc; /* zlib: NULL data means 0 */
    case HASH_CRC32C:
        return crc32c((uint32_t)crc, data, len);
    default:
        return crc64nvme(crc, data, len);
    }
}

static void crc_bytes(enum hash_kind kind, uint64_t crc, uint8_t *out)
{
    uint64_t wide = htobe64(crc);
    size_t size = hash_size(kind);

    memcpy(out, (const uint8_t *)&wide + sizeof(wide) - size, size);
}

void hash_update(struct hash *h, const void *data, size_t len)
{
    if (is_crc(h->kind))
        h->crc = crc_update(h->kind, h->crc, data, len);
    else
        EVP_DigestUpdate(h->evp, data, len); /* cannot fail once initialised */
}

void hash_final(struct hash *h, uint8_t *out)
{
    if (is_crc(h->kind))
        crc_bytes(h->kind, h->crc, out);
    else
        EVP_DigestFinal_ex(h->evp, out, NULL);
}

void hash_fini(struct hash *h)
{
    EVP_MD_CTX_free(h->evp);
    h->evp = NULL;
}

enum err hash_once(enum hash_kind kind, const void *data, size_t len, uint8_t *out)
{
    if (is_crc(kind)) {
        crc_bytes(kind, crc_update(kind, 0, data, len), out);
        return OK;
    }
    if ((unsigned)kind >= EVP_KINDS)
        return err_set(ERR_BUG, "no hash has the number %d", (int)kind);
    struct contexts *c = contexts_of_thread();
    if (c == NULL)
        return no_memory();
    if (digests[kind] == NULL)
        return no_digest(kind);
    if (c->digest == NULL)
        c->digest = EVP_MD_CTX_new();
    if (c->digest == NULL || EVP_DigestInit_ex2(c->digest, digests[kind], NULL) != 1 ||
        EVP_DigestUpdate(c->digest, data, len) != 1 ||
        EVP_DigestFinal_ex(c->digest, out, NULL) != 1)
        return no_memory();
    return OK;
}

/* --- combining CRCs ----------------------------------------------------------------------------
 * A||B is A * x^(bits of B) + B; so is its CRC, and the inversions cancel out. The powers
 * x^(8 * 2^n) are kept, so that a length costs one multiplication a set bit.
 */

static struct {
    uint64_t poly;
    unsigned width;
    uint64_t powers[64];
} combine_tables[HASH_KINDS] = {
    [HASH_CRC32] = {.poly = CRC32_POLY, .width = 32},
    [HASH_CRC32C] = {.poly = CRC32C_POLY, .width = 32},
    [HASH_CRC64NVME] = {.poly = CRC64NVME_POLY, .width = 64},
};
static pthread_once_t combine_once = PTHREAD_ONCE_INIT;

static void fill_combine_tables(void)
{
    for (int kind = HASH_CRC32; kind <= HASH_CRC64NVME; kind++) {
        uint64_t poly = combine_tables[kind].poly;
        unsigned width = combine_tables[kind].width;
        uint64_t power = crc_power(8, poly, width);
        for (int n = 0; n < 64; n++) {
            combine_tables[kind].powers[n] = power;
            power = crc_multiply(power, power, poly, width);
        }
    }
}

uint64_t crc_combine(enum hash_kind kind, uint64_t crc_a, uint64_t crc_b, uint64_t len_b)
{
    if (!is_crc(kind))
        return 0;
    pthread_once(&combine_once, fill_combine_tables);
    for (int n = 0; len_b > 0; n++, len_b >>= 1)
        if (len_b & 1)
            crc_a = crc_multiply(crc_a, combine_tables[kind].powers[n], combine_tables[kind].poly,
                                 combine_tables[kind].width);
    return crc_a ^ crc_b;
}

/*
 * The running state of a CRC is its inverse; n zero bytes multiply it by x^(8n) and add nothing.
 */
static uint64_t crc_zeros(enum hash_kind kind, uint64_t crc, uint64_t len)
{
    uint64_t all = kind == HASH_CRC64NVME ? UINT64_MAX : UINT32_MAX;

    return crc_combine(kind, crc ^ all, 0, len) ^ all;
}

void hash_zeros(struct hash *h, uint64_t len)
{
    static const char zeros[64 << 10];

    if (is_crc(h->kind)) {
        h->crc = crc_zeros(h->kind, h->crc, len);
        return;
    }
    for (uint64_t left = len; left > 0;) {
        size_t n = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);

        hash_update(h, zeros, n);
        left -= n;
    }
}

/* --- HMAC --------------------------------------------------------------------------------------*/

static EVP_MAC_CTX *hmac_context(struct contexts *c, enum hash_kind kind)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)evp_names[kind], 0),
        OSSL_PARAM_construct_end(),
    };

    if (c->hmac[kind] != NULL || hmac == NULL)
        return c->hmac[kind];
    c->hmac[kind] = EVP_MAC_CTX_new(hmac);
    if (c->hmac[kind] != NULL && EVP_MAC_CTX_set_params(c->hmac[kind], params) != 1) {
        EVP_MAC_CTX_free(c->hmac[kind]);
        c->hmac[kind] = NULL;
    }
    return c->hmac[kind];
}

static enum err hmac_once(enum hash_kind kind, struct str key, struct str data, uint8_t *out)
{
    struct contexts *c = contexts_of_thread();
    EVP_MAC_CTX *ctx = c != NULL ? hmac_context(c, kind) : NULL;
    const char *key_ptr =
        key.ptr != NULL ? key.ptr : ""; /* NULL would mean: the key of the last call */
    size_t len = 0;

    if (ctx == NULL || EVP_MAC_init(ctx, (const uint8_t *)key_ptr, key.len, NULL) != 1 ||
        EVP_MAC_update(ctx, (const uint8_t *)data.ptr, data.len) != 1 ||
        EVP_MAC_final(ctx, out, &len, hash_size(kind)) != 1)
        return err_set(ERR_NOMEM, "no memory for an HMAC");
    return OK;
}

enum err hmac_sha256(struct str key, struct str data, uint8_t out[32])
{
    return hmac_once(HASH_SHA256, key, data, out);
}

enum err hmac_sha1(struct str key, struct str data, uint8_t out[20])
{
    return hmac_once(HASH_SHA1, key, data, out);
}

enum err hash_start(void)
{
    uint8_t out[HASH_MAX_BYTES];
    enum err err = OK;

    for (int kind = 0; err == OK && kind < (int)EVP_KINDS; kind++)
        err = hash_once((enum hash_kind)kind, "", 0, out);
    if (err == OK)
        err = hmac_once(HASH_SHA1, STR("k"), STR(""), out);
    return err == OK ? hmac_once(HASH_SHA256, STR("k"), STR(""), out) : err;
}

bool bytes_equal_secret(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
