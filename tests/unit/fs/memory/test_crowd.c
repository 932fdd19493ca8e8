/*
 * A thousand clients want one cold object of 64 MiB: few threads serve them in turns, as the
 * gateway's do, without blocking where they can, and the backing store sees each slice once.
 */
#include "tests/unit/fs/big_file.h"

#define CLIENTS 1000
#define WORKERS 16
#define SLICES  16
#define SIZE    ((uint64_t)SLICES * BIG_SLICE)

struct client {
    struct file file;
    struct reader *reader;
    struct arena *arena;
    uint64_t at;
    enum err err;
    struct client *next; /* of the queue */
};

struct crowd {
    struct volume *v;
    const struct big_file *file;
    struct client clients[CLIENTS];
    bool random; /* whom to serve next: anybody, not in turns */
    bool spread; /* some are spread over the object before the others come */
    pthread_mutex_t lock;
    /* guarded by lock */
    size_t left; /* clients that are not done */
    struct client *waiting[CLIENTS];
    size_t waiting_count;
    uint64_t seed;
};

/* The next one that nobody serves now; NULL when all are done. */
static struct client *take(struct crowd *c, bool *out_done)
{
    struct client *one = NULL;

    pthread_mutex_lock(&c->lock);
    *out_done = c->left == 0;
    if (c->waiting_count > 0) {
        size_t i = 0;

        c->seed = c->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        if (c->random)
            i = (c->seed >> 33) % c->waiting_count;
        one = c->waiting[i];
        c->waiting_count--;
        if (c->random)
            c->waiting[i] = c->waiting[c->waiting_count];
        else
            memmove(c->waiting, c->waiting + 1, c->waiting_count * sizeof(c->waiting[0]));
    }
    pthread_mutex_unlock(&c->lock);
    return one;
}

static void put_back(struct crowd *c, struct client *one)
{
    pthread_mutex_lock(&c->lock);
    if (one->err != OK || one->at == SIZE)
        c->left--;
    else
        c->waiting[c->waiting_count++] = one;
    pthread_mutex_unlock(&c->lock);
}

/* The first word and the last of each run: all of 64 GB would take a while. */
static bool is_right(const struct crowd *c, uint64_t at, struct str run)
{
    const uint8_t *want = c->file->bytes + at;

    return run.len >= 8 && run.len <= SIZE - at && memcmp(run.ptr, want, 8) == 0 &&
           memcmp(run.ptr + run.len - 8, want + run.len - 8, 8) == 0;
}

/* Runs while there is no need to wait, then one with waiting. */
static void serve(const struct crowd *c, struct client *one)
{
    bool may_block = false;

    for (int runs = 0; one->err == OK && one->at < SIZE && runs < 16; runs++) {
        struct str run;
        enum err err = reader_next(one->reader, may_block, &run);

        if (err == ERR_AGAIN && !may_block) {
            may_block = true;
            continue;
        }
        one->err = err == OK && !is_right(c, one->at, run) ? ERR_BUG : err;
        one->at += run.len;
        if (may_block)
            break;
    }
}

static void *work(void *arg)
{
    struct crowd *c = arg;
    bool done;

    for (struct client *one = take(c, &done); !done; one = take(c, &done)) {
        if (one == NULL) {
            sched_yield();
            continue;
        }
        serve(c, one);
        put_back(c, one);
    }
    return NULL;
}

static void run_crowd(struct crowd *c)
{
    pthread_t threads[WORKERS];

    pthread_mutex_init(&c->lock, NULL);
    c->left = c->waiting_count = CLIENTS;
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *one = &c->clients[i];

        one->arena = arena_new(1 << 20);
        assert_non_null(one->arena);
        assert_ok(open_file(c->v, one->arena, 0, UINT64_MAX, &one->file));
        assert_ok(reader_new(&one->file, 0, SIZE, &one->reader));
        c->waiting[i] = one;
    }
    for (size_t i = 0; c->spread && i < SLICES; i++)
        while (c->clients[i].err == OK && c->clients[i].at <= i * BIG_SLICE)
            serve(c, &c->clients[i]);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, c), 0);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(c->clients[i].err, OK);
        reader_free(c->clients[i].reader);
        file_close(&c->clients[i].file);
        arena_free(c->clients[i].arena);
    }
    pthread_mutex_destroy(&c->lock);
}

static void check_crowd(bool random, bool spread, unsigned nap_us)
{
    struct volume *v = volume_new(128 << 20); /* the default */
    struct crowd *c = calloc(1, sizeof(*c));
    struct big_file file;

    assert_non_null(c);
    big_file_init(&file, v, SLICES);
    v->mem->nap_us = nap_us;
    *c = (struct crowd){
        .v = v, .file = &file, .random = random, .spread = spread, .seed = test_random()};
    run_crowd(c);
    print_message("%d clients: %llu requests to the store, %llu MiB\n", CLIENTS,
                  (unsigned long long)v->mem->gets, (unsigned long long)(v->mem->got_bytes >> 20));
    assert_int_equal(v->mem->got_bytes, SIZE);
    if (spread) /* the last slices come in pieces: what is held leaves less memory for them */
        assert_in_range(v->mem->gets, SLICES, 2 * SLICES);
    else
        assert_int_equal(v->mem->gets, SLICES);
    big_file_fini(&file);
    free(c);
    volume_free(v);
}

static void test_crowd__asks_the_store_for_each_slice_once(void **state)
{
    (void)state;
    check_crowd(false, false, 0);
    check_crowd(false, false, 5000);
}

/* Some are far ahead of others: together they hold much of the object. */
static void test_crowd__may_be_anywhere_in_the_object(void **state)
{
    (void)state;
    check_crowd(true, false, 0);
    check_crowd(true, true, 0);
    check_crowd(false, true, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd__asks_the_store_for_each_slice_once),
        cmocka_unit_test(test_crowd__may_be_anywhere_in_the_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
