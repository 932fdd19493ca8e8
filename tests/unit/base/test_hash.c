#include "tests/unit/base/unit.h"

#include "base/codec.h"
#include "base/crc.h"
#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>

static const enum hash_kind crcs[] = {HASH_CRC32, HASH_CRC32C, HASH_CRC64NVME};

/* The definition, bit by bit: what all the fast ways must equal. */
static uint64_t naive_crc(enum hash_kind kind, const uint8_t *data, size_t len)
{
    uint64_t poly = kind == HASH_CRC32    ? CRC32_POLY
                    : kind == HASH_CRC32C ? CRC32C_POLY
                                          : CRC64NVME_POLY;
    uint64_t ones = kind == HASH_CRC64NVME ? UINT64_MAX : UINT32_MAX, crc = ones;

    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ poly : crc >> 1;
    }
    return crc ^ ones;
}

static uint64_t number_of(const uint8_t *digest, size_t size)
{
    uint64_t v = 0;

    for (size_t i = 0; i < size; i++)
        v = v << 8 | digest[i];
    return v;
}

static uint64_t crc_of(enum hash_kind kind, const void *data, size_t len)
{
    uint8_t digest[HASH_MAX_BYTES];

    assert_ok(hash_once(kind, data, len, digest));
    return number_of(digest, hash_size(kind));
}

static uint8_t *random_bytes(size_t len)
{
    uint8_t *data = malloc(len);

    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)test_random();
    return data;
}

