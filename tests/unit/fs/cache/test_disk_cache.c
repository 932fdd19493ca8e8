#include "base/log.h"
#include "base/rand.h"
#include "fs/cache/disk_cache.h"
#include "tests/unit/base/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB     ((uint64_t)1 << 20)
#define UUID    "00000000-0000-4000-8000-000000000001"
#define GRANULE ((uint32_t)PAGE_BYTES)

struct rig {
    char folder[64];
    struct pages pages;
    struct disk_cache *cache;
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    log_set_level(LOG_LEVELS);
    snprintf(r->folder, sizeof(r->folder), "/tmp/kiseki-disk-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    assert_int_equal(pages_init(&r->pages, 32 * MIB), OK);
    *state = r;
    return 0;
}

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s, (void)type, (void)at;
    return remove(path);
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    disk_cache_close(r->cache);
    (void)nftw(r->folder, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(pages_in_use(&r->pages), 0);
    pages_fini(&r->pages);
    free(r);
    return 0;
}

static void open_cache(struct rig *r, uint64_t bytes)
{
    disk_cache_close(r->cache);
    r->cache = NULL;
    assert_int_equal(disk_cache_open(r->folder, bytes, UUID, &r->pages, &r->cache), OK);
}

static struct slice_name slice(uint64_t id)
{
    return (struct slice_name){id, ~id};
}

static uint8_t byte_of(uint64_t id, uint32_t granule)
{
    return (uint8_t)(id * 31 + granule * 7 + 1);
}

static void put(struct rig *r, uint64_t id, uint32_t granule, uint32_t len)
{
    struct page *page = pages_take(&r->pages, PAGE_READ);

    assert_non_null(page);
    memset(page->data, byte_of(id, granule), len);
    disk_cache_put(r->cache, slice(id), granule, page, len);
    pages_drop(&r->pages, PAGE_READ, page);
    disk_cache_flush(r->cache);
}

static bool has(struct rig *r, uint64_t id, uint32_t granule, uint32_t len)
{
    static _Thread_local uint8_t data[PAGE_BYTES];

    memset(data, 0, len);
    if (!disk_cache_get(r->cache, slice(id), granule, len, data))
        return false;
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(data[i], byte_of(id, granule));
    return true;
}

static uint64_t folder_bytes(struct rig *r)
{
    static const char *const names[] = {"data", "index", "lock"};
    uint64_t bytes = 0;

    for (size_t i = 0; i < 3; i++) {
        char path[128];
        struct stat s;

        snprintf(path, sizeof(path), "%s/%s", r->folder, names[i]);
        assert_int_equal(stat(path, &s), 0);
        bytes += (uint64_t)s.st_size;
    }
    return bytes;
}

static void patch_file(struct rig *r, const char *name, off_t at, uint8_t byte)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", r->folder, name);
    fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* --- what it holds ---------------------------------------------------------------------------- */

static void test_disk_cache__gives_back_what_was_put(void **state)
{
    struct rig *r = *state;
    struct disk_cache_stats s;

    open_cache(r, 4 * MIB);
    assert_false(has(r, 1, 0, GRANULE));
    put(r, 1, 0, GRANULE);
    put(r, 1, 63, 100);
    assert_true(has(r, 1, 0, GRANULE));
    assert_true(has(r, 1, 63, 100));
    assert_false(has(r, 1, 63, 101)); /* another length is another granule: not trusted */
    assert_false(has(r, 1, 1, GRANULE));
    assert_false(has(r, 2, 0, GRANULE));
    disk_cache_stats(r->cache, &s);
    assert_int_equal(s.hits, 2);
    assert_int_equal(s.misses, 4);
    assert_int_equal(s.bytes, 2 * PAGE_BYTES);
    disk_cache_forget(r->cache, slice(1));
    assert_false(has(r, 1, 0, GRANULE));
    disk_cache_stats(r->cache, &s);
    assert_int_equal(s.bytes, 0);
}

static void test_disk_cache__stays_within_its_bytes(void **state)
{
    struct rig *r = *state;
    struct disk_cache_stats s;

    open_cache(r, 2 * MIB);
    for (uint64_t id = 0; id < 200; id++)
        put(r, id, (uint32_t)(id % 64), GRANULE);
    disk_cache_stats(r->cache, &s);
    assert_in_range(s.bytes, MIB, 2 * MIB);
    assert_in_range(folder_bytes(r), MIB, 2 * MIB);
    assert_true(has(r, 199, 199 % 64, GRANULE));
    assert_false(has(r, 0, 0, GRANULE));
}

/* What is read again and again survives one pass over ten times as much. */
static void test_disk_cache__a_scan_does_not_push_out_what_is_read_often(void **state)
{
    struct rig *r = *state;
    int kept = 0;

    open_cache(r, 4 * MIB);
    for (uint64_t id = 0; id < 10; id++)
        put(r, id, 0, GRANULE);
    for (uint64_t id = 1000; id < 1600; id++) {
        put(r, id, 0, GRANULE);
        if (id % 20 == 0)
            for (uint64_t hot = 0; hot < 10; hot++)
                (void)has(r, hot, 0, GRANULE);
    }
    for (uint64_t id = 0; id < 10; id++)
        kept += has(r, id, 0, GRANULE);
    assert_int_equal(kept, 10);
}

/* --- restarts --------------------------------------------------------------------------------- */

static void test_disk_cache__is_warm_after_a_restart(void **state)
{
    struct rig *r = *state;
    struct disk_cache *other;

    open_cache(r, 4 * MIB);
    for (uint32_t g = 0; g < 20; g++)
        put(r, 5, g, g == 19 ? 77 : GRANULE);
    open_cache(r, 4 * MIB);
    for (uint32_t g = 0; g < 20; g++)
        assert_true(has(r, 5, g, g == 19 ? 77 : GRANULE));
    /* a second process must not use it */
    assert_int_equal(disk_cache_open(r->folder, 4 * MIB, UUID, &r->pages, &other), ERR_DENIED);
    assert_non_null(strstr(err_text(ERR_DENIED), "--cache-dir"));
    /* another size, another volume: empty */
    open_cache(r, 5 * MIB);
    assert_false(has(r, 5, 0, GRANULE));
    put(r, 5, 0, GRANULE);
    disk_cache_close(r->cache);
    assert_int_equal(disk_cache_open(r->folder, 5 * MIB, "another", &r->pages, &r->cache), OK);
    assert_false(has(r, 5, 0, GRANULE));
}

static void test_disk_cache__a_broken_index_is_forgotten(void **state)
{
    struct rig *r = *state;
    struct disk_cache *none;

    open_cache(r, 4 * MIB);
    put(r, 5, 0, GRANULE);
    put(r, 5, 1, GRANULE);
    disk_cache_close(r->cache);
    r->cache = NULL;
    patch_file(r, "index", 64 + 3, 0xee); /* the first entry is torn */
    open_cache(r, 4 * MIB);
    assert_false(has(r, 5, 0, GRANULE));
    assert_true(has(r, 5, 1, GRANULE));
    disk_cache_close(r->cache);
    r->cache = NULL;
    patch_file(r, "index", 3, 0xee); /* the header */
    open_cache(r, 4 * MIB);
    assert_false(has(r, 5, 1, GRANULE));
    assert_int_equal(disk_cache_open(r->folder, 1000, UUID, &r->pages, &none), ERR_INVALID);
}

/* --- disks that fail -------------------------------------------------------------------------- */

/* Files cannot grow: as on a full disk. */
static void test_disk_cache__a_full_disk_makes_it_useless_and_no_more(void **state)
{
    struct rig *r = *state;
    struct rlimit before, small;
    struct disk_cache_stats s;

    signal(SIGXFSZ, SIG_IGN);
    open_cache(r, 4 * MIB);
    put(r, 1, 0, GRANULE);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = PAGE_BYTES;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    put(r, 2, 0, GRANULE);
    put(r, 3, 0, GRANULE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(has(r, 2, 0, GRANULE));
    assert_true(has(r, 1, 0, GRANULE));
    put(r, 4, 0, GRANULE); /* nothing is written for a while */
    assert_false(has(r, 4, 0, GRANULE));
    disk_cache_stats(r->cache, &s);
    assert_int_equal(s.failures, 1);
}

static void test_disk_cache__a_lost_file_is_a_miss(void **state)
{
    struct rig *r = *state;
    char path[128];

    open_cache(r, 4 * MIB);
    put(r, 1, 0, GRANULE);
    snprintf(path, sizeof(path), "%s/data", r->folder);
    assert_int_equal(truncate(path, 100), 0);
    assert_false(has(r, 1, 0, GRANULE));
}

static void test_disk_cache__none_is_fine(void **state)
{
    struct disk_cache_stats s;

    (void)state;
    assert_false(disk_cache_get(NULL, slice(1), 0, 1, NULL));
    disk_cache_put(NULL, slice(1), 0, NULL, 1);
    disk_cache_drop(NULL, slice(1), 0);
    disk_cache_forget(NULL, slice(1));
    disk_cache_flush(NULL);
    disk_cache_stats(NULL, &s);
    assert_int_equal(s.hits, 0);
}

/* --- threads ---------------------------------------------------------------------------------- */

static void *read_and_write(void *arg)
{
    struct rig *r = arg;
    unsigned seed = (unsigned)rand_u64();

    for (int i = 0; i < 2000; i++) {
        uint64_t id = (uint64_t)rand_r(&seed) % 100;
        uint32_t granule = (uint32_t)(id % 3);
        struct page *page;

        if (has(r, id, granule, GRANULE)) /* which compares: a slot never gives another's bytes */
            continue;
        page = pages_take(&r->pages, PAGE_READ);
        if (page == NULL)
            continue;
        memset(page->data, byte_of(id, granule), GRANULE);
        disk_cache_put(r->cache, slice(id), granule, page, GRANULE);
        pages_drop(&r->pages, PAGE_READ, page);
        if (i % 50 == 0)
            disk_cache_forget(r->cache, slice((uint64_t)rand_r(&seed) % 100));
    }
    return NULL;
}

static void test_disk_cache__threads_read_while_slots_are_reused(void **state)
{
    struct rig *r = *state;
    pthread_t threads[4];

    open_cache(r, 2 * MIB);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_and_write, r), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    disk_cache_flush(r->cache);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_disk_cache__gives_back_what_was_put),
        CASE(test_disk_cache__stays_within_its_bytes),
        CASE(test_disk_cache__a_scan_does_not_push_out_what_is_read_often),
        CASE(test_disk_cache__is_warm_after_a_restart),
        CASE(test_disk_cache__a_broken_index_is_forgotten),
        CASE(test_disk_cache__a_full_disk_makes_it_useless_and_no_more),
        CASE(test_disk_cache__a_lost_file_is_a_miss),
        CASE(test_disk_cache__none_is_fine),
        CASE(test_disk_cache__threads_read_while_slots_are_reused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
