/*
 * The routing table (gateway/s3/core/routes.c) for people and for programs: `kiseki routes`.
 *
 * A row of the text is a line of eight columns, with two blanks or more between them: method,
 * request, operation, IAM action, resource, body, state, what it takes. The request names what
 * selects the row: `/BUCKET/KEY?uploadId&partNumber`, and a header after a blank.
 */
#ifndef KISEKI_GATEWAY_APP_ROUTES_PRINT_H
#define KISEKI_GATEWAY_APP_ROUTES_PRINT_H

#include <stdbool.h>
#include <stdio.h>

void routes_print_text(FILE *out);
/* An array of objects, a row each. False: out of memory. */
bool routes_print_json(FILE *out);

#endif
