package scim_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/scim"
)

// The benchmarks go through real sockets, with authentication, audit and log on. The clients write HTTP by hand, so
// that on a machine of two processors the server gets most of them.

// clients is how many connections ask at the same time.
const clients = 32

// wire is one client connection.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	head string // the header lines of every request
	buf  []byte
}

// dial opens a connection to a server for a source.
func (s *server) dial(tb testing.TB, addr, source string) *wire {
	tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return &wire{
		conn: conn, in: bufio.NewReaderSize(conn, 64<<10),
		head: " HTTP/1.1\r\nHost: scim.example\r\nAuthorization: Bearer " + s.tokens[source] + "\r\nContent-Type: application/scim+json\r\nContent-Length: ",
	}
}

// do makes a request and returns status and length of the answer's body.
func (w *wire) do(method, path, body string) (status, length int, err error) {
	w.buf = append(w.buf[:0], method...)
	w.buf = append(w.buf, ' ')
	w.buf = append(w.buf, scim.DefaultBasePath...)
	w.buf = append(w.buf, path...)
	w.buf = append(w.buf, w.head...)
	w.buf = strconv.AppendInt(w.buf, int64(len(body)), 10)
	w.buf = append(w.buf, "\r\n\r\n"...)
	w.buf = append(w.buf, body...)
	if _, err := w.conn.Write(w.buf); err != nil {
		return 0, 0, err
	}
	chunked := false
	for first := true; ; first = false {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		text := strings.TrimSuffix(string(line), "\r\n")
		switch {
		case first:
			if status, err = strconv.Atoi(text[9:12]); err != nil {
				return 0, 0, err
			}
		case text == "":
			if chunked {
				length, err = w.chunks()
				return status, length, err
			}
			_, err := w.in.Discard(length)
			return status, length, err
		case strings.HasPrefix(text, "Content-Length: "):
			if length, err = strconv.Atoi(text[len("Content-Length: "):]); err != nil {
				return 0, 0, err
			}
		case text == "Transfer-Encoding: chunked":
			chunked = true
		}
	}
}

// chunks reads a chunked body.
func (w *wire) chunks() (int, error) {
	for total := 0; ; {
		line, err := w.in.ReadString('\n')
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
		if err != nil {
			return 0, err
		}
		if _, err := w.in.Discard(int(n) + 2); err != nil {
			return 0, err
		}
		if total += int(n); n == 0 {
			return total, nil
		}
	}
}

// benchServer is a server on a socket, with one Matomo to mark bindings for, that logs to nowhere.
func benchServer(b *testing.B, db *database.DB) (*server, string) {
	b.Helper()
	s := newServer(b, db, func(o *scim.Options) {
		o.Logger = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zapcore.InfoLevel))
	})
	addTarget(b, db)
	srv := httptest.NewServer(s)
	b.Cleanup(srv.Close)
	return s, srv.Listener.Addr().String()
}

// addTarget adds the one Matomo that subjects have bindings for.
func addTarget(tb testing.TB, db *database.DB) {
	tb.Helper()
	err := db.InTx(tb.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO targets (name, url, mode, created_at) VALUES ('main', 'https://matomo.example/', 'enforce', 1)`)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// storm runs do from all clients until b.N requests are answered, and reports the rate.
func storm(b *testing.B, s *server, addr string, do func(w *wire, i int64) error) {
	b.Helper()
	wires := make([]*wire, clients)
	for i := range wires {
		wires[i] = s.dial(b, addr, "okta")
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for _, w := range wires {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				if err := do(w, i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// want is an error for another status than the one wanted.
func want(status, wanted int, err error) error {
	if err == nil && status != wanted {
		err = fmt.Errorf("status %d, want %d", status, wanted)
	}
	return err
}

func BenchmarkCreateUser(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		s, addr := benchServer(b, db)
		storm(b, s, addr, func(w *wire, i int64) error {
			n := strconv.FormatInt(i, 10)
			status, _, err := w.do(http.MethodPost, "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"user`+n+
				`@example.org","externalId":"00u`+n+`","name":{"givenName":"Ada","familyName":"Lovelace"},"displayName":"Ada Lovelace",`+
				`"emails":[{"primary":true,"value":"user`+n+`@example.org","type":"work"}],"locale":"en-US","active":true,"password":"x9Kq2!vTz0Lm"}`)
			return want(status, http.StatusCreated, err)
		})
	})
}

