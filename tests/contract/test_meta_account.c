/* Accounts, access keys, and the master key that seals their secrets: meta/access/account.h. */
#include "tests/contract/meta_fixture.h"

#define KEY_A STR("0123456789abcdef0123456789abcdef")
#define KEY_B STR("0123456789abcdef0123456789abcdeX")

static void put(struct meta *m, const char *account, const char *key, const char *secret)
{
    assert_ok(account_key_put(m, str_of(account), str_of(key), str_of(secret)));
}

static void expect_secret(struct meta *m, const char *key, const char *secret)
{
    struct access_key found;
    assert_ok(account_key_look_up(m, str_of(key), &found));
    assert_string_equal(found.access_key, key);
    assert_string_equal(found.secret, secret);
    assert_true(found.enabled);
}

static void test_meta_account__keys_are_put_found_and_changed(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct access_key a, b;
    assert_err(ERR_NOT_FOUND, account_key_find(m, STR("AKONE"), &a));
    put(m, "root", "AKONE", "first-secret");
    put(m, "root", "AKTWO", "second-secret");
    put(m, "other", "AKTHREE", "third-secret");
    expect_secret(m, "AKONE", "first-secret");
    expect_secret(m, "AKTWO", "second-secret");
    assert_ok(account_key_find(m, STR("AKTWO"), &a));
    assert_ok(account_key_find(m, STR("AKTHREE"), &b));
    assert_true(a.account.id != b.account.id);
    assert_string_equal(a.account.name, "root");
    assert_int_equal(strlen(a.account.canonical_id), 64);
    struct account owner;
    assert_ok(account_find(m, b.account.id, &owner));
    assert_string_equal(owner.name, "other");
    assert_err(ERR_NOT_FOUND, account_find(m, 1, &owner));
    put(m, "root", "AKONE", "changed-1");
    expect_secret(m, "AKONE", "changed-1");
    assert_err(ERR_NOT_FOUND, account_key_look_up(m, STR("AKON"), &a));
    assert_err(ERR_NOT_FOUND, account_key_look_up(m, STR_NONE, &a));
    assert_err(ERR_NOT_FOUND, account_key_look_up(m, STR("AK\0NE"), &a));
    assert_err(ERR_NOT_FOUND, account_key_look_up(m, STR("AK\xff"), &a));
    assert_err(ERR_NOT_FOUND, account_key_find(m, STR_NONE, &a));
    meta_close(m);
    m = open_gateway(w);
    expect_secret(m, "AKONE", "changed-1");
    meta_close(m);
}

static void test_meta_account__putting_the_same_changes_nothing(void **state)
{
    struct world *w = *state;
    w->options.master_key = KEY_A; /* each sealing differs */
    struct meta *m = open_gateway(w);
    struct access_key before, after;
    put(m, "root", "AKSAME", "secret-1");
    assert_ok(account_key_look_up(m, STR("AKSAME"), &before));
    put(m, "root", "AKSAME", "secret-1");
    assert_ok(account_key_look_up(m, STR("AKSAME"), &after));
    assert_memory_equal(before.stored, after.stored, sizeof(after.stored));
    meta_close(m);
}

static void test_meta_account__bad_arguments_are_refused(void **state)
{
    static const struct {
        const char *account, *key, *secret;
    } rows[] = {
        {"", "AKGOOD", "secret12"},      {"r", "AK", "secret12"},
        {"r", "AKGOOD", "secret1"},      {"r", "AK\nGOOD", "secret12"},
        {"r", "AKGOOD\n", "secret12"},   {"r", "AK GOOD", "secret12"},
        {"r", "AK/GOOD", "secret12"},    {"r", "AK=GOOD", "secret12"},
        {"r", "AK,GOOD", "secret12"},    {"r", "AK:GOOD", "secret12"},
        {"r", "AK\x7fGOOD", "secret12"}, {"r", "AK\xc3\xa9", "secret12"},
        {"r", "AKGOOD", "secret\n12"},   {"r", "AKGOOD", "secret 12"},
        {"r\n", "AKGOOD", "secret12"},
    };
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    char text[200];
    memset(text, 'x', sizeof(text));
    struct str longer = {text, sizeof(text)};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_err(ERR_INVALID, account_key_put(m, str_of(rows[i].account), str_of(rows[i].key),
                                                str_of(rows[i].secret)));
    assert_err(ERR_INVALID, account_key_put(m, longer, STR("AKGOOD"), STR("secret12")));
    assert_err(ERR_INVALID, account_key_put(m, STR("r"), longer, STR("secret12")));
    assert_err(ERR_INVALID, account_key_put(m, STR("r"), STR("AKGOOD"), longer));
    assert_int_equal(ask(w, "SELECT count(*) FROM access_keys"), 0);
    meta_close(m);
}

