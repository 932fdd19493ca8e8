#include "tests/unit/gateway/s3_given.h"

#include "gateway/s3/core/ops.h"

#include <ctype.h>

/* A request line (and headers) for every row of the table, and the operation that it must reach. */
/* clang-format off */
static const struct {
    const char *op;
    const char *request;
} lines[] = {
    {"ListBuckets", "GET /?x-id=ListBuckets&max-buckets=10&prefix=a"},
    {"HeadService", "HEAD /"},
    {"GetBucketLocation", "GET /b?location"},
    {"ListMultipartUploads", "GET /b/?uploads&prefix=a&delimiter=%2F&max-uploads=2&key-marker=k&upload-id-marker=u&encoding-type=url"},
    {"ListObjectVersions", "GET /b?versions&key-marker=a&version-id-marker=null&max-keys=1"},
    {"GetBucketVersioning", "GET /b?versioning"},
    {"GetBucketAcl", "GET /b?acl"},
    {"GetBucketPolicy", "GET /b?policy"},
    {"GetBucketPolicyStatus", "GET /b?policyStatus"},
    {"GetBucketCors", "GET /b?cors"},
    {"GetBucketLifecycleConfiguration", "GET /b?lifecycle"},
    {"GetBucketTagging", "GET /b?tagging"},
    {"GetObjectLockConfiguration", "GET /b?object-lock"},
    {"GetBucketRequestPayment", "GET /b?requestPayment"},
    {"GetBucketLogging", "GET /b?logging"},
    {"GetBucketWebsite", "GET /b?website"},
    {"GetBucketEncryption", "GET /b?encryption"},
    {"GetBucketNotificationConfiguration", "GET /b?notification"},
    {"GetBucketReplication", "GET /b?replication"},
    {"GetBucketAccelerateConfiguration", "GET /b?accelerate"},
    {"GetPublicAccessBlock", "GET /b?publicAccessBlock"},
    {"GetBucketOwnershipControls", "GET /b?ownershipControls"},
    {"GetBucketAnalyticsConfiguration", "GET /b?analytics"},
    {"GetBucketIntelligentTieringConfiguration", "GET /b?intelligent-tiering"},
    {"GetBucketInventoryConfiguration", "GET /b?inventory&id=x"},
    {"GetBucketMetricsConfiguration", "GET /b?metrics"},
    {"GetBucketMetadataConfiguration", "GET /b?metadataConfiguration"},
    {"GetBucketMetadataTableConfiguration", "GET /b?metadataTable"},
    {"GetBucketAbac", "GET /b?abac"},
    {"CreateSession", "GET /b?session"},
    {"ListObjectsV2", "GET /b/?list-type=2&prefix=a&delimiter=%2F&max-keys=1&fetch-owner=true&start-after=a&continuation-token=6b"},
    {"ListObjects", "GET /b/?marker&prefix=&max-keys=0"},
    {"HeadBucket", "HEAD /b"},
    {"PutBucketVersioning", "PUT /b?versioning"},
    {"PutBucketAcl", "PUT /b?acl"},
    {"PutBucketPolicy", "PUT /b?policy"},
    {"PutBucketCors", "PUT /b?cors"},
    {"PutBucketLifecycleConfiguration", "PUT /b?lifecycle"},
    {"PutBucketTagging", "PUT /b?tagging"},
    {"PutObjectLockConfiguration", "PUT /b?object-lock"},
    {"PutBucketRequestPayment", "PUT /b?requestPayment"},
    {"PutBucketLogging", "PUT /b?logging"},
    {"PutBucketWebsite", "PUT /b?website"},
    {"PutBucketEncryption", "PUT /b?encryption"},
    {"PutBucketNotificationConfiguration", "PUT /b?notification"},
    {"PutBucketReplication", "PUT /b?replication"},
    {"PutBucketAccelerateConfiguration", "PUT /b?accelerate"},
    {"PutPublicAccessBlock", "PUT /b?publicAccessBlock"},
    {"PutBucketOwnershipControls", "PUT /b?ownershipControls"},
    {"PutBucketAnalyticsConfiguration", "PUT /b?analytics"},
    {"PutBucketIntelligentTieringConfiguration", "PUT /b?intelligent-tiering"},
    {"PutBucketInventoryConfiguration", "PUT /b?inventory"},
    {"PutBucketMetricsConfiguration", "PUT /b?metrics"},
    {"UpdateBucketMetadataInventoryTableConfiguration", "PUT /b?metadataInventoryTable"},
    {"UpdateBucketMetadataJournalTableConfiguration", "PUT /b?metadataJournalTable"},
    {"PutBucketAbac", "PUT /b?abac"},
    {"CreateBucket", "PUT /b"},
    {"DeleteObjects", "POST /b/?delete"},
    {"CreateBucketMetadataConfiguration", "POST /b?metadataConfiguration"},
    {"CreateBucketMetadataTableConfiguration", "POST /b?metadataTable"},
    {"PostObject", "POST /b"},
    {"DeleteBucketPolicy", "DELETE /b?policy"},
    {"DeleteBucketCors", "DELETE /b?cors"},
    {"DeleteBucketLifecycle", "DELETE /b?lifecycle"},
    {"DeleteBucketTagging", "DELETE /b?tagging"},
    {"DeleteBucketWebsite", "DELETE /b?website"},
    {"DeleteBucketEncryption", "DELETE /b?encryption"},
    {"DeleteBucketReplication", "DELETE /b?replication"},
    {"DeletePublicAccessBlock", "DELETE /b?publicAccessBlock"},
    {"DeleteBucketOwnershipControls", "DELETE /b?ownershipControls"},
    {"DeleteBucketAnalyticsConfiguration", "DELETE /b?analytics&id=x"},
    {"DeleteBucketIntelligentTieringConfiguration", "DELETE /b?intelligent-tiering"},
    {"DeleteBucketInventoryConfiguration", "DELETE /b?inventory"},
    {"DeleteBucketMetricsConfiguration", "DELETE /b?metrics"},
    {"DeleteBucketMetadataConfiguration", "DELETE /b?metadataConfiguration"},
    {"DeleteBucketMetadataTableConfiguration", "DELETE /b?metadataTable"},
    {"DeleteBucket", "DELETE /b"},
    {"ListParts", "GET /b/k?uploadId=u&max-parts=1&part-number-marker=1"},
    {"GetObjectAttributes", "GET /b/k?attributes&versionId=null"},
    {"GetObjectAcl", "GET /b/k?acl"},
    {"GetObjectTagging", "GET /b/k?tagging"},
    {"GetObjectRetention", "GET /b/k?retention"},
    {"GetObjectLegalHold", "GET /b/k?legal-hold"},
    {"GetObjectTorrent", "GET /b/k?torrent"},
    {"GetObject", "GET /b/k?partNumber=1&versionId=null&response-content-type=text%2Fplain&x-id=GetObject"},
    {"HeadObject", "HEAD /b/a/b?partNumber=2"},
    {"UploadPartCopy", "PUT /b/k?uploadId=u&partNumber=1\nx-amz-copy-source: /b/s"},
    {"UploadPart", "PUT /b/k?partNumber=1&uploadId=u&x-id=UploadPart"},
    {"PutObjectAcl", "PUT /b/k?acl"},
    {"PutObjectTagging", "PUT /b/k?tagging"},
    {"PutObjectRetention", "PUT /b/k?retention"},
    {"PutObjectLegalHold", "PUT /b/k?legal-hold"},
    {"RenameObject", "PUT /b/k?renameObject"},
    {"UpdateObjectEncryption", "PUT /b/k?encryption"},
    {"CopyObject", "PUT /b/k?x-id=CopyObject\nX-Amz-Copy-Source: b/s"},
    {"PutObject", "PUT /b/dir/?x-id=PutObject"},
    {"PatchObject", "PATCH /b/k"},
    {"CreateMultipartUpload", "POST /b/k?uploads="},
    {"CompleteMultipartUpload", "POST /b/k?uploadId=u"},
    {"RestoreObject", "POST /b/k?restore"},
    {"SelectObjectContent", "POST /b/k?select&select-type=2"},
    {"AbortMultipartUpload", "DELETE /b/k?uploadId=u"},
    {"DeleteObjectTagging", "DELETE /b/k?tagging"},
    {"DeleteObject", "DELETE /b//k?versionId=null"},
};
/* clang-format on */

