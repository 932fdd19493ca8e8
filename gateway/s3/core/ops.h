/*
 * The handlers that the routing table names, by family. Each is documented at its definition; the
 * contract is that of s3_op.handle (op.h).
 */
#ifndef KISEKI_GATEWAY_S3_CORE_OPS_H
#define KISEKI_GATEWAY_S3_CORE_OPS_H

#include "gateway/s3/core/reply.h"

/* bucket/bucket.c */
enum s3_code op_list_buckets(struct s3_request *r);
enum s3_code op_head_service(struct s3_request *r);
enum s3_code op_create_bucket(struct s3_request *r);
enum s3_code op_head_bucket(struct s3_request *r);
enum s3_code op_delete_bucket(struct s3_request *r);
enum s3_code op_get_bucket_location(struct s3_request *r);

/* bucket/unset.c: GET of configuration that was never set, as S3 answers it */
enum s3_code op_get_unset(struct s3_request *r);

/* bucket/list.c */
enum s3_code op_list_objects(struct s3_request *r);
enum s3_code op_list_objects_v2(struct s3_request *r);
enum s3_code op_list_object_versions(struct s3_request *r);
enum s3_code op_list_multipart_uploads(struct s3_request *r);

/* object/range_write.c */
enum s3_code op_patch_object_before_body(struct s3_request *r);
enum s3_code op_patch_object(struct s3_request *r);

/* object/get.c */
enum s3_code op_get_object(struct s3_request *r);
enum s3_code op_head_object(struct s3_request *r);
enum s3_code op_get_object_attributes(struct s3_request *r);

/* object/put.c */
enum s3_code op_put_object_before_body(struct s3_request *r);
enum s3_code op_put_object(struct s3_request *r);

/* object/copy.c */
enum s3_code op_copy_object(struct s3_request *r);

/* object/delete.c */
enum s3_code op_delete_object(struct s3_request *r);
enum s3_code op_delete_objects(struct s3_request *r);

/* upload/upload.c */
enum s3_code op_create_multipart_upload(struct s3_request *r);
enum s3_code op_upload_part_before_body(struct s3_request *r);
enum s3_code op_upload_part(struct s3_request *r);
enum s3_code op_upload_part_copy(struct s3_request *r);
enum s3_code op_list_parts(struct s3_request *r);
enum s3_code op_complete_multipart_upload(struct s3_request *r);
enum s3_code op_abort_multipart_upload(struct s3_request *r);

#endif
