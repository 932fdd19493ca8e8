/*
 * The text of a slice's name. Two levels of folders by the low bytes of the id, which are the ones
 * that change, keep any folder of a store small: 65,536 folders, filled evenly.
 */
#include "fs/volume.h"

#include <stdio.h>

void slice_name_text(struct slice_name name, char out[SLICE_NAME_TEXT])
{
    unsigned long long id = name.id, tag = name.tag;

    snprintf(out, SLICE_NAME_TEXT, "slices/%02llx/%02llx/%016llx-%016llx", id & 0xff,
             (id >> 8) & 0xff, id, tag);
}

bool slice_name_parse(const char *text, struct slice_name *out)
{
    unsigned long long low, high, id, tag;
    int end = 0;

    if (sscanf(text, "slices/%2llx/%2llx/%16llx-%16llx%n", &low, &high, &id, &tag, &end) != 4 ||
        text[end] != '\0')
        return false;
    *out = (struct slice_name){id, tag};
    return true;
}
