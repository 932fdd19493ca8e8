/*
 * kiseki status: what a volume holds, the sessions that have it open, and range locks, as text or
 * JSON.
 */
#include "gateway/app/commands.h"

#include "base/clock.h"
#include "base/progress.h"
#include "gateway/app/tool.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_MAX ((size_t)4 << 20)

static json_t *sessions_json(const struct meta_status *s)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < s->session_count; i++) {
        const struct meta_session_info *info = &s->sessions[i];
        json_t *item = json_pack(
            "{s:I, s:s%, s:s%, s:s%, s:I, s:I, s:I}", "id", (json_int_t)info->id, "state",
            info->state.ptr, info->state.len, "host", info->host.ptr, info->host.len, "version",
            info->version.ptr, info->version.len, "pid", (json_int_t)info->pid, "started_ms",
            (json_int_t)info->started_ms, "lease_left_ms", (json_int_t)info->lease_left_ms);

        if (item != NULL)
            json_array_append_new(list, item);
    }
    return list;
}

static json_t *locks_json(const struct meta_status *s)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < s->lock_list_count; i++) {
        const struct meta_lock_info *l = &s->lock_list[i];
        json_t *item =
            json_pack("{s:I, s:I, s:I, s:s, s:b, s:I, s:I}", "inode", (json_int_t)l->inode, "from",
                      (json_int_t)l->lo, "to", (json_int_t)l->hi, "mode",
                      l->exclusive ? "exclusive" : "shared", "granted", l->granted, "session",
                      (json_int_t)l->session, "age_ms", (json_int_t)l->age_ms);

        if (item != NULL)
            json_array_append_new(list, item);
    }
    return list;
}

static void print_json(const struct meta_volume *v, const struct meta_status *s)
{
    json_t *doc = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:o}", "volume", v->uuid,
        "generation", (json_int_t)v->generation, "created_ms", (json_int_t)v->created_ms, "buckets",
        (json_int_t)s->buckets, "objects", (json_int_t)s->objects, "bytes", (json_int_t)s->bytes,
        "uploads", (json_int_t)s->uploads, "dead", (json_int_t)s->dead, "doomed",
        (json_int_t)s->doomed, "set_aside", (json_int_t)s->set_aside, "epoch", (json_int_t)s->epoch,
        "sessions", sessions_json(s), "locks", (json_int_t)s->locks, "lock_list", locks_json(s));
    char *text = doc != NULL ? json_dumps(doc, JSON_INDENT(2)) : NULL;

    puts(text != NULL ? text : "{}");
    free(text);
    json_decref(doc);
}

static void print_text(const struct meta_volume *v, const struct meta_status *s)
{
    char created[CLOCK_TEXT_MAX], size[32];

    clock_iso(v->created_ms, created);
    printf("volume    %s (created %s)\n", v->uuid, created);
    progress_size(size, sizeof(size), (double)s->bytes);
    printf("buckets   %lld\nobjects   %lld\nbytes     %lld (%s)\nuploads   %lld in progress\n",
           (long long)s->buckets, (long long)s->objects, (long long)s->bytes, size,
           (long long)s->uploads);
    printf("to free   %lld files, %lld slices\n", (long long)s->dead, (long long)s->doomed);
    if (s->set_aside > 0)
        printf("          %lld of the slices could not be deleted and are tried again later, such "
               "as: " STR_FMT "\n",
               (long long)s->set_aside, STR_ARG(s->set_aside_why));
    printf("sessions  %zu\n", s->session_count);
    for (size_t i = 0; i < s->session_count; i++) {
        const struct meta_session_info *info = &s->sessions[i];

        clock_iso(info->started_ms, created);
        printf("  %llu  " STR_FMT " on " STR_FMT " (pid %lld), version " STR_FMT
               ", since %s, lease for %.1f s\n",
               (unsigned long long)info->id, STR_ARG(info->state), STR_ARG(info->host),
               (long long)info->pid, STR_ARG(info->version), created,
               (double)info->lease_left_ms / 1000);
    }
}

static void print_locks(const struct meta_status *s)
{
    printf("locks     %lld on ranges of files\n", (long long)s->locks);
    for (size_t i = 0; i < s->lock_list_count; i++) {
        const struct meta_lock_info *l = &s->lock_list[i];
        char to[24] = "end";

        if (l->hi < INT64_MAX)
            snprintf(to, sizeof(to), "%lld", (long long)l->hi);
        printf("  inode %llu, bytes %lld to %s: %s, %s, session %llu, for %lld ms\n",
               (unsigned long long)l->inode, (long long)l->lo, to,
               l->exclusive ? "exclusive" : "shared", l->granted ? "granted" : "waiting",
               (unsigned long long)l->session, (long long)l->age_ms);
    }
}

int command_status(const struct config *c)
{
    struct volume volume;
    struct meta *meta = NULL;
    struct meta_volume about;
    struct meta_status status;
    struct arena *a = arena_new(ARENA_MAX);
    int code = 0;
    enum err err = tool_open_meta(c, &volume, &meta);

    if (err == OK && a == NULL)
        err = err_set(ERR_NOMEM, "out of memory");
    if (err == OK)
        err = meta_status(meta, a, &status);
    if (err == OK) {
        meta_volume(meta, &about);
        if (c->json) {
            print_json(&about, &status);
        } else {
            print_text(&about, &status);
            print_locks(&status);
        }
    } else {
        code = tool_fail(err);
    }
    meta_close(meta);
    arena_free(a);
    volume_forget(&volume);
    return code;
}