static void give(struct meta *m, const struct given_key *keys, size_t count)
{
    assert_ok(account_keys_give(m, keys, count));
}

/* The configuration's keys are those of the last start; keys made by hand stay. */
static void test_meta_account__given_keys_go_with_the_configuration(void **state)
{
    static const struct given_key first[] = {{{"root", 4}, {"ROOTONE", 7}, {"secret-1", 8}},
                                             {{"alt", 3}, {"ALTONE", 6}, {"secret-2", 8}}};
    static const struct given_key second[] = {{{"root", 4}, {"ROOTTWO", 7}, {"secret-1", 8}}};
    struct world *w = *state;
    struct meta *one = open_gateway(w);
    struct meta *two = open_gateway(w);
    struct access_key k;
    put(one, "hand", "HANDMADE", "secret-3");
    put(one, "root", "ROOTOLD", "secret-4"); /* of a volume from before given keys were marked */
    give(one, first, 2);
    assert_err(ERR_NOT_FOUND, account_key_look_up(two, STR("ROOTOLD"), &k));
    expect_secret(two, "ROOTONE", "secret-1");
    expect_secret(two, "ALTONE", "secret-2");
    give(one, second, 1);
    assert_err(ERR_NOT_FOUND, account_key_look_up(two, STR("ROOTONE"), &k));
    assert_err(ERR_NOT_FOUND, account_key_look_up(two, STR("ALTONE"), &k));
    assert_err(ERR_NOT_FOUND, account_key_find(two, STR("ROOTONE"), &k));
    expect_secret(two, "ROOTTWO", "secret-1");
    expect_secret(two, "HANDMADE", "secret-3");
    assert_err(ERR_DENIED, account_key_remove(two, STR("ROOTTWO")));
    assert_non_null(strstr(err_text(ERR_DENIED), "KISEKI_ACCESS_KEY"));
    assert_err(ERR_DENIED, account_key_enable(two, STR("ROOTTWO"), false));
    meta_close(one);
    meta_close(two);
}

/* Neither the root key nor one of a user of tests takes over what was made for somebody else. */
static void test_meta_account__a_given_key_is_nobody_elses(void **state)
{
    static const struct given_key first[] = {{{"root", 4}, {"ROOTONE", 7}, {"secret-1", 8}}};
    static const struct given_key taken[] = {{{"root", 4}, {"HANDMADE", 8}, {"secret-2", 8}},
                                             {{"alt", 3}, {"HANDMADE", 8}, {"secret-2", 8}}};
    static const struct given_key renamed[] = {{{"root", 4}, {"ROOTTWO", 7}, {"secret-1", 8}},
                                               {{"alt", 3}, {"ROOTONE", 7}, {"secret-2", 8}}};
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct access_key k;
    put(m, "hand", "HANDMADE", "secret-3");
    give(m, first, 1);
    for (size_t i = 0; i < 2; i++) {
        assert_err(ERR_EXISTS, account_keys_give(m, &taken[i], 1));
        assert_non_null(strstr(err_text(ERR_EXISTS), "HANDMADE belongs to the account hand"));
    }
    expect_secret(m, "HANDMADE", "secret-3");
    expect_secret(m, "ROOTONE", "secret-1");
    give(m, renamed, 2); /* what the configuration gave it may give to another */
    assert_ok(account_key_look_up(m, STR("ROOTONE"), &k));
    assert_string_equal(k.account.name, "alt");
    meta_close(m);
}

static void test_meta_account__keys_are_disabled_listed_and_removed(void **state)
{
    struct world *w = *state;
    struct meta *one = open_gateway(w);
    struct meta *two = open_gateway(w);
    struct access_key k, *list;
    size_t count;
    put(one, "photos", "AKONE", "secret-1");
    put(one, "photos", "AKTWO", "secret-2");
    assert_ok(account_key_enable(two, STR("AKONE"), false));
    assert_ok(account_key_look_up(one, STR("AKONE"), &k));
    assert_false(k.enabled);
    assert_ok(account_keys_list(two, w->arena, STR(""), 10, &list, &count));
    assert_int_equal(count, 2);
    assert_string_equal(list[0].access_key, "AKONE");
    assert_false(list[0].enabled);
    assert_true(list[1].enabled && list[1].created_ms > 0);
    assert_string_equal(list[1].secret, "");
    assert_ok(account_keys_list(two, w->arena, STR("AKONE"), 10, &list, &count));
    assert_int_equal(count, 1);
    assert_ok(account_key_enable(two, STR("AKONE"), true));
    expect_secret(one, "AKONE", "secret-1");
    assert_ok(account_key_remove(two, STR("AKONE")));
    assert_err(ERR_NOT_FOUND, account_key_look_up(one, STR("AKONE"), &k));
    assert_err(ERR_NOT_FOUND, account_key_remove(two, STR("AKONE")));
    assert_err(ERR_NOT_FOUND, account_key_enable(two, STR("AKONE"), true));
    meta_close(one);
    meta_close(two);
}

