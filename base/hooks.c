#include "base/hooks.h"

#ifdef KISEKI_TEST_HOOKS
#include <stdlib.h>
#include <string.h>

bool hook_broken(const char *what)
{
    const char *broken = getenv("KISEKI_TEST_BREAK");
    return broken != NULL && strcmp(broken, what) == 0;
}
#endif
