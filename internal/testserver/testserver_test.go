package testserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var owners = []string{"nobody"}

// A server that is up is found up, as a user that is not root.
func TestStart(t *testing.T) {
	s, err := Start(`id -u >"$1/who"; echo "$2" >"$1/up"; sleep 60`, "KILL", owners, "an argument")
	if err != nil {
		t.Fatal(err)
	}
	err = s.Await(t.Context(), func(context.Context) error {
		text, err := os.ReadFile(filepath.Join(s.Dir, "up"))
		if err == nil && string(text) != "an argument\n" {
			t.Errorf("argument %q", text)
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if who, err := os.ReadFile(filepath.Join(s.Dir, "who")); err != nil || strings.TrimSpace(string(who)) == "0" {
		t.Errorf("runs as %s, %v", who, err)
	}
}

// One that cannot be prepared says why.
func TestAwait_ServerThatCannotBePrepared(t *testing.T) {
	s, err := Start("echo no disk >\"$1/install.log\"; false || exit 1\nsleep 60", "KILL", owners)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Await(t.Context(), func(context.Context) error { return errors.New("not up") })
	if err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("%v", err)
	}
	if err := os.RemoveAll(s.Dir); err != nil {
		t.Error(err)
	}
}

// quiet is a test that only notes how it ends.
type quiet struct {
	testing.TB
	skipped, failed bool
}

func (q *quiet) Helper()              {}
func (q *quiet) Skipf(string, ...any) { q.skipped = true }
func (q *quiet) Fatal(...any)         { q.failed = true }

func TestNeed(t *testing.T) {
	missing := fmt.Errorf("%w: initdb", ErrMissing)
	for _, tc := range []struct {
		ci              string
		err             error
		skipped, failed bool
	}{
		{"", nil, false, false},
		{"", missing, true, false},
		{"1", missing, false, true},
		{"", errors.New("broken"), false, true},
	} {
		t.Setenv("CI", tc.ci)
		var q quiet
		if Need(&q, tc.err); q.skipped != tc.skipped || q.failed != tc.failed {
			t.Errorf("CI=%q, %v: skipped %t, failed %t", tc.ci, tc.err, q.skipped, q.failed)
		}
	}
}

// Nobody is given an address twice, and each can be listened on.
func TestFreeAddress(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		address := FreeAddress(t)
		if seen[address] {
			t.Errorf("%s twice", address)
		}
		seen[address] = true
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	}
}
