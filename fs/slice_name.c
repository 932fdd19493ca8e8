#include "fs/internal.h"

#include <stdio.h>

void slice_name_text(struct slice_name name, char out[SLICE_NAME_TEXT])
{
    unsigned long long id = name.id, tag = name.tag;

    snprintf(out, SLICE_NAME_TEXT, "slices/%02llx/%02llx/%016llx-%016llx", id & 0xff,
             (id >> 8) & 0xff, id, tag);
}
