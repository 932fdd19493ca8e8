#include "tests/unit/gateway/folder.h"

#include "gateway/app/machine.h"

/* A folder that stands for /, with files of these texts; NULL: not there. */
struct root {
    const char *meminfo, *groups;
    const char *const files[4][2]; /* below sys/fs/cgroup: name, text */
    uint64_t memory;
};

static void make_folders(const char *root)
{
    static const char *const names[] = {"proc",
                                        "proc/self",
                                        "sys",
                                        "sys/fs",
                                        "sys/fs/cgroup",
                                        "sys/fs/cgroup/a",
                                        "sys/fs/cgroup/a/b",
                                        "sys/fs/cgroup/memory",
                                        "sys/fs/cgroup/memory/a"};

    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        char path[2048];

        snprintf(path, sizeof(path), "%s/%s", root, names[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
}

static uint64_t memory_of(const struct root *r)
{
    char *folder = folder_new();
    uint64_t memory;

    make_folders(folder);
    if (r->meminfo != NULL)
        folder_write(folder, "proc/meminfo", r->meminfo);
    if (r->groups != NULL)
        folder_write(folder, "proc/self/cgroup", r->groups);
    for (size_t i = 0; i < LENGTH_OF(r->files) && r->files[i][0] != NULL; i++) {
        char name[200];

        snprintf(name, sizeof(name), "sys/fs/cgroup/%s", r->files[i][0]);
        folder_write(folder, name, r->files[i][1]);
    }
    memory = machine_memory(folder);
    folder_free(folder);
    return memory;
}

#define KIB_1000 "MemTotal:       1000 kB\nMemFree: 5 kB\n"

static void test_machine__has_what_its_groups_leave(void **state)
{
    static const struct root cases[] = {
        {NULL, NULL, {{0}}, 0},
        {"nonsense\n", "nonsense\n", {{0}}, 0},
        {KIB_1000, NULL, {{0}}, 1024000},
        {KIB_1000, "0::/\n", {{0}}, 1024000},
        {KIB_1000, "0::/a/b\n", {{"a/b/memory.max", "max\n"}}, 1024000},
        {KIB_1000, "0::/a/b\n", {{"a/b/memory.max", "5000\n"}}, 5000},
        {KIB_1000, "0::/a/b\n", {{"a/b/memory.max", "5000\n"}, {"a/memory.max", "4000\n"}}, 4000},
        {KIB_1000, "0::/not/here\n", {{"memory.max", "3000\n"}}, 3000}, /* in a container */
        {KIB_1000, "0::/a\n", {{"a/b/memory.max", "1\n"}}, 1024000},
        {KIB_1000, "0::/a\n", {{"a/memory.max", "9999999999\n"}}, 1024000},
        {KIB_1000,
         "3:cpu:/a\n2:memory:/a\n0::/\n",
         {{"memory/a/memory.limit_in_bytes", "2000\n"}},
         2000},
        {NULL, "0::/a\n", {{"a/memory.max", "7000\n"}}, 7000},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        if (memory_of(&cases[i]) != cases[i].memory)
            fail_msg("case %zu: %llu", i, (unsigned long long)memory_of(&cases[i]));
}

static void test_machine__of_the_tests_has_memory(void **state)
{
    (void)state;
    assert_true(machine_memory("") > (16 << 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine__has_what_its_groups_leave),
        cmocka_unit_test(test_machine__of_the_tests_has_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
