#include "tests/unit/gateway/folder.h"

#include "gateway/app/volume.h"

#define HEX_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

struct given {
    char *folder;
    char data[1024];
    struct config c;
    struct volume v;
};

static void begin(struct given *g)
{
    *g = (struct given){.folder = folder_new()};
    snprintf(g->data, sizeof(g->data), "%s/data", g->folder);
    g->c.data = g->data;
}

static void end(struct given *g)
{
    volume_forget(&g->v);
    folder_free(g->folder);
}

static void expect_mode(const struct given *g, const char *name, mode_t mode)
{
    char path[2048];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", g->data, name);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void refused_as(struct given *g, enum err how, const char *part)
{
    enum err err = volume_prepare(&g->c, true, &g->v);

    assert_int_equal(err, how);
    if (strstr(err_text(err), part) == NULL)
        fail_msg("\"%s\" does not name %s", err_text(err), part);
    assert_null(strchr(err_text(err), '\n'));
}

static void refused(struct given *g, const char *part)
{
    refused_as(g, ERR_INVALID, part);
}

static void test_volume__the_first_start_makes_private_files(void **state)
{
    struct given g;
    mode_t old = umask(0);

    (void)state;
    begin(&g);
    assert_ok(volume_prepare(&g.c, true, &g.v));
    umask(old);
    expect_mode(&g, "", 0700);
    expect_mode(&g, "credentials", 0600);
    expect_mode(&g, "master.key", 0600);
    assert_true(g.v.made_credentials && g.v.embedded && g.v.has_master_key);
    assert_int_equal(strlen(g.v.access_key), 20);
    assert_int_equal(strlen(g.v.secret_key), 40);
    assert_int_equal(strncmp(g.v.meta_url, "sqlite:", 7), 0);
    assert_int_equal(strncmp(g.v.store_url, "dir:", 4), 0);
    end(&g);
}

static void test_volume__keys_are_kept(void **state)
{
    struct given g;
    struct volume again;

    (void)state;
    begin(&g);
    assert_ok(volume_prepare(&g.c, true, &g.v));
    assert_ok(volume_prepare(&g.c, true, &again));
    assert_false(again.made_credentials);
    assert_string_equal(again.access_key, g.v.access_key);
    assert_string_equal(again.secret_key, g.v.secret_key);
    assert_memory_equal(again.master_key, g.v.master_key, 32);
    volume_forget(&again);
    assert_string_equal(again.secret_key, "");
    end(&g);
}

static void test_volume__two_volumes_have_different_keys(void **state)
{
    struct given a, b;

    (void)state;
    begin(&a);
    begin(&b);
    assert_ok(volume_prepare(&a.c, true, &a.v));
    assert_ok(volume_prepare(&b.c, true, &b.v));
    assert_string_not_equal(a.v.secret_key, b.v.secret_key);
    assert_memory_not_equal(a.v.master_key, b.v.master_key, 32);
    end(&a);
    end(&b);
}

static void test_volume__keys_from_the_environment_are_not_written(void **state)
{
    struct given g;
    char path[2048];

    (void)state;
    begin(&g);
    g.c.access_key = (char *)"mine";
    g.c.secret_key = (char *)"secret-of-mine";
    g.c.master_key = (char *)HEX_KEY;
    assert_ok(volume_prepare(&g.c, true, &g.v));
    assert_string_equal(g.v.access_key, "mine");
    assert_int_equal(g.v.master_key[31], 0x1f);
    snprintf(path, sizeof(path), "%s/credentials", g.data);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/master.key", g.data);
    assert_int_not_equal(access(path, F_OK), 0);
    end(&g);
}

static void test_volume__a_server_needs_its_settings(void **state)
{
    struct given g;

    (void)state;
    begin(&g);
    g.c.meta = (char *)"postgres://x/y";
    refused(&g, "--store");
    g.c.store = (char *)"s3://b";
    refused(&g, "KISEKI_ACCESS_KEY");
    g.c.access_key = (char *)"mine";
    refused(&g, "KISEKI_SECRET_KEY");
    g.c.secret_key = (char *)"short";
    refused(&g, "8");
    g.c.secret_key = (char *)"long-enough";
    g.c.master_key = (char *)"abc";
    refused(&g, "KISEKI_MASTER_KEY");
    g.c.master_key = (char *)"0000000000000000000000000000000000000000000000000000000000000000";
    refused(&g, "openssl rand");
    g.c.master_key = (char *)"abababababababababababababababababababababababababababababababab";
    refused(&g, "openssl rand");
    g.c.master_key = (char *)HEX_KEY;
    g.c.access_key = (char *)"change-me-access";
    refused(&g, "KISEKI_ACCESS_KEY");
    g.c.access_key = (char *)"mi\nne";
    refused(&g, "access key");
    g.c.access_key = (char *)"mi/ne";
    refused(&g, "access key");
    g.c.access_key = (char *)"mi ne";
    refused(&g, "access key");
    g.c.access_key = (char *)"mine";
    g.c.secret_key = (char *)"change-me-secret";
    refused(&g, "openssl rand");
    g.c.secret_key = (char *)"long-enough";
    g.c.store_secret_key = (char *)"change-me-minio";
    refused(&g, "KISEKI_STORE_SECRET_KEY");
    g.c.store_secret_key = NULL;
    g.c.meta = (char *)"postgres://kiseki:change-me-postgres@db/kiseki";
    refused(&g, "KISEKI_META");
    g.c.meta = (char *)"postgres://x/y";
    g.c.master_key = NULL;
    assert_ok(volume_prepare(&g.c, true, &g.v));
    assert_false(g.v.has_master_key || g.v.embedded);
    assert_string_equal(g.v.store_url, "s3://b");
    end(&g);
}

static void test_volume__damaged_files_say_which(void **state)
{
    static const char *const bad_credentials[] = {"",
                                                  "only-one-line\n",
                                                  "ab\nlong-enough-secret\n",
                                                  "access\nshort\n",
                                                  "\n\n",
                                                  "access\nlong-enough\nand more\n",
                                                  "acc/ess\nlong-enough-secret\n"};
    static const char *const bad_keys[] = {"", "abc\n", HEX_KEY "00\n"};
    struct given g;

    (void)state;
    begin(&g);
    assert_ok(volume_prepare(&g.c, true, &g.v));
    for (size_t i = 0; i < LENGTH_OF(bad_credentials); i++) {
        folder_write(g.data, "credentials", bad_credentials[i]);
        refused(&g, "credentials");
    }
    folder_write(g.data, "credentials", "access\nlong-enough-secret");
    assert_ok(volume_prepare(&g.c, true, &g.v));
    assert_string_equal(g.v.secret_key, "long-enough-secret");
    for (size_t i = 0; i < LENGTH_OF(bad_keys); i++) {
        folder_write(g.data, "master.key", bad_keys[i]);
        refused(&g, "master.key");
    }
    end(&g);
}

/* A lost master key is not replaced behind the volume's back by a command that only reads. */
static void test_volume__commands_make_nothing(void **state)
{
    struct given g;

    (void)state;
    begin(&g);
    assert_int_not_equal(volume_prepare(&g.c, false, &g.v), OK);
    assert_int_not_equal(access(g.data, F_OK), 0);
    end(&g);
}

/* Any byte: in the URL it would have to be encoded by hand. */
static void test_volume__the_databases_password_may_be_anything(void **state)
{
    struct given g;

    (void)state;
    begin(&g);
    g.c.store = (char *)"dir:/x";
    g.c.access_key = (char *)"user-key";
    g.c.secret_key = (char *)"secret-key";
    g.c.master_key = (char *)HEX_KEY;
    g.c.meta_password = (char *)"p@s/s:w?r&d%$ '#";
    g.c.meta = (char *)"postgres://kiseki@db1,db2/kiseki";
    assert_ok(volume_prepare(&g.c, true, &g.v));
    assert_string_equal(g.v.meta_url, "postgres://kiseki@db1,db2/kiseki?password=%70%40%73%2F%73%3A"
                                      "%77%3F%72%26%64%25%24%20%27%23");
    g.c.meta = (char *)"postgres://kiseki@db1/kiseki?sslmode=require";
    assert_ok(volume_prepare(&g.c, true, &g.v));
    assert_non_null(strstr(g.v.meta_url, "?sslmode=require&password=%70"));
    g.c.meta = (char *)"sqlite:/x.db";
    refused(&g, "KISEKI_META_PASSWORD");
    g.c.meta = g.c.store = NULL;
    refused(&g, "KISEKI_META_PASSWORD");
    end(&g);
}

/* What stands behind a NUL would be lost without a word. */
static void test_volume__files_with_a_nul_are_refused(void **state)
{
    static const char *const names[] = {"credentials", "master.key"};
    struct given g;
    char path[2048];

    (void)state;
    begin(&g);
    assert_ok(volume_prepare(&g.c, true, &g.v));
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", g.data, names[i]);
        f = fopen(path, "a");
        assert_non_null(f);
        assert_int_equal(fwrite("\0more", 1, 5, f), 5);
        assert_int_equal(fclose(f), 0);
        refused(&g, "NUL");
        assert_int_equal(remove(path), 0);
    }
    end(&g);
}

