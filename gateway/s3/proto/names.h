/*
 * Names of buckets and keys, and where requests carry them. Pure.
 *
 * Source: "General purpose bucket naming rules" and "Naming Amazon S3 objects". Keys are any
 * UTF-8 string of 1..1024 bytes; nothing in them has a meaning to us.
 */
#ifndef KISEKI_GATEWAY_S3_PROTO_NAMES_H
#define KISEKI_GATEWAY_S3_PROTO_NAMES_H

#include "base/arena.h"
#include "base/codec.h"
#include "gateway/errors/errors.h"

#define NAMES_BUCKET_MIN 3
#define NAMES_BUCKET_MAX 63
#define NAMES_KEY_MAX    1024

/*
 * 3..63 bytes of a-z 0-9 . -, beginning and ending with a letter or digit, no two dots side by
 * side, not like an IPv4 address, no reserved prefix (xn--, sthree-, amzn-s3-demo-) or suffix
 * (-s3alias, --ol-s3, .mrap, --x-s3, --table-s3). For creating one; a look-up may ask any name.
 */
bool names_bucket_valid(struct str name);
/* InvalidBucketName with the BucketName element. */
MUST_USE enum s3_code names_check_bucket(struct str name, struct s3_error *error);

/* KeyTooLongError (with Size and MaxSizeAllowed), InvalidURI for no UTF-8, InvalidArgument for
 * an empty one. NUL bytes are refused as InvalidArgument: no XML or HTTP header could carry one. */
MUST_USE enum s3_code names_check_key(struct str key, struct s3_error *error);

/* Host without its port ("[::1]:9000" -> "[::1]"). */
struct str names_host_without_port(struct str host);
/*
 * The bucket of a virtual-host style request: `host` is the Host header, the longest matching
 * domain counts ("a.b.s3.local" and domain "s3.local" -> "a.b"). Empty: path style. As it was sent:
 * a host name has no case, so the bucket is names_lower() of it.
 */
struct str names_host_bucket(struct str host, const struct str *domains, size_t domain_count);
/* The letters A-Z made small, in the arena if there are any; ptr NULL when memory is out. */
struct str names_lower(struct arena *arena, struct str name);
/* Splits a decoded path "/bucket/key/more" (key empty for "/bucket" and "/bucket/"). */
void names_split_path(struct str path, struct str *out_bucket, struct str *out_key);

struct copy_source {
    struct str bucket;
    struct str key;
    struct str version_id; /* empty: the latest */
};
/*
 * x-amz-copy-source: [/]bucket/key[?versionId=V], percent-encoded. Form encoders write a space as
 * `+`, others mean a plus: `plus` says how to read it. ARNs of access points are InvalidArgument,
 * as is everything malformed.
 */
MUST_USE enum s3_code names_copy_source(struct arena *arena, struct str header,
                                        enum percent_plus plus, struct copy_source *out,
                                        struct s3_error *error);

/*
 * What a LocationConstraint may be: 1 to 63 letters, digits and hyphens (Amazon's regions, `EU`,
 * and the names that other operators give theirs).
 */
bool names_region_valid(struct str name);

#endif
