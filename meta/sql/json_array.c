#include "meta/sql/json_array.h"

#include <inttypes.h>
#include <stdio.h>

#define DIGITS_MAX 21 /* of a 64-bit number, with sign and comma */

struct str sql_json_array(struct arena *a, const uint64_t *numbers, size_t count)
{
    size_t room = count * DIGITS_MAX + 3;
    char *text = arena_alloc(a, room);
    if (text == NULL)
        return STR_NONE;
    size_t len = 0;
    text[len++] = '[';
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, room - len, "%s%" PRId64, i > 0 ? "," : "",
                                (int64_t)numbers[i]);
    text[len++] = ']';
    return (struct str){text, len};
}
