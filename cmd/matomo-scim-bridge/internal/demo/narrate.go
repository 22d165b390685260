package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/internal/app"
)

// How a scene is told. Nothing here knows what the bridge did: why, plan and
// read-back come from the audit trail, the calls from what Matomo received, and
// whether a token works from asking Matomo with it. So the demo cannot show what
// did not happen.

// demoPatience is how long a scene may take before the demo gives up.
const demoPatience = 30 * time.Second

// prologue shows the stage.
func (s *stage) prologue() {
	s.Line("%s", s.Bold("matomo-scim-bridge: a joiner, a mover and a leaver, from request to proof"))
	s.Field("bridge", "SCIM at http://"+s.app.SCIMAddr()+"/scim/v2, database in "+s.dir)
	s.Field("matomo", "a stand-in for Matomo 5.1.2 with the companion plugin, at "+s.url)
	for i, text := range strings.Split(strings.TrimSpace(demoRules), "\n") {
		if strings.HasPrefix(text, "group") {
			s.Field(fmt.Sprintf("rule %d", i+1), text)
		}
	}
}

// scene prints the heading of one step.
func (s *stage) scene(kind, what string) {
	s.step++
	s.began = time.Now()
	s.server.ResetCalls()
	s.Line("")
	s.Line("%s", s.Bold(fmt.Sprintf("%d  %s: ", s.step, kind)+what))
}

// settled waits until the person's binding has come to state, then tells the
// scene: requests, reasons, plan, calls, read-back.
func (s *stage) settled(ctx context.Context, from *Provider, userName string, state app.State) error {
	sent := from.take()
	for _, x := range sent {
		s.Field(from.name, fmt.Sprintf("%-6s %-44s %d  %s  %s", x.method, shortPath(x.path), x.status,
			s.Dim(fmt.Sprintf("%3d ms", x.took.Milliseconds())), s.Dim(x.note)))
	}
	subject, err := s.await(ctx, userName, state)
	if err != nil {
		return err
	}
	return s.tell(ctx, subject)
}

// await waits until the binding is where the scene wants it.
func (s *stage) await(ctx context.Context, userName string, state app.State) (subject string, err error) {
	err = s.poll(ctx, userName+" to become "+string(state), func() (bool, error) {
		subjects, err := s.app.Directory.SubjectsByUserName(ctx, userName)
		if err != nil || len(subjects) == 0 {
			return false, err
		}
		subject = subjects[0]
		list, err := s.app.Bindings.BySubject(ctx, subject)
		if err != nil || len(list) != 1 {
			return false, err
		}
		return list[0].State == state && list[0].Observed == list[0].Generation, nil
	})
	return subject, err
}

// poll waits until done says so; what names it when it takes too long.
func (s *stage) poll(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s: %w", demoPatience, what, ctx.Err())
		case <-ticker.C:
		}
	}
}

// trail is what the audit entries of a scene say.
type trail struct {
	reasons, steps []string
	last           app.AuditRow
}

// intentText is the part of an intent entry that is told.
type intentText struct {
	After struct {
		Reasons []string
	}
	Detail string
}

// tell prints why, plan, calls and read-back, from the audit trail itself: what
// the demo shows is what an auditor would find.
func (s *stage) tell(ctx context.Context, subject string) error {
	var t trail
	err := s.app.Audit.Each(ctx, app.AuditFilter{Subject: subject, After: s.told}, func(r app.AuditRow) error {
		s.told = max(s.told, r.Seq)
		return t.add(r)
	})
	if err != nil {
		return err
	}
	if len(t.reasons) > 0 {
		s.Field("why", t.reasons...)
	} else {
		s.Field("why", "the identity provider says so: no rule is needed to leave")
	}
	s.Field("plan", t.steps...)
	s.Field("matomo", s.calls()...)
	s.Field("read back", s.Green("verified: ")+t.last.Detail+s.took(t.last))
	return s.Err()
}

