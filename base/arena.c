#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)4096)
#define ALIGNMENT   ((size_t)16)

struct block {
    struct block *next;
    size_t size; /* of data */
    size_t used;
    _Alignas(16) unsigned char data[];
};

/* Lives in its own first block, the last one of the list: a small request costs one malloc. */
struct arena {
    struct block *head; /* the block that small pieces come from */
    size_t max, left;   /* the limit, and what is left of it */
    enum err failed;    /* why an allocation was refused, if one was */
};

static struct block *block_new(size_t size)
{
    struct block *b = malloc(sizeof(*b) + size);

    if (b != NULL) {
        b->next = NULL;
        b->size = size;
        b->used = 0;
    }
    return b;
}

static void *block_cut(struct block *b, size_t size)
{
    void *at = b->data + b->used;

    b->used += size;
    return memset(at, 0, size);
}

/* 0 on overflow. A piece of no bytes still has an address of its own. */
static size_t rounded(size_t size)
{
    if (size == 0)
        size = 1;
    return size > SIZE_MAX / 2 ? 0 : (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

struct arena *arena_new(size_t max_bytes)
{
    struct block *b = block_new(BLOCK_BYTES - sizeof(struct block));

    if (b == NULL)
        return NULL;
    struct arena *a = block_cut(b, rounded(sizeof(*a)));
    a->head = b;
    a->max = a->left = max_bytes;
    return a;
}

void arena_free(struct arena *a)
{
    struct block *b = a != NULL ? a->head : NULL;

    while (b != NULL) {
        struct block *next = b->next;
        free(b);
        b = next;
    }
}

enum err arena_check(const struct arena *a)
{
    enum err err = a != NULL ? a->failed : ERR_NOMEM;

    if (err == OK)
        return OK;
    return err_set(err, err == ERR_NOMEM ? "out of memory" : "the request's memory is full");
}

static void *refuse(struct arena *a, enum err why)
{
    if (why == ERR_NOMEM)
        err_memory_refused();
    a->failed = why;
    return NULL;
}

size_t arena_used(const struct arena *a)
{
    return a->max - a->left;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t need = rounded(size);

    if (a == NULL)
        return NULL;
    if (need == 0 || size > a->left)
        return refuse(a, ERR_TOO_LARGE);
    struct block *b = a->head;
    if (need > b->size - b->used) {
        bool large = need > BLOCK_BYTES / 4;
        b = block_new(large ? need : BLOCK_BYTES - sizeof(struct block));
        if (b == NULL)
            return refuse(a, ERR_NOMEM);
        if (large) { /* the rest of the current block stays in use */
            b->next = a->head->next;
            a->head->next = b;
        } else {
            b->next = a->head;
            a->head = b;
        }
    }
    a->left -= size;
    return block_cut(b, need);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    return arena_alloc(a, bytes);
}

char *arena_cstr(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.len < SIZE_MAX ? s.len + 1 : SIZE_MAX);

    if (copy != NULL && s.len)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *copy = arena_cstr(a, s);
    return copy != NULL ? (struct str){copy, s.len} : STR_NONE;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args, again;
    char *text = NULL;

    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n >= 0)
        text = arena_alloc(a, (size_t)n + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}
