#include "tests/unit/gateway/folder.h"

#include "gateway/app/private_file.h"

#include <pthread.h>

static char path[1024];

static enum err read_text(const char *folder, const char *text, size_t size, char *out)
{
    folder_write(folder, "f", text);
    snprintf(path, sizeof(path), "%s/f", folder);
    return private_file_read(path, out, size);
}

static void test_private_file__line_ends_behind_the_last_line_go(void **state)
{
    char *folder = folder_new(), out[16];

    (void)state;
    assert_ok(read_text(folder, "a\nb\r\n\n", sizeof(out), out));
    assert_string_equal(out, "a\nb");
    assert_ok(read_text(folder, "\n", sizeof(out), out));
    assert_string_equal(out, "");
    folder_free(folder);
}

static void test_private_file__nothing_is_cut(void **state)
{
    char *folder = folder_new(), out[8];

    (void)state;
    assert_ok(read_text(folder, "1234567", sizeof(out), out));
    assert_int_equal(read_text(folder, "12345678", sizeof(out), out), ERR_TOO_LARGE);
    assert_non_null(strstr(err_text(ERR_TOO_LARGE), "more than 7 bytes"));
    assert_string_equal(out, "");
    assert_int_equal(private_file_read("/no/where", out, sizeof(out)), ERR_NOT_FOUND);
    assert_int_equal(private_file_read(folder, out, sizeof(out)), ERR_IO);
    folder_free(folder);
}

static void *write_slowly(void *arg)
{
    const int *fd = arg;

    for (int i = 0; i < 3; i++) {
        struct timespec nap = {0, 20 * 1000 * 1000};

        assert_int_equal(write(*fd, "abc", 3), 3);
        nanosleep(&nap, NULL);
    }
    close(*fd);
    return NULL;
}

/* Such as <(pass show kiseki). */
static void test_private_file__a_pipe_comes_in_pieces(void **state)
{
    int fds[2];
    char out[64];
    pthread_t thread;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(pthread_create(&thread, NULL, write_slowly, &fds[1]), 0);
    snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
    assert_ok(private_file_read(path, out, sizeof(out)));
    assert_string_equal(out, "abcabcabc");
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(fds[0]);
}

static void test_private_file__is_written_whole_for_its_owner(void **state)
{
    char *folder = folder_new(), out[64];
    mode_t old = umask(0);
    struct stat st;

    (void)state;
    snprintf(path, sizeof(path), "%s/key", folder);
    folder_write(folder, "key.new", "left by a start that was killed, and longer");
    assert_ok(private_file_write(path, "secret\n"));
    umask(old);
    assert_ok(private_file_read(path, out, sizeof(out)));
    assert_string_equal(out, "secret");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    folder_free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_file__line_ends_behind_the_last_line_go),
        cmocka_unit_test(test_private_file__nothing_is_cut),
        cmocka_unit_test(test_private_file__a_pipe_comes_in_pieces),
        cmocka_unit_test(test_private_file__is_written_whole_for_its_owner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
