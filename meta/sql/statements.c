#include "meta/sql/statements.h"

#define STATEMENT SQL_TEXT_ROW
const struct sql_text sql_catalogue[SQL_STATEMENTS] = {
#include "meta/sql/txn.def"
#include "meta/sql/bucket.def"
#include "meta/sql/object.def"
#include "meta/sql/upload.def"
#include "meta/sql/write.def"
#include "meta/sql/lock.def"
#include "meta/sql/dump.def"
#include "meta/sql/check.def"
#include "meta/sql/session.def"
#include "meta/sql/account.def"
#include "meta/sql/job.def"
};
#undef STATEMENT
