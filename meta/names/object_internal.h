/*
 * What the files of objects and uploads share: the key's row, a new file's content, and the
 * reasons why a write found no row. Nothing above meta/ includes this.
 *
 * A unit's calls point into the arena and into the caller's struct until the unit is done.
 */
#ifndef KISEKI_META_NAMES_OBJECT_INTERNAL_H
#define KISEKI_META_NAMES_OBJECT_INTERNAL_H

#include "base/hooks.h"
#include "meta/core/handle.h"
#include "meta/lock/lock.h"

/* Room for one write's calls and packed lists; content and records are not copied. */
#define OBJECT_WRITE_ARENA ((size_t)64 << 20)

/* Moved into the arena, or what went wrong with the buffer; frees it. */
MUST_USE enum err object_move_to_arena(struct arena *a, struct buf *b, struct str *out);
/* How many slices at the front, at least one of count > 0, have the first one's tag. */
size_t object_same_tag(const struct slice_name *slices, size_t count);
/* The ids as a JSON array in the arena. */
MUST_USE enum err object_slice_ids(struct arena *a, const struct slice_name *slices, size_t count,
                                   struct str *out);

/* An object's attributes from columns first.. of a row: inode, size, etag, mtime_ms, owner, class,
 * checksum, version. */
void object_attr_of(const struct sql_call *c, size_t row, size_t first, struct object_attr *out);

/* Packed into the arena; an empty list gives a packed empty list. */
MUST_USE enum err object_pack_pairs(struct arena *a, struct pairs p, struct str *out);

/* For parameters that are NULL when the string is empty. */
struct str object_or_none(struct str v);

/* A key as it is now, to learn why a write found no row. */
struct object_state {
    bool bucket, key;
    struct str etag;
    bool ranged; /* the file is written at ranges */
    uint64_t inode;
};
MUST_USE enum err object_state(struct meta *m, struct arena *a, struct str bucket, struct str key,
                               struct object_state *out);

/*
 * The lock of a whole file, for a write under a condition (whole_lock.c). Where a file is written
 * at ranges its key's row is whole only while no write is under way: the statement refuses such a
 * row without this lock, whole_lock_take() takes it, and the statement is sent again
 * (meta/README.md, "Writing at a range"). Zeroed at first.
 */
struct whole_lock {
    struct range_lock lock;
    bool held;
    unsigned tries;
};
/* The row was refused though the key is `now`: *out_again: try again, under s->lock. Blocks. */
MUST_USE enum err whole_lock_take(struct meta *m, const struct object_cond *c,
                                  const struct object_state *now, struct whole_lock *s,
                                  bool *out_again);
void whole_lock_release(struct meta *m, struct whole_lock *s);
/* The lock that is held, 0: none. */
int64_t whole_lock_id(const struct whole_lock *s);

/* The parameters of the statements that make p's key point at p->inode (KEY_UPSERT, KEY_UPDATE). */
#define OBJECT_KEY_ROW(p, bytes)                                                                   \
    p_bucket((p)->bucket), p_key((p)->key), p_inode((int64_t)(p)->inode),                          \
        p_size((int64_t)(bytes)), p_etag((p)->attr.etag), p_mtime_ms((p)->attr.mtime_ms),          \
        p_owner((int64_t)(p)->attr.owner), p_class((p)->attr.storage_class),                       \
        p_checksum((p)->attr.checksum),                                                            \
        p_absent((p)->cond.if_absent && !hook_broken("if-none-match"))
/* What of a condition compares ETags. */
#define OBJECT_ETAG_COND(cond, s)                                                                  \
    p_etag_not((cond)->if_none_match), p_etag_is((cond)->if_match), p_lock(whole_lock_id(s))
/* Adds the new inode: key_inode with `data` (NULL ptr: none), or key_inode_copy of `source`. */
MUST_USE enum err object_add_inode(struct sql_unit *u, const struct object_put *p, uint64_t size,
                                   struct str data, uint64_t source);
/* Adds pieces, links and slices of a new inode; they are made only if the inode was. */
MUST_USE enum err object_add_content(struct sql_unit *u, uint64_t inode, const struct content *c);
/* Adds links to [offset, end) of the source's pieces, as its view has them, with references. */
void object_add_links(struct sql_unit *u, uint64_t inode, const struct object *source,
                      uint64_t offset, uint64_t end);
/* Two parameters, for OBJECT_IN_VIEW. */
#define OBJECT_VIEW(view)                                                                          \
    p_token((int64_t)(view)->token), p_open((view)->open.len > 0 ? (view)->open : STR("[]"))
/*
 * Adds what makes a piece at `start` of inode `source`'s own bytes, `size` of them, if it has any.
 */
MUST_USE enum err object_add_unpacked(struct meta *m, struct sql_unit *u, uint64_t inode,
                                      uint64_t start, uint64_t source, uint64_t size);
/* The bytes that go into inodes.data: ptr NULL when there are pieces. */
struct str object_inline(const struct content *c);

/* Does the key fit what the condition says of it and of its ETag? */
bool object_state_fits(const struct object_cond *c, const struct object_state *now);

/*
 * A key and one more byte. No key holds 0xFF (keys are UTF-8), so prefix || 0xFF ends what has the
 * prefix; key || 0 is the least string behind a key. ptr NULL when the arena is full.
 */
#define OBJECT_AFTER_ALL '\xff'
#define OBJECT_NEXT      '\0'
struct str object_joined(struct arena *a, struct str s, char byte);

/* Offsets as the database counts: signed, clipped. */
static inline int64_t object_position(uint64_t offset)
{
    return offset > INT64_MAX ? INT64_MAX : (int64_t)offset;
}
static inline uint64_t object_end(uint64_t offset, uint64_t len)
{
    return len > UINT64_MAX - offset ? UINT64_MAX : offset + len;
}

#endif
