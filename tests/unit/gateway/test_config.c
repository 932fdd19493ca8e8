#include "tests/unit/gateway/folder.h"

#include "gateway/config.h"

extern char **environ;

/* Loads "a b c" as the command line `kiseki serve a b c`. */
static enum err load(const char *flags, struct config *out)
{
    static char text[1024];
    char *argv[32] = {(char *)"kiseki", (char *)"serve"};
    int argc = 2;

    snprintf(text, sizeof(text), "%s", flags);
    for (char *at = text; *at != '\0';) {
        size_t len = strcspn(at, " ");

        argv[argc++] = at;
        at += len;
        if (*at == ' ')
            *at++ = '\0';
    }
    return config_load(argc, argv, 2, out);
}

/* No variable of the person who runs the tests gets in the way. */
static int clear_environment(void **state)
{
    (void)state;
    for (size_t i = 0; environ != NULL && environ[i] != NULL;) {
        char name[128];

        snprintf(name, sizeof(name), "%.*s", (int)strcspn(environ[i], "="), environ[i]);
        if (strncmp(name, "KISEKI_", 7) == 0)
            unsetenv(name);
        else
            i++;
    }
    return 0;
}

static void test_config__defaults_need_no_setting(void **state)
{
    struct config c;

    (void)state;
    assert_ok(load("", &c));
    assert_string_equal(c.listen, "127.0.0.1:9000");
    assert_string_equal(c.region, "us-east-1");
    assert_string_equal(c.data, "data");
    assert_null(c.metrics_listen);
    assert_null(c.meta);
    assert_null(c.access_key);
    assert_int_equal(c.memory_size, 128 << 20);
    assert_int_equal(c.lease_s, 15);
    assert_int_equal(c.keep_deleted_s, 0);
    assert_false(c.json || c.help);
    config_free(&c);
}

static void test_config__a_flag_wins_over_the_environment(void **state)
{
    struct config c;

    (void)state;
    setenv("KISEKI_LISTEN", ":1", 1);
    setenv("KISEKI_METRICS_LISTEN", ":2", 1);
    setenv("KISEKI_REGION", "", 1); /* empty is unset */
    assert_ok(load("--listen :3 --data=a=b --json", &c));
    assert_string_equal(c.listen, ":3");
    assert_string_equal(c.metrics_listen, ":2");
    assert_string_equal(c.region, "us-east-1");
    assert_string_equal(c.data, "a=b");
    assert_true(c.json);
    config_free(&c);
    assert_ok(load("-h", &c));
    assert_true(c.help);
    config_free(&c);
}

static void test_config__secrets_come_from_variables_and_files(void **state)
{
    char *folder = folder_new(), path[1024];
    struct config c;

    (void)state;
    folder_write(folder, "secret", "from a file\r\n\n");
    snprintf(path, sizeof(path), "%s/secret", folder);
    setenv("KISEKI_SECRET_KEY_FILE", path, 1);
    setenv("KISEKI_META_FILE", path, 1);
    setenv("KISEKI_ACCESS_KEY", "direct", 1);
    setenv("KISEKI_ACCESS_KEY_FILE", path, 1); /* the variable itself wins */
    assert_ok(load("", &c));
    assert_string_equal(c.secret_key, "from a file");
    assert_string_equal(c.meta, "from a file");
    assert_string_equal(c.access_key, "direct");
    config_free(&c);
    setenv("KISEKI_SECRET_KEY_FILE", "/nowhere/at/all", 1);
    assert_int_equal(load("", &c), ERR_INVALID);
    assert_non_null(strstr(err_text(ERR_INVALID), "/nowhere/at/all"));
    config_free(&c);
    folder_free(folder);
}

static void test_config__sizes_and_durations_have_units(void **state)
{
    struct config c;

    (void)state;
    assert_ok(load("--memory-size 64M --cache-size 2G --inline-size 0 --lease 2m --keep-deleted 7d "
                   "--stop-timeout 90 --workers 8",
                   &c));
    assert_int_equal(c.memory_size, 64 << 20);
    assert_int_equal(c.cache_size, UINT64_C(2) << 30);
    assert_int_equal(c.inline_size, 0);
    assert_int_equal(c.lease_s, 120);
    assert_int_equal(c.keep_deleted_s, 7 * 86400);
    assert_int_equal(c.stop_timeout_s, 90);
    assert_int_equal(c.workers, 8);
    config_free(&c);
}