static const struct s3_op *row_named(struct str name)
{
    for (const struct s3_op *op = s3_ops; op->name != NULL; op++)
        if (str_eq(name, str_of(op->name)))
            return op;
    return NULL;
}

static void check(const char *request, const char *op)
{
    struct s3_given g;

    given(&g, request);
    if (g.r.op == NULL || strcmp(g.r.op->name, op) != 0)
        fail_msg("%s reaches %s (%s), not %s", request, g.r.op != NULL ? g.r.op->name : "nothing",
                 s3_code_name(g.code), op);
    given_free(&g);
}

static void refused(const char *request, enum s3_code code)
{
    struct s3_given g;

    given(&g, request);
    if (g.r.op != NULL || g.code != code)
        fail_msg("%s reaches %s (%s), not %s", request, g.r.op != NULL ? g.r.op->name : "nothing",
                 s3_code_name(g.code), s3_code_name(code));
    given_free(&g);
}

static void test_route__every_row_is_reached_by_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(lines); i++)
        check(lines[i].request, lines[i].op);
}

static void test_route__every_row_has_a_line(void **state)
{
    (void)state;
    for (const struct s3_op *op = s3_ops; op->name != NULL; op++) {
        size_t found = 0;

        for (size_t i = 0; i < LENGTH_OF(lines); i++)
            found += strcmp(lines[i].op, op->name) == 0;
        if (found != 1)
            fail_msg("%zu lines for the row %s", found, op->name);
    }
    assert_int_equal(s3_op_count(), LENGTH_OF(lines));
}

