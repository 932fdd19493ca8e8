/*
 * A file of full slices in one piece, on the volume of fake_meta.h, and how tests open files.
 */
#ifndef KISEKI_TESTS_UNIT_FS_BIG_FILE_H
#define KISEKI_TESTS_UNIT_FS_BIG_FILE_H

#include "tests/unit/fs/fake_meta.h"

#define BIG_SLICE  ((uint32_t)4 << 20)
#define BIG_SLICES 16 /* what a piece may have */

struct big_file {
    uint64_t size;
    uint8_t *bytes;
    struct object_extent extent;
    struct buf packed;
    const uint64_t *crcs[BIG_SLICES];
    size_t slices;
};

/* Becomes what object_get() answers. */
static inline void big_file_init(struct big_file *b, struct volume *v, size_t slices)
{
    struct record records[BIG_SLICES];

    assert_true(slices <= BIG_SLICES);
    *b = (struct big_file){.size = (uint64_t)slices * BIG_SLICE, .slices = slices};
    b->bytes = malloc(b->size);
    assert_non_null(b->bytes);
    fill(b->bytes, 9, 0, b->size);
    for (size_t i = 0; i < slices; i++) {
        records[i] = make_slice(v, b->bytes + i * BIG_SLICE, BIG_SLICE);
        records[i].pos = i * BIG_SLICE;
        b->crcs[i] = records[i].granule_crcs;
    }
    buf_init(&b->packed, 1 << 20);
    record_pack(&b->packed, records, slices);
    assert_ok(buf_check(&b->packed));
    b->extent = (struct object_extent){.piece = 1, .len = b->size, .records = buf_str(&b->packed)};
    fake.extents = &b->extent;
    fake.extent_count = 1;
    fake.object.attr.inode = 1;
    fake.object.attr.size = (int64_t)b->size;
}

static inline void big_file_fini(struct big_file *b)
{
    buf_fini(&b->packed);
    for (size_t i = 0; i < b->slices; i++)
        free((void *)(uintptr_t)b->crcs[i]);
    fake.object = (struct object){0};
    fake.extents = NULL;
    fake.extent_count = 0;
    free(b->bytes);
}

static inline enum err open_file(struct volume *v, struct arena *a, uint64_t offset, uint64_t len,
                                 struct file *out)
{
    enum meta_missing missing;
    struct object_get q = {.key = STR("key"), .want = OBJECT_DATA, .offset = offset, .len = len};

    return file_open(&v->fs, a, &q, out, &missing);
}

#endif
