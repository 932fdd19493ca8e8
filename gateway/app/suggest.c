#include "gateway/app/suggest.h"

#include <stdio.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Three rows of the usual table: two neighbours swapped count once. */
static size_t distance(struct str a, struct str b)
{
    size_t rows[3][SUGGEST_MAX + 1] = {{0}};
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.len; j++)
        above[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = above[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);

            row[j] = least(change, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[b.len];
}

void suggest_begin(struct suggest *s, struct str wrong)
{
    *s = (struct suggest){.wrong = wrong, .distance = wrong.len / 3 + 1};
}

void suggest_offer(struct suggest *s, const char *word)
{
    struct str known = str_of(word);
    size_t d;

    if (s->wrong.len >= SUGGEST_MAX || known.len >= SUGGEST_MAX)
        return;
    d = distance(s->wrong, known);
    if (d >= s->distance)
        return;
    s->distance = d;
    snprintf(s->best, sizeof(s->best), "%s", word);
}