static void check_permission(const struct s3_op *op)
{
    bool makes_bucket = op->resource == RESOURCE_NEW_BUCKET;

    if (op->action == NULL || (strncmp(op->action, "s3:", 3) != 0 && op->handle != NULL))
        fail_msg("%s has no IAM action", op->name);
    if ((op->scope == S3_SERVICE) != (op->resource == RESOURCE_NONE) ||
        (op->scope == S3_OBJECT && op->resource != RESOURCE_OBJECT) ||
        makes_bucket != (strcmp(op->name, "CreateBucket") == 0))
        fail_msg("%s acts on %d", op->name, (int)op->resource);
    if ((op->source_action != NULL) != ((op->takes & S3_TAKES_SOURCE) != 0))
        fail_msg("%s: a copy needs an action for its source, and nothing else does", op->name);
    if (op->version_action != NULL && strcmp(op->version_action, op->action) == 0)
        fail_msg("%s: the action of a version is that of the object", op->name);
}

static void test_route__every_row_says_what_it_needs(void **state)
{
    (void)state;
    for (const struct s3_op *op = s3_ops; op->name != NULL; op++) {
        check_permission(op);
        assert_true(op->early == S3_EARLY_NEVER || op->before_body != NULL);
        assert_true((op->body == S3_BODY_MEMORY) == (op->body_max > 0));
        assert_true(op->integrity == S3_INTEGRITY_OFFERED || op->body == S3_BODY_MEMORY);
        assert_true(!op->keeps_sums || op->body == S3_BODY_FILE);
        assert_true(!op->everybody || op->body == S3_BODY_IGNORED);
        if (s3_op_reads(op)) {
            assert_int_equal(op->body, S3_BODY_IGNORED);
            assert_true(op->handle == NULL || op->everybody || op->takes == S3_TAKES_OF_READS);
        }
        assert_true((op->document != S3_DOCUMENT_NONE) == (op->handle == op_get_unset));
    }
}

static void test_route__reads_are_get_and_head(void **state)
{
    (void)state;
    for (const struct s3_op *op = s3_ops; op->name != NULL; op++)
        assert_true(s3_op_reads(op) ==
                    (strcmp(op->method, "GET") == 0 || strcmp(op->method, "HEAD") == 0));
}

static void test_route__virtual_hosts_name_the_bucket(void **state)
{
    struct s3_given g;

    (void)state;
    given(&g, "PUT /k/x\nHost: my.bucket.s3.test:9000");
    assert_string_equal(g.r.op->name, "PutObject");
    assert_str(g.r.bucket, STR("my.bucket"));
    assert_str(g.r.key, STR("k/x"));
    given_free(&g);
    check("PUT /\nHost: bucket.s3.test", "CreateBucket");
    given(&g, "GET //k\nHost: BUCKET.S3.Test.:9000"); /* names of hosts have no case */
    assert_string_equal(g.r.op->name, "GetObject");
    assert_str(g.r.bucket, STR("bucket"));
    assert_str(g.r.key, STR("/k"));
    given_free(&g);
    given(&g, "GET /Bucket/K"); /* names in paths do */
    assert_str(g.r.bucket, STR("Bucket"));
    given_free(&g);
    check("GET /\nHost: s3.test", "ListBuckets");
}

