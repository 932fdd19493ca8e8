#include "tests/unit/gateway/folder.h"

#include "gateway/app/config.h"
#include "gateway/app/help.h"
#include "gateway/app/options.h"
#include "gateway/app/setting.h"
#include "gateway/app/suggest.h"

extern char **environ;

/* Loads "a b c" as the command line `kiseki COMMAND a b c`; '' is an empty word. */
static enum err load_for(unsigned command, const char *flags, struct config *out)
{
    static char text[1024];
    static char *argv[32] = {(char *)"kiseki", (char *)"serve"}; /* config_reload() reads it */
    int argc = 2;

    snprintf(text, sizeof(text), "%s", flags);
    for (char *at = text; *at != '\0';) {
        size_t len = strcspn(at, " ");

        argv[argc++] = strncmp(at, "''", 2) == 0 ? at + 2 : at;
        at += len;
        if (*at == ' ')
            *at++ = '\0';
    }
    return config_load(argc, argv, 2, command, out);
}

static enum err load(const char *flags, struct config *out)
{
    return load_for(COMMAND_SERVE, flags, out);
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
    assert_ok(load("--listen :3 --data=a=b", &c));
    assert_string_equal(c.listen, ":3");
    assert_string_equal(c.metrics_listen, ":2");
    assert_string_equal(c.region, "us-east-1");
    assert_string_equal(c.data, "a=b");
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
    assert_ok(load("", &c));
    assert_string_equal(c.secret_key, "from a file");
    assert_string_equal(c.meta, "from a file");
    assert_string_equal(c.access_key, "direct");
    config_free(&c);
    setenv("KISEKI_ACCESS_KEY_FILE", path, 1);
    assert_int_equal(load("", &c), ERR_INVALID);
    assert_non_null(strstr(err_text(ERR_INVALID), "not both"));
    config_free(&c);
    unsetenv("KISEKI_ACCESS_KEY_FILE");
    folder_write(folder, "secret", "\n");
    assert_int_equal(load("", &c), ERR_INVALID);
    assert_non_null(strstr(err_text(ERR_INVALID), "is empty"));
    config_free(&c);
    setenv("KISEKI_SECRET_KEY_FILE", "/nowhere/at/all", 1);
    setenv("KISEKI_META_FILE", "", 1);
    assert_int_equal(load("", &c), ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(ERR_NOT_FOUND), "/nowhere/at/all"));
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
    assert_int_equal(load_for(COMMAND_DUMP, "--quiet volume.jsonl --data x", &c), OK);
    assert_string_equal(c.file, "volume.jsonl");
    assert_true(c.quiet);
    config_free(&c);
    assert_int_equal(load_for(COMMAND_DUMP, "-", &c), OK);
    assert_string_equal(c.file, "-");
    config_free(&c);
    assert_int_equal(load_for(COMMAND_DUMP, "--quiet", &c), OK);
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
        {"--memory-size 1K", "out of range (16M to 4T)"},
        {"--memory-size 1.5G", "whole number"},
        {"--memory-size +64M", "whole number"},
        {"--memory-size 0x40M", "whole number"},
        {"--memory-size 64MB", "whole number"},
        {"--memory-size=", "whole number"},
        {"--keep-deleted 3651d", "out of range (0 to 3650d)"},
        {"--memory-size 99999999999T", "--memory-size"},
        {"--memory-size 18446744073709551615G", "--memory-size"},
        {"--memory-size M", "--memory-size"},
        {"--memory-size 64m", "--memory-size"},
        {"--lease 0", "out of range (1s to 1h)"},
        {"--lease 5w", "--lease"},
        {"--workers 1K", "--workers"},
        {"--workers 0", "out of range"},
        {"--workers", "needs a value"},
        {"--what 1", "--what"},
        {"one two", "two"},
        {"--region ''", "--region needs a value"},
        {"--region=", "--region needs a value"},
        {"--region eu/west", "no region's name"},
        {"--data ''", "--data needs a value"},
        {"--listen ''", "--listen needs a value"},
        {"--listen 9000", "no address"},
        {"--listen host:", "no address"},
        {"--listen host:70000", "no address"},
        {"--metrics-listen x", "--metrics-listen"},
        {"--domain ..,,/", "no domain"},
        {"--domain a.example,", "comma"},
        {"--domain a.example,,b.example", "no domain"},
        {"--domain a.example:9000", "no domain"},
        {"--domain -a.example", "no domain"},
        {"--domain a..example", "no domain"},
        {"--domain a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,1,2,3,4,5,6,7",
         "33 domains"},
        {"--log-level loud", "debug, info, warn or error"},
        {"--log-format xml", "text or json"},
        {"--tls-cert x", "--tls-key"},
        {"--tls-key x", "--tls-cert"},
        {"--kep-deleted 1d", "did you mean --keep-deleted?"},
        {"--keep-deleetd=1d", "did you mean --keep-deleted?"},
        {"--apply", "which is an option of gc"},
        {"--json", "which is an option of status, gc, key, config and routes"},
        {"--quiet", "gc, fsck, scrub, dump, load and migrate"},
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
    assert_non_null(strstr(err_text(ERR_INVALID), "KISEKI_IO_THREADS: \"many\""));
    config_free(&c);
}

