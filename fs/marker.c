#include "fs/marker.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define MARKER_MAX    ((size_t)4 << 10)
#define MARKER_FORMAT 1

static enum err write_marker(struct store *s, const struct meta_volume *v)
{
    json_t *doc = json_pack("{s:i, s:s, s:I}", "kiseki", MARKER_FORMAT, "uuid", v->uuid,
                            "generation", (json_int_t)v->generation);
    char *text = doc != NULL ? json_dumps(doc, JSON_INDENT(2)) : NULL;
    enum err err = text != NULL ? store_put_bytes(s, MARKER_NAME, text, str_of(text).len)
                                : err_set(ERR_NOMEM, "out of memory for the marker");

    free(text);
    json_decref(doc);
    return err;
}

/* Whose store it is; the caller gives *out_doc back, which has the texts. */
static enum err read_marker(struct store *s, const char *uuid, struct str text, json_t **out_doc,
                            json_int_t *out_generation)
{
    const char *of = "";
    int format = 0;

    *out_doc = json_loadb(text.ptr, text.len, 0, NULL);
    if (json_unpack(*out_doc, "{s:i, s:s, s:I}", "kiseki", &format, "uuid", &of, "generation",
                    out_generation) != 0)
        return err_set(
            ERR_DENIED,
            "%s: the object \"%s\" is not a Kiseki marker: give the volume a store of its "
            "own (another bucket or prefix)",
            store_label(s), MARKER_NAME);
    if (!str_eq(str_of(of), str_of(uuid)))
        return err_set(
            ERR_DENIED,
            "%s belongs to volume %s, but the database is that of volume %s: check --meta "
            "and --store (README, \"Whose store it is\")",
            store_label(s), of, uuid);
    return OK;
}

static enum err compare_marker(struct store *s, const struct meta_volume *v, struct str text)
{
    json_t *doc;
    json_int_t generation = 0;
    enum err err = read_marker(s, v->uuid, text, &doc, &generation);

    if (err == OK && generation != v->generation)
        err =
            err_set(ERR_DENIED,
                    "%s is of generation %lld, but the database of generation %lld: this database "
                    "was replaced by a newer one",
                    store_label(s), (long long)generation, (long long)v->generation);
    json_decref(doc);
    return err;
}

/* A store without a marker is made ours only while the volume has nothing that it could miss. */
static enum err adopt_store(struct meta *m, struct store *s, const struct meta_volume *v)
{
    struct meta_status status = {0};
    struct arena *a = arena_new((size_t)1 << 20);
    enum err err = a != NULL ? OK : err_set(ERR_NOMEM, "out of memory");

    if (err == OK && !v->created_now)
        err = meta_status(m, a, &status);
    arena_free(a);
    if (err != OK)
        return err;
    if (status.objects > 0 || status.uploads > 0)
        return err_set(
            ERR_DENIED,
            "%s has no marker object, but volume %s holds %lld objects: is this the right "
            "store?",
            store_label(s), v->uuid, (long long)status.objects);
    return write_marker(s, v);
}

enum err marker_check(struct meta *m, struct store *s, bool claim)
{
    struct meta_volume volume;
    struct buf text;
    enum err err;

    meta_volume(m, &volume);
    buf_init(&text, MARKER_MAX);
    err = store_get_all(s, MARKER_NAME, &text);
    if (err == OK)
        err = compare_marker(s, &volume, buf_str(&text));
    else if (err == ERR_NOT_FOUND && claim)
        err = adopt_store(m, s, &volume);
    buf_fini(&text);
    return err;
}

enum err marker_next_generation(struct store *s, const char *uuid, int64_t generation,
                                int64_t *out_generation)
{
    struct buf text;
    json_t *doc = NULL;
    json_int_t now = 0;
    enum err err;

    buf_init(&text, MARKER_MAX);
    err = store_get_all(s, MARKER_NAME, &text);
    if (err == ERR_NOT_FOUND)
        err = err_set(ERR_DENIED, "%s has no marker object: is this the store of volume %s?",
                      store_label(s), uuid);
    if (err == OK)
        err = read_marker(s, uuid, buf_str(&text), &doc, &now);
    *out_generation = (now > generation ? now : generation) + 1;
    json_decref(doc);
    buf_fini(&text);
    return err;
}

enum err marker_set(struct store *s, const char *uuid, int64_t generation)
{
    struct meta_volume v = {.generation = generation};

    snprintf(v.uuid, sizeof(v.uuid), "%s", uuid);
    return write_marker(s, &v);
}
