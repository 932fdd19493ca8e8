/* Handlers in several goes, and whether they are still wanted: see gateway/s3/core/request.h. */
#include "gateway/s3/core/request.h"

enum s3_code s3_go_on(struct s3_request *r, enum http_lane lane,
                      enum s3_code (*next)(struct s3_request *r))
{
    r->resume = next;
    r->waits = false;
    r->http->lane = lane;
    return S3_OK;
}

enum s3_code s3_wait(struct s3_request *r, enum s3_code (*next)(struct s3_request *r))
{
    r->resume = next;
    r->waits = true;
    r->http->lane = HTTP_LANE_WORK;
    return S3_OK;
}

enum err s3_still_wanted(const struct s3_request *r)
{
    if (http_request_stopping(r->http))
        return err_set(ERR_CANCELLED, "the gateway stops");
    return http_request_gone(r->http) ? err_set(ERR_CANCELLED, "the client went away") : OK;
}
