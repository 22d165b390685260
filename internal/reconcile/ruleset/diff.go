package ruleset

import (
	"strings"

	"github.com/matomo-scim/bridge/mapping"
)

// MaxDiff is how many lines of a difference are logged: what is longer is looked up in the
// files.
const MaxDiff = 50

// The difference is by what rules say and not by lines of a file: a file that was sorted
// anew, or commented, gives nobody more or less, and its log line should say so.

// Diff lists the rules that only one of the two sets has, as they are found in the
// files. A rule that merely moved is in neither list.
func Diff(before, after *mapping.Rules) (added, removed []string) {
	return only(after, before), only(before, after)
}

// only lists the rules of a that b lacks.
func only(a, b *mapping.Rules) []string {
	if a == nil {
		return nil
	}
	known := map[string]bool{}
	if b != nil {
		for _, r := range b.All() {
			known[r.Ref.ID] = true
		}
	}
	var out []string
	for _, r := range a.All() {
		if known[r.Ref.ID] {
			continue
		}
		if len(out) == MaxDiff {
			return append(out, "and more")
		}
		grants := make([]string, len(r.Grants))
		for i, g := range r.Grants {
			grants[i] = g.String()
		}
		out = append(out, r.Ref.String()+" = "+strings.Join(grants, ", "))
	}
	return out
}
