/* The end of an upload, which waits for the store without a thread: fs/write/writer.h. */
#include "tests/unit/fs/fake_meta.h"

#include <semaphore.h>
#include <unistd.h>

struct client {
    struct writer *w;
    sem_t stored;
};

static void on_room(void *arg)
{
    (void)arg;
}

static void on_stored(void *arg)
{
    struct client *c = arg;

    sem_post(&c->stored);
}

static void upload_pages(struct client *c, struct volume *v, size_t pages)
{
    static const uint8_t bytes[8 * PAGE_BYTES];
    struct writer_options o = {
        .on_room = on_room, .on_stored = on_stored, .arg = c, .expected = -1};
    size_t taken;

    sem_init(&c->stored, 0, 0);
    assert_ok(writer_new(&v->fs, &o, &c->w));
    assert_ok(writer_write(c->w, (struct str){(const char *)bytes, pages * PAGE_BYTES}, &taken));
}

static void leave(struct client *c)
{
    writer_free(c->w);
    sem_destroy(&c->stored);
}

/* One at a time goes to the store, and takes so long. */
static struct volume *slow_volume(unsigned nap_us)
{
    struct volume *v = volume_new(16 << 20);

    pool_free(v->fs.io);
    assert_ok(pool_new("io", 1, 4096, &v->fs.io));
    v->mem->nap_us = nap_us;
    return v;
}

static void test_writer__waits_for_the_store_without_a_thread(void **state)
{
    struct volume *v = slow_volume(50000);
    struct arena *a = arena_new(1 << 20);
    struct content content;
    struct client c;

    (void)state;
    upload_pages(&c, v, 1); /* stays in memory */
    assert_true(writer_end(c.w));
    assert_ok(writer_finish(c.w, a, &content));
    assert_int_equal(content.data.len, PAGE_BYTES);
    leave(&c);
    upload_pages(&c, v, 2);
    assert_false(writer_end(c.w));
    sem_wait(&c.stored);
    assert_int_equal(v->mem->puts, 1);
    assert_true(writer_end(c.w));
    assert_ok(writer_finish(c.w, a, &content));
    assert_int_equal(content.piece_count, 1);
    writer_resolve(c.w, OK);
    leave(&c);
    arena_free(a);
    volume_free(v);
}

static void test_writer__waits_for_the_store_for_a_limited_time(void **state)
{
    struct volume *v = slow_volume(300000);
    struct arena *a = arena_new(1 << 20);
    struct client first, second;
    struct content content;

    (void)state;
    v->fs.page_wait_ms = 100;
    upload_pages(&first, v, 2);
    assert_false(writer_end(first.w));
    while (atomic_load(&fake.next_id) == 0)
        usleep(1000); /* it has the thread */
    upload_pages(&second, v, 2);
    assert_false(writer_end(second.w));
    sem_wait(&first.stored);
    assert_ok(writer_finish(first.w, a, &content));
    sem_wait(&second.stored);
    assert_int_equal(writer_finish(second.w, a, &content), ERR_BUSY);
    assert_int_equal(v->mem->puts, 1);
    writer_resolve(first.w, OK);
    leave(&first);
    leave(&second);
    arena_free(a);
    volume_free(v);
}

static void test_writer__stores_nothing_of_who_gave_up(void **state)
{
    struct volume *v = slow_volume(100000);
    struct client first, second;

    (void)state;
    upload_pages(&first, v, 2);
    assert_false(writer_end(first.w));
    while (atomic_load(&fake.next_id) == 0)
        usleep(1000);
    upload_pages(&second, v, 2);
    assert_false(writer_end(second.w));
    leave(&second);
    sem_wait(&first.stored);
    writer_resolve(first.w, OK);
    leave(&first);
    pool_free(v->fs.io);
    assert_int_equal(v->mem->puts, 1);
    assert_int_equal(fake.doomed_count, 0);
    assert_ok(pool_new("io", 1, 4096, &v->fs.io));
    volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer__waits_for_the_store_without_a_thread),
        cmocka_unit_test(test_writer__waits_for_the_store_for_a_limited_time),
        cmocka_unit_test(test_writer__stores_nothing_of_who_gave_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