/* Of another command, or given a value: never ignored. */
static void test_config__a_command_refuses_what_is_not_its_own(void **state)
{
    static const struct {
        unsigned command;
        const char *flags, *part;
    } cases[] = {
        {COMMAND_VERSION, "--apply", "version takes no --apply, which is an option of gc"},
        {COMMAND_FSCK, "--json", "fsck takes no --json"},
        {COMMAND_FSCK, "--listen :1", "fsck takes no --listen"},
        {COMMAND_GC, "--repair", "which is an option of fsck"},
        {COMMAND_GC, "--wait", "--apply"},
        {COMMAND_GC, "--apply=no", "--apply takes no value"},
        {COMMAND_HEALTH, "--meta x", "health takes no --meta"},
        {COMMAND_SCRUB, "--rates 1M", "did you mean --rate?"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct config c;

        if (load_for(cases[i].command, cases[i].flags, &c) != ERR_INVALID)
            fail_msg("%s was taken", cases[i].flags);
        if (strstr(err_text(ERR_INVALID), cases[i].part) == NULL)
            fail_msg("%s: %s", cases[i].flags, err_text(ERR_INVALID));
        config_free(&c);
    }
}

/* Each bit's options, once with a good value: none is refused by its own command. */
static void test_config__a_command_takes_its_own(void **state)
{
    struct config c;

    (void)state;
    setenv("KISEKI_WORKERS", "many", 1); /* serve's: no matter to the others */
    assert_ok(load_for(COMMAND_GC, "--apply --wait --json --keep-deleted 1h --quiet", &c));
    assert_true(c.apply && c.wait && c.json && c.quiet);
    config_free(&c);
    assert_ok(load_for(COMMAND_FSCK, "--repair --check-store --store dir:x --meta sqlite:y", &c));
    assert_true(c.repair && c.check_store);
    config_free(&c);
    assert_ok(load_for(COMMAND_HEALTH, "--listen [::1]:9000 --metrics-listen :1", &c));
    config_free(&c);
    unsetenv("KISEKI_WORKERS");
    assert_ok(load("--domain s3.example.org,localhost --region eu-west-1", &c));
    assert_string_equal(c.domain, "s3.example.org,localhost");
    config_free(&c);
}

/* The settings of `text` as a file of this mode; flags come with it. */
static enum err load_file(const char *text, mode_t mode, const char *flags, struct config *out)
{
    static char line[2048];
    static char *folder;
    char path[1024];
    enum err err;

    folder = folder_new();
    folder_write(folder, "conf", text);
    snprintf(path, sizeof(path), "%s/conf", folder);
    assert_int_equal(chmod(path, mode), 0);
    snprintf(line, sizeof(line), "--config %s %s", path, flags);
    err = load(line, out);
    folder_free(folder);
    return err;
}

static const struct config_origin *origin_of(const struct config *c, const char *name)
{
    return &c->origins[option_find(str_of(name)) - option_rows];
}

static void test_config__flag_over_variable_over_file_over_default(void **state)
{
    struct config c;

    (void)state;
    setenv("KISEKI_REGION", "variable", 1);
    setenv("KISEKI_DOMAIN", "variable", 1);
    assert_ok(load_file("region = file\ndomain = file\ndata = file\nworkers = 3\nrate = 5M\n", 0644,
                        "--region flag", &c));
    assert_string_equal(c.region, "flag");
    assert_string_equal(c.domain, "variable");
    assert_string_equal(c.data, "file");
    assert_int_equal(c.workers, 3);
    assert_int_equal(c.rate, 0); /* scrub's */
    assert_int_equal(origin_of(&c, "region")->source, CONFIG_FLAG);
    assert_int_equal(origin_of(&c, "domain")->source, CONFIG_VARIABLE);
    assert_int_equal(origin_of(&c, "workers")->source, CONFIG_FILE);
    assert_int_equal(origin_of(&c, "workers")->line, 4);
    assert_int_equal(origin_of(&c, "lease")->source, CONFIG_DEFAULT);
    assert_int_equal(origin_of(&c, "store")->source, CONFIG_UNSET);
    config_free(&c);
}

/* What a stronger place hides, and what is another command's, is checked all the same. */
static void test_config__all_of_a_file_is_checked(void **state)
{
    static const char *const texts[] = {"region = a/b\n", "rate = fast\n", "secret-key =\n"};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(texts); i++) {
        struct config c;

        if (load_file(texts[i], 0600, "--region flag", &c) != ERR_INVALID)
            fail_msg("%s was taken", texts[i]);
        assert_non_null(strstr(err_text(ERR_INVALID), "/conf:1: "));
        config_free(&c);
    }
}

