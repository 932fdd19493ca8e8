/*
 * Writes XML into a struct buf. No state of its own: the caller closes what it opens. Failures
 * are the buf's sticky one, so no call needs a check.
 *
 * Text is escaped: & < > " as entities and CR as &#13;. Characters that XML 1.0 forbids (most
 * controls, U+FFFE, U+FFFF) cannot be written in any legal way; S3 writes them as numeric
 * references (&#x1;), which keeps the framing of the document intact but which a strict parser
 * refuses; so do we, and clients that have such keys ask for encoding-type=url. Bytes that are
 * not UTF-8 become U+FFFD. (A key never holds any; a header echoed in an error may.)
 */
#ifndef KISEKI_GATEWAY_S3_PROTO_XML_WRITE_H
#define KISEKI_GATEWAY_S3_PROTO_XML_WRITE_H

#include "base/buf.h"

#define XML_S3_NAMESPACE "http://s3.amazonaws.com/doc/2006-03-01/"

/* The declaration; every document begins with it. */
void xml_begin(struct buf *out);
void xml_open(struct buf *out, const char *element);
/* <element xmlns="http://s3.amazonaws.com/doc/2006-03-01/">, as results' root has it. */
void xml_open_root(struct buf *out, const char *element);
void xml_close(struct buf *out, const char *element);

/* <element>escaped text</element>, also when empty. */
void xml_text(struct buf *out, const char *element, struct str text);
void xml_cstr(struct buf *out, const char *element, const char *text);
/* As xml_text with encoding-type=url when `url` (percent-encoded, '/' kept). */
void xml_name(struct buf *out, const char *element, struct str text, bool url);
void xml_u64(struct buf *out, const char *element, uint64_t value);
void xml_bool(struct buf *out, const char *element, bool value); /* true, false */
/* <element>2009-10-12T17:50:00.000Z</element> */
void xml_time(struct buf *out, const char *element, int64_t wall_ms);
/* <element>&quot;etag&quot;</element>; `etag` without quotes. */
void xml_etag(struct buf *out, const char *element, struct str etag);

/* Only the escaped text. */
void xml_escape(struct buf *out, struct str text);

#endif
