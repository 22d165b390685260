package database

import (
	"database/sql"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Micros is t as the store keeps it: microseconds since 1970 in UTC.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// FromMicros is the time that Micros made us from, in UTC.
func FromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// NullMicros is Micros for a time that may be absent.
func NullMicros(t *time.Time) sql.NullInt64 {
	if t == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: Micros(*t), Valid: true}
}

// FromNullMicros is FromMicros for a column that may be NULL.
func FromNullMicros(us sql.NullInt64) *time.Time {
	if !us.Valid {
		return nil
	}
	t := FromMicros(us.Int64)
	return &t
}

// NewID returns a UUIDv7 (RFC 9562 section 5.7) in text form. Identifiers of one process sort in
// the order in which they were made.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Multi-row statements: one statement with 256 rows costs a fraction of 256 statements, on
// PostgreSQL because of the round trips, on SQLite because of the calls.

// Values writes the row list of a multi-row INSERT, such as "($3,$4),($5,$6)" for 2 rows of 2
// columns with first 3.
func Values(rows, columns, first int) string {
	var b strings.Builder
	b.Grow(rows * (columns*5 + 3))
	for r := range rows {
		if r > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for c := range columns {
			if c > 0 {
				b.WriteByte(',')
			}
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(first + r*columns + c))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// Chunks are the sizes that Chunk returns.
func Chunks() []int { return []int{256, 64, 16, 4, 1} }

// Chunk is how many of n remaining rows one multi-row statement should take. The sizes are few
// powers of four, so that the statements stay few and prepared.
func Chunk(n int) int {
	for _, size := range [...]int{256, 64, 16, 4} {
		if n >= size {
			return size
		}
	}
	return min(n, 1)
}
