package papers

import (
	"fmt"
	"io"
	"strings"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/internal/app"
)

// A sheet of a thousand lines is opened later, if at all. The numbers that somebody should act upon are said
// at once, where a nightly job's mail shows them.

// SumUp says what to look at first in an access review, in one line.
func SumUp(notes io.Writer, rows []app.ReviewRow) {
	count := func(is func(app.ReviewRow) bool) (n int) {
		for _, r := range rows {
			if is(r) {
				n++
			}
		}
		return n
	}
	// In the order of urgency, as the notes of the sheet are.
	parts := []string{terminal.Plural(len(rows), "account")}
	for _, p := range []struct {
		is   func(app.ReviewRow) bool
		text string
	}{
		{func(r app.ReviewRow) bool { return r.Superuser && !r.Managed && !r.Protected }, "superuser and unmanaged"},
		{func(r app.ReviewRow) bool { return !r.Superuser && !r.Managed && !r.Protected }, "unmanaged"},
		{func(r app.ReviewRow) bool { return r.Dormant }, "dormant"},
		{func(r app.ReviewRow) bool { return len(r.Unexplained) > 0 }, "with access that no rule gives"},
	} {
		if n := count(p.is); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p.text))
		}
	}
	_, _ = fmt.Fprintln(notes, strings.Join(parts, ", "))
}
