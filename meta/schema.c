#include "meta/internal.h"

#include "base/log.h"
#include "base/rand.h"

#include <inttypes.h>
#include <stdio.h>

static const char schema_text[] =
#include "meta/schema_sql.h" /* made of schema.sql by the Makefile */
    ;

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

/* Makes the tables and the volume's row, unless somebody has; sql_script() takes turns. */
static enum err create(struct meta *m, bool *out_created)
{
    char uuid[37];
    make_uuid(uuid);
    struct buf script;
    buf_init(&script, sizeof(schema_text) + 1024);
    buf_append_cstr(&script, schema_text);
    buf_printf(&script,
               "INSERT INTO volume (one, uuid, schema_version, generation, auth_generation,"
               " created_ms) VALUES (1, '%s', %d, 1, 1, {NOW_MS});\n",
               uuid, META_SCHEMA_VERSION);
    enum err e = buf_check(&script);
    if (e == OK)
        e = sql_script(m->control, schema_missing, script.data);
    buf_fini(&script);
    *out_created = e == OK;
    return e == ERR_CONDITION ? OK : e;
}

/*
 * Versions go forward one by one, each by a script under sql_script()'s lock whose guard asks for
 * the version before it and for no live session. Version 1 is the first: there is none yet.
 */
static enum err check_version(int64_t version)
{
    if (version == META_SCHEMA_VERSION)
        return OK;
    if (version > META_SCHEMA_VERSION)
        return err_set(ERR_UNSUPPORTED,
                       "the volume has schema version %" PRId64 ", this kiseki knows version %d:"
                       " run a newer kiseki",
                       version, META_SCHEMA_VERSION);
    return err_set(ERR_UNSUPPORTED,
                   "the volume has schema version %" PRId64 ", which this kiseki (version %d)"
                   " cannot migrate",
                   version, META_SCHEMA_VERSION);
}

static enum err read_volume(struct meta *m)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add(&u, SQL_volume_get);
    enum err e = sql_read(m->control, &u);
    if (e != OK)
        goto out;
    if (c->rows != 1) {
        e = err_set(ERR_CORRUPT, "the table `volume` is empty: not a Kiseki database?");
        goto out;
    }
    e = check_version(sql_int(c, 0, 1));
    snprintf(m->volume.uuid, sizeof(m->volume.uuid), STR_FMT, STR_ARG(sql_str(c, 0, 0)));
    m->volume.generation = sql_int(c, 0, 2);
    m->volume.created_ms = sql_int(c, 0, 3);
out:
    arena_free(a);
    return e;
}

enum err schema_open(struct meta *m)
{
    bool created = false;
    enum err e = create(m, &created);
    if (e == OK)
        e = read_volume(m);
    if (e != OK)
        return e;
    m->volume.created_now = created;
    if (created)
        log_info("made volume %s in %s", m->volume.uuid, sql_engine(m->control));
    return OK;
}