// seed puts n users into the source okta, with statements of many rows, and returns their ids.
func seed(tb testing.TB, db *database.DB, n int) []string {
	tb.Helper()
	ids := make([]string, n)
	err := db.InTx(tb.Context(), func(ctx context.Context, tx *database.Tx) error {
		for done := 0; done < n; {
			size := min(database.Chunk(n-done), 16)
			var subjects, users, emails []any
			for i := done; i < done+size; i++ {
				ids[i] = database.NewID()
				subject, name := database.NewID(), fmt.Sprintf("user%d@example.org", i)
				subjects = append(subjects, subject, 1)
				users = append(users, ids[i], "okta", subject, fmt.Sprintf("00u%d", i), name, name, "Ada Lovelace", "ada lovelace", true,
					fmt.Sprintf(`{"active":true,"displayName":"Ada Lovelace","emails":[{"primary":true,"type":"work","value":"%s"}],"externalId":"00u%d",`+
						`"locale":"en-US","name":{"familyName":"Lovelace","givenName":"Ada"},"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"%s"}`, name, i, name),
					1, 1, 1)
				emails = append(emails, ids[i], "emails", 0, "work", name, name)
			}
			for _, insert := range []struct {
				into    string
				columns int
				args    []any
			}{
				{"subjects (id, created_at)", 2, subjects},
				{"users (id, source, subject_id, external_id, user_name, user_name_key, display_name, display_name_key, active, document, version, created_at, modified_at)", 13, users},
				{"user_values (user_id, attr, ord, type, value, value_key)", 6, emails},
			} {
				if _, err := tx.Exec(ctx, "INSERT INTO "+insert.into+" VALUES "+database.Values(size, insert.columns, 1), insert.args...); err != nil {
					return err
				}
			}
			done += size
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	analyze(tb, db)
	return ids
}

// analyze brings PostgreSQL's statistics up to date, as its autovacuum does within a minute; in tests that is off.
func analyze(tb testing.TB, db *database.DB) {
	tb.Helper()
	if db.Dialect().Name() != "postgres" {
		return
	}
	err := db.InTx(tb.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, "ANALYZE")
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, size := range []int{1_000, 100_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			databasetest.Bench(b, func(b *testing.B, db *database.DB) {
				s, addr := benchServer(b, db)
				seed(b, db, size)
				storm(b, s, addr, func(w *wire, i int64) error {
					n := strconv.FormatInt(i*7919%int64(size), 10)
					status, length, err := w.do(http.MethodGet, "/Users?filter=userName+eq+%22user"+n+"%40example.org%22&startIndex=1&count=100", "")
					if err == nil && length < 300 {
						return fmt.Errorf("user%s not found", n)
					}
					return want(status, http.StatusOK, err)
				})
			})
		})
	}
}

// fill makes members of a group.
func fill(tb testing.TB, db *database.DB, group string, members []string) {
	tb.Helper()
	err := db.InTx(tb.Context(), func(ctx context.Context, tx *database.Tx) error {
		for len(members) > 0 {
			n := min(database.Chunk(len(members)), 64)
			var args []any
			for _, m := range members[:n] {
				args = append(args, group, m, "User", 1)
			}
			if _, err := tx.Exec(ctx, "INSERT INTO members (group_id, member_id, kind, added_at) VALUES "+database.Values(n, 4, 1), args...); err != nil {
				return err
			}
			members = members[n:]
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	analyze(tb, db)
}

// BenchmarkAddMember adds and removes one member, one request after the other: the figures are of the additions.
func BenchmarkAddMember(b *testing.B) {
	for _, size := range []int{10, 10_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			databasetest.Bench(b, func(b *testing.B, db *database.DB) {
				s, addr := benchServer(b, db)
				ids := seed(b, db, 10_100)
				group := s.createGroup(b, "okta", "Analysts")
				fill(b, db, group, ids[:size])
				spare := ids[10_000:]
				w := s.dial(b, addr, "okta")
				took := make([]time.Duration, 0, b.N)
				b.ResetTimer()
				for i := range b.N {
					member := `[{"value":"` + spare[i%len(spare)] + `"}]`
					body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"%s","path":"members","value":` + member + `}]}`
					start := time.Now()
					status, _, err := w.do(http.MethodPatch, "/Groups/"+group, fmt.Sprintf(body, "add"))
					took = append(took, time.Since(start))
					if err := want(status, http.StatusNoContent, err); err != nil {
						b.Fatal(err)
					}
					status, _, err = w.do(http.MethodPatch, "/Groups/"+group, fmt.Sprintf(body, "remove"))
					if err := want(status, http.StatusNoContent, err); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-us")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
			})
		})
	}
}

func BenchmarkGetGroup(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		s, addr := benchServer(b, db)
		ids := seed(b, db, 10_000)
		group := s.createGroup(b, "okta", "Analysts")
		fill(b, db, group, ids)
		w := s.dial(b, addr, "okta")
		b.ResetTimer()
		for range b.N {
			status, length, err := w.do(http.MethodGet, "/Groups/"+group, "")
			if err := want(status, http.StatusOK, err); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(length))
		}
	})
}

// BenchmarkReplaceMembers makes 1,000 other people the members of a group.
func BenchmarkReplaceMembers(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		s, addr := benchServer(b, db)
		ids := seed(b, db, 2_000)
		group := s.createGroup(b, "okta", "Analysts")
		w := s.dial(b, addr, "okta")
		var bodies [2]string
		for i := range bodies {
			bodies[i] = jsonText(patchOp(op("replace", "members", values(ids[i*1000:(i+1)*1000]...))))
		}
		b.ResetTimer()
		for i := range b.N {
			status, _, err := w.do(http.MethodPatch, "/Groups/"+group, bodies[i%2])
			if err := want(status, http.StatusNoContent, err); err != nil {
				b.Fatal(err)
			}
		}
	})
}
