#include "tests/unit/fs/fake_meta.h"

/* --- writing ---------------------------------------------------------------------------------- */

/* A client: on_room wakes it. */
struct client {
    struct volume *v;
    uint64_t seed, size, chunk_seed;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool room;
    struct writer *w;
    enum err result;
};

static void on_room(void *arg)
{
    struct client *c = arg;

    pthread_mutex_lock(&c->lock);
    c->room = true;
    pthread_cond_signal(&c->cond);
    pthread_mutex_unlock(&c->lock);
}

/* ERR_TIMEOUT after 60 seconds without room. */
static enum err wait_for_room(struct client *c)
{
    struct timespec until;
    int timed_out = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&c->lock);
    while (!c->room && timed_out == 0)
        timed_out = pthread_cond_timedwait(&c->cond, &c->lock, &until);
    c->room = false;
    pthread_mutex_unlock(&c->lock);
    return timed_out == 0 ? OK : ERR_TIMEOUT;
}

static void client_init(struct client *c, struct volume *v, uint64_t seed, uint64_t size)
{
    *c = (struct client){.v = v,
                         .seed = seed,
                         .size = size,
                         .chunk_seed = seed * 7 + 1,
                         .lock = PTHREAD_MUTEX_INITIALIZER,
                         .cond = PTHREAD_COND_INITIALIZER};
}

static size_t next_chunk(struct client *c, uint64_t left)
{
    static const size_t most[] = {10, 5000, 65536, 65537, 300000};
    size_t len;

    c->chunk_seed = c->chunk_seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    len = 1 + (size_t)(c->chunk_seed >> 40) % most[(c->chunk_seed >> 33) % 5];
    if (c->size > (8 << 20))
        len += 100000;
    return len < left ? len : (size_t)left;
}

/* Writes everything in pieces of random sizes; what client_init said. */
static enum err write_all(struct client *c)
{
    static _Thread_local uint8_t chunk[400001];
    struct writer_options o = {.on_room = on_room, .arg = c, .expected = -1};
    enum err err = writer_new(&c->v->fs, &o, &c->w);

    for (uint64_t at = 0; err == OK && at < c->size;) {
        struct str data = {(const char *)chunk, next_chunk(c, c->size - at)};

        fill(chunk, c->seed, at, data.len);
        at += data.len;
        while (err == OK && data.len > 0) {
            size_t taken;

            err = writer_write(c->w, data, &taken);
            data = str_sub(data, taken, data.len);
            if (err == ERR_AGAIN)
                err = wait_for_room(c);
        }
    }
    return err;
}

/* Makes the content what the volume's one object reads as. */
static void publish(struct arena *a, const struct content *content)
{
    struct object_extent *extents = arena_array(a, content->piece_count + 1, sizeof(*extents));

    assert_non_null(extents);
    for (size_t i = 0; i < content->piece_count; i++) {
        const struct content_piece *p = &content->pieces[i];

        assert_true(p->len <= META_PIECE_MAX);
        extents[i] = (struct object_extent){
            .start = p->start, .len = p->len, .piece = p->id, .records = p->records};
    }
    fake.object = (struct object){.attr.size = (int64_t)content->size, .data = content->data};
    fake.extents = extents;
    fake.extent_count = content->piece_count;
}

static void check_range(struct file *f, uint64_t seed, uint64_t offset, uint64_t len)
{
    static uint8_t expected[PAGE_BYTES];
    struct reader *r;
    struct str run;
    uint64_t at = offset;

    assert_ok(reader_new(f, offset, len, &r));
    do {
        assert_ok(reader_next(r, true, &run));
        assert_true(run.len <= sizeof(expected));
        fill(expected, seed, at, run.len);
        assert_memory_equal(run.ptr, expected, run.len);
        at += run.len;
    } while (run.len > 0);
    assert_int_equal(at, offset + len);
    reader_free(r);
}

