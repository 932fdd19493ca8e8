/*
 * Reads a small XML document into a tree in an arena, through expat.
 *
 * Namespace prefixes are dropped and attributes ignored. An element without children has its
 * character data as text, joined and not trimmed; what stands between children is dropped. A
 * document type declaration is refused, so there are no entities to expand (billion laughs) and
 * nothing external to load. Limits: XML_MAX_DEPTH levels,
 * XML_MAX_NODES elements, and the arena's own size.
 *
 * Ownership: the tree is the arena's; nothing of the input is borrowed. Threads: any.
 */
#ifndef KISEKI_GATEWAY_S3_PROTO_XML_READ_H
#define KISEKI_GATEWAY_S3_PROTO_XML_READ_H

#include "base/arena.h"

#define XML_MAX_DEPTH 16
#define XML_MAX_NODES (10000 * 10 + 100) /* 10,000 parts with all their checksums */

struct xml_node {
    struct str name; /* local name */
    struct str text;
    struct xml_node *child; /* first */
    struct xml_node *next;  /* sibling */
};

/* ERR_INVALID: not well-formed, empty, a DTD; ERR_TOO_LARGE: a limit; ERR_NOMEM. */
MUST_USE enum err xml_read(struct arena *arena, struct str document, struct xml_node **out_root);

/* The first child of that name, NULL if none or if `node` is NULL. */
const struct xml_node *xml_child(const struct xml_node *node, const char *name);
/* Its text, STR_NONE if there is none. */
struct str xml_child_text(const struct xml_node *node, const char *name);
bool xml_is(const struct xml_node *node, const char *name);

#endif
