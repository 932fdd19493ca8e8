#include "gateway/metrics/survey.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "fs/fs.h"
#include "gateway/metrics/metrics_text.h"
#include "meta/tools/survey.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#define PERIOD_MS 5000
#define ARENA_MAX ((size_t)1 << 20)
#define PAGE_MAX  ((size_t)256 << 10)
#define FOLDERS   3

static const char *const folder_names[FOLDERS] = {"metadata", "store", "cache"};

struct survey {
    /* immutable */
    struct fs *fs;
    char folders[FOLDERS][PATH_MAX]; /* "": none */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* by the monotonic clock */
    /* guarded by lock */
    bool stopping;
    struct buf text;   /* of the last look that succeeded, ready to be printed */
    struct buf disks;  /* of the last look */
    int64_t looked_us; /* when; 0: never */
    uint64_t failures;
};

static void one(struct buf *out, const char *name, const char *help, int64_t value)
{
    metrics_one(out, name, "gauge", help, value);
}

/* Names of buckets have letters, digits, dots and dashes, so nothing to be escaped. */
static void write_buckets(const struct meta_survey *v, struct buf *out)
{
    metrics_head(out, "kiseki_bucket_objects", "gauge", "Objects, of the 100 largest buckets.");
    for (size_t i = 0; i < v->largest_count; i++)
        buf_printf(out, "kiseki_bucket_objects{bucket=\"" STR_FMT "\"} %lld\n",
                   STR_ARG(v->largest[i].name), (long long)v->largest[i].objects);
    metrics_head(out, "kiseki_bucket_bytes", "gauge",
                 "Bytes of objects, of the 100 largest buckets.");
    for (size_t i = 0; i < v->largest_count; i++)
        buf_printf(out, "kiseki_bucket_bytes{bucket=\"" STR_FMT "\"} %lld\n",
                   STR_ARG(v->largest[i].name), (long long)v->largest[i].bytes);
}

static void write_volume(const struct meta_survey *v, struct buf *out)
{
    one(out, "kiseki_buckets", "Buckets of the volume.", v->buckets);
    one(out, "kiseki_objects", "Objects of the volume.", v->objects);
    one(out, "kiseki_objects_bytes", "Bytes of the volume's objects.", v->bytes);
    one(out, "kiseki_sessions", "Gateways and tools at work on the volume.", v->sessions);
    one(out, "kiseki_multipart_uploads", "Unfinished multipart uploads, up to 100000.", v->uploads);
    one(out, "kiseki_dead", "Files and pieces that wait to be freed, up to 100000.", v->dead);
    one(out, "kiseki_doomed", "Slices that wait to be deleted, up to 100000.", v->doomed);
    one(out, "kiseki_unfolded_writes", "Range writes that wait to be folded, up to 100000.",
        v->unfolded);
    write_buckets(v, out);
}

static void write_disks(const struct survey *s, struct buf *out)
{
    static const char *const names[] = {"kiseki_disk_free_bytes", "kiseki_disk_size_bytes"};
    struct statvfs v;

    for (int size = 0; size <= 1; size++) {
        metrics_head(out, names[size], "gauge",
                     size ? "Size of the disk of a folder." : "Room left on the disk of a folder.");
        for (size_t i = 0; i < FOLDERS; i++) {
            if (s->folders[i][0] == '\0' || statvfs(s->folders[i], &v) != 0)
                continue;
            buf_printf(out, "%s{folder=\"%s\"} %llu\n", names[size], folder_names[i],
                       (unsigned long long)(size ? v.f_blocks : v.f_bavail) * v.f_frsize);
        }
    }
}

/* Puts `fresh` in the place of *kept, unless it could not be written. */
static void keep(struct buf *kept, struct buf *fresh)
{
    if (buf_check(fresh) == OK) {
        buf_fini(kept);
        *kept = *fresh;
    } else {
        buf_fini(fresh);
    }
}

static void look(struct survey *s)
{
    struct arena *a = arena_new(ARENA_MAX);
    struct meta_survey volume;
    struct buf text, disks;
    enum err err = meta_survey(fs_meta(s->fs), a, &volume);

    buf_init(&text, PAGE_MAX);
    buf_init(&disks, PAGE_MAX);
    if (err == OK)
        write_volume(&volume, &text);
    else
        log_debug("the volume could not be surveyed: %s", err_text(err));
    write_disks(s, &disks);
    arena_free(a);
    pthread_mutex_lock(&s->lock);
    s->failures += err != OK;
    if (err == OK) {
        s->looked_us = clock_mono_us();
        keep(&s->text, &text);
    }
    keep(&s->disks, &disks);
    pthread_mutex_unlock(&s->lock);
}

static bool wait_for_turn(struct survey *s)
{
    struct timespec until = clock_mono_after(PERIOD_MS);
    bool go_on;

    pthread_mutex_lock(&s->lock);
    while (!s->stopping && pthread_cond_timedwait(&s->wake, &s->lock, &until) == 0)
        ;
    go_on = !s->stopping;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

static void *run(void *arg)
{
    struct survey *s = arg;

    do
        look(s);
    while (wait_for_turn(s));
    return NULL;
}

static void survey_free(struct survey *s)
{
    buf_fini(&s->text);
    buf_fini(&s->disks);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

enum err survey_start(struct fs *fs, const struct survey_folders *folders, struct survey **out)
{
    const char *const paths[FOLDERS] = {folders->metadata, folders->store, folders->cache};
    struct survey *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;

    *out = NULL;
    if (s == NULL)
        return err_set(ERR_NOMEM, "out of memory");
    s->fs = fs;
    for (size_t i = 0; i < FOLDERS; i++)
        snprintf(s->folders[i], sizeof(s->folders[i]), "%s", paths[i] != NULL ? paths[i] : "");
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    buf_init(&s->text, PAGE_MAX);
    buf_init(&s->disks, PAGE_MAX);
    if (pthread_create(&s->thread, NULL, run, s) != 0) {
        survey_free(s);
        return err_set(ERR_NOMEM, "cannot start a thread for metrics");
    }
    pthread_setname_np(s->thread, "survey");
    *out = s;
    return OK;
}

void survey_stop(struct survey *s)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    survey_free(s);
}

void survey_write(struct survey *s, struct buf *out)
{
    if (s == NULL)
        return;
    metrics_head(out, "kiseki_lease_left_seconds", "gauge",
                 "Until this gateway stops writing unless its lease is renewed.");
    buf_printf(out, "kiseki_lease_left_seconds %g\n",
               (double)meta_lease_left_ms(fs_meta(s->fs)) / 1000);
    pthread_mutex_lock(&s->lock);
    metrics_one(out, "kiseki_survey_failures_total", "counter", "Looks at the volume that failed.",
                (int64_t)s->failures);
    if (s->looked_us > 0) {
        metrics_head(out, "kiseki_survey_age_seconds", "gauge",
                     "How old the figures of the volume are.");
        buf_printf(out, "kiseki_survey_age_seconds %g\n",
                   (double)(clock_mono_us() - s->looked_us) / 1e6);
    }
    buf_append_str(out, buf_str(&s->text));
    buf_append_str(out, buf_str(&s->disks));
    pthread_mutex_unlock(&s->lock);
}