// add reads one entry.
func (t *trail) add(r app.AuditRow) error {
	switch {
	case strings.HasPrefix(r.Kind, "intent."):
		var text intentText
		if err := json.Unmarshal(r.Text, &text); err != nil {
			return fmt.Errorf("audit entry %s: %w", r.ID, err)
		}
		for _, reason := range text.After.Reasons {
			if !slices.Contains(t.reasons, reason) {
				t.reasons = append(t.reasons, reason)
			}
		}
		t.steps = append(t.steps, strings.Split(text.Detail, "; ")...)
	case strings.HasPrefix(r.Kind, "outcome."):
		t.last = r
	}
	return nil
}

// calls tells the requests that Matomo got in this scene: one line each, with
// the methods that write by name.
func (s *stage) calls() []string {
	var lines []string
	var writes []string
	request := 0
	flush := func() {
		switch {
		case request == 0:
		case len(writes) == 0:
			lines = append(lines, fmt.Sprintf("request %d: read", len(lines)+1))
		default:
			lines = append(lines, fmt.Sprintf("request %d: %s", len(lines)+1, strings.Join(counted(writes), ", ")))
		}
		writes = nil
	}
	for _, c := range s.server.Calls() {
		if c.Request != request {
			flush()
			request = c.Request
		}
		if !isRead(c.Method) {
			writes = append(writes, strings.TrimPrefix(c.Method, "UsersManager."))
		}
	}
	flush()
	return lines
}

// counted folds repeated names: "setUserAccess x2".
func counted(names []string) []string {
	var out []string
	times := map[string]int{}
	for _, n := range names {
		times[n]++
	}
	for _, n := range names {
		switch {
		case times[n] == 1:
			out = append(out, n)
		case times[n] > 1:
			out = append(out, fmt.Sprintf("%s x%d", n, times[n]))
		}
		times[n] = 0
	}
	return out
}

// isRead reports whether a method only asks.
func isRead(method string) bool {
	_, name, _ := strings.Cut(method, ".")
	return strings.HasPrefix(name, "get") || strings.HasPrefix(name, "has") || strings.HasPrefix(name, "is")
}

// took tells how long after the request the state was verified.
func (s *stage) took(r app.AuditRow) string {
	if s.began.IsZero() {
		return ""
	}
	return s.Dim(fmt.Sprintf("  (%d ms after the first request)", r.At.Sub(s.began).Milliseconds()))
}

// mint makes an API token as the person would, in Matomo's settings.
func (s *stage) mint(login string) (string, error) {
	s.server.SetPassword(login, "correct horse battery staple")
	token, err := s.server.MintToken(login, "correct horse battery staple")
	if err != nil {
		return "", fmt.Errorf("mint token: %w", err)
	}
	if !s.server.TokenWorks(token) {
		return "", errors.New("the new token does not work")
	}
	s.Field("token", login+" makes an API token in Matomo; it works")
	return token, nil
}

// tokenProof asks Matomo with the person's old token.
func (s *stage) tokenProof(login, token string) {
	if s.server.TokenWorks(token) {
		s.Field("proof", s.Red("the old token of "+login+" still works"))
		return
	}
	s.Field("proof", s.Green("the old token of "+login+" is dead")+": Matomo refuses it")
}

// shortPath keeps ids from filling the line.
func shortPath(path string) string {
	if len(path) > 44 {
		return path[:41] + "..."
	}
	return path
}

// epilogue proves the record and sums up.
func (s *stage) epilogue(ctx context.Context, _ *cast) error {
	report, err := s.app.Audit.Verify(ctx)
	if err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("audit trail: %s", report.Problems[0])
	}
	s.Line("")
	s.Line("%s", s.Bold("Proof"))
	s.Field("audit", s.Green("ok: ")+terminal.Plural(int(report.Sealed), "entry")+" in one unbroken chain of hashes, head "+report.Head[:16])
	s.Field("tokens", s.Green("ok: ")+"no token of anybody who left is alive in Matomo")
	return s.Err()
}