/* What has no bucket is not the service: a list of buckets is no object. */
static void test_route__addresses_without_a_bucket(void **state)
{
    static const char *const paths[] = {"//", "//b/k", "//b", "///", "/%2Fb/k"};
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "POST"};
    char request[64];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(paths) * LENGTH_OF(methods); i++) {
        snprintf(request, sizeof(request), "%s %s", methods[i % LENGTH_OF(methods)],
                 paths[i / LENGTH_OF(methods)]);
        refused(request, S3_INVALID_BUCKET_NAME);
    }
    refused("GET *", S3_INVALID_URI);
    refused("DELETE *", S3_INVALID_URI);
    refused("GET *\nHost: b.s3.test", S3_INVALID_URI);
    refused("OPTIONS *", S3_NOT_IMPLEMENTED);
}

/* --- nothing falls through ------------------------------------------------------------------- */

static const char *const sub_resources[] = {
    "abac",           "accelerate",        "acl",
    "analytics",      "attributes",        "cors",
    "delete",         "encryption",        "intelligent-tiering",
    "inventory",      "legal-hold",        "lifecycle",
    "location",       "logging",           "metadataConfiguration",
    "metadataTable",  "metrics",           "metadataInventoryTable",
    "notification",   "object-lock",       "metadataJournalTable",
    "policy",         "ownershipControls", "policyStatus",
    "renameObject",   "publicAccessBlock", "replication",
    "requestPayment", "restore",           "retention",
    "select",         "session",           "tagging",
    "torrent",        "uploadId",          "uploads",
    "versioning",     "versions",          "website",
};

static bool is_plain(const struct s3_op *op)
{
    return op->query == NULL && op->handle != NULL;
}

static void test_route__no_sub_resource_falls_through_to_a_plain_operation(void **state)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"};
    static const char *const paths[] = {"/", "/b", "/b/k"};
    static const char *const values[] = {"", "=", "=1"};
    char request[128];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(sub_resources) * 6 * 3 * 3; i++) {
        struct s3_given g;

        snprintf(request, sizeof(request), "%s %s?%s%s", methods[i % 6], paths[i / 6 % 3],
                 sub_resources[i / 54], values[i / 18 % 3]);
        given(&g, request);
        if (g.r.op != NULL && is_plain(g.r.op))
            fail_msg("%s falls through to %s", request, g.r.op->name);
        given_free(&g);
    }
}

static void test_route__a_second_sub_resource_is_refused(void **state)
{
    (void)state;
    refused("GET /b?acl&policy", S3_NOT_IMPLEMENTED);
    refused("PUT /b/k?uploadId=u", S3_NOT_IMPLEMENTED);
    refused("PUT /b/k?partNumber=1", S3_NOT_IMPLEMENTED);
    refused("POST /b/k?uploads&partNumber=1", S3_NOT_IMPLEMENTED);
    refused("DELETE /b/k?partNumber=1", S3_NOT_IMPLEMENTED);
    refused("PUT /b/k?partNumber=1&uploadId=u&tagging", S3_NOT_IMPLEMENTED);
    refused("DELETE /b/k?uploadId=u&tagging=", S3_NOT_IMPLEMENTED);
}

static void test_route__unknown_bare_arguments_are_refused(void **state)
{
    (void)state;
    refused("GET /?what", S3_NOT_IMPLEMENTED);
    refused("GET /b?what", S3_NOT_IMPLEMENTED);
    refused("PUT /b?what", S3_NOT_IMPLEMENTED);
    refused("DELETE /b/k?what", S3_NOT_IMPLEMENTED);
    refused("PUT /b/k?append", S3_NOT_IMPLEMENTED);
    refused("POST /b/k?uploads&what", S3_NOT_IMPLEMENTED);
    check("GET /b/k?what=1", "GetObject"); /* S3 ignores what it does not know, too */
    check("PUT /b/k?v=1", "PutObject");
    /* caches on the way are told objects apart by it */
    check("GET /b/k?1300000000", "GetObject");
    check("HEAD /b/k?cachebust", "HeadObject");
    check("GET /b/k?cachebust&versionId=null", "GetObject");
    check("GET /b/k?acl&1300000000", "GetObjectAcl");
    check("GET /b?prefix&delimiter", "ListObjects");
    check("GET /b?list-type=2&marker", "ListObjectsV2"); /* of another listing */
    check("PUT /b/k?partNumber&uploadId=u", "UploadPart");
    check("DELETE /b/k?x-id", "DeleteObject");
    check("DELETE /b/k?versionId", "DeleteObject");
    refused("PUT /b/k?prefix", S3_NOT_IMPLEMENTED);
    refused("PUT /b?max-keys", S3_NOT_IMPLEMENTED);
}

