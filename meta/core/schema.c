/*
 * Creates the schema, checks its version, and migrates an older one, in one transaction each
 * (meta/README.md, "Migrations").
 */
#include "meta/core/handle.h"

#include "base/log.h"
#include "base/rand.h"

#include <inttypes.h>
#include <stdio.h>

static const char schema_text[] =
#include "meta/core/schema_sql.h" /* made of schema.sql by the Makefile */
    ;

static const char from_version_1[] =
#include "meta/core/migrate_2_sql.h"
    ;

static const char from_version_2[] =
#include "meta/core/migrate_3_sql.h"
    ;

/* Functions and triggers of our version: made with it, and again when it has been reached. */
static const char triggers_text[] =
#include "meta/core/triggers_sql.h"
    ;

/* scripts[v - 1] makes version v + 1 out of version v. */
static const char *const scripts[] = {from_version_1, from_version_2};
_Static_assert(sizeof(scripts) / sizeof(scripts[0]) == META_SCHEMA_VERSION - 1,
               "a script for each version before ours");

/* 1 where nothing has been made yet. */
static const char schema_missing[] =
    "SELECT {PG: CASE WHEN to_regclass(quote_ident(current_schema()) || '.volume') IS NULL"
    " THEN 1 ELSE 0 END}"
    "{LITE: count(*) = 0 FROM sqlite_master WHERE name = 'volume'}";

/* A random (version 4) UUID. */
static void make_uuid(char out[37])
{
    uint8_t b[16];
    rand_bytes(b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}

/* As create() asks; where the tables are missing, they stay so. */
static enum err check_exists(struct meta *m)
{
    enum err err = sql_script(m->control, schema_missing, "SELECT 1");
    if (err == ERR_CONDITION)
        return OK;
    return err == OK ? err_set(ERR_NOT_FOUND, "the database has no table volume") : err;
}

/* Makes the tables and the volume's row, unless another process has; sql_script() takes turns. */
static enum err create(struct meta *m, bool *out_created)
{
    char uuid[37];
    make_uuid(uuid);
    struct buf script;
    buf_init(&script, sizeof(schema_text) + sizeof(triggers_text) + 1024);
    buf_append_cstr(&script, schema_text);
    buf_append_cstr(&script, triggers_text);
    buf_printf(&script,
               "INSERT INTO volume (one, uuid, schema_version, generation, auth_generation,"
               " created_ms) VALUES (1, '%s', %d, 1, 1, {NOW_MS});\n",
               uuid, META_SCHEMA_VERSION);
    enum err err = buf_check(&script);
    if (err == OK)
        err = sql_script(m->control, schema_missing, script.data);
    buf_fini(&script);
    *out_created = err == OK;
    return err == ERR_CONDITION ? OK : err;
}

/*
 * Versions go forward one by one, each by a script under sql_script()'s lock whose guard asks for
 * the version before it and for no live session. The guard locks `sessions` before it asks: an
 * older program, which looks at the version as it opens its session, waits and then finds the new
 * one; so does a heartbeat. Sessions that are over but not reaped go with the script, so that
 * what they still have under way fails at its proof.
 */
static enum err migrate_from(struct meta *m, int64_t version, const struct meta_options *o)
{
    struct sql_watch watch = {o->step, o->step_arg};
    struct buf guard, script;
    buf_init(&guard, 1024);
    buf_init(&script, 1 << 20);
    buf_printf(&guard,
               "{PG: SET LOCAL lock_timeout = 20000; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE;"
               " SELECT 1 FROM volume FOR UPDATE;}"
               "SELECT CASE WHEN (SELECT schema_version FROM volume) = %" PRId64
               " AND NOT EXISTS (SELECT 1 FROM sessions WHERE lease_until_ms > {NOW_MS})"
               " THEN {PG: 1::bigint}{LITE: 1} ELSE {PG: 0::bigint}{LITE: 0} END",
               version);
    buf_append_cstr(&script, "DELETE FROM sessions;\n");
    buf_append_cstr(&script, scripts[version - 1]);
    if (version + 1 == META_SCHEMA_VERSION) {
        buf_append_cstr(&script, "\n-- step: functions and triggers\n");
        buf_append_cstr(&script, triggers_text);
    }
    buf_printf(&script, "UPDATE volume SET schema_version = %" PRId64 ";\n", version + 1);
    enum err err = buf_check(&guard);
    if (err == OK)
        err = buf_check(&script);
    if (err == OK)
        err = sql_script_watched(m->control, guard.data, script.data,
                                 o->step != NULL ? &watch : NULL);
    if (err == OK && m->volume.migrated_from == 0)
        m->volume.migrated_from = version;
    if (err == OK)
        log_info("migrated the volume's schema to version %" PRId64, version + 1);
    buf_fini(&guard);
    buf_fini(&script);
    return err;
}

/* May a program of our version use a volume of a newer one? */
static enum err check_newer(struct meta *m, int64_t version)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_volume_readable(&u);
    enum err err = sql_read(m->control, &u);
    if (err == OK && sql_int(c, 0, 0) > META_SCHEMA_VERSION)
        err = err_set(ERR_UNSUPPORTED,
                      "the volume has schema version %" PRId64 ", this kiseki knows version %d:"
                      " run a newer kiseki",
                      version, META_SCHEMA_VERSION);
    arena_free(a);
    return err;
}

