// Package database opens the store, SQLite or PostgreSQL, and runs transactions on it. It knows
// neither the schema's nouns nor their SQL: those live with their owners (directory, bindings,
// audit), which write one SQL text with $1 placeholders for both engines. What the engines do not
// share is behind Dialect.
//
// Rules that callers rely on:
//
//   - InTx returns nil only after the change is durable: both engines have flushed their log.
//   - Times are unix microseconds in BIGINT columns (Micros, FromMicros), identifiers are UUIDv7
//     text (NewID), booleans are BOOLEAN.
//   - SQLite has one writer. Functions that wait for it share one transaction and one flush, and a
//     function that fails takes nothing of its neighbours with it.
//   - Rows are closed before the next statement of the same transaction, and a function returns
//     after a statement has failed: PostgreSQL refuses everything else, SQLite would not notice.
package database
