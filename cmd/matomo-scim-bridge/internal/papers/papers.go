// Package papers is how commands show what an admin or an auditor asks for: leavers and their evidence,
// the history of a person, tokens. What is asked is found elsewhere; here it becomes lines.
//
// Rules of this package:
//
//   - Lists are plain columns and histories are fields, the same on a terminal and in a pipe, so that
//     what somebody sees is what they can grep for.
//   - The absence of something is a word. An empty cell could be a failure to look.
package papers

import (
	"strings"
	"unicode"
)

// clean makes text from outside harmless to a terminal. Names of dashboards and people are chosen by anybody,
// and a terminal obeys control characters: one that clears the screen could hide the line above it from
// an auditor.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// orNone shows the absence of a value as a word.
func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