/* What is no option is a file; main.c knows which commands take one. */
static void test_config__one_argument_is_a_file(void **state)
{
    struct config c;

    (void)state;
    assert_int_equal(load("--quiet volume.jsonl --json", &c), OK);
    assert_string_equal(c.file, "volume.jsonl");
    assert_true(c.quiet && c.json);
    config_free(&c);
    assert_int_equal(load("-", &c), OK);
    assert_string_equal(c.file, "-");
    config_free(&c);
    assert_int_equal(load("--json", &c), OK);
    assert_null(c.file);
    config_free(&c);
}

/* Each names the option that is wrong. */
static void test_config__wrong_settings_say_which(void **state)
{
    static const struct {
        const char *flags;
        const char *part;
    } cases[] = {
        {"--memory-size lots", "--memory-size"},
        {"--memory-size -1", "--memory-size"},
        {"--memory-size 1K", "out of range"},
        {"--memory-size 99999999999T", "--memory-size"},
        {"--memory-size 18446744073709551615G", "--memory-size"},
        {"--memory-size M", "--memory-size"},
        {"--memory-size 64m", "--memory-size"},
        {"--lease 0", "out of range"},
        {"--lease 5w", "--lease"},
        {"--workers 1K", "--workers"},
        {"--workers 0", "out of range"},
        {"--workers", "needs a value"},
        {"--what 1", "--what"},
        {"one two", "two"},
        {"-x", "-x"},
        {"--", "--"},
        {"--secret-key abc", "KISEKI_SECRET_KEY"},
        {"--secret-key=abc", "KISEKI_SECRET_KEY_FILE"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct config c;

        if (load(cases[i].flags, &c) != ERR_INVALID)
            fail_msg("%s was taken", cases[i].flags);
        if (strstr(err_text(ERR_INVALID), cases[i].part) == NULL)
            fail_msg("%s: %s", cases[i].flags, err_text(ERR_INVALID));
        assert_null(strchr(err_text(ERR_INVALID), '\n'));
        config_free(&c);
    }
}

static void test_config__wrong_variables_say_which(void **state)
{
    struct config c;

    (void)state;
    setenv("KISEKI_IO_THREADS", "many", 1);
    assert_int_equal(load("", &c), ERR_INVALID);
    assert_non_null(strstr(err_text(ERR_INVALID), "io-threads"));
    config_free(&c);
}

static void test_config__help_and_man_page_name_every_option(void **state)
{
    static const char *const names[] = {"--listen", "--meta ", "--store ", "KISEKI_SECRET_KEY",
                                        "KISEKI_MASTER_KEY"};
    char *help = NULL, *man = NULL;
    size_t help_len, man_len;
    FILE *f = open_memstream(&help, &help_len);

    (void)state;
    config_help(f);
    fclose(f);
    f = open_memstream(&man, &man_len);
    config_man(f);
    fclose(f);
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        assert_non_null(strstr(help, names[i]));
    assert_null(strstr(help, "--secret-key"));
    assert_non_null(strstr(man, "KISEKI_SECRET_KEY_FILE"));
    assert_non_null(strstr(man, "KISEKI_STORE"));
    free(help);
    free(man);
}

#define CASE(test) cmocka_unit_test_setup(test, clear_environment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_config__defaults_need_no_setting),
        CASE(test_config__a_flag_wins_over_the_environment),
        CASE(test_config__secrets_come_from_variables_and_files),
        CASE(test_config__sizes_and_durations_have_units),
        CASE(test_config__one_argument_is_a_file),
        CASE(test_config__wrong_settings_say_which),
        CASE(test_config__wrong_variables_say_which),
        CASE(test_config__help_and_man_page_name_every_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