static void test_hash__knows_published_vectors(void **state)
{
    static const struct {
        enum hash_kind kind;
        const char *text, *hex;
    } cases[] = {
        {HASH_MD5, "", "d41d8cd98f00b204e9800998ecf8427e"},
        {HASH_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72"},
        {HASH_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {HASH_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {HASH_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {HASH_CRC32, "123456789", "cbf43926"},
        {HASH_CRC32C, "123456789", "e3069283"},
        {HASH_CRC64NVME, "123456789", "ae8b14860a799888"},
        {HASH_CRC32, "", "00000000"},
        {HASH_CRC32C, "", "00000000"},
        {HASH_CRC64NVME, "", "0000000000000000"},
    };
    uint8_t digest[HASH_MAX_BYTES];
    char hex[2 * HASH_MAX_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        assert_ok(hash_once(cases[i].kind, cases[i].text, strlen(cases[i].text), digest));
        hex_encode(digest, hash_size(cases[i].kind), hex);
        assert_string_equal(hex, cases[i].hex);
    }
}

static void test_hash__streaming_equals_once_for_any_split(void **state)
{
    enum { SIZE = 20000 };
    uint8_t *data = random_bytes(SIZE);

    (void)state;
    for (int kind = 0; kind < HASH_KINDS; kind++) {
        for (int round = 0; round < 20; round++) {
            uint8_t once[HASH_MAX_BYTES], streamed[HASH_MAX_BYTES];
            struct hash h;
            assert_ok(hash_init(&h, (enum hash_kind)kind));
            for (size_t at = 0; at < SIZE;) {
                size_t n = test_random() % (round % 2 ? 100 : 9000);
                n = n < SIZE - at ? n : SIZE - at;
                hash_update(&h, data + at, n);
                at += n;
            }
            hash_update(&h, NULL, 0);
            hash_final(&h, streamed);
            hash_fini(&h);
            hash_fini(&h);
            assert_ok(hash_once((enum hash_kind)kind, data, SIZE, once));
            assert_memory_equal(once, streamed, hash_size((enum hash_kind)kind));
        }
    }
    free(data);
}

static void test_hash__refuses_unknown_kinds(void **state)
{
    struct hash h;
    uint8_t digest[HASH_MAX_BYTES];

    (void)state;
    assert_int_equal(hash_init(&h, HASH_KINDS), ERR_BUG);
    hash_fini(&h);
    assert_int_equal(hash_once(HASH_KINDS, "", 0, digest), ERR_BUG);
    assert_int_equal(hash_size(HASH_KINDS), 0);
}

static void test_hash__crcs_equal_the_definition_at_all_lengths_and_alignments(void **state)
{
    enum { SIZE = 8192 };
    uint8_t *data = random_bytes(SIZE + 64);

    (void)state;
    for (size_t c = 0; c < LENGTH_OF(crcs); c++) {
        for (size_t len = 0; len < 700; len++)
            assert_true(crc_of(crcs[c], data + len % 16, len) ==
                        naive_crc(crcs[c], data + len % 16, len));
        for (int round = 0; round < 200; round++) {
            size_t from = test_random() % 64, len = test_random() % SIZE;
            assert_true(crc_of(crcs[c], data + from, len) == naive_crc(crcs[c], data + from, len));
        }
    }
    free(data);
}

static void test_hash__tables_equal_the_fast_ways(void **state)
{
    uint8_t *data = random_bytes(10000);

    (void)state;
    for (int round = 0; round < 500; round++) {
        size_t from = test_random() % 100, len = test_random() % 9900;
        uint64_t start = test_random();
        assert_true(crc32c((uint32_t)start, data + from, len) ==
                    crc32c_by_table((uint32_t)start, data + from, len));
        assert_true(crc64nvme(start, data + from, len) ==
                    crc64nvme_by_table(start, data + from, len));
    }
    free(data);
}

static void test_hash__crc64nvme_chains(void **state)
{
    uint8_t *data = random_bytes(5000);

    (void)state;
    for (int round = 0; round < 300; round++) {
        size_t cut = test_random() % 5001;
        uint64_t crc = crc64nvme(0, data, cut);
        assert_true(crc64nvme(crc, data + cut, 5000 - cut) == crc64nvme(0, data, 5000));
    }
    assert_true(crc64nvme(7, NULL, 0) == 7);
    free(data);
}

static void test_hash__combines_crcs_of_parts(void **state)
{
    enum { SIZE = 100000 };
    uint8_t *data = random_bytes(SIZE);

    (void)state;
    for (size_t c = 0; c < LENGTH_OF(crcs); c++) {
        for (int round = 0; round < 300; round++) {
            size_t len = test_random() % SIZE, cut = len ? test_random() % (len + 1) : 0;
            uint64_t a = crc_of(crcs[c], data, cut), b = crc_of(crcs[c], data + cut, len - cut);
            assert_true(crc_combine(crcs[c], a, b, len - cut) == crc_of(crcs[c], data, len));
        }
    }
    assert_true(crc_combine(HASH_MD5, 1, 2, 3) == 0);
    free(data);
}

static void test_hash__combines_lengths_that_no_memory_holds(void **state)
{
    (void)state;
    /* Zeros doubled: the CRC of 2^40 zero bytes both by halves and by unequal parts. */
    for (size_t c = 0; c < LENGTH_OF(crcs); c++) {
        uint64_t crc[41];
        crc[0] = crc_of(crcs[c], "", 1);
        for (int n = 1; n <= 40; n++)
            crc[n] = crc_combine(crcs[c], crc[n - 1], crc[n - 1], UINT64_C(1) << (n - 1));
        uint64_t sum = crc[0]; /* 1 + 1 + 2 + 4 + ... = 2^40 */
        for (int n = 0; n < 40; n++)
            sum = crc_combine(crcs[c], crc[n], sum, UINT64_C(1) << n);
        assert_true(sum == crc[40]);
        uint8_t zeros[4096] = {0};
        assert_true(crc[12] == crc_of(crcs[c], zeros, sizeof(zeros)));
    }
}

static void check_hmac(struct str key, struct str data, const char *sha256, const char *sha1)
{
    uint8_t mac[32];
    char hex[65];

    if (sha256 != NULL) {
        assert_ok(hmac_sha256(key, data, mac));
        hex_encode(mac, 32, hex);
        assert_string_equal(hex, sha256);
    }
    if (sha1 != NULL) {
        assert_ok(hmac_sha1(key, data, mac));
        hex_encode(mac, 20, hex);
        assert_string_equal(hex, sha1);
    }
}

static void test_hash__hmac_knows_the_vectors_of_rfc_4231_and_2202(void **state)
{
    char long_key[131];

    (void)state;
    memset(long_key, 0xaa, sizeof(long_key));
    for (int round = 0; round < 3; round++) { /* the context is used again */
        check_hmac(STR("Jefe"), STR("what do ya want for nothing?"),
                   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                   "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        check_hmac(STR_NONE, STR_NONE,
                   "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
                   "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
        check_hmac((struct str){long_key, 131},
                   STR("Test Using Larger Than Block-Size Key - Hash Key First"),
                   "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", NULL);
    }
}

static void *hash_in_a_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        check_hmac(STR("Jefe"), STR("what do ya want for nothing?"),
                   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", NULL);
        uint64_t a = crc_of(HASH_CRC64NVME, "1234", 4), b = crc_of(HASH_CRC64NVME, "56789", 5);
        assert_true(crc_combine(HASH_CRC64NVME, a, b, 5) == UINT64_C(0xAE8B14860A799888));
        char zeros[4096] = {0};
        assert_true(crc_of(HASH_CRC32C, zeros, 4096) == UINT64_C(0x98F94189));
        assert_true(crc64nvme(0, zeros, 4096) == UINT64_C(0x6482D367EB22B64E));
    }
    return NULL;
}

static void test_hash__works_in_many_threads_at_once(void **state)
{
    pthread_t threads[8];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_in_a_thread, NULL), 0);
    for (size_t i = 0; i < LENGTH_OF(threads); i++)
        pthread_join(threads[i], NULL);
}

static void test_hash__compares_secrets(void **state)
{
    (void)state;
    assert_true(bytes_equal_secret("abc", "abc", 3));
    assert_false(bytes_equal_secret("abc", "abd", 3));
    assert_true(bytes_equal_secret("a", "b", 0));
}

static void test_hash__zeros_are_as_if_they_were_given(void **state)
{
    static const uint64_t lengths[] = {0, 1, 7, 63, 65536, 65537, 3 * 65536 + 11};
    static const char zeros[3 * 65536 + 11];

    (void)state;
    for (int kind = 0; kind < HASH_KINDS; kind++) {
        for (size_t i = 0; i < LENGTH_OF(lengths); i++) {
            struct hash given, skipped;
            uint8_t a[HASH_MAX_BYTES] = {0}, b[HASH_MAX_BYTES] = {0};

            assert_ok(hash_init(&given, (enum hash_kind)kind));
            assert_ok(hash_init(&skipped, (enum hash_kind)kind));
            hash_update(&given, "before", 6);
            hash_update(&skipped, "before", 6);
            hash_update(&given, zeros, (size_t)lengths[i]);
            hash_zeros(&skipped, lengths[i]);
            hash_update(&given, "behind", 6);
            hash_update(&skipped, "behind", 6);
            hash_final(&given, a);
            hash_final(&skipped, b);
            assert_memory_equal(a, b, sizeof(a));
            hash_fini(&given);
            hash_fini(&skipped);
        }
    }
}

static void test_hash__a_crc_of_many_zeros_costs_nothing(void **state)
{
    struct hash whole, halves;
    uint8_t a[HASH_MAX_BYTES], b[HASH_MAX_BYTES];

    (void)state;
    for (int kind = HASH_CRC32; kind <= HASH_CRC64NVME; kind++) {
        assert_ok(hash_init(&whole, (enum hash_kind)kind));
        assert_ok(hash_init(&halves, (enum hash_kind)kind));
        hash_zeros(&whole, UINT64_C(1) << 60); /* by bytes: for years */
        hash_zeros(&halves, UINT64_C(1) << 59);
        hash_zeros(&halves, UINT64_C(1) << 59);
        hash_final(&whole, a);
        hash_final(&halves, b);
        assert_memory_equal(a, b, hash_size((enum hash_kind)kind));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first, so that the threads meet all that is made once */
        cmocka_unit_test(test_hash__works_in_many_threads_at_once),
        cmocka_unit_test(test_hash__knows_published_vectors),
        cmocka_unit_test(test_hash__streaming_equals_once_for_any_split),
        cmocka_unit_test(test_hash__refuses_unknown_kinds),
        cmocka_unit_test(test_hash__crcs_equal_the_definition_at_all_lengths_and_alignments),
        cmocka_unit_test(test_hash__tables_equal_the_fast_ways),
        cmocka_unit_test(test_hash__crc64nvme_chains),
        cmocka_unit_test(test_hash__combines_crcs_of_parts),
        cmocka_unit_test(test_hash__combines_lengths_that_no_memory_holds),
        cmocka_unit_test(test_hash__hmac_knows_the_vectors_of_rfc_4231_and_2202),
        cmocka_unit_test(test_hash__compares_secrets),
        cmocka_unit_test(test_hash__zeros_are_as_if_they_were_given),
        cmocka_unit_test(test_hash__a_crc_of_many_zeros_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