static void test_config__a_file_with_secrets_is_its_owners(void **state)
{
    struct config c;

    (void)state;
    assert_ok(load_file("secret-key = s\nmeta = postgres://u:p@h/d\n", 0600, "", &c));
    assert_string_equal(c.secret_key, "s");
    config_free(&c);
    assert_int_equal(load_file("secret-key = s\n", 0640, "", &c), ERR_DENIED);
    assert_non_null(strstr(err_text(ERR_DENIED), "line 1, secret-key"));
    config_free(&c);
    assert_int_equal(load_file("\nmeta = postgres://u:p@h/d\n", 0604, "", &c), ERR_DENIED);
    config_free(&c);
    assert_ok(load_file("meta = postgres://h/d\n", 0644, "", &c));
    config_free(&c);
}

static void test_config__urls_are_shown_without_passwords(void **state)
{
    static const char *const cases[][2] = {
        {"sqlite:/a/meta.db", "sqlite:/a/meta.db"},
        {"postgres://db/kiseki?sslmode=require", "postgres://db/kiseki?sslmode=require"},
        {"postgres://u:p@a,b/k", "postgres://********@a,b/k"},
        {"postgres://u:p@q@h/k", "postgres://********@h/k"},
        {"postgres://u:p?q@h@h/k", "********"},
        {"postgres://h?password=a@b", "********"},
        {"postgres:/u:p@h", "********"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct config c;
        struct buf text;

        setenv("KISEKI_META", cases[i][0], 1);
        assert_ok(load("", &c));
        buf_init(&text, 1000);
        setting_print(&c, option_find(STR("meta")), &text);
        if (!str_eq(buf_str(&text), str_of(cases[i][1])))
            fail_msg("%s: %.*s", cases[i][0], (int)text.len, text.data);
        buf_fini(&text);
        config_free(&c);
    }
}

/* A second look sees what files hold now; flags and variables are what they were. */
static void test_config__reloads_files(void **state)
{
    char *folder = folder_new(), path[1024];
    struct config first, second;

    (void)state;
    folder_write(folder, "conf", "region = one\ndata = one\n");
    snprintf(path, sizeof(path), "%s/conf", folder);
    setenv("KISEKI_CONFIG", path, 1);
    assert_ok(load("--data flag", &first));
    folder_write(folder, "conf", "region = two\ndata = two\n");
    assert_ok(config_reload(&first, &second));
    assert_string_equal(first.region, "one");
    assert_string_equal(second.region, "two");
    assert_string_equal(second.data, "flag");
    for (size_t i = 0; i < option_count; i++)
        assert_int_equal(setting_equal(&first, &second, &option_rows[i]),
                         strcmp(option_rows[i].name, "region") != 0);
    config_free(&first);
    config_free(&second);
    folder_free(folder);
}

static char lines[2048];

static void keep_line(const char *line)
{
    size_t len = strlen(lines);

    snprintf(lines + len, sizeof(lines) - len, "%s\n", line);
}

static void test_config__misspelt_variables_are_named(void **state)
{
    (void)state;
    lines[0] = '\0';
    setenv("KISEKI_LISTEN", ":1", 1);
    setenv("KISEKI_META_FILE", "x", 1);
    setenv("KISEKI_TEST_ANYTHING", "x", 1);
    setenv("KISEKI_KEEP_DELETD", "8d", 1);
    setenv("KISEKI_ACESS_KEY_FILE", "x", 1);
    setenv("KISEKI_REGION_FILE", "x", 1);
    setenv("KISEKI_APPLY", "1", 1);
    setenv("KISEKI_PORT_9000_TCP_ADDR", "10.0.0.1", 1);
    option_variables(keep_line);
    assert_non_null(
        strstr(lines, "KISEKI_KEEP_DELETD is no setting: did you mean KISEKI_KEEP_DELETED?"));
    assert_non_null(strstr(lines, "did you mean KISEKI_ACCESS_KEY_FILE?"));
    assert_non_null(strstr(lines, "KISEKI_REGION_FILE is no setting"));
    assert_non_null(strstr(lines, "KISEKI_APPLY is no setting"));
    assert_non_null(strstr(lines, "KISEKI_PORT_9000_TCP_ADDR is no setting, and is ignored"));
    assert_null(strstr(lines, "KISEKI_LISTEN "));
    assert_null(strstr(lines, "KISEKI_META_FILE "));
    assert_null(strstr(lines, "KISEKI_TEST"));
}

static void test_config__suggestions_are_close(void **state)
{
    static const struct {
        const char *wrong, *right;
    } cases[] = {{"sttaus", "status"},
                 {"fcsk", "fsck"},
                 {"server", "serve"},
                 {"scrubb", "scrub"},
                 {"mkfs", ""},
                 {"destroy", ""},
                 {"", ""},
                 {"g", ""}};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct suggest s;

        suggest_begin(&s, str_of(cases[i].wrong));
        for (size_t k = 0; k < command_count; k++)
            suggest_offer(&s, command_rows[k].name);
        if (strcmp(s.best, cases[i].right) != 0)
            fail_msg("%s: %s", cases[i].wrong, s.best);
    }
}

