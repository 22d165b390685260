package rulefile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing wrong with one rule file. Line and Col count from 1,
// Col in characters; both are 0 when no place can be named.
type Error struct {
	File string
	Line int
	Col  int
	Msg  string
}

// Error is "mapping.ini:12:8: message".
func (e Error) Error() string {
	switch {
	case e.File == "":
		return e.Msg
	case e.Line == 0:
		return e.File + ": " + e.Msg
	default:
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
	}
}

// ErrorList is everything that was found wrong, in order of file and place. It is
// never empty when it is returned.
type ErrorList struct {
	Errors []Error
}

// Error is one line per error.
func (l *ErrorList) Error() string {
	lines := make([]string, len(l.Errors))
	for i, e := range l.Errors {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As access to each Error.
func (l *ErrorList) Unwrap() []error {
	out := make([]error, len(l.Errors))
	for i, e := range l.Errors {
		out[i] = e
	}
	return out
}

// Position is a place in a file, both parts counted from 1; the zero value is no
// place in particular.
type Position struct{ Line, Col int }

// Errors collects what is wrong while reading goes on, so that an administrator
// sees everything at once and not one error a run. The zero value is ready.
type Errors struct {
	list []Error
}

// Add notes one error.
func (e *Errors) Add(file string, at Position, format string, args ...any) {
	e.list = append(e.list, Error{File: file, Line: at.Line, Col: at.Col, Msg: fmt.Sprintf(format, args...)})
}

// Len is how many there are; whoever reads a part compares it before and after.
func (e *Errors) Len() int { return len(e.list) }

// Err returns what was collected as an *ErrorList in order of file and place; nil
// if there is nothing.
func (e *Errors) Err() error {
	if len(e.list) == 0 {
		return nil
	}
	slices.SortStableFunc(e.list, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return &ErrorList{Errors: e.list}
}
