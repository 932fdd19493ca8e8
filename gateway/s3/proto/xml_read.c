#include "gateway/s3/proto/xml_read.h"

#include "base/buf.h"

#include <expat.h>
#include <limits.h>
#include <string.h>

struct reader {
    XML_Parser parser;
    struct arena *arena;
    struct xml_node *root;
    struct xml_node *open[XML_MAX_DEPTH]; /* the path to the element that is open */
    struct xml_node *last[XML_MAX_DEPTH]; /* its children's last, for appending */
    size_t depth;
    size_t nodes;
    struct buf text; /* since the last tag */
    enum err failed; /* set by a callback, which then stops the parser */
    const char *why;
};

static void stop(struct reader *r, enum err code, const char *why)
{
    if (r->failed != OK)
        return;
    r->failed = code;
    r->why = why;
    XML_StopParser(r->parser, XML_FALSE);
}

static struct str local_name(const char *name)
{
    const char *colon = strrchr(name, ':');

    return str_of(colon != NULL ? colon + 1 : name);
}

static void append(struct reader *r, struct xml_node *node)
{
    if (r->depth == 0) {
        r->root = node;
        return;
    }
    struct xml_node **last = &r->last[r->depth - 1];
    if (*last != NULL)
        (*last)->next = node;
    else
        r->open[r->depth - 1]->child = node;
    *last = node;
}

static void XMLCALL on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *r = context;

    (void)attributes;
    if (r->failed != OK) /* expat may still deliver after a stop */
        return;
    if (r->depth >= XML_MAX_DEPTH || r->nodes >= XML_MAX_NODES) {
        stop(r, ERR_TOO_LARGE, "XML too deep or with too many elements");
        return;
    }
    struct xml_node *node = arena_alloc(r->arena, sizeof(*node));
    if (node != NULL)
        node->name = arena_str(r->arena, local_name(name));
    if (node == NULL || node->name.ptr == NULL) {
        stop(r, ERR_NOMEM, "no memory for XML");
        return;
    }
    append(r, node);
    r->open[r->depth] = node;
    r->last[r->depth] = NULL;
    r->depth++;
    r->nodes++;
    buf_clear(&r->text);
}

static void XMLCALL on_end(void *context, const XML_Char *name)
{
    struct reader *r = context;

    (void)name;
    if (r->failed != OK || r->depth == 0)
        return;
    struct xml_node *node = r->open[--r->depth];
    if (node->child == NULL) {
        if (buf_check(&r->text) == OK)
            node->text = arena_str(r->arena, buf_str(&r->text));
        if (node->text.ptr == NULL)
            stop(r, ERR_NOMEM, "no memory for XML");
    }
    buf_clear(&r->text);
}

static void XMLCALL on_text(void *context, const XML_Char *text, int len)
{
    struct reader *r = context;

    if (r->failed == OK)
        buf_append(&r->text, text, (size_t)len);
}

static void XMLCALL on_doctype(void *context, const XML_Char *name, const XML_Char *system_id,
                               const XML_Char *public_id, int has_internal)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_internal;
    stop(context, ERR_INVALID, "XML with a document type");
}

static enum err parse(struct reader *r, struct str document)
{
    if (document.len > INT_MAX)
        return err_set(ERR_TOO_LARGE, "XML of %zu bytes", document.len);
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    enum XML_Status status = XML_Parse(r->parser, document.ptr, (int)document.len, 1);
    if (r->failed != OK)
        return err_set(r->failed, "%s", r->why);
    if (status != XML_STATUS_OK && XML_GetErrorCode(r->parser) == XML_ERROR_NO_MEMORY)
        return err_set(ERR_NOMEM, "no memory for XML");
    if (status != XML_STATUS_OK)
        return err_set(ERR_INVALID, "XML line %lu: %s",
                       (unsigned long)XML_GetCurrentLineNumber(r->parser),
                       XML_ErrorString(XML_GetErrorCode(r->parser)));
    return r->root != NULL ? OK : err_set(ERR_INVALID, "XML without an element");
}

enum err xml_read(struct arena *arena, struct str document, struct xml_node **out_root)
{
    struct reader r = {.arena = arena};

    *out_root = NULL;
    r.parser = XML_ParserCreate(NULL);
    if (r.parser == NULL)
        return err_set(ERR_NOMEM, "no memory for an XML parser");
    /* A reference never makes more text than its own, but UTF-16 grows by half. */
    buf_init(&r.text, document.len * 2 + 64);
    enum err err = parse(&r, document);
    if (err == OK)
        *out_root = r.root;
    buf_fini(&r.text);
    XML_ParserFree(r.parser);
    return err;
}

bool xml_is(const struct xml_node *node, const char *name)
{
    return node != NULL && str_eq(node->name, str_of(name));
}

const struct xml_node *xml_child(const struct xml_node *node, const char *name)
{
    const struct xml_node *child = node != NULL ? node->child : NULL;

    while (child != NULL && !xml_is(child, name))
        child = child->next;
    return child;
}

struct str xml_child_text(const struct xml_node *node, const char *name)
{
    const struct xml_node *child = xml_child(node, name);

    return child != NULL ? child->text : STR_NONE;
}
