/* Accounts, access keys, and the master key that seals their secrets: meta/account.h. */
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
    assert_ok(account_key_find(m, str_of(key), &found));
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
    put(m, "root", "AKONE", "first secret");
    put(m, "root", "AKTWO", "second secret");
    put(m, "other", "AKTHREE", "third secret");
    expect_secret(m, "AKONE", "first secret");
    expect_secret(m, "AKTWO", "second secret");
    assert_ok(account_key_find(m, STR("AKTWO"), &a));
    assert_ok(account_key_find(m, STR("AKTHREE"), &b));
    assert_true(a.account.id != b.account.id);
    assert_string_equal(a.account.name, "root");
    assert_int_equal(strlen(a.account.canonical_id), 64);
    struct account owner;
    assert_ok(account_find(m, b.account.id, &owner));
    assert_string_equal(owner.name, "other");
    assert_err(ERR_NOT_FOUND, account_find(m, 1, &owner));
    put(m, "root", "AKONE", "changed");
    expect_secret(m, "AKONE", "changed");
    assert_err(ERR_NOT_FOUND, account_key_find(m, STR("AKON"), &a));
    assert_err(ERR_NOT_FOUND, account_key_find(m, STR_NONE, &a));
    meta_close(m);
    m = open_gateway(w);
    expect_secret(m, "AKONE", "changed");
    meta_close(m);
}

static void test_meta_account__putting_the_same_changes_nothing(void **state)
{
    struct world *w = *state;
    w->options.master_key = KEY_A;
    struct meta *m = open_gateway(w);
    put(m, "root", "AK", "secret");
    int64_t generation = ask(w, "SELECT auth_generation FROM volume");
    put(m, "root", "AK", "secret");
    assert_int_equal(ask(w, "SELECT auth_generation FROM volume"), generation);
    meta_close(m);
}

static void test_meta_account__bad_arguments_are_refused(void **state)
{
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    char text[200];
    memset(text, 'x', sizeof(text));
    struct str longer = {text, sizeof(text)};
    assert_err(ERR_INVALID, account_key_put(m, STR(""), STR("a"), STR("s")));
    assert_err(ERR_INVALID, account_key_put(m, STR("r"), STR(""), STR("s")));
    assert_err(ERR_INVALID, account_key_put(m, STR("r"), STR("a"), STR("")));
    assert_err(ERR_INVALID, account_key_put(m, longer, STR("a"), STR("s")));
    assert_err(ERR_INVALID, account_key_put(m, STR("r"), longer, STR("s")));
    assert_err(ERR_INVALID, account_key_put(m, STR("r"), STR("a"), longer));
    meta_close(m);
}

static void test_meta_account__other_gateways_learn_by_heartbeat(void **state)
{
    struct world *w = *state;
    w->beat_ms = 30;
    struct meta *one = open_gateway(w);
    struct meta *two = open_gateway(w);
    struct access_key k;
    put(one, "root", "AK", "secret");
    wait_until(account_key_find(two, STR("AK"), &k) == OK);
    put(one, "root", "AK2", "secret");
    assert_ok(account_refresh(two));
    expect_secret(two, "AK2", "secret");
    run(w, "UPDATE access_keys SET enabled = 0 WHERE access_key = 'AK';"
           "UPDATE volume SET auth_generation = auth_generation + 1");
    assert_ok(account_refresh(two));
    assert_ok(account_key_find(two, STR("AK"), &k));
    assert_false(k.enabled);
    meta_close(one);
    meta_close(two);
}

static void test_meta_account__secrets_are_sealed_under_the_master_key(void **state)
{
    static const char plain_rows[] =
        "SELECT count(*) FROM access_keys WHERE substr(secret, 1, 1) = "
        "{PG: '\\x00'::bytea}{LITE: x'00'}";
    struct world *w = *state;
    struct meta *m = open_gateway(w);
    put(m, "root", "AK1", "kept plain at first");
    put(m, "root", "AK2", "this too");
    meta_close(m);
    assert_int_equal(ask(w, plain_rows), 2);

    w->options.master_key = KEY_A;
    m = open_gateway(w);
    assert_int_equal(ask(w, plain_rows), 0);
    put(m, "root", "AK3", "sealed from the start");
    assert_int_equal(ask(w, plain_rows), 0);
    meta_close(m);

    m = open_gateway(w);
    expect_secret(m, "AK1", "kept plain at first");
    expect_secret(m, "AK2", "this too");
    expect_secret(m, "AK3", "sealed from the start");
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
        cmocka_unit_test(test_meta_account__other_gateways_learn_by_heartbeat),
        cmocka_unit_test(test_meta_account__secrets_are_sealed_under_the_master_key),
        cmocka_unit_test(test_meta_account__a_wrong_or_missing_master_key_is_refused),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