static void check_content(struct volume *v, uint64_t seed, uint64_t size)
{
    struct arena *a = arena_new(16 << 20);
    struct object_get q = {.key = STR("key"), .want = OBJECT_DATA, .len = UINT64_MAX};
    enum meta_missing missing;
    struct file f;

    assert_ok(file_open(&v->fs, a, &q, &f, &missing));
    assert_int_equal(f.object.attr.size, size);
    check_range(&f, seed, 0, size);
    for (int i = 0; i < 8; i++) {
        uint64_t offset = test_random() % (size + 1), most = size - offset;

        check_range(&f, seed, offset, test_random() % ((most < 200000 ? most : 200000) + 1));
    }
    file_close(&f);
    arena_free(a);
}

static void round_trip(struct volume *v, uint64_t size)
{
    struct arena *a = arena_new(64 << 20);
    struct content content;
    struct client c;

    client_init(&c, v, size + 3, size);
    assert_ok(write_all(&c));
    assert_ok(writer_finish(c.w, a, &content));
    assert_int_equal(content.size, size);
    assert_int_equal(content.data.ptr != NULL, size <= v->fs.inline_max);
    publish(a, &content);
    writer_resolve(c.w, OK);
    check_content(v, c.seed, size);
    volume_cold(v);
    check_content(v, c.seed, size);
    writer_free(c.w);
    arena_free(a);
}

static void test_writer__content_of_any_length_is_read_back(void **state)
{
    static const uint64_t sizes[] = {0,
                                     1,
                                     (64 << 10) - 1,
                                     64 << 10,
                                     (64 << 10) + 1,
                                     (128 << 10) + 5,
                                     (4 << 20) - 1,
                                     4 << 20,
                                     (4 << 20) + 1,
                                     70 << 20};
    struct volume *v = volume_new(64 << 20);

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(sizes); i++)
        round_trip(v, sizes[i]);
    assert_int_equal(fake.doomed_count, 0);
    volume_free(v);
}

static void test_writer__sends_shorter_slices_in_little_memory(void **state)
{
    struct volume *v = volume_new(4 << 20);

    (void)state;
    round_trip(v, 20 << 20);
    volume_free(v);
}

/* --- many ------------------------------------------------------------------------------------- */

/* Each of the 32; a sanitizer that makes everything ten times slower has less to do. */
#ifdef __SANITIZE_THREAD__
#define LARGE ((uint64_t)8 << 20)
#else
#define LARGE ((uint64_t)64 << 20)
#endif

static void *run_client(void *arg)
{
    struct client *c = arg;
    struct arena *a = arena_new(64 << 20);
    struct content content;

    c->result = write_all(c);
    if (c->result == OK)
        c->result = writer_finish(c->w, a, &content);
    if (c->result == OK && content.size != c->size)
        c->result = ERR_BUG;
    writer_resolve(c->w, c->result == OK ? OK : ERR_CANCELLED);
    writer_free(c->w);
    arena_free(a);
    return NULL;
}

static void test_writer__32_at_once_finish_in_a_small_budget(void **state)
{
    struct volume *v = volume_new(16 << 20);
    struct client clients[32];
    pthread_t threads[32];

    (void)state;
    v->mem->discard = true;
    v->mem->nap_us = 500;
    for (size_t i = 0; i < LENGTH_OF(clients); i++) {
        client_init(&clients[i], v, i, LARGE);
        assert_int_equal(pthread_create(&threads[i], NULL, run_client, &clients[i]), 0);
    }
    for (size_t i = 0; i < LENGTH_OF(clients); i++) {
        pthread_join(threads[i], NULL);
        assert_ok(clients[i].result);
    }
    assert_int_equal(fake.doomed_count, 0);
    volume_free(v);
}