static char *page_of(const struct command *c)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (c != NULL)
        help_command(c, f);
    else
        help_man(f);
    fclose(f);
    return text;
}

/* Every option stands in the manual page, and in the help of its commands only. */
static void test_config__help_and_man_page_come_from_the_tables(void **state)
{
    char *man = page_of(NULL), flag[80];

    (void)state;
    for (size_t k = 0; k < command_count; k++) {
        char *help = page_of(&command_rows[k]);

        for (size_t i = 0; i < option_count; i++) {
            const struct option_row *o = &option_rows[i];
            bool own = (o->commands & command_rows[k].bit) != 0 && o->help != NULL;

            if (o->type == OPTION_SECRET)
                option_variable(o, flag);
            else
                snprintf(flag, sizeof(flag), "\n  --%s ", o->name);
            if ((strstr(help, flag) != NULL) != own)
                fail_msg("%s: %s", command_rows[k].name, flag);
        }
        assert_non_null(strstr(help, "usage: kiseki "));
        assert_non_null(strstr(help, "exit codes: "));
        if (command_rows[k].bit == COMMAND_SERVE)
            assert_non_null(strstr(help, "KISEKI_WORKERS"));
        assert_non_null(strstr(help, "example:\n  kiseki "));
        snprintf(flag, sizeof(flag), ".SS kiseki %s", command_rows[k].name);
        assert_non_null(strstr(man, flag));
        free(help);
    }
    assert_non_null(strstr(man, "KISEKI_SECRET_KEY_FILE"));
    assert_non_null(strstr(man, "KISEKI_STORE"));
    assert_null(strstr(man, "KISEKI_APPLY"));
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
        CASE(test_config__a_command_refuses_what_is_not_its_own),
        CASE(test_config__a_command_takes_its_own),
        CASE(test_config__misspelt_variables_are_named),
        CASE(test_config__flag_over_variable_over_file_over_default),
        CASE(test_config__all_of_a_file_is_checked),
        CASE(test_config__a_file_with_secrets_is_its_owners),
        CASE(test_config__urls_are_shown_without_passwords),
        CASE(test_config__reloads_files),
        CASE(test_config__suggestions_are_close),
        CASE(test_config__help_and_man_page_come_from_the_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