static void make_file(const struct given *g, const char *name)
{
    char path[2048];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", g->data, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
}

static bool is_there(const struct given *g, const char *name)
{
    char path[2048];

    snprintf(path, sizeof(path), "%s/%s", g->data, name);
    return access(path, F_OK) == 0;
}

/* A new key would pass for the one that is missed, and hide that it is. */
static void test_volume__a_lost_key_is_not_replaced(void **state)
{
    struct given g;
    char path[2048];

    (void)state;
    begin(&g);
    assert_ok(volume_prepare(&g.c, true, &g.v));
    make_file(&g, "meta.db");
    snprintf(path, sizeof(path), "%s/master.key", g.data);
    assert_int_equal(remove(path), 0);
    refused_as(&g, ERR_DENIED, "KISEKI_MASTER_KEY");
    assert_false(is_there(&g, "master.key"));
    g.c.master_key = (char *)HEX_KEY;
    assert_ok(volume_prepare(&g.c, true, &g.v));
    end(&g);
}

/* Slices without their database: a new volume beside them is nobody's wish. */
static void test_volume__a_lost_database_is_not_replaced(void **state)
{
    struct given g;
    char path[2048];

    (void)state;
    begin(&g);
    assert_ok(volume_prepare(&g.c, true, &g.v));
    snprintf(path, sizeof(path), "%s/store", g.data);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_ok(volume_prepare(&g.c, true, &g.v)); /* a start that was killed before its marker */
    make_file(&g, "store/volume");
    refused_as(&g, ERR_DENIED, "meta.db is missing");
    assert_ok(volume_prepare(&g.c, false, &g.v)); /* `kiseki load` brings one */
    make_file(&g, "meta.db");
    assert_ok(volume_prepare(&g.c, true, &g.v));
    end(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_volume__the_first_start_makes_private_files),
        cmocka_unit_test(test_volume__keys_are_kept),
        cmocka_unit_test(test_volume__two_volumes_have_different_keys),
        cmocka_unit_test(test_volume__keys_from_the_environment_are_not_written),
        cmocka_unit_test(test_volume__a_server_needs_its_settings),
        cmocka_unit_test(test_volume__damaged_files_say_which),
        cmocka_unit_test(test_volume__files_with_a_nul_are_refused),
        cmocka_unit_test(test_volume__commands_make_nothing),
        cmocka_unit_test(test_volume__a_lost_key_is_not_replaced),
        cmocka_unit_test(test_volume__a_lost_database_is_not_replaced),
        cmocka_unit_test(test_volume__the_databases_password_may_be_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