/* Readers of a file that is not cached, beside writers: nobody locks the other out. */
static void test_writer__and_readers_share_a_small_budget(void **state)
{
    struct volume *v = volume_new(4 << 20);
    struct arena *a = arena_new(64 << 20);
    struct client first, clients[8];
    pthread_t threads[8];
    struct content content;

    (void)state;
    client_init(&first, v, 99, 16 << 20);
    assert_ok(write_all(&first));
    assert_ok(writer_finish(first.w, a, &content));
    publish(a, &content);
    writer_resolve(first.w, OK);
    for (size_t i = 0; i < LENGTH_OF(clients); i++) {
        client_init(&clients[i], v, i, 16 << 20);
        assert_int_equal(pthread_create(&threads[i], NULL, run_client, &clients[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        check_content(v, first.seed, first.size);
    for (size_t i = 0; i < LENGTH_OF(clients); i++) {
        pthread_join(threads[i], NULL);
        assert_ok(clients[i].result);
    }
    writer_free(first.w);
    arena_free(a);
    volume_free(v);
}

/* --- turns and pressure ----------------------------------------------------------------------- */

static struct pages_stats stats_of(struct volume *v)
{
    struct pages_stats s;

    pages_stats(&v->fs.pages, &s);
    return s;
}

/* `len` more bytes; waits for its turn if need be. */
static enum err write_more(struct client *c, uint64_t at, size_t len)
{
    static uint8_t bytes[1 << 20];
    struct str data = {(const char *)bytes, len};
    enum err err = OK;

    assert_in_range(len, 1, sizeof(bytes));
    fill(bytes, c->seed, at, len);
    while (err == OK && data.len > 0) {
        size_t taken;

        err = writer_write(c->w, data, &taken);
        data = str_sub(data, taken, data.len);
        if (err == ERR_AGAIN)
            err = wait_for_room(c);
    }
    return err;
}

static void begin(struct client *c, struct volume *v, uint64_t seed)
{
    struct writer_options o = {.on_room = on_room, .arg = c, .expected = -1};

    client_init(c, v, seed, 0);
    assert_ok(writer_new(&v->fs, &o, &c->w));
}

static void test_writer__costs_the_budget_nothing_while_it_is_small(void **state)
{
    struct volume *v = volume_new(4 << 20);
    struct client c;

    (void)state;
    begin(&c, v, 1);
    for (uint64_t at = 0; at < WRITER_OWN_BYTES; at += 1024)
        assert_ok(write_more(&c, at, 1024));
    assert_int_equal(stats_of(v).used[PAGE_UPLOAD], 0);
    assert_ok(write_more(&c, WRITER_OWN_BYTES, 1));
    assert_int_equal(stats_of(v).used[PAGE_UPLOAD], 1);
    writer_free(c.w);
    volume_free(v);
}

/* More uploads than there are pages, each with less than stays in memory: all the same they end. */
static void test_writer__is_relieved_below_the_inline_size(void **state)
{
    static struct client clients[150];
    struct volume *v = volume_new(4 << 20); /* 40 pages for uploads */

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(clients); i++) {
        begin(&clients[i], v, i + 1);
        assert_ok(write_more(&clients[i], 0, 20000 + i));
    }
    for (size_t i = 0; i < LENGTH_OF(clients); i++)
        assert_ok(write_more(&clients[i], 20000 + i, 30000));
    for (size_t i = 0; i < LENGTH_OF(clients); i++) {
        struct client *c = &clients[i];
        struct arena *a = arena_new(16 << 20);
        struct content content;

        assert_ok(write_more(c, 50000 + i, 200000));
        assert_ok(writer_finish(c->w, a, &content));
        assert_int_equal(content.size, 250000 + i);
        publish(a, &content);
        writer_resolve(c->w, OK);
        check_content(v, c->seed, content.size);
        volume_cold(v);
        check_content(v, c->seed, content.size);
        writer_free(c->w);
        arena_free(a);
    }
    assert_int_equal(fake.doomed_count, 0);
    volume_free(v);
}

/* Takes what uploads may have, but `left` pages; NULL behind them. */
static void take_pages(struct volume *v, struct page **out, size_t left)
{
    size_t n = 0;

    while ((out[n] = pages_take(&v->fs.pages, PAGE_UPLOAD)) != NULL)
        n++;
    while (left-- > 0) {
        pages_drop(&v->fs.pages, PAGE_UPLOAD, out[--n]);
        out[n] = NULL;
    }
}

static void drop_taken(struct volume *v, struct page **taken)
{
    for (size_t i = 0; taken[i] != NULL; i++)
        pages_drop(&v->fs.pages, PAGE_UPLOAD, taken[i]);
}

/* Waits for what the I/O threads still do. */
static void wait_for_io(struct volume *v)
{
    pool_free(v->fs.io);
    assert_ok(pool_new("io", 8, 4096, &v->fs.io));
}

static void test_writer__that_holds_the_most_is_relieved_and_only_that_one(void **state)
{
    struct volume *v = volume_new(4 << 20);
    struct client few, most, some, waits;
    struct page *taken[65];

    (void)state;
    begin(&few, v, 1);
    begin(&most, v, 2);
    begin(&some, v, 3);
    begin(&waits, v, 4);
    assert_ok(write_more(&few, 0, 65536));
    assert_ok(write_more(&most, 0, 5 * 65536));
    assert_ok(write_more(&some, 0, 2 * 65536));
    take_pages(v, taken, 0);
    v->mem->nap_us = 20000; /* what is relieved is on its way while others come to wait */
    assert_ok(write_more(&waits, 0, 40000));
    wait_for_io(v);
    assert_int_equal(v->mem->puts, 1);
    assert_int_equal(stats_of(v).used[PAGE_UPLOAD], 40 - 5 + 1);
    drop_taken(v, taken);
    writer_free(few.w);
    writer_free(most.w);
    writer_free(some.w);
    writer_free(waits.w);
    volume_free(v);
}

/* A slow upload, and never a page but what it gives back itself: slices are not tiny. */
static void test_writer__relieved_again_and_again_makes_no_tiny_slices(void **state)
{
    struct volume *v = volume_new(4 << 20);
    struct arena *a = arena_new(16 << 20);
    struct page *taken[65];
    struct client c;
    struct pages_waiter other = {.use = PAGE_UPLOAD, .wake = on_room, .arg = &c};
    struct content content;
    uint64_t size = 1 << 20;
    bool expired;

    (void)state;
    begin(&c, v, 1);
    take_pages(v, taken, 1);
    for (uint64_t at = 0; at < size; at += 1024) {
        assert_ok(write_more(&c, at, 1024));
        pages_wait(&v->fs.pages, &other, INT64_MAX); /* and it wants the page at once */
        pressure_now(&v->fs);
        pages_forget(&v->fs.pages, &other);
        pages_drop(&v->fs.pages, PAGE_UPLOAD, pages_take_given(&v->fs.pages, &other, &expired));
    }
    assert_ok(writer_finish(c.w, a, &content));
    assert_in_range(v->mem->puts, 16, size / WRITER_OWN_BYTES);
    publish(a, &content);
    writer_resolve(c.w, OK);
    check_content(v, c.seed, size);
    writer_free(c.w);
    drop_taken(v, taken);
    arena_free(a);
    volume_free(v);
}

static void test_writer__waits_for_a_page_for_a_limited_time(void **state)
{
    struct volume *v = volume_new(4 << 20);
    struct page *taken[65];
    struct client c;
    size_t n;

    (void)state;
    v->fs.page_wait_ms = 300;
    begin(&c, v, 1);
    take_pages(v, taken, 0);
    assert_int_equal(write_more(&c, 0, 40000), ERR_BUSY);
    assert_int_equal(writer_write(c.w, STR("more"), &n), ERR_BUSY);
    writer_free(c.w);
    /* One that leaves the queue before its time, and one that is served. */
    begin(&c, v, 2);
    assert_ok(write_more(&c, 0, 16384));
    assert_int_equal(writer_write(c.w, STR("more"), &n), ERR_AGAIN);
    assert_int_equal(stats_of(v).waiting[PAGE_UPLOAD], 1);
    writer_free(c.w);
    assert_int_equal(stats_of(v).waiting[PAGE_UPLOAD], 0);
    begin(&c, v, 3);
    assert_ok(write_more(&c, 0, 16384));
    assert_int_equal(writer_write(c.w, STR("more"), &n), ERR_AGAIN);
    drop_taken(v, taken);
    assert_ok(write_more(&c, 16384, 1000));
    writer_free(c.w);
    volume_free(v);
}

/* --- failures --------------------------------------------------------------------------------- */

static void assert_doomed_once(struct volume *v, size_t at_least)
{
    wait_for_io(v);
    assert_true(fake.doomed_count >= at_least);
    for (size_t i = 0; i < fake.doomed_count; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(fake.doomed[i].id, fake.doomed[k].id);
    assert_int_equal(fake.doomed_count, fake.next_id); /* every name that was drawn */
}

static void test_writer__dooms_what_it_stored_when_a_put_fails(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 6; nth++) {
        const struct fault_rule rule = {
            .kind = FAULT_FAIL, .ops = 1u << STORE_PUT, .nth = nth, .code = ERR_DENIED};
        struct volume *v = volume_new(64 << 20);
        struct arena *a = arena_new(1 << 20);
        struct content content;
        struct client c;
        enum err err;

        assert_ok(store_fault_add(v->fs.store, &rule));
        client_init(&c, v, 1, (22 << 20) + 7); /* six slices */
        err = write_all(&c);
        if (err == OK)
            err = writer_finish(c.w, a, &content);
        assert_int_equal(err, ERR_DENIED);
        writer_resolve(c.w, err);
        writer_free(c.w);
        assert_doomed_once(v, 1);
        arena_free(a);
        volume_free(v);
    }
}

static void test_writer__dooms_an_abandoned_upload_at_any_point(void **state)
{
    static const uint64_t sizes[] = {0, 1000, 100000, 5 << 20, 22 << 20};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
        struct volume *v = volume_new(64 << 20);
        struct client c;

        v->mem->nap_us = 3000; /* some are in flight when it is freed */
        client_init(&c, v, 1, sizes[i]);
        assert_ok(write_all(&c));
        while (sizes[i] >= (4 << 20) && atomic_load(&fake.next_id) == 0)
            ; /* what has not begun is not stored at all */
        writer_free(c.w);
        assert_doomed_once(v, sizes[i] / (4 << 20) > 0 ? 1 : 0);
        volume_free(v);
    }
}

static void test_writer__resolves_by_the_commits_result(void **state)
{
    static const struct {
        enum err commit;
        bool doomed;
    } cases[] = {{OK, false}, {ERR_UNKNOWN, false}, {ERR_CONDITION, true}, {ERR_BUSY, true}};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct volume *v = volume_new(64 << 20);
        struct arena *a = arena_new(1 << 20);
        struct content content;
        struct client c;

        client_init(&c, v, 1, 9 << 20);
        assert_ok(write_all(&c));
        assert_ok(writer_finish(c.w, a, &content));
        writer_resolve(c.w, cases[i].commit);
        writer_free(c.w);
        wait_for_io(v);
        assert_int_equal(fake.doomed_count, cases[i].doomed ? 3 : 0);
        arena_free(a);
        volume_free(v);
    }
}

static void test_writer__stops_when_the_lease_is_over(void **state)
{
    struct volume *v = volume_new(16 << 20);
    struct client c;
    size_t taken;

    (void)state;
    client_init(&c, v, 1, 1000);
    assert_ok(write_all(&c));
    fake.fenced = true;
    assert_int_equal(writer_write(c.w, STR("more"), &taken), ERR_FENCED);
    assert_int_equal(taken, 0);
    writer_free(c.w);
    volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer__content_of_any_length_is_read_back),
        cmocka_unit_test(test_writer__sends_shorter_slices_in_little_memory),
        cmocka_unit_test(test_writer__32_at_once_finish_in_a_small_budget),
        cmocka_unit_test(test_writer__and_readers_share_a_small_budget),
        cmocka_unit_test(test_writer__costs_the_budget_nothing_while_it_is_small),
        cmocka_unit_test(test_writer__is_relieved_below_the_inline_size),
        cmocka_unit_test(test_writer__that_holds_the_most_is_relieved_and_only_that_one),
        cmocka_unit_test(test_writer__relieved_again_and_again_makes_no_tiny_slices),
        cmocka_unit_test(test_writer__waits_for_a_page_for_a_limited_time),
        cmocka_unit_test(test_writer__dooms_what_it_stored_when_a_put_fails),
        cmocka_unit_test(test_writer__dooms_an_abandoned_upload_at_any_point),
        cmocka_unit_test(test_writer__resolves_by_the_commits_result),
        cmocka_unit_test(test_writer__stops_when_the_lease_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
