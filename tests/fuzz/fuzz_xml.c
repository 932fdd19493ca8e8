/*
 * XML: any document through the reader and every body parser. What was read, written by our
 * writer, must read back the same.
 */
#include "gateway/s3/proto/xml_bodies.h"
#include "gateway/s3/proto/xml_read.h"
#include "gateway/s3/proto/xml_write.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(struct arena *arena, const struct xml_node *node)
{
    struct xml_node *again;
    struct buf b;

    buf_init(&b, 16 << 20);
    xml_begin(&b);
    xml_text(&b, "Text", node->text);
    if (buf_check(&b) == OK && xml_read(arena, buf_str(&b), &again) != ERR_NOMEM &&
        (again == NULL || !str_eq(again->text, node->text)))
        abort();
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str document = {(const char *)data, size};
    struct arena *arena = arena_new(64 << 20);
    struct xml_node *root;
    struct delete_body del;
    struct complete_body complete;
    struct str location;
    struct s3_error error;

    if (arena == NULL)
        return 0;
    if (xml_read(arena, document, &root) == OK) {
        check_round_trip(arena, root);
        if (root->child != NULL)
            check_round_trip(arena, root->child);
    }
    if (xml_parse_delete(arena, document, &del, &error) == S3_OK &&
        (del.count < 1 || del.count > XML_DELETE_MAX))
        abort();
    if (xml_parse_complete(arena, document, &complete, &error) == S3_OK) {
        for (size_t i = 0; i < complete.count; i++)
            if (complete.parts[i].number < 1 || complete.parts[i].number > XML_COMPLETE_MAX)
                abort();
    }
    if (xml_parse_create_bucket(arena, document, &location, &error) != S3_OK && error.code == S3_OK)
        abort();
    arena_free(arena);
    return 0;
}
