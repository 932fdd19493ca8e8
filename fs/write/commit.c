/*
 * A commit makes a file visible: its bytes become durable, a number is drawn for the file, and one
 * transaction of meta/ links it under its key, or to its upload. Each step is only here.
 */
#include "fs/file.h"
#include "fs/volume.h"
#include "fs/write/writer.h"
#include "meta/names/part.h"

static struct object_put put_of(const struct file_new *f)
{
    return (struct object_put){.bucket = f->bucket,
                               .key = f->key,
                               .attr = f->attr,
                               .headers = f->headers,
                               .tags = f->tags,
                               .checksum = f->checksum,
                               .parts = f->parts,
                               .cond = f->guard.cond};
}

static struct part_put part_of(const struct file_part *p)
{
    return (struct part_put){
        .bucket = p->bucket, .key = p->key, .upload = p->upload, .part = p->part};
}

static enum err prepare(struct writer *w, struct arena *a, struct content *content, uint64_t *inode)
{
    enum err err = writer_finish(w, a, content);

    return err == OK ? meta_next_id(writer_fs(w)->meta, inode) : err;
}

enum err file_commit(struct writer *w, struct arena *a, const struct file_new *f,
                     enum meta_missing *out_missing)
{
    struct object_put put = put_of(f);
    enum err err = prepare(w, a, &put.content, &put.inode);

    *out_missing = META_MISSING_NONE;
    if (err != OK)
        return err;
    err = object_put(writer_fs(w)->meta, &put, out_missing);
    writer_resolve(w, err);
    return err;
}

enum err file_commit_part(struct writer *w, struct arena *a, const struct file_part *p,
                          enum meta_missing *out_missing)
{
    struct part_put put = part_of(p);
    enum err err = prepare(w, a, &put.content, &put.part.inode);

    *out_missing = META_MISSING_NONE;
    if (err != OK)
        return err;
    err = part_put(writer_fs(w)->meta, &put, out_missing);
    writer_resolve(w, err);
    return err;
}

enum err file_copy(const struct file *source, const struct file_new *f,
                   enum meta_missing *out_missing)
{
    struct meta *m = source->fs->meta;
    struct object_put put = put_of(f);
    enum err err = meta_next_id(m, &put.inode);

    *out_missing = META_MISSING_NONE;
    return err == OK ? object_copy(m, &put, &source->object, out_missing) : err;
}

enum err file_copy_part(const struct file *source, uint64_t offset, uint64_t len,
                        const struct file_part *p, enum meta_missing *out_missing)
{
    struct meta *m = source->fs->meta;
    struct part_put put = part_of(p);
    enum err err = meta_next_id(m, &put.part.inode);

    *out_missing = META_MISSING_NONE;
    put.part.size = (int64_t)len;
    return err == OK ? part_copy(m, &put, &source->object, offset, len, out_missing) : err;
}

enum err file_complete(struct fs *fs, const struct file_new *f, const struct file_upload *u,
                       enum meta_missing *out_missing)
{
    struct object_put put = put_of(f);
    enum err err = meta_next_id(fs->meta, &put.inode);

    *out_missing = META_MISSING_NONE;
    if (err != OK)
        return err;
    return upload_complete(fs->meta, &put, u->upload, u->parts, u->count, u->result, out_missing);
}

void file_remove(struct fs *fs, struct object_delete *items, size_t count)
{
    object_delete(fs->meta, items, count);
}
