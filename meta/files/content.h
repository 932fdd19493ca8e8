/*
 * Where a file's bytes are: extents as a reader finds them, a content as a writer makes it. Nothing
 * but data; nothing above fs/ includes this.
 */
#ifndef KISEKI_META_FILES_CONTENT_H
#define KISEKI_META_FILES_CONTENT_H

#include "meta/files/record.h"

/* Bytes start..start+len of the file are bytes piece_off.. of that piece; piece 0: zeros. */
struct object_extent { /* lists are sorted by (start, token) */
    uint64_t start, len, piece_off;
    uint64_t token;
    uint64_t piece;
    struct str records; /* packed: meta/files/record.h; empty for piece 0 */
};

struct content_piece {
    uint64_t id;
    uint64_t start, len;
    struct str records;              /* packed */
    const struct slice_name *slices; /* new slices, one reference each */
    size_t slice_count;
};

/* Either data (small: everything) or pieces that cover [0, size) without gaps, or size 0. */
struct content {
    uint64_t size;
    struct str data;
    const struct content_piece *pieces;
    size_t piece_count;
};

#endif
