/* What the files of uploads share. Nothing above meta/ includes this. */
#ifndef KISEKI_META_NAMES_UPLOAD_INTERNAL_H
#define KISEKI_META_NAMES_UPLOAD_INTERNAL_H

#include "meta/names/object_internal.h"
#include "meta/names/part.h"

/*
 * What clients see is the upload's number in 16 hex digits, which orders a listing also when the
 * upload is gone, and 32 random ones.
 */
#define UPLOAD_NUMBER_DIGITS 16
#define UPLOAD_RANDOM_DIGITS 32

/* A row of upload_get. ERR_NOT_FOUND with *out_missing. */
MUST_USE enum err upload_of(struct arena *a, const struct sql_call *c, struct upload *out,
                            enum meta_missing *out_missing);
/*
 * A write that needs the upload in progress found none: ERR_NOT_FOUND with *out_missing (also for a
 * completed one), or ERR_CONFLICT when it is there.
 */
MUST_USE enum err upload_refused(struct meta *m, struct arena *a, struct str bucket, struct str key,
                                 struct str upload, enum meta_missing *out_missing);

#endif
