/* SQLite for Swift. */
#pragma once
#include <sqlite3.h>

/* SQLITE_TRANSIENT is a cast of -1 to a function pointer, which Swift cannot import. */
static inline int gnomon_sqlite3_bind_text_copy(sqlite3_stmt *statement, int index,
                                                const char *text, int count) {
  return sqlite3_bind_text(statement, index, text, count, SQLITE_TRANSIENT);
}
