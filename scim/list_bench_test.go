package scim_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// BenchmarkListing asks for pages of 100 in the middle of 100,000 users, one request after the other: by number, by
// cursor, in orders with and without an index, and through filters that have to read.
func BenchmarkListing(b *testing.B) {
	const size = 100_000
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		s, addr := benchServer(b, db)
		seed(b, db, size)
		w := s.dial(b, addr, "okta")
		middle := func(query string) string {
			cursor := ""
			for range size / 2 / 1000 {
				a := s.do(b, "okta", http.MethodGet, "/Users?attributes=id&count=1000&"+query+"&cursor="+url.QueryEscape(cursor), nil).want(b, http.StatusOK)
				cursor = a.str("nextCursor")
			}
			return query + "&cursor=" + url.QueryEscape(cursor)
		}
		for _, c := range []struct {
			name, query string
			cursor      bool
			status      int
		}{
			{"number", "startIndex=50001", false, http.StatusOK},
			{"cursor", "", true, http.StatusOK},
			{"userName", "sortBy=userName&startIndex=50001", false, http.StatusOK},
			{"userName-cursor", "sortBy=userName", true, http.StatusOK},
			{"displayName-cursor", "sortBy=displayName&sortOrder=descending", true, http.StatusOK},
			{"lastModified-cursor", "sortBy=meta.lastModified", true, http.StatusOK},
			{"lastModified-filter", "filter=" + url.QueryEscape(`meta.lastModified gt "2026-01-01T00:00:00Z"`), false, http.StatusOK},
			{"inactive", "filter=active+eq+false", false, http.StatusOK},
			{"scan-narrowed", "filter=" + url.QueryEscape(`userName sw "user1234" and name.familyName eq "lovelace"`), false, http.StatusOK},
			{"scan-refused", "filter=title+pr", false, http.StatusBadRequest},
			{"scan-cursor", "filter=title+pr&cursor=", false, http.StatusOK},
			{"sort-refused", "sortBy=name.familyName", false, http.StatusBadRequest},
		} {
			b.Run(c.name, func(b *testing.B) {
				query := c.query
				if c.cursor {
					query = middle(query)
				}
				b.ResetTimer()
				for range b.N {
					status, length, err := w.do(http.MethodGet, "/Users?count=100&"+query, "")
					if err := want(status, c.status, err); err != nil {
						b.Fatal(fmt.Errorf("%s: %w", c.query, err))
					}
					if c.cursor && length < 30_000 {
						b.Fatalf("%s: %d bytes", c.query, length)
					}
				}
			})
		}
	})
}
