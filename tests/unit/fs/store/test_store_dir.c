#include "fs/store/dir_internal.h"
#include "tests/unit/base/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[64];

/*
 * The system calls that decide about durability go through here: they are written down while
 * `trace_on`, and fail when told to.
 */
static bool trace_on;
static char trace[1000];
static int fail_fsync, fail_rename, fail_writev; /* errno, once */
static size_t short_write;                       /* the next writev takes so many bytes */

static void note(const char *what, int fd)
{
    char link[64], target[256] = "";
    size_t at = strlen(trace);

    if (!trace_on)
        return;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (fd >= 0 && readlink(link, target, sizeof(target) - 1) < 0)
        target[0] = '\0';
    size_t skip = strncmp(target, root, strlen(root)) == 0 ? strlen(root) : 0;
    const char *shown = strstr(target, "/.tmp/") != NULL ? "/.tmp/T" : target + skip;
    snprintf(trace + at, sizeof(trace) - at, "%s%s ", what, shown);
}

static bool fails(int *number)
{
    if (*number == 0)
        return false;
    errno = *number;
    *number = 0;
    return true;
}

int fsync(int fd)
{
    note("sync:", fd);
    return fails(&fail_fsync) ? -1 : (int)syscall(SYS_fsync, fd);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    note("rename", -1);
    return fails(&fail_rename) ? -1 : (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    if (fails(&fail_writev))
        return -1;
    if (short_write > 0) {
        size_t len = short_write < iov[0].iov_len ? short_write : iov[0].iov_len;
        short_write = 0;
        return write(fd, iov[0].iov_base, len);
    }
    return syscall(SYS_writev, fd, iov, count);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/kiseki-dir-XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static enum err open_root(struct store **out)
{
    char url[128];

    snprintf(url, sizeof(url), "dir:%s", root);
    return store_open(url, NULL, out);
}

static const char *below(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

static bool exists(const char *name)
{
    return access(below(name), F_OK) == 0;
}

static void touch(const char *name)
{
    int fd = open(below(name), O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    close(fd);
}

/* Temporary files and locks in .tmp. */
static size_t count_tmp(void)
{
    char command[128];
    unsigned int count = 0;

    snprintf(command, sizeof(command), "ls %s/.tmp | wc -l", root);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%u", &count), 1);
    pclose(f);
    return count;
}

static const char *traced_put(struct store *s, const char *name)
{
    trace[0] = '\0';
    trace_on = true;
    enum err err = store_put_bytes(s, name, "0123456789", 10);
    trace_on = false;
    assert_ok(err);
    return trace;
}

static void test_store_dir__syncs_file_then_renames_then_syncs_folders(void **state)
{
    struct store *s;

    (void)state;
    assert_ok(open_root(&s));
    assert_string_equal(traced_put(s, "volume"), "sync:/.tmp/T rename sync: ");
    assert_string_equal(traced_put(s, "a/b/c"), "sync:/.tmp/T sync: sync:/a rename sync:/a/b ");
    assert_string_equal(traced_put(s, "a/b/d"), "sync:/.tmp/T rename sync:/a/b ");
    store_close(s);
    /* Made by somebody else: nothing says that it is on the disk. */
    assert_ok(open_root(&s));
    assert_string_equal(traced_put(s, "a/b/e"), "sync:/.tmp/T sync: sync:/a rename sync:/a/b ");
    store_close(s);
}

static void test_store_dir__reports_every_step_that_fails(void **state)
{
    struct store *s;
    char byte;

    (void)state;
    assert_ok(open_root(&s));
    fail_writev = ENOSPC;
    assert_int_equal(store_put_bytes(s, "steps/a", "0123456789", 10), ERR_FULL);
    assert_non_null(strstr(err_text(ERR_FULL), "the disk is full"));
    fail_fsync = EIO;
    assert_int_equal(store_put_bytes(s, "steps/a", "0123456789", 10), ERR_IO);
    fail_rename = EROFS;
    assert_int_equal(store_put_bytes(s, "steps/a", "0123456789", 10), ERR_DENIED);
    assert_int_equal(store_get(s, "steps/a", 0, 1, &byte), ERR_NOT_FOUND);
    assert_int_equal(count_tmp(), 1);
    assert_ok(store_put_bytes(s, "steps/a", "0123456789", 10));
    store_close(s);
}

static void test_store_dir__goes_on_after_a_short_write(void **state)
{
    static char data[3 << 20], back[3 << 20];
    struct iovec iov[3] = {{data, 10}, {data + 10, 1000000}, {data + 1000010, 2145718}};
    struct store *s;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7919 >> 5);
    assert_ok(open_root(&s));
    short_write = 7;
    fail_writev = EINTR;
    assert_ok(store_put(s, "short", iov, 3, sizeof(data)));
    assert_ok(store_get(s, "short", 0, sizeof(data), back));
    assert_memory_equal(back, data, sizeof(data));
    store_close(s);
}

static void test_store_dir__removes_what_dead_owners_left(void **state)
{
    struct store *s;

    (void)state;
    assert_ok(open_root(&s));
    store_close(s);
    assert_int_equal(count_tmp(), 0);
    touch(".tmp/0123456789abcdef.lock");
    touch(".tmp/0123456789abcdef-1");
    touch(".tmp/0123456789abcdef-2f");
    touch(".tmp/fedcba9876543210-7"); /* its lock went first */
    touch(".tmp/somebody-elses");
    assert_ok(open_root(&s));
    assert_int_equal(count_tmp(), 2); /* our own lock, and what has no owner's name */
    assert_true(exists(".tmp/somebody-elses"));
    store_close(s);
    assert_int_equal(count_tmp(), 1);
}

static void test_store_dir__leaves_the_files_of_living_owners(void **state)
{
    struct store *first, *second;
    char tmp[64];

    (void)state;
    assert_ok(open_root(&first));
    snprintf(tmp, sizeof(tmp), ".tmp/%s-0", ((struct dir_store *)first)->owner);
    touch(tmp);
    assert_ok(open_root(&second));
    assert_true(exists(tmp));
    assert_ok(store_put_bytes(second, "a/b", "x", 1));
    store_close(second);
    assert_true(exists(tmp));
    store_close(first);
    assert_ok(open_root(&second));
    assert_false(exists(tmp));
    store_close(second);
}

/* What a killed writer leaves: whole objects, and temporary files that the next opener removes. */
static void put_until_killed(void)
{
    static uint8_t data[300000];
    struct store *s;
    char name[64];

    if (open_root(&s) != OK)
        _exit(1);
    for (unsigned int i = 0;; i++) {
        memset(data, (int)i, sizeof(data));
        snprintf(name, sizeof(name), "k/%x/%u", i % 16, i);
        if (store_put_bytes(s, name, data, sizeof(data)) != OK)
            _exit(1);
    }
}

static enum err check_whole(void *user, const struct store_entry *entry)
{
    size_t *count = user;

    assert_int_equal(entry->size_bytes, 300000);
    (*count)++;
    return OK;
}

static void test_store_dir__holds_whole_objects_after_a_kill(void **state)
{
    struct store *s;
    size_t count = 0;
    int status;

    (void)state;
    for (unsigned int round = 0; round < 5; round++) {
        pid_t pid = fork();
        if (pid == 0)
            put_until_killed();
        usleep(20000 + round * 7001);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
    }
    assert_ok(open_root(&s));
    assert_int_equal(count_tmp(), 1);
    assert_ok(store_list(s, "k/", check_whole, &count));
    assert_true(count > 0);
    store_close(s);
}

static void test_store_dir__leaves_no_temporary_file_when_a_put_fails(void **state)
{
    struct store *s;

    (void)state;
    assert_ok(open_root(&s));
    touch("file"); /* where a folder should go */
    assert_int_equal(store_put_bytes(s, "file/object", "x", 1), ERR_IO);
    assert_int_equal(count_tmp(), 1);
    char byte;
    assert_int_equal(store_get(s, "file/object", 0, 1, &byte), ERR_NOT_FOUND);
    assert_ok(store_del(s, "file/object"));
    store_close(s);
}

static void test_store_dir__makes_folders_again_that_somebody_removed(void **state)
{
    struct store *s;

    (void)state;
    assert_ok(open_root(&s));
    assert_ok(store_put_bytes(s, "gone/x/1", "x", 1));
    assert_ok(store_del(s, "gone/x/1"));
    assert_int_equal(rmdir(below("gone/x")), 0);
    assert_int_equal(rmdir(below("gone")), 0);
    assert_ok(store_put_bytes(s, "gone/x/2", "y", 1));
    assert_true(exists("gone/x/2"));
    store_close(s);
}

static void test_store_dir__keeps_objects_from_other_users(void **state)
{
    struct store *s;
    struct stat st;

    (void)state;
    assert_ok(open_root(&s));
    assert_ok(store_put_bytes(s, "secret/x", "x", 1));
    assert_int_equal(stat(below("secret/x"), &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    assert_int_equal(stat(below("secret"), &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    store_close(s);
}

/* As nobody, in a child: root may write anywhere. Exit code: the error of the put. */
static int put_as_nobody(struct store *s)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(99);
        enum err err = store_put_bytes(s, "denied/x", "x", 1);
        _exit(strstr(err_text(err), "ermission") != NULL ? (int)err : 98);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_store_dir__says_denied_without_permission(void **state)
{
    struct store *s;

    (void)state;
    assert_ok(open_root(&s));
    assert_int_equal(chmod(below(".tmp"), 0555), 0);
    assert_int_equal(put_as_nobody(s), ERR_DENIED);
    assert_int_equal(chmod(below(".tmp"), 0700), 0);
    assert_ok(store_put_bytes(s, "denied/x", "x", 1));
    store_close(s);
}

static void test_store_dir__tells_a_full_disk_from_a_broken_one(void **state)
{
    static const struct {
        int number;
        enum err expected;
        const char *words;
    } cases[] = {
        {ENOSPC, ERR_FULL, "disk is full"}, {EDQUOT, ERR_FULL, "quota"},
        {EACCES, ERR_DENIED, "ermission"},  {EPERM, ERR_DENIED, "permitted"},
        {EROFS, ERR_DENIED, "ead-only"},    {EIO, ERR_IO, "nput/output"},
        {EMFILE, ERR_BUSY, "open files"},   {ENOMEM, ERR_NOMEM, "memory"},
        {ENOENT, ERR_IO, "No such file"},
    };
    struct dir_store d = {.base.label = "dir:/x"};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        print_message("%s\n", strerror(cases[i].number));
        errno = cases[i].number;
        assert_int_equal(dir_fail(&d, "write", "slices/a"), cases[i].expected);
        assert_non_null(strstr(err_text(cases[i].expected), cases[i].words));
        assert_non_null(strstr(err_text(cases[i].expected), "dir:/x: write slices/a"));
    }
}

static void test_store_dir__refuses_a_path_that_can_not_be_a_folder(void **state)
{
    struct store *s;
    char url[5000];

    (void)state;
    touch("plain");
    snprintf(url, sizeof(url), "dir:%s/plain", root);
    assert_int_equal(store_open(url, NULL, &s), ERR_IO);
    assert_null(s);
    snprintf(url, sizeof(url), "dir:%s/plain/below", root);
    assert_int_equal(store_open(url, NULL, &s), ERR_IO);
    assert_int_equal(store_open("dir:", NULL, &s), ERR_INVALID);
    snprintf(url, sizeof(url), "dir:/%04900d", 0);
    assert_int_equal(store_open(url, NULL, &s), ERR_INVALID);
    assert_int_equal(store_open("/plain", NULL, &s), ERR_INVALID);
}

/* What tools ask for: a folder that is no store, or none, stays as it is. */
static void test_store_dir__must_have_makes_nothing(void **state)
{
    struct store_options o = {.must_have = "volume"};
    struct store *s;
    char url[5000];

    (void)state;
    snprintf(url, sizeof(url), "dir:%s/none", root);
    assert_int_equal(store_open(url, &o, &s), ERR_NOT_FOUND);
    assert_int_equal(access(url + 4, F_OK), -1);
    snprintf(url, sizeof(url), "dir:%s", root);
    assert_int_equal(store_open(url, &o, &s), ERR_NOT_FOUND);
    assert_null(s);
    assert_int_equal(access(below(".tmp"), F_OK), -1);
    touch("volume");
    assert_int_equal(store_open(url, &o, &s), OK);
    store_close(s);
}

#define IN_NEW_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_NEW_ROOT(test_store_dir__must_have_makes_nothing),
        IN_NEW_ROOT(test_store_dir__syncs_file_then_renames_then_syncs_folders),
        IN_NEW_ROOT(test_store_dir__reports_every_step_that_fails),
        IN_NEW_ROOT(test_store_dir__goes_on_after_a_short_write),
        IN_NEW_ROOT(test_store_dir__removes_what_dead_owners_left),
        IN_NEW_ROOT(test_store_dir__leaves_the_files_of_living_owners),
        IN_NEW_ROOT(test_store_dir__holds_whole_objects_after_a_kill),
        IN_NEW_ROOT(test_store_dir__leaves_no_temporary_file_when_a_put_fails),
        IN_NEW_ROOT(test_store_dir__makes_folders_again_that_somebody_removed),
        IN_NEW_ROOT(test_store_dir__keeps_objects_from_other_users),
        IN_NEW_ROOT(test_store_dir__says_denied_without_permission),
        IN_NEW_ROOT(test_store_dir__tells_a_full_disk_from_a_broken_one),
        IN_NEW_ROOT(test_store_dir__refuses_a_path_that_can_not_be_a_folder),
    };

    return cmocka_run_group_tests_name("store_dir", tests, NULL, NULL);
}
