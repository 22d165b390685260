// Package arguments reads what people type: times, ages, names of files; and says how a command is
// called when that is not how it was called.
//
// Rules of this package:
//
//   - What cannot be read is an error that shows how to write it. Nothing is guessed: a wrong date in a
//     review would look like a right one.
//   - Days are the unit. Reviews and grace periods are agreed in days, and nobody audits by the minute.
package arguments

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// errDays refuses what is no number of days.
var errDays = errors.New("write a number of days, such as 90d")

// Days reads a time such as 90d; empty is so many.
func Days(text string, otherwise int) (time.Duration, error) {
	n := otherwise
	if text != "" {
		var err error
		number, ok := strings.CutSuffix(text, "d")
		if n, err = strconv.Atoi(number); !ok || err != nil || n < 0 || n > 100_000 {
			return 0, fmt.Errorf("%q: %w", text, errDays)
		}
	}
	return time.Duration(n) * 24 * time.Hour, nil
}

// A day begins at midnight UTC, as every time of the record is UTC. Whoever means another zone writes the time
// with its zone.

// Moment reads a day, a time, or an age in days; empty is the zero time.
func Moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	age, err := Days(text, 0)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no day such as 2026-10-01, no time such as 2026-10-01T12:00:00Z and no age such as 30d", text)
	}
	return time.Now().Add(-age), nil
}

// Keys are written by commands and read by services of another user, so the mode is the caller's and exact; the
// file is flushed, because the next thing that happens may be that the machine is switched off.

// NewFile writes a file that must not exist: a key that is overwritten signs nothing any more.
func NewFile(name string, text []byte, mode os.FileMode) (err error) {
	f, err := os.OpenFile(filepath.Clean(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}
