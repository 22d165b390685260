package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ParseError is one thing wrong with one rule file. Line and Col count from 1,
// Col in characters; both are 0 when no place can be named.
type ParseError struct {
	File string
	Line int
	Col  int
	Msg  string
}

// Error is "mapping.ini:12:8: message".
func (e ParseError) Error() string {
	switch {
	case e.File == "":
		return e.Msg
	case e.Line == 0:
		return e.File + ": " + e.Msg
	default:
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
	}
}

// ErrorList is everything that Parse found wrong, in order of file and place.
type ErrorList struct {
	Errors []ParseError
}

// Error is one line per error.
func (l *ErrorList) Error() string {
	lines := make([]string, len(l.Errors))
	for i, e := range l.Errors {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As access to each ParseError.
func (l *ErrorList) Unwrap() []error {
	out := make([]error, len(l.Errors))
	for i, e := range l.Errors {
		out[i] = e
	}
	return out
}

// position is a place in a file, both parts counted from 1.
type position struct{ line, col int }

// diag collects errors while reading goes on.
type diag struct {
	errs []ParseError
}

// add notes one error.
func (d *diag) add(file string, at position, format string, args ...any) {
	d.errs = append(d.errs, ParseError{File: file, Line: at.line, Col: at.col, Msg: fmt.Sprintf(format, args...)})
}

// err returns what was collected, nil if nothing was.
func (d *diag) err() error {
	if len(d.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(d.errs, func(a, b ParseError) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return &ErrorList{Errors: d.errs}
}