/* Writes make a version of their own: what names one would be ignored. */
static void test_route__writes_take_no_version_id(void **state)
{
    (void)state;
    refused("PUT /b/k?versionId=null", S3_INVALID_ARGUMENT);
    refused("PUT /b/k?versionId=v\nx-amz-copy-source: b/s", S3_INVALID_ARGUMENT);
    refused("PUT /b/k?partNumber=1&uploadId=u&versionId=v", S3_INVALID_ARGUMENT);
    refused("POST /b/k?uploads&versionId=v", S3_INVALID_ARGUMENT);
    refused("DELETE /b/k?uploadId=u&versionId=v", S3_INVALID_ARGUMENT);
    check("PUT /b/k?acl&versionId=v", "PutObjectAcl");
}

static void test_route__other_methods_are_refused(void **state)
{
    (void)state;
    refused("BREW /b/k", S3_NOT_IMPLEMENTED);
    refused("OPTIONS /b/k", S3_NOT_IMPLEMENTED);
    refused("get /b/k", S3_NOT_IMPLEMENTED);
    refused("POST /b/k", S3_METHOD_NOT_ALLOWED);
    refused("PUT /", S3_METHOD_NOT_ALLOWED);
    refused("DELETE /", S3_METHOD_NOT_ALLOWED);
    refused("PATCH /b", S3_METHOD_NOT_ALLOWED);
}

/* A bucket in a host name that is no --domain: what came is no bucket's business, and says so. */
static void test_route__a_bucket_in_an_unknown_host_is_explained(void **state)
{
    static const char *const requests[] = {"GET /?list-type=2", "PUT /", "DELETE /",
                                           "GET /?uploads"};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(requests); i++) {
        struct s3_given g;

        given(&g, requests[i]);
        assert_null(g.r.op);
        assert_non_null(g.r.error.message);
        assert_non_null(strstr(g.r.error.message, "The path names no bucket"));
        given_free(&g);
    }
}

/* --- the table in README.md ------------------------------------------------------------------- */

static char *read_readme(void)
{
    static char text[256 << 10];
    FILE *f = fopen("README.md", "r");
    size_t n;

    if (f == NULL)
        fail_msg("run the tests from the root of the tree: README.md is not here");
    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

/* The names of the second column; each is counted in `named`, by its row. */
static void count_names(struct str column, size_t *named)
{
    struct str name;

    while (str_split(&column, ',', &name)) {
        const struct s3_op *op;

        name = str_trim(name);
        op = row_named(name);
        if (op == NULL || op->handle == NULL)
            fail_msg("README.md has \"" STR_FMT "\", which is not built", STR_ARG(name));
        named[op - s3_ops]++;
    }
}

static void test_route__readme_names_every_built_row_and_no_other(void **state)
{
    size_t named[256] = {0};
    const char *table = strstr(read_readme(), "\n## S3 operations");
    struct str rest, line, cell, names;

    (void)state;
    assert_non_null(table);
    assert_in_range(s3_op_count(), 1, LENGTH_OF(named));
    rest = str_of(strstr(table, "|---|---|"));
    assert_true(str_split(&rest, '\n', &line));
    while (str_split(&rest, '\n', &line) && str_starts(line, STR("|"))) {
        assert_true(str_split(&line, '|', &cell) && str_split(&line, '|', &cell));
        assert_true(str_split(&line, '|', &names));
        count_names(names, named);
    }
    for (size_t i = 0; i < s3_op_count(); i++)
        if (s3_ops[i].handle != NULL && named[i] != 1)
            fail_msg("README.md names %s %zu times", s3_ops[i].name, named[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route__every_row_is_reached_by_its_line),
        cmocka_unit_test(test_route__every_row_has_a_line),
        cmocka_unit_test(test_route__every_row_says_what_it_needs),
        cmocka_unit_test(test_route__reads_are_get_and_head),
        cmocka_unit_test(test_route__virtual_hosts_name_the_bucket),
        cmocka_unit_test(test_route__no_sub_resource_falls_through_to_a_plain_operation),
        cmocka_unit_test(test_route__a_second_sub_resource_is_refused),
        cmocka_unit_test(test_route__addresses_without_a_bucket),
        cmocka_unit_test(test_route__unknown_bare_arguments_are_refused),
        cmocka_unit_test(test_route__writes_take_no_version_id),
        cmocka_unit_test(test_route__a_bucket_in_an_unknown_host_is_explained),
        cmocka_unit_test(test_route__other_methods_are_refused),
        cmocka_unit_test(test_route__readme_names_every_built_row_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
