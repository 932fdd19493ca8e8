#include "fs/store/s3_internal.h"

#include "base/clock.h"

#include <expat.h>
#include <stdio.h>
#include <string.h>

/*
 * The documents that we read are flat enough to be known by the last element's name. Text of an
 * element is collected up to a limit; a DOCTYPE (and with it every entity) ends the parsing.
 */
struct reader {
    XML_Parser parser;
    struct buf text;
    enum err failed;
    /* one of them */
    struct s3_answer *answer;
    struct s3_page *page;
    s3_refused_fn *refused;
    void *user;
    struct s3_answer refusal; /* of the entry being read */
    /* the entry being read */
    char key[1024 + 1];
    uint64_t size_bytes;
    int64_t modified_ms;
    bool usable;
};

static void XMLCALL on_doctype(void *user, const XML_Char *name, const XML_Char *system_id,
                               const XML_Char *public_id, int has_subset)
{
    struct reader *r = user;

    (void)name, (void)system_id, (void)public_id, (void)has_subset;
    XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL on_text(void *user, const XML_Char *text, int len)
{
    struct reader *r = user;

    buf_append(&r->text, text, (size_t)len);
}

static void XMLCALL on_start(void *user, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *r = user;

    (void)attributes;
    buf_clear(&r->text);
    if (r->refused != NULL && strcmp(name, "Error") == 0)
        r->key[0] = r->refusal.code[0] = r->refusal.message[0] = '\0';
    if (strcmp(name, "Contents") == 0) {
        r->key[0] = '\0';
        r->size_bytes = 0;
        r->modified_ms = 0;
        r->usable = true;
    }
}

static void set_text(char *out, size_t size, struct str s)
{
    if (out[0] == '\0')
        snprintf(out, size, STR_FMT, STR_ARG(s));
}

static void end_of_error(struct reader *r, const char *name, struct str text)
{
    if (strcmp(name, "Code") == 0)
        set_text(r->answer->code, sizeof(r->answer->code), text);
    else if (strcmp(name, "Message") == 0)
        set_text(r->answer->message, sizeof(r->answer->message), text);
}

/* Keys that are not ours (another program's objects beside the volume) are passed over. */
static void end_of_entry(struct reader *r)
{
    struct s3_page *page = r->page;
    size_t skip = strlen(page->prefix);

    if (!r->usable || strncmp(r->key, page->prefix, skip) != 0 || !store_name_ok(r->key + skip))
        return;
    struct store_entry entry = {
        .name = r->key + skip,
        .size_bytes = r->size_bytes,
        .modified_ms = r->modified_ms,
    };
    r->failed = page->each(page->user, &entry);
    if (r->failed != OK)
        XML_StopParser(r->parser, XML_FALSE);
}

static void end_of_page(struct reader *r, const char *name, struct str text)
{
    if (strcmp(name, "Key") == 0) {
        r->usable = r->usable && text.len < sizeof(r->key) && memchr(text.ptr, 0, text.len) == NULL;
        if (r->usable)
            snprintf(r->key, sizeof(r->key), STR_FMT, STR_ARG(text));
    } else if (strcmp(name, "Size") == 0) {
        r->usable = r->usable && str_to_u64(text, &r->size_bytes) == OK;
    } else if (strcmp(name, "LastModified") == 0) {
        r->usable = r->usable && clock_parse_iso(text, &r->modified_ms) == OK;
    } else if (strcmp(name, "Contents") == 0) {
        end_of_entry(r);
    } else if (strcmp(name, "IsTruncated") == 0) {
        r->page->truncated = str_eq(text, STR("true"));
    } else if (strcmp(name, "NextContinuationToken") == 0) {
        buf_clear(&r->page->token);
        buf_append_str(&r->page->token, text);
    }
}

static void end_of_refusal(struct reader *r, const char *name, struct str text)
{
    if (strcmp(name, "Key") == 0)
        snprintf(r->key, sizeof(r->key), STR_FMT, STR_ARG(text));
    else if (strcmp(name, "Code") == 0)
        set_text(r->refusal.code, sizeof(r->refusal.code), text);
    else if (strcmp(name, "Message") == 0)
        set_text(r->refusal.message, sizeof(r->refusal.message), text);
    else if (strcmp(name, "Error") == 0)
        r->refused(r->user, r->key, r->refusal.code, r->refusal.message);
}

static void XMLCALL on_end(void *user, const XML_Char *name)
{
    struct reader *r = user;
    struct str text = r->text.failed == OK && r->text.len > 0 ? buf_str(&r->text) : STR("");

    if (r->page != NULL)
        end_of_page(r, name, text);
    else if (r->refused != NULL)
        end_of_refusal(r, name, text);
    else
        end_of_error(r, name, text);
    buf_clear(&r->text);
}

/* False when the document is not well-formed or was given up. */
static bool parse(struct reader *r, struct str document)
{
    bool good = false;

    buf_init(&r->text, 4096);
    r->parser = XML_ParserCreate(NULL);
    if (r->parser != NULL && document.len <= S3_TEXT_MAX) {
        XML_SetUserData(r->parser, r);
        XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
        XML_SetElementHandler(r->parser, on_start, on_end);
        XML_SetCharacterDataHandler(r->parser, on_text);
        good = XML_Parse(r->parser, document.ptr != NULL ? document.ptr : "", (int)document.len,
                         1) == XML_STATUS_OK;
    }
    XML_ParserFree(r->parser);
    buf_fini(&r->text);
    return good;
}

void s3_xml_error(struct str document, struct s3_answer *a)
{
    struct reader r = {.answer = a};

    (void)parse(&r, document);
}

bool s3_xml_refused(struct str document, s3_refused_fn *each, void *user)
{
    struct reader r = {.refused = each, .user = user};

    return parse(&r, document);
}

enum err s3_xml_page(struct str document, struct s3_page *page)
{
    struct reader r = {.page = page};

    page->truncated = false;
    buf_clear(&page->token);
    bool good = parse(&r, document);
    if (r.failed != OK)
        return r.failed;
    if (!good)
        return err_set(ERR_IO, "the store's listing is not well-formed XML");
    if (page->truncated && page->token.len == 0)
        return err_set(ERR_IO, "the store's listing goes on but has no token");
    return buf_check(&page->token);
}
