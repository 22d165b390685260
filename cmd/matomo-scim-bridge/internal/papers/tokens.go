package papers

import (
	"fmt"
	"strconv"
	"time"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/internal/app"
)

// TokenHead is the head of a list of token holders.
const TokenHead = "LOGIN\tTARGET\tSTATE\tTOKENS\tOLDEST\tLAST USED\tNEXT ENDS" //nolint:gosec // no credential: the head of a table

// TokenRow is one person in the list. Somebody whose tokens cannot be seen has no number: none and
// unknown are two answers, and an auditor takes the one for the other at their peril.
func TokenRow(target string, h app.TokenHolder) []string {
	if !h.Visible {
		return []string{h.Login, target, string(h.State), "not visible (" + string(h.Fate) + ")", "", "", ""}
	}
	// One line a person: the oldest token is the one to rotate, the last use says whether anybody would
	// notice, and the next end is when something stops by itself.
	var oldest, used, ends time.Time
	for _, t := range h.Tokens {
		oldest = sooner(oldest, t.Created)
		ends = sooner(sooner(ends, t.Expires), t.Ends)
		if t.LastUsed.After(used) {
			used = t.LastUsed
		}
	}
	row := []string{h.Login, target, string(h.State), strconv.Itoa(len(h.Tokens)), "", "", ""}
	if len(h.Tokens) == 0 {
		return row
	}
	row[4], row[5] = fmt.Sprintf("%d days", int(time.Since(oldest).Hours()/24)), terminal.Day(&used)
	if !ends.IsZero() {
		row[6] = terminal.Day(&ends)
	}
	return row
}

// sooner is the earlier of two times, of which zero is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
