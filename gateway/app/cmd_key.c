/*
 * kiseki key: lists, shows, creates, enables, disables and removes access keys. Running gateways
 * need not be notified: their statements prove the key (meta/access/access.h).
 */
#include "gateway/app/commands.h"

#include "base/clock.h"
#include "base/rand.h"
#include "gateway/app/tool.h"
#include "meta/access/account.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_KEYS  ((size_t)500)
#define ARENA_MAX  ((size_t)16 << 20)
#define ACCESS_LEN 20
#define SECRET_LEN 40

/* --- list ------------------------------------------------------------------------------------- */

static const char *origin_of(const struct access_key *k)
{
    if (account_is_root(&k->account))
        return "root";
    return k->given ? "KISEKI_TEST_USERS" : "kiseki key";
}

static void print_key(const struct access_key *k)
{
    char created[CLOCK_TEXT_MAX];

    clock_iso(k->created_ms, created);
    printf("%-24s %-20s %-9s %s%s\n", k->access_key, k->account.name,
           k->enabled ? "enabled" : "disabled", created,
           account_is_root(&k->account) ? "  root" : "");
}

static json_t *key_json(const struct access_key *k)
{
    return json_pack("{s:s, s:s, s:b, s:b, s:s, s:I}", "access_key", k->access_key, "account",
                     k->account.name, "enabled", k->enabled, "root", account_is_root(&k->account),
                     "from", origin_of(k), "created_ms", (json_int_t)k->created_ms);
}

/* One page; *after becomes its last key, or empty at the end. */
static enum err list_page(struct meta *m, json_t *json, char after[ACCESS_KEY_MAX + 1])
{
    struct arena *a = arena_new(ARENA_MAX);
    struct access_key *list = NULL;
    size_t count = 0;
    enum err err = a != NULL ? account_keys_list(m, a, str_of(after), PAGE_KEYS, &list, &count)
                             : err_set(ERR_NOMEM, "out of memory");

    for (size_t i = 0; err == OK && i < count; i++)
        if (json == NULL)
            print_key(&list[i]);
        else
            json_array_append_new(json, key_json(&list[i]));
    after[0] = '\0';
    if (err == OK && count == PAGE_KEYS)
        memcpy(after, list[count - 1].access_key, sizeof(list[0].access_key));
    arena_free(a);
    return err;
}

static void print_json(json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_INDENT(2)) : NULL;

    puts(text != NULL ? text : "[]");
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
    json_decref(json);
}

static enum err list(struct meta *m, const struct config *c)
{
    json_t *json = c->json ? json_array() : NULL;
    char after[ACCESS_KEY_MAX + 1] = "";
    enum err err = OK;

    if (!c->json)
        printf("%-24s %-20s %-9s %s\n", "ACCESS KEY", "ACCOUNT", "STATE", "CREATED");
    do {
        err = list_page(m, json, after);
    } while (err == OK && after[0] != '\0');
    if (c->json && err == OK)
        print_json(json);
    else
        json_decref(json);
    return err;
}

/* --- create ----------------------------------------------------------------------------------- */

/* The only time that the secret is shown: if it could not be, the key is taken back. */
static enum err show(struct meta *m, const struct config *c, const char *access, const char *secret)
{
    enum err err;

    if (c->json)
        print_json(json_pack("{s:s, s:s, s:s}", "access_key", access, "secret_key", secret,
                             "account", c->name));
    else
        printf("access key  %s\nsecret key  %s\n", access, secret);
    if (fflush(stdout) == 0)
        return OK;
    err = account_key_remove(m, str_of(access));
    return err_set(ERR_IO, "the secret key could not be printed; the new key %s is %s", access,
                   err == OK ? "removed again" : "of no use: remove it");
}

static enum err create(struct meta *m, const struct config *c)
{
    char access[ACCESS_LEN + 1], secret[SECRET_LEN + 1];
    enum err err;

    if (strcmp(c->name, ACCOUNT_ROOT) == 0)
        return err_set(ERR_DENIED, "the account \"" ACCOUNT_ROOT "\" has one key, which "
                                   "KISEKI_ACCESS_KEY gives: choose another name");
    rand_text(access, ACCESS_LEN, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
    rand_text(secret, SECRET_LEN, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    err = account_key_put(m, str_of(c->name), str_of(access), str_of(secret));
    if (err == OK)
        err = show(m, c, access, secret);
    explicit_bzero(secret, sizeof(secret));
    return err;
}

/* --- the others ------------------------------------------------------------------------------- */

static enum err enable(struct meta *m, const struct config *c)
{
    return account_key_enable(m, str_of(c->name), true);
}

static enum err disable(struct meta *m, const struct config *c)
{
    return account_key_enable(m, str_of(c->name), false);
}

static enum err drop(struct meta *m, const struct config *c)
{
    return account_key_remove(m, str_of(c->name));
}

static const struct action {
    const char *name;
    enum err (*run)(struct meta *m, const struct config *c);
    const char *wants; /* its argument; NULL: it takes none, and changes nothing */
    const char *done;  /* said when it is done; NULL: it printed */
} actions[] = {
    {"list", list, NULL, NULL},
    {"create", create, "the NAME of an account", NULL},
    {"disable", disable, "an ACCESS-KEY", "disabled"},
    {"enable", enable, "an ACCESS-KEY", "enabled"},
    {"remove", drop, "an ACCESS-KEY", "removed"},
};

static enum err find_action(const struct config *c, const struct action **out)
{
    *out = NULL;
    for (size_t i = 0; c->file != NULL && i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(c->file, actions[i].name) == 0)
            *out = &actions[i];
    if (*out == NULL)
        return err_set(ERR_INVALID, "key: say list, create, disable, enable or remove "
                                    "(kiseki key --help)");
    if ((*out)->wants != NULL && c->name == NULL)
        return err_set(ERR_INVALID, "key %s: wants %s (kiseki key --help)", c->file, (*out)->wants);
    if ((*out)->wants == NULL && c->name != NULL)
        return err_set(ERR_INVALID, "key %s takes no argument \"%s\" (kiseki key --help)", c->file,
                       c->name);
    return OK;
}

int command_key(const struct config *c)
{
    struct volume volume = {0};
    struct meta *meta = NULL;
    const struct action *action;
    enum err err = find_action(c, &action);
    int code;

    if (err == OK)
        err = tool_open_meta(c, &volume, &meta);
    if (err == OK && action->wants != NULL)
        err = meta_session_open(meta, "tool");
    if (err == OK)
        err = action->run(meta, c);
    if (err == OK && action->done != NULL)
        printf("%s is %s\n", c->name, action->done);
    code = err == OK ? 0 : tool_fail(err);
    meta_close(meta);
    volume_forget(&volume);
    return code;
}
