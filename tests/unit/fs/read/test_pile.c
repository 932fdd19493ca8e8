/* What is seen of a pile is what overlay_at() sees of all its links, however few runs are kept. */
#include "tests/unit/base/unit.h"

#include "fs/read/overlay.h"
#include "tests/unit/fs/fake_meta.h"

#include "fs/read/pile.h"

#define LINKS 300
#define SPAN  2000

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void compare(const struct pile *p, const struct overlay_item *items,
                    const struct object_extent *links, size_t count)
{
    uint64_t at = p->from;

    for (size_t i = 0; i <= p->count; i++) {
        uint64_t start = i < p->count ? p->runs[i].start : p->until;

        for (; at < start; at++) /* a gap */
            assert_int_equal(overlay_at(items, count, at, SPAN).item, OVERLAY_NONE);
        for (; i < p->count && at < p->runs[i].end; at++) {
            struct overlay_run run = overlay_at(items, count, at, SPAN);
            const struct pile_run *r = &p->runs[i];

            assert_true(run.item != OVERLAY_NONE);
            assert_int_equal(r->piece, links[run.item].piece);
            assert_int_equal(r->piece_off + (at - r->start), at - links[run.item].start);
        }
    }
    assert_int_equal(at, p->until);
}

static void test_pile__shows_what_all_links_show(void **state)
{
    static struct pile p;
    struct object_extent links[LINKS];
    struct overlay_item items[LINKS];
    uint64_t seed = 1;

    (void)state;
    for (int round = 0; round < 200; round++) {
        size_t count = 1 + next(&seed) % LINKS;
        uint64_t longest = 1 + next(&seed) % SPAN;

        p = (struct pile){
            .max = 1 + next(&seed) % PILE_RUNS, .from = next(&seed) % SPAN, .until = SPAN};
        for (size_t i = 0; i < count; i++) {
            uint64_t start = next(&seed) % SPAN, len = 1 + next(&seed) % longest;

            links[i] = (struct object_extent){
                .start = start, .len = len, .token = next(&seed) % 1000, .piece = i + 1};
            items[i] = (struct overlay_item){start, start + len, links[i].token};
            pile_add(&p, &links[i]);
            assert_true(p.count <= p.max);
        }
        assert_true(p.until > p.from);
        compare(&p, items, links, count);
    }
}

/* 20,000 writes at one offset, each shorter than the one before: of each a byte is seen. */
static void test_pile__takes_any_number_of_nested_writes(void **state)
{
    enum { NESTED = 20000 };
    struct object_extent *links = calloc(NESTED, sizeof(*links)), *seen;
    struct object o = {0};
    uint64_t at = 0;

    (void)state;
    assert_non_null(links);
    for (uint64_t i = 0; i < NESTED; i++)
        links[i] = (struct object_extent){.len = NESTED - i, .token = i + 1, .piece = i + 1};
    fake.extents = links;
    fake.extent_count = NESTED;
    for (int looks = 0; at < NESTED && looks < 3; looks++) { /* of 80 */
        struct arena *a = arena_new((size_t)1 << 20);
        uint64_t until;
        size_t count;

        assert_ok(pile_extents(NULL, a, &o, at, NESTED, &seen, &count, &until));
        assert_int_equal(count, PILE_RUNS);
        assert_int_equal(until, at + PILE_RUNS);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(seen[i].start, at + i);
            assert_int_equal(seen[i].len, 1);
            assert_int_equal(seen[i].piece, NESTED - at - i);
            assert_int_equal(seen[i].piece_off, at + i);
        }
        at = until;
        arena_free(a);
    }
    fake.extent_count = 0;
    free(links);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pile__shows_what_all_links_show),
        cmocka_unit_test(test_pile__takes_any_number_of_nested_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
