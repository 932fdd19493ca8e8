#include "base/err.h"
#include "gateway/app/commands.h"
#include "gateway/app/routes_print.h"
#include "gateway/app/tool.h"

int command_routes(const struct config *c)
{
    if (!c->json)
        routes_print_text(stdout);
    else if (!routes_print_json(stdout))
        return tool_fail(err_set(ERR_NOMEM, "out of memory"));
    return 0;
}
