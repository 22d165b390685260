// Package spelling is how messages of the configuration speak: it guesses which word was
// meant by one that is not known, so that a message about a slip of the finger can say what
// to write, and writes values as people write them.
package spelling

import (
	"strings"
	"time"
)

// Nearest is the word closest to s, when it is close enough to be what was
// meant: at most one edit in three characters, and no more than three.
func Nearest(s string, words []string) string {
	s = strings.ToLower(strings.ReplaceAll(s, "-", "_"))
	best, limit := "", min(3, max(1, len(s)/3))+1
	for _, w := range words {
		if d := distance(s, strings.ToLower(w)); d < limit {
			best, limit = w, d
		}
	}
	return best
}

// Duration writes d as one writes it in the file: 1m and 24h, not 1m0s and 24h0m0s.
func Duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// distance is the optimal string alignment distance of two short words:
// how many characters must be inserted, removed, replaced or
// swapped with their neighbour to turn a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	two, one := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(one[j]+1, row[j-1]+1, one[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one = one, row
	}
	return one[len(b)]
}
