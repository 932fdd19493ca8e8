#include "meta/sql/json_array.h"

#include <inttypes.h>
#include <stdio.h>

struct str sql_json_array_in(char *text, const uint64_t *numbers, size_t count)
{
    size_t room = SQL_JSON_ARRAY_BYTES(count), len = 0;
    text[len++] = '[';
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, room - len, "%s%" PRId64, i > 0 ? "," : "",
                                (int64_t)numbers[i]);
    text[len++] = ']';
    return (struct str){text, len};
}

struct str sql_json_array(struct arena *a, const uint64_t *numbers, size_t count)
{
    char *text = arena_alloc(a, SQL_JSON_ARRAY_BYTES(count));
    return text != NULL ? sql_json_array_in(text, numbers, count) : STR_NONE;
}
