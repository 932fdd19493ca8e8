#include "tests/unit/base/unit.h"

#include "fs/memory/pressure.h"

#include <pthread.h>
#include <time.h>

/* A holder that is asked gives back all it has, and gets more before it has been filed. */
struct scene {
    struct holders holders;
    struct holder one;
    pthread_t owner;
    int asked;
};

static struct scene scene;

static void *get_more(void *arg)
{
    (void)arg;
    holders_file(&scene.holders, &scene.one, 0);
    return NULL;
}

static bool until_asked(struct fs *fs)
{
    (void)fs;
    return scene.asked == 0;
}

static bool ask(struct fs *fs, struct holder *one, int *out_class)
{
    (void)fs;
    assert_ptr_equal(one, &scene.one);
    assert_int_equal(*out_class, HOLDER_NONE);
    scene.asked++;
    assert_int_equal(pthread_create(&scene.owner, NULL, get_more, NULL), 0);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* it may well be there by now */
    return true;
}

/* Else nobody would ever ask it for what it has, and a client that stalls would keep it. */
static void test_pressure__keeps_a_holder_that_got_more_while_it_was_asked(void **state)
{
    (void)state;
    holders_init(&scene.holders);
    holder_init(&scene.one);
    holders_file(&scene.holders, &scene.one, 0);
    holders_ask(&scene.holders, 0, until_asked, NULL, ask);
    assert_int_equal(pthread_join(scene.owner, NULL), 0);
    assert_int_equal(scene.asked, 1);
    assert_int_equal(scene.one.class, 0);
    holders_remove(&scene.holders, &scene.one);
    assert_int_equal(scene.one.class, HOLDER_NONE);
    holders_fini(&scene.holders);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pressure__keeps_a_holder_that_got_more_while_it_was_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
