/* What the tests of uploads share: making, filling, listing and completing one. */
#ifndef KISEKI_TESTS_CONTRACT_UPLOAD_FIXTURE_H
#define KISEKI_TESTS_CONTRACT_UPLOAD_FIXTURE_H

#include "tests/contract/object_fixture.h"

static inline struct upload create(struct world *w, struct meta *m, struct str key)
{
    struct upload up = {.owner = 7};
    assert_ok(upload_create(m, w->arena, BUCKET, key, &up));
    return up;
}

static inline struct part_put part_of(struct meta *m, struct str key, struct str upload, int number,
                                      struct content c)
{
    return (struct part_put){.bucket = BUCKET,
                             .key = key,
                             .upload = upload,
                             .part = {.number = number,
                                      .inode = next_id(m),
                                      .etag = STR("part"),
                                      .mtime_ms = 5,
                                      .checksum = STR("sum")},
                             .content = c};
}

static inline uint64_t put_part(struct meta *m, struct str key, struct str upload, int number,
                                struct content c)
{
    enum meta_missing missing;
    struct part_put p = part_of(m, key, upload, number, c);
    assert_ok(part_put(m, &p, &missing));
    return p.part.inode;
}

struct listed {
    struct upload upload;
    struct part *parts;
    size_t count;
    bool more;
};

static inline struct listed list(struct world *w, struct meta *m, struct str key, struct str upload)
{
    struct listed l;
    enum meta_missing missing;
    assert_ok(part_list(m, w->arena, BUCKET, key, upload, 0, 10000, &l.upload, &l.parts, &l.count,
                        &l.more, &missing));
    return l;
}

static inline enum err complete(struct meta *m, struct object_put *p, struct str upload,
                                const struct listed *l, enum meta_missing *out_missing)
{
    return upload_complete(m, p, upload, l->parts, l->count, STR("result"), out_missing);
}

#endif
