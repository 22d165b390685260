package papers

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/internal/app"
)

// Leavers prints a list of people who left on out, in columns; that there are none is said on notes,
// so that a pipe gets nothing but the head.
func Leavers(out, notes io.Writer, found []app.Leaver) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "LOGIN\tTARGET\tLEFT\tSTATE\tDELETION\tTOKENS") // the first error comes back from Flush
	for _, l := range found {
		// An account that is gone has no login any more; the person is known by what their source said.
		login := l.Login
		if login == "" {
			login = clean(orNone(l.Person))
		}
		state := standing(l)
		if l.Reason != "" {
			state += " (" + l.Reason + ")"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", login, l.Target, terminal.Day(l.LeftAt), state, l.Fate(), tokenFate(l))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(found) == 0 {
		_, _ = fmt.Fprintln(notes, "nobody has left")
	}
	return nil
}

// standing is how far a leaver is. A state from before the leave says nothing about it: nobody has
// come to them yet, because Matomo is away.
func standing(l app.Leaver) string {
	if l.RevokedAt == nil && (l.State == app.Converged || l.State == app.Pending) {
		return "due, was " + string(l.State)
	}
	return string(l.State)
}

// Inert is the word that needs explaining: such a token still says who its owner was, and opens nothing. It
// would open everything again with the next grant, which is why nothing is granted before it is dead.

// tokenFate is what became of a leaver's tokens, in words.
func tokenFate(l app.Leaver) string {
	switch l.Tokens {
	case app.TokensDead:
		return "dead"
	case app.TokensInert:
		return "inert: they see nothing, and die with the account"
	case app.TokensLive:
		return "LIVE"
	default:
		return "not looked at yet"
	}
}

// Dossier prints what is known of somebody who left: where they stand, and each piece of evidence
// under the time at which it was saved.
func Dossier(p *terminal.Printer, file app.Dossier) error {
	p.Line("%s  %s", p.Bold(clean(file.Login)), p.Dim(file.Target))
	if l := file.Leaver; l != nil {
		p.Field("left", terminal.Day(l.LeftAt))
		state := standing(*l)
		if l.Detail != "" {
			state += ": " + l.Detail
		}
		p.Field("state", clean(state))
		p.Field("deletion", l.Fate())
		p.Field("tokens", tokenFate(*l))
	} else {
		p.Field("state", "no account of somebody who left: it is gone, or the person is back")
	}
	// Oldest first: what somebody had at first is what an auditor asks for, and later pieces hold less.
	for _, s := range file.Saved {
		p.Line("%s", p.Bold(fmt.Sprintf("saved %s before %s", s.SavedAt.UTC().Format("2006-01-02 15:04:05"), s.Kind)))
		p.Field("access", orNone(s.Account.Access.String()))
		switch {
		// None and unknown are two answers.
		case !s.Account.TokensKnown:
			p.Field("tokens", "could not be seen")
		default:
			for _, t := range s.Account.Tokens {
				p.Field("token", fmt.Sprintf("%d %s, made %s, last used %s", t.ID, clean(t.Description), t.Created, orNone(t.LastUsed)))
			}
		}
		if ev := s.Account.Evidence; ev != nil {
			belongings(p, "report", ev.Reports, "description")
			belongings(p, "segment", ev.Segments, "name")
			var boards []json.RawMessage
			if json.Unmarshal(ev.Dashboards, &boards) == nil {
				belongings(p, "dashboard", boards, "name")
			}
			for _, m := range ev.MailedBy {
				p.Field("mailed", clean(fmt.Sprintf("report %q of %s still goes to this address", m.Name, m.Owner)))
			}
			for _, missing := range ev.Missing {
				p.Field("missing", p.Yellow(clean(missing)))
			}
		}
	}
	if ev := file.Merged.Account.Evidence; ev != nil && len(ev.Segments) > 0 {
		p.Line("%s", p.Dim("When the account is deleted, Matomo moves its segments, private ones too, to the first other superuser it lists."))
	}
	return p.Err()
}

// belongings prints things by their name.
func belongings(p *terminal.Printer, kind string, things []json.RawMessage, name string) {
	for _, raw := range things {
		var fields map[string]any
		// Names alone: definitions and parameters are for programs, and --json has them.
		if json.Unmarshal(raw, &fields) != nil {
			continue // shown in full by --json
		}
		p.Field(kind, clean(fmt.Sprint(fields[name])))
	}
}

// Restored prints what became of each thing that was to be given back, one a line, and on notes how
// many could not be: that is no error, because Matomo's API allows no more.
func Restored(p *terminal.Printer, notes io.Writer, done []app.Restored) error {
	left := 0
	for _, x := range done {
		// The word says it; the colour only repeats it.
		mark := p.Yellow("not ")
		switch {
		case x.Done:
			mark = p.Green("made")
		case x.Already:
			mark = p.Dim("had ")
		default:
			left++
		}
		text := fmt.Sprintf("%s  %-10s %s", mark, x.Kind, clean(x.Name))
		if x.Note != "" {
			text += "  " + p.Dim("("+clean(x.Note)+")")
		}
		p.Line("%s", text)
	}
	switch {
	case len(done) == 0:
		_, _ = fmt.Fprintln(notes, "nothing was saved that could be given back")
	case left > 0:
		_, _ = fmt.Fprintf(notes, "%s could not be given back\n", terminal.Plural(left, "thing"))
	}
	return p.Err()
}
