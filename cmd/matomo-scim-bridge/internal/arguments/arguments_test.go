package arguments

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const day = 24 * time.Hour

func TestDays(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 30 * day, "90d": 90 * day, "0d": 0, "1d": day} {
		if got, err := Days(text, 30); err != nil || got != want {
			t.Errorf("Days(%q) = %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"90", "d", "-1d", "1.5d", "90h", "soon", "999999999999999999999d", "100001d"} {
		if _, err := Days(text, 30); err == nil || !strings.Contains(err.Error(), "90d") {
			t.Errorf("Days(%q): %v, want how to write it", text, err)
		}
	}
}

func TestMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for text, want := range map[string]time.Time{
			"":                          {},
			"2026-10-01":                time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC),
			"2026-10-01T12:30:00+02:00": time.Date(2026, 10, 1, 10, 30, 0, 0, time.UTC),
			"7d":                        time.Now().Add(-7 * day),
		} {
			if got, err := Moment(text); err != nil || !got.Equal(want) {
				t.Errorf("Moment(%q) = %v, %v; want %v", text, got, err, want)
			}
		}
		for _, text := range []string{"yesterday", "2026-13-01", "01.10.2026", "12:30"} {
			if _, err := Moment(text); err == nil || !strings.Contains(err.Error(), "30d") {
				t.Errorf("Moment(%q): %v, want how to write it", text, err)
			}
		}
	})
}

// A key that is overwritten signs nothing any more, so a file that is there stays as it is.
func TestNewFile_NeverOverwrites(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key")
	if err := NewFile(name, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := NewFile(name, []byte("two"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
	text, err := os.ReadFile(name)
	info, serr := os.Stat(name)
	if err != nil || serr != nil || string(text) != "one" || info.Mode().Perm() != 0o600 {
		t.Errorf("%q, %v", text, errors.Join(err, serr))
	}
	if err := NewFile(filepath.Join(name, "below"), nil, 0o600); err == nil {
		t.Error("a file below a file is no error")
	}
}