/* More keys than are kept in memory: all are found, and the memory is bounded. */
static void test_meta_account__memory_holds_some_keys_and_all_are_found(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    struct access_key k;
    size_t kept = 0;
    put(m, "many", "FIRSTKEY", "secret-1");
    run(w,
        "INSERT INTO access_keys (access_key, account, secret, enabled, created_ms)"
        " SELECT 'AKMANY' || n, (SELECT id FROM accounts), (SELECT secret FROM access_keys), 1, 0"
        " FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 6000)"
        " SELECT n FROM s) AS numbers");
    meta_close(m);
    m = open_gateway(w);
    for (int i = 1; i <= 6000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "AKMANY%d", i);
        assert_ok(account_key_look_up(m, str_of(name), &k));
        assert_string_equal(k.account.name, "many");
    }
    for (int i = 1; i <= 6000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "AKMANY%d", i);
        kept += account_key_find(m, str_of(name), &k) == OK ? 1 : 0;
    }
    assert_true(kept > ACCOUNT_CACHE_KEYS / 2 && kept <= ACCOUNT_CACHE_KEYS);
    meta_close(m);
}

static void test_meta_account__secrets_are_sealed_under_the_master_key(void **state)
{
    static const char plain_rows[] =
        "SELECT count(*) FROM access_keys WHERE substr(secret, 1, 1) = "
        "{PG: '\\x00'::bytea}{LITE: x'00'}";
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    put(m, "root", "AK1", "kept-plain-at-first");
    put(m, "root", "AK2", "this-too");
    meta_close(m);
    assert_int_equal(ask(w, plain_rows), 2);

    w->options.master_key = KEY_A;
    m = open_gateway(w);
    assert_int_equal(ask(w, plain_rows), 0);
    put(m, "root", "AK3", "sealed-from-the-start");
    assert_int_equal(ask(w, plain_rows), 0);
    meta_close(m);

    m = open_gateway(w);
    expect_secret(m, "AK1", "kept-plain-at-first");
    expect_secret(m, "AK2", "this-too");
    expect_secret(m, "AK3", "sealed-from-the-start");
    meta_close(m);
}

static void test_meta_account__a_wrong_or_missing_master_key_is_refused(void **state)
{
    struct world *w = *state;
    w->options.master_key = KEY_A;
    meta_close(open_volume(w));
    struct meta *m = NULL;
    w->options.master_key = KEY_B;
    assert_err(ERR_DENIED, meta_open(&w->options, &m));
    assert_non_null(strstr(err_text(ERR_DENIED), "KISEKI_MASTER_KEY"));
    assert_null(m);
    w->options.master_key = STR_NONE;
    assert_err(ERR_DENIED, meta_open(&w->options, &m));
    assert_non_null(strstr(err_text(ERR_DENIED), "KISEKI_MASTER_KEY"));
    w->options.master_key = STR("short");
    assert_err(ERR_INVALID, meta_open(&w->options, &m));
    w->options.master_key = KEY_A;
    meta_close(open_volume(w));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_account__keys_are_put_found_and_changed),
        cmocka_unit_test(test_meta_account__putting_the_same_changes_nothing),
        cmocka_unit_test(test_meta_account__bad_arguments_are_refused),
        cmocka_unit_test(test_meta_account__given_keys_go_with_the_configuration),
        cmocka_unit_test(test_meta_account__a_given_key_is_nobody_elses),
        cmocka_unit_test(test_meta_account__keys_are_disabled_listed_and_removed),
        cmocka_unit_test(test_meta_account__memory_holds_some_keys_and_all_are_found),
        cmocka_unit_test(test_meta_account__secrets_are_sealed_under_the_master_key),
        cmocka_unit_test(test_meta_account__a_wrong_or_missing_master_key_is_refused),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
