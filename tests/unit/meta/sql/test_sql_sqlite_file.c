#include "meta/sql/sqlite_file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char folder[64], path[96];
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    snprintf(p->folder, sizeof(p->folder), "/tmp/kiseki-unit-XXXXXX");
    if (mkdtemp(p->folder) == NULL)
        return -1;
    snprintf(p->path, sizeof(p->path), "%s/a/b.db", p->folder);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    char inner[80];

    snprintf(inner, sizeof(inner), "%s/a", p->folder);
    (void)unlink(p->path);
    (void)rmdir(inner);
    (void)rmdir(p->folder);
    free(p);
    return 0;
}

static void test_sqlite_file__makes_folders_and_a_private_file(void **state)
{
    struct place *p = *state;
    struct stat st;

    assert_int_equal(sqlite_file_make(p->path), OK);
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 0);
}

/* Whether another process finds the file locked. */
static bool locked_for_others(const char *path)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
        int fd = open(path, O_RDWR | O_CLOEXEC);

        _exit(fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? 1 : 0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

/* Else the next process that closes the database removes the log that we write. */
static void test_sqlite_file__locks_of_this_process_stay(void **state)
{
    struct place *p = *state;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};

    assert_int_equal(sqlite_file_make(p->path), OK);
    int fd = open(p->path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETLK, &lock), 0);
    assert_true(locked_for_others(p->path));
    assert_int_equal(sqlite_file_make(p->path), OK);
    assert_true(locked_for_others(p->path));
    (void)close(fd);
}

/* Of a file that something else made, not a byte is written. */
static void test_sqlite_file__holds_reads_only(void **state)
{
    struct place *p = *state;
    sqlite3 *db = NULL;
    struct stat before, after;

    assert_int_equal(sqlite_file_holds(p->path, "volume"), ERR_NOT_FOUND);
    assert_int_equal(stat(p->path, &before), -1);
    assert_int_equal(sqlite_file_make(p->path), OK);
    assert_int_equal(sqlite_file_holds(p->path, "volume"), ERR_NOT_FOUND);
    assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE x (y)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(stat(p->path, &before), 0);
    assert_int_equal(sqlite_file_holds(p->path, "volume"), ERR_NOT_FOUND);
    assert_int_equal(stat(p->path, &after), 0);
    assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
    assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    assert_int_equal(sqlite_file_holds(p->path, "x"), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sqlite_file__makes_folders_and_a_private_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_sqlite_file__holds_reads_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sqlite_file__locks_of_this_process_stay, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
