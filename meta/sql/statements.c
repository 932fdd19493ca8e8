#include "meta/sql/statements.h"

#define LETTER_OF_int   'i'
#define LETTER_OF_bytes 'b'
#define LETTER_OF_text  't'
#define COLUMN_i        LETTER_OF_int
#define COLUMN_b        LETTER_OF_bytes
#define COLUMN_t        LETTER_OF_text
#define COLUMN_ni       LETTER_OF_int
#define COLUMN_nb       LETTER_OF_bytes
#define COLUMN_nt       LETTER_OF_text
enum letter {
#define PARAMETER(name, type) LETTER_##name = LETTER_OF_##type,
#include "meta/sql/parameters.def"
#undef PARAMETER
};

#define LETTER(name)                        LETTER_##name,
#define NAME(name)                          #name,
#define COLUMN_LETTER(pair)                 COLUMN_LETTER_OF pair
#define COLUMN_LETTER_OF(letter, name, ...) COLUMN_##letter,
#define COLUMN_TEXT(pair)                   COLUMN_TEXT_OF pair
#define COLUMN_TEXT_OF(letter, name, ...)   #name,

#define STATEMENT(name, kind, parameters, text)                                                    \
    {#name, SQL_##kind, (const char[]){FOR_EACH_IN(LETTER, parameters) '\0'},                      \
     (const char *const[]){FOR_EACH_IN(NAME, parameters) NULL}, text},
#define STATEMENT_OF_COLUMNS(name, kind, columns, text)                                            \
    {#name, SQL_##kind, (const char[]){FOR_EACH_IN(COLUMN_LETTER, columns) '\0'},                  \
     (const char *const[]){FOR_EACH_IN(COLUMN_TEXT, columns) NULL}, text},
const struct sql_text sql_catalogue[SQL_STATEMENTS] = {
#include "meta/sql/families.def"
};
