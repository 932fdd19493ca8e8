/* Listings: object_list() of meta/names/object.h, against a naive model. */
#include "tests/contract/object_fixture.h"

#define KEYS_MAX 400

/* A small generator with a fixed seed: a failure comes back. */
static uint64_t random_below(uint64_t n)
{
    static uint64_t x = UINT64_C(0x9E3779B97F4A7C15);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x % n;
}

/* Strings that keys are made of: separators, the edges of UTF-8, and repetition. */
static const struct str tokens[] = {{"/", 1},
                                    {"/", 1},
                                    {"a", 1},
                                    {"b", 1},
                                    {"ab", 2},
                                    {"\x01", 1},
                                    {"\0", 1},
                                    {"//", 2},
                                    {"a/", 2},
                                    {"::", 2},
                                    {"\xf4\x8f\xbf\xbf", 4},
                                    {"\x7f", 1},
                                    {"\xc2\x80", 2}};
#define TOKENS (sizeof(tokens) / sizeof(tokens[0]))

static struct str random_text(struct arena *a, size_t longest, bool may_be_empty)
{
    struct buf b;
    buf_init(&b, 4096);
    size_t parts = random_below(longest) + (may_be_empty ? 0 : 1);
    for (size_t i = 0; i < parts; i++)
        buf_append_str(&b, tokens[random_below(TOKENS)]);
    struct str s = b.len > 0 ? arena_str(a, buf_str(&b)) : STR("");
    buf_fini(&b);
    return s;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct keys {
    struct str items[KEYS_MAX];
    size_t count;
};

static void sort(struct keys *k)
{
    size_t kept = 0;
    qsort(k->items, k->count, sizeof(k->items[0]), by_bytes);
    for (size_t i = 0; i < k->count; i++)
        if (kept == 0 || !str_eq(k->items[kept - 1], k->items[i]))
            k->items[kept++] = k->items[i];
    k->count = kept;
}

static void insert(struct world *w, uint64_t bucket, const struct keys *k)
{
    struct buf script;
    buf_init(&script, 1 << 20);
    for (size_t i = 0; i < k->count; i++) {
        char hex[1024];
        for (size_t at = 0; at < k->items[i].len; at++)
            (void)snprintf(hex + 2 * at, 3, "%02x", (uint8_t)k->items[i].ptr[at]);
        buf_printf(&script,
                   INTO_KEYS "VALUES (%llu, {PG: '\\x%s'}{LITE: x'%s'}, 1, 'null', 0, %zu,"
                             " %zu, 'e', 5, 7, '', 0);",
                   (unsigned long long)bucket, hex, hex, i + 1, i);
    }
    assert_ok(buf_check(&script));
    run(w, script.data);
    buf_fini(&script);
}

/* --- the model -------------------------------------------------------------------------------- */

/* Length of the common prefix that folds this key, or 0. */
static size_t cut_of(struct str key, const struct object_list_query *q)
{
    if (q->delimiter.len == 0)
        return 0;
    for (size_t at = q->prefix.len; at + q->delimiter.len <= key.len; at++)
        if (memcmp(key.ptr + at, q->delimiter.ptr, q->delimiter.len) == 0)
            return at + q->delimiter.len;
    return 0;
}

static bool listed(struct str key, const struct object_list_query *q)
{
    if (!str_starts(key, q->prefix))
        return false;
    if (q->after.len == 0)
        return true;
    if (q->after_is_prefix && str_starts(key, q->after))
        return false;
    return str_cmp(key, q->after) > 0;
}

struct model {
    struct object_entry items[KEYS_MAX];
    size_t count;
};

static void expect(const struct keys *k, const struct object_list_query *q, struct model *out)
{
    out->count = 0;
    for (size_t i = 0; i < k->count; i++) {
        if (!listed(k->items[i], q))
            continue;
        size_t cut = cut_of(k->items[i], q);
        struct object_entry e = {.is_prefix = cut > 0,
                                 .key = cut > 0 ? str_sub(k->items[i], 0, cut) : k->items[i],
                                 .attr = {.size = (int64_t)i}};
        const struct object_entry *last = out->count > 0 ? &out->items[out->count - 1] : NULL;
        if (cut == 0 || last == NULL || !last->is_prefix || !str_eq(last->key, e.key))
            out->items[out->count++] = e;
    }
}

static void same(const struct object_entry *got, const struct object_entry *expected)
{
    assert_str(expected->key, got->key);
    assert_int_equal(got->is_prefix, expected->is_prefix);
    if (!got->is_prefix) {
        assert_int_equal(got->attr.size, expected->attr.size);
        assert_int_equal(got->attr.inode, expected->attr.size + 1);
        assert_str(STR("e"), got->attr.etag);
    }
}

/* All pages of a query, each compared with the model. */
static void check(struct meta *m, const struct keys *k, const struct object_list_query *first)
{
    struct model model;
    struct arena *a = arena_new(64u << 20);
    struct object_list_query q = *first;
    struct object_list page;
    size_t at = 0;
    expect(k, &q, &model);
    do {
        assert_ok(object_list(m, a, &q, &page));
        assert_true(page.bucket.id > 0);
        assert_true(page.count <= q.max);
        for (size_t i = 0; i < page.count; i++) {
            assert_true(at < model.count);
            same(&page.entries[i], &model.items[at++]);
        }
        assert_int_equal(page.more, at < model.count);
        if (page.count > 0) {
            q.after = page.entries[page.count - 1].key;
            q.after_is_prefix = page.entries[page.count - 1].is_prefix;
        }
    } while (page.more);
    assert_int_equal(at, model.count);
    arena_free(a);
}

static void test_meta_list__equals_the_model_page_by_page(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    static const struct str delimiters[] = {{"/", 1}, {"/", 1},  {"//", 2},
                                            {"a", 1}, {"::", 2}, {"\xf4\x8f\xbf\xbf", 4}};
    for (int set = 0; set < 4; set++) {
        struct bucket b;
        struct keys k = {.count = set == 0 ? 0 : KEYS_MAX};
        char *name = arena_printf(w->arena, "bucket-%d", set);
        assert_ok(bucket_create(m, w->arena, str_of(name), 7, STR("r"), &b));
        struct str shared = random_text(w->arena, 20, false);
        for (size_t i = 0; i < k.count; i++) {
            struct str tail = random_text(w->arena, 8, false);
            char *joined = arena_alloc(w->arena, shared.len + tail.len);
            memcpy(joined, shared.ptr, shared.len);
            memcpy(joined + shared.len, tail.ptr, tail.len);
            k.items[i] = i % 4 == 0 ? (struct str){joined, shared.len + tail.len} : tail;
        }
        sort(&k);
        if (k.count > 0)
            insert(w, b.id, &k);
        for (int round = 0; round < 300; round++) {
            struct object_list_query q = {
                .bucket = str_of(name), .max = random_below(3) == 0 ? 1000 : 1 + random_below(20)};
            if (random_below(2) == 0)
                q.prefix = random_below(4) == 0 ? shared : random_text(w->arena, 4, true);
            if (random_below(3) != 0)
                q.delimiter = delimiters[random_below(6)];
            if (random_below(3) == 0)
                q.after = random_text(w->arena, 6, true);
            q.after_is_prefix = q.after.len > 0 && random_below(3) == 0;
            check(m, &k, &q);
        }
    }
    meta_close(m);
}

static struct str page_of(struct world *w, struct meta *m, const struct object_list_query *q)
{
    struct object_list l;
    struct buf text;
    buf_init(&text, 4096);
    assert_ok(object_list(m, w->arena, q, &l));
    for (size_t i = 0; i < l.count; i++)
        buf_printf(&text, STR_FMT "%s ", STR_ARG(l.entries[i].key),
                   l.entries[i].is_prefix ? "*" : "");
    if (l.more)
        buf_append_cstr(&text, "...");
    struct str s = text.len > 0 ? arena_str(w->arena, buf_str(&text)) : STR("");
    buf_fini(&text);
    return s;
}

static void test_meta_list__folds_skips_and_counts_as_s3_does(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    static const char *const names[] = {"a",  "a/b", "a/c",        "a//d",     "b",
                                        "c/", "c/d", "photos/1/x", "photos/2", "z"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        put(m, str_of(names[i]), small(STR("x")));
    const struct {
        struct object_list_query q;
        const char *expected;
    } cases[] = {
        {{.max = 100}, "a a//d a/b a/c b c/ c/d photos/1/x photos/2 z "},
        {{.max = 2}, "a a//d ..."},
        {{.delimiter = STR("/"), .max = 100}, "a a/* b c/* photos/* z "},
        {{.delimiter = STR("/"), .max = 2}, "a a/* ..."},
        {{.delimiter = STR("/"), .after = STR("a/"), .after_is_prefix = true, .max = 2},
         "b c/* ..."},
        {{.delimiter = STR("/"), .after = STR("a/b"), .max = 100}, "a/* b c/* photos/* z "},
        {{.delimiter = STR("/"), .prefix = STR("a"), .max = 100}, "a a/* "},
        {{.delimiter = STR("/"), .prefix = STR("a/"), .max = 100}, "a//* a/b a/c "},
        {{.delimiter = STR("/"), .prefix = STR("c/"), .max = 100}, "c/ c/d "},
        {{.delimiter = STR("/"), .prefix = STR("photos/"), .max = 100}, "photos/1/* photos/2 "},
        {{.prefix = STR("photos/"), .after = STR("a"), .max = 1}, "photos/1/x ..."},
        {{.prefix = STR("photos/"), .after = STR("photos/1/x"), .max = 1}, "photos/2 "},
        {{.prefix = STR("a"), .after = STR("b"), .max = 1}, ""},
        {{.prefix = STR("none"), .max = 1}, ""},
        {{.delimiter = STR("otos/"), .max = 100}, "a a//d a/b a/c b c/ c/d photos/* z "},
        {{.max = 0}, ""},
        {{.delimiter = STR("/"), .max = 0}, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct object_list_query q = cases[i].q;
        q.bucket = BUCKET;
        assert_str(str_of(cases[i].expected), page_of(w, m, &q));
    }
    meta_close(m);
}

static void test_meta_list__passes_over_delete_markers(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    static const char *const names[] = {"a/1", "a/2", "b/1", "c", "d"};
    for (size_t i = 0; i < 5; i++)
        put(m, str_of(names[i]), small(STR("x")));
    run(w, "UPDATE keys SET marker = 1, inode = NULL, size = 0, seq = 2, keep_displaced = -2 WHERE "
           "key IN"
           " ({PG: 'b/1', 'c'}{LITE: CAST('b/1' AS BLOB), CAST('c' AS BLOB)})");
    struct object_list_query q = {.bucket = BUCKET, .max = 3};
    assert_str(STR("a/1 a/2 d "), page_of(w, m, &q));
    q.delimiter = STR("/");
    q.max = 2;
    assert_str(STR("a/* d "), page_of(w, m, &q));
    meta_close(m);
}

static void test_meta_list__knows_its_bucket_and_no_other(void **state)
{
    struct world *w = *state;
    struct meta *m = open_bucket(w);
    struct bucket other;
    struct object_list l;
    put(m, STR("k"), small(STR("x")));
    assert_ok(bucket_create(m, w->arena, STR("other"), 9, STR("r"), &other));
    struct object_list_query q = {.bucket = STR("other"), .max = 10};
    for (int fold = 0; fold < 2; fold++) {
        q.delimiter = fold ? STR("/") : STR("");
        q.bucket = STR("other");
        assert_ok(object_list(m, w->arena, &q, &l));
        assert_int_equal(l.count, 0);
        assert_int_equal(l.bucket.id, other.id);
        assert_int_equal(l.bucket.owner, 9);
        assert_int_equal(l.bucket.generation, other.generation);
        q.bucket = STR("none");
        assert_err(ERR_NOT_FOUND, object_list(m, w->arena, &q, &l));
    }
    meta_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_list__equals_the_model_page_by_page),
        cmocka_unit_test(test_meta_list__folds_skips_and_counts_as_s3_does),
        cmocka_unit_test(test_meta_list__passes_over_delete_markers),
        cmocka_unit_test(test_meta_list__knows_its_bucket_and_no_other),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
