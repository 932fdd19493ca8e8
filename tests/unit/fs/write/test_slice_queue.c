/* Whose slice is stored next: fs/write/slice_queue.h. */
#include "fs/write/slice_queue.h"
#include "tests/unit/base/unit.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#define JOBS 10

struct slice {
    struct slice_job job; /* first */
    int number;
};

static struct slice_queue queue;
static struct pool *io;
static struct slice slices[JOBS];
static sem_t gate, begun;
static int order[JOBS];
static atomic_int count;

static void run(struct slice_job *job)
{
    sem_post(&begun);
    sem_wait(&gate);
    order[atomic_fetch_add(&count, 1)] = ((struct slice *)job)->number;
}

static void submit(int number, size_t pages)
{
    slices[number] = (struct slice){.job = {.run = run, .turn.pages = pages}, .number = number};
    slice_queue_submit(&queue, &slices[number].job);
}

static void start(size_t threads)
{
    atomic_store(&count, 0);
    sem_init(&gate, 0, 0);
    sem_init(&begun, 0, 0);
    assert_ok(slice_queue_init(&queue, &io, threads));
    assert_ok(pool_new("io", threads, 0, &io));
}

/* All that was submitted has run. */
static void finish(int jobs)
{
    for (int i = 0; i < jobs; i++)
        sem_post(&gate);
    pool_free(io);
    assert_int_equal(atomic_load(&count), jobs);
    assert_int_equal(queue.waiting.count, 0);
    slice_queue_fini(&queue);
    slice_queue_fini(&queue);
    sem_destroy(&gate);
    sem_destroy(&begun);
}

static void test_slice_queue__stores_the_smallest_first(void **state)
{
    static const int expected[] = {0, 3, 2, 1};

    (void)state;
    start(1);
    submit(0, 64); /* keeps the thread */
    sem_wait(&begun);
    submit(1, 64);
    submit(2, 5);
    submit(3, 1);
    finish(4);
    assert_memory_equal(order, expected, sizeof(expected));
}

static void test_slice_queue__uses_all_threads(void **state)
{
    (void)state;
    start(4);
    for (int i = 0; i < JOBS; i++)
        submit(i, (size_t)i);
    for (int i = 0; i < 4; i++)
        sem_wait(&begun); /* four at once, while none has ended */
    finish(JOBS);
}

static void test_slice_queue__goes_on_after_it_was_empty(void **state)
{
    (void)state;
    start(1);
    for (int i = 0; i < 3; i++) {
        submit(i, 0);
        sem_post(&gate);
        while (atomic_load(&count) <= i)
            usleep(100);
    }
    finish(3);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slice_queue__stores_the_smallest_first),
        cmocka_unit_test(test_slice_queue__uses_all_threads),
        cmocka_unit_test(test_slice_queue__goes_on_after_it_was_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