/* Whose is it to migrate an older version? OK: ours. */
static enum err check_migrates(struct meta *m, int64_t version, const struct meta_options *o)
{
    char guard[200];

    if (o->must_exist && o->migrates)
        return OK;
    if (o->must_exist)
        return err_set(ERR_UNSUPPORTED,
                       "the volume has schema version %" PRId64
                       ", this kiseki knows version %d: back"
                       " up the database, stop all gateways, then run `kiseki migrate`",
                       version, META_SCHEMA_VERSION);
    (void)snprintf(guard, sizeof(guard),
                   "SELECT CASE WHEN (SELECT coalesce(sum(objects), 0) FROM usage) > %d"
                   " THEN {PG: 0::bigint}{LITE: 0} ELSE {PG: 1::bigint}{LITE: 1} END",
                   META_MIGRATE_MAX);
    enum err err = sql_script(m->control, guard, "SELECT 1");
    if (err != ERR_CONDITION)
        return err;
    return err_set(ERR_UNSUPPORTED,
                   "the volume has schema version %" PRId64 " and more than %d objects: back up the"
                   " database, stop all gateways, then run `kiseki migrate`, which shows its"
                   " progress",
                   version, META_MIGRATE_MAX);
}

/* *out_again: somebody, perhaps we, changed the version. */
static enum err check_version(struct meta *m, int64_t version, const struct meta_options *o,
                              bool *out_again)
{
    if (version == META_SCHEMA_VERSION)
        return OK;
    if (version > META_SCHEMA_VERSION)
        return check_newer(m, version);
    if (version < 1)
        return err_set(ERR_UNSUPPORTED,
                       "the volume has schema version %" PRId64 ", which this kiseki (version %d)"
                       " cannot migrate",
                       version, META_SCHEMA_VERSION);
    enum err err = check_migrates(m, version, o);
    if (err != OK)
        return err;
    err = migrate_from(m, version, o);
    *out_again = err == OK;
    if (err != ERR_CONDITION)
        return err;
    return err_set(ERR_UNSUPPORTED,
                   "the volume has schema version %" PRId64 " and gateways that still use it: stop"
                   " them, then start this kiseki (version %d), which will migrate it",
                   version, META_SCHEMA_VERSION);
}

static enum err read_volume(struct meta *m, const struct meta_options *o, bool *out_again)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_volume_get(&u);
    enum err err = sql_read(m->control, &u);
    if (err != OK)
        goto out;
    if (c->rows != 1) {
        err = err_set(ERR_CORRUPT, "the table `volume` is empty: not a Kiseki database?");
        goto out;
    }
    err = check_version(m, sql_int(c, 0, 1), o, out_again);
    snprintf(m->volume.uuid, sizeof(m->volume.uuid), STR_FMT, STR_ARG(sql_str(c, 0, 0)));
    m->volume.schema_version = sql_int(c, 0, 1);
    m->volume.generation = sql_int(c, 0, 2);
    m->volume.created_ms = sql_int(c, 0, 3);
out:
    arena_free(a);
    return err;
}

enum err schema_open(struct meta *m, const struct meta_options *o)
{
    bool created = false;
    bool again = true;
    enum err err = o->must_exist ? check_exists(m) : create(m, &created);
    while (err == OK && again) {
        again = false;
        err = read_volume(m, o, &again);
    }
    if (err != OK)
        return err;
    m->volume.created_now = created;
    if (created)
        log_info("made volume %s in %s", m->volume.uuid, sql_engine(m->control));
    return OK;
}
