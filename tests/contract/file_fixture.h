/*
 * What the tests of files in a real volume share: a volume on the database of meta_fixture.h and a
 * directory, files put, written at ranges and read back.
 */
#ifndef KISEKI_TESTS_CONTRACT_FILE_FIXTURE_H
#define KISEKI_TESTS_CONTRACT_FILE_FIXTURE_H

#include "fs/volume.h"
#include "fs/jobs/merge.h"
#include "fs/file.h"
#include "fs/write/range_write.h"
#include "fs/write/writer.h"
#include "meta/files/write.h"
#include "tests/contract/object_fixture.h"

#include <ftw.h>

struct volume {
    struct world *world;
    struct fs *fs;
    struct meta *meta;
    char folder[64];
    char store_url[80];
};

/* Another gateway of the same volume, if `first` is one. */
static inline struct volume *volume_open(struct world *w, const struct volume *first,
                                         size_t inline_max)
{
    struct volume *v = calloc(1, sizeof(*v));
    struct fs_options o = {.meta = w->options, .inline_max = inline_max, .memory_bytes = 32 * MIB};
    struct bucket b;

    assert_non_null(v);
    v->world = w;
    if (first != NULL) {
        memcpy(v->folder, first->folder, sizeof(v->folder));
    } else {
        snprintf(v->folder, sizeof(v->folder), "/tmp/kiseki-store-XXXXXX");
        assert_non_null(mkdtemp(v->folder));
    }
    snprintf(v->store_url, sizeof(v->store_url), "dir:%s", v->folder);
    o.store_url = v->store_url;
    assert_ok(fs_open(&o, &v->fs));
    v->meta = fs_meta(v->fs);
    if (first == NULL)
        assert_ok(bucket_create(v->meta, w->arena, BUCKET, 7, STR("r"), &b));
    return v;
}

static inline int remove_entry(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s, (void)type, (void)at;
    return remove(path);
}

/* Remove the folder with the last gateway. */
static inline void volume_close(struct volume *v, bool last)
{
    fs_close(v->fs);
    if (last)
        (void)nftw(v->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(v);
}

/* --- writing ---------------------------------------------------------------------------------- */

static inline void no_room(void *arg)
{
    (void)arg;
}

/* A writer that has the bytes, on their way to the store. */
static inline struct writer *writer_of(struct volume *v, const uint8_t *bytes, size_t len)
{
    struct writer_options o = {.on_room = no_room, .expected = -1};
    struct writer *w;
    size_t at = 0;

    assert_ok(writer_new(v->fs, &o, &w));
    while (at < len) {
        size_t taken;
        enum err err = writer_write(w, (struct str){(const char *)bytes + at, len - at}, &taken);

        assert_true(err == OK || err == ERR_AGAIN);
        at += taken;
        if (err == ERR_AGAIN)
            nap_ms(1);
    }
    return w;
}

static inline struct file_new file_new_of(struct str key, const char *etag)
{
    return (struct file_new){
        .bucket = BUCKET,
        .key = key,
        .attr = {.etag = str_of(etag), .storage_class = STR(""), .checksum = 1, .mtime_ms = 1000},
        .checksum = STR("sum")};
}

static inline void file_put(struct volume *v, struct str key, const uint8_t *bytes, size_t len,
                            const char *etag)
{
    struct arena *a = arena_new(16 * MIB);
    struct file_new f = file_new_of(key, etag);
    struct writer *w = writer_of(v, bytes, len);
    enum meta_missing missing;

    assert_ok(file_commit(w, a, &f, &missing));
    writer_free(w);
    arena_free(a);
}

/* The result's etag is copied to `etag` (NULL is fine). */
static inline enum err file_write_bytes(struct volume *v, const struct file_write *fw,
                                        uint64_t offset, const uint8_t *bytes, size_t len,
                                        struct file_written *out, char etag[64])
{
    struct arena *a = arena_new(16 * MIB);
    struct writer *w = writer_of(v, bytes, len);
    struct file_write where = *fw;
    enum meta_missing missing;
    enum err err;

    where.offset = offset;
    err = file_write(w, a, &where, out, &missing);
    writer_free(w);
    if (err == OK && etag != NULL)
        snprintf(etag, 64, STR_FMT, STR_ARG(out->etag));
    arena_free(a);
    return err;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Bytes [offset, offset + len) of an open file. */
static inline void file_read(struct file *f, uint64_t offset, size_t len, uint8_t *out)
{
    struct reader *r;
    struct str run;
    size_t at = 0;

    assert_ok(reader_new(f, offset, len, &r));
    do {
        assert_ok(reader_next(r, true, &run));
        assert_true(run.len <= len - at);
        if (run.len > 0)
            memcpy(out + at, run.ptr, run.len);
        at += run.len;
    } while (run.len > 0);
    assert_int_equal(at, len);
    reader_free(r);
}

static inline void file_get(struct volume *v, struct arena *a, struct str key, struct file *out)
{
    struct object_get q = {.bucket = BUCKET, .key = key, .want = OBJECT_DATA, .len = UINT64_MAX};
    enum meta_missing missing;

    assert_ok(file_open(v->fs, a, &q, out, &missing));
}

/* The file holds exactly these bytes; LIST and HEAD say so too. */
static inline void file_is(struct volume *v, struct str key, const uint8_t *bytes, size_t len)
{
    struct arena *a = arena_new(16 * MIB);
    uint8_t *back = malloc(len + 1);
    struct object_list_query q = {.bucket = BUCKET, .prefix = key, .max = 1};
    struct object_list list;
    struct file f;

    assert_non_null(back);
    file_get(v, a, key, &f);
    assert_int_equal(f.object.attr.size, len);
    file_read(&f, 0, len, back);
    for (size_t i = 0; i < len; i++)
        if (back[i] != bytes[i])
            fail_msg("byte %zu of %zu is %02x, not %02x", i, len, back[i], bytes[i]);
    assert_ok(object_list(v->meta, a, &q, &list));
    assert_int_equal(list.count, 1);
    assert_int_equal(list.entries[0].attr.size, len);
    assert_str(f.object.attr.etag, list.entries[0].attr.etag);
    assert_int_equal(list.entries[0].attr.mtime_ms, f.object.attr.mtime_ms);
    file_close(&f);
    free(back);
    arena_free(a);
}

/* --- background jobs, by hand ----------------------------------------------------------------- */

static inline enum err fold_all(struct meta *m)
{
    struct job_round r = {.name = "fold", .lease_ms = 30000, .budget = 1000};

    return fold_round(m, &r);
}

/* *out_did: there was a file, and may be another. */
static inline enum err merge_some(struct fs *fs, bool *out_did)
{
    struct job_round r = {.name = "merge", .lease_ms = 30000, .budget = 4};
    enum err err = merge_round(fs, &r);

    *out_did = r.more || r.failed > 0;
    return err;
}

#endif
