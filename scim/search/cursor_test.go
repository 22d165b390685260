package search_test

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/search"
)

// cursors are those of one replica; all have the same key.
func cursors() *search.Cursors {
	return search.NewCursors(func(context.Context) ([]byte, error) { return slices.Repeat([]byte{7}, search.KeySize), nil })
}

// mark is a place among users.
func mark(id string) search.Mark { return search.Mark{Position: directory.Position{ID: id}, Total: -1} }

var users = search.Query{Source: "okta", Resource: "users"}

// TestCursors_Return seals places and opens them on another replica: what comes out is what went in.
func TestCursors_Return(t *testing.T) {
	here, there := cursors(), cursors()
	rapid.Check(t, func(rt *rapid.T) {
		want := search.Mark{
			Position: directory.Position{
				Key: filter.Key{Missing: rapid.Bool().Draw(rt, "missing"), Text: rapid.String().Draw(rt, "key")}, ID: rapid.String().Draw(rt, "id"),
			},
			Total: rapid.IntRange(-1, 1<<31-1).Draw(rt, "total"),
		}
		r := search.Request{Filter: rapid.String().Draw(rt, "filter"), SortBy: "userName", Descending: rapid.Bool().Draw(rt, "descending"), Count: 5}
		var err error
		if r.Cursor, err = here.Seal(t.Context(), users, r, want); err != nil {
			rt.Fatal(err)
		}
		if strings.Trim(r.Cursor, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			rt.Fatalf("%q cannot stand in a URL", r.Cursor)
		}
		r.Count, r.Attributes = 9, []string{"id"} // these may change on the way
		got, err := there.Open(t.Context(), users, r)
		if err != nil || got == nil || *got != want {
			rt.Fatalf("%+v, %v, want %+v", got, err, want)
		}
	})
	if got, err := here.Open(t.Context(), users, search.Request{ByCursor: true}); got != nil || err != nil {
		t.Errorf("the first page: %v, %v", got, err)
	}
}

// TestCursors_BelongToTheirQuery changes one thing about the query, or one bit of the cursor: it does not open.
func TestCursors_BelongToTheirQuery(t *testing.T) {
	c := cursors()
	r := search.Request{Filter: "a", SortBy: "b", Descending: true}
	cursor, err := c.Seal(t.Context(), users, r, mark("x"))
	if err != nil {
		t.Fatal(err)
	}
	r.Cursor = cursor
	for name, change := range map[string]func(*search.Query, *search.Request){
		"source": func(q *search.Query, _ *search.Request) { q.Source = "oktb" }, "resource": func(q *search.Query, _ *search.Request) { q.Resource = "groups" },
		"filter": func(_ *search.Query, r *search.Request) { r.Filter = "A" }, "order": func(_ *search.Query, r *search.Request) { r.SortBy = "" },
		"direction":       func(_ *search.Query, r *search.Request) { r.Descending = false },
		"where parts end": func(_ *search.Query, r *search.Request) { r.Filter, r.SortBy = "ab", "" },
	} {
		q, changed := users, r
		change(&q, &changed)
		if _, err := c.Open(t.Context(), q, changed); scimType(err) != search.InvalidCursor {
			t.Errorf("another %s: %v", name, err)
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		forged := slices.Clone(raw)
		forged[i] ^= 1
		r.Cursor = base64.RawURLEncoding.EncodeToString(forged)
		if _, err := c.Open(t.Context(), users, r); scimType(err) != search.InvalidCursor {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	other := search.NewCursors(func(context.Context) ([]byte, error) { return slices.Repeat([]byte{8}, search.KeySize), nil })
	r.Cursor = cursor
	if _, err := other.Open(t.Context(), users, r); scimType(err) != search.InvalidCursor {
		t.Errorf("another key: %v", err)
	}
	// The direction has no meaning without an order.
	plain := search.Request{Descending: true}
	if plain.Cursor, err = c.Seal(t.Context(), users, plain, mark("x")); err != nil {
		t.Fatal(err)
	}
	plain.Descending = false
	if _, err := c.Open(t.Context(), users, plain); err != nil {
		t.Errorf("no order: %v", err)
	}
}

func TestCursors_Expire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cursors()
		r := search.Request{}
		var err error
		if r.Cursor, err = c.Seal(t.Context(), users, r, mark("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(search.Timeout)
		if _, err := c.Open(t.Context(), users, r); err != nil {
			t.Errorf("in time: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := c.Open(t.Context(), users, r); scimType(err) != search.ExpiredCursor {
			t.Errorf("too late: %v", err)
		}
	})
}

// TestCursors_KeyTrouble fails to read the key once: the next request tries again.
func TestCursors_KeyTrouble(t *testing.T) {
	trouble := errors.New("no database")
	reads := 0
	c := search.NewCursors(func(context.Context) ([]byte, error) {
		if reads++; reads == 1 {
			return nil, trouble
		}
		return make([]byte, search.KeySize), nil
	})
	if _, err := c.Seal(t.Context(), users, search.Request{}, mark("")); !errors.Is(err, trouble) {
		t.Errorf("error %v", err)
	}
	for range 3 {
		if _, err := c.Seal(t.Context(), users, search.Request{}, mark("")); err != nil {
			t.Error(err)
		}
	}
	if reads != 2 {
		t.Errorf("the key was read %d times", reads)
	}
	short := search.NewCursors(func(context.Context) ([]byte, error) { return []byte("short"), nil })
	if _, err := short.Open(t.Context(), users, search.Request{Cursor: "x"}); err == nil || scimType(err) != "" {
		t.Errorf("a key of 5 bytes: %v", err)
	}
}

// FuzzOpen opens whatever a client makes up: it is an error that the client can read, or the one cursor there is.
func FuzzOpen(f *testing.F) {
	c := cursors()
	good, err := c.Seal(f.Context(), users, search.Request{}, mark("x"))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{good, good[1:], good + "=", "", "AAAA", strings.Repeat("A", 100), "é", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := c.Open(t.Context(), users, search.Request{Cursor: text})
		// The workers of the fuzzer have each sealed a good one of their own.
		switch {
		case err == nil && (text == "") != (p == nil), p != nil && p.ID != "x", err != nil && scimType(err) != search.InvalidCursor:
			t.Fatalf("%q: %v, %v", text, p, err)
		}
	})
}

// TestCursors_ParsesWhatItSealed gives the inner form to the parser in every length.
func TestCursors_ParsesWhatItSealed(t *testing.T) {
	long := search.Mark{Position: directory.Position{ID: strings.Repeat("i", 200), Key: filter.Key{Text: strings.Repeat("k", 5000)}}, Total: 7}
	c := cursors()
	r := search.Request{}
	var err error
	if r.Cursor, err = c.Seal(t.Context(), users, r, long); err != nil {
		t.Fatal(err)
	}
	got, err := c.Open(t.Context(), users, r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(long, *got); diff != "" {
		t.Error(diff)
	}
}
