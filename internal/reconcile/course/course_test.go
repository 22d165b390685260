package course

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

func TestIdentity_Login(t *testing.T) {
	person := directory.Person{UserName: "Pat.O'Neil", ExternalID: "00u1", PrimaryEmail: "pat@example.org", WorkEmail: "p.oneil@work.example"}
	tests := map[string]struct {
		identity Identity
		want     string
		reason   matomo.Reason
	}{
		"userName":                {Identity{}, "Pat.O'Neil", matomo.LoginInvalid},
		"replaced":                {Identity{LoginReplace: map[string]string{"'": ""}}, "Pat.ONeil", ""},
		"longer keys first":       {Identity{LoginReplace: map[string]string{"'": "x", "O'": "o-"}}, "Pat.o-Neil", ""},
		"email":                   {Identity{LoginFrom: "email"}, "pat@example.org", ""},
		"work email":              {Identity{LoginFrom: "email", EmailFrom: []string{"emails.work"}}, "p.oneil@work.example", ""},
		"local part":              {Identity{LoginFrom: "email_local_part"}, "pat", ""},
		"externalId":              {Identity{LoginFrom: "externalId"}, "00u1", ""},
		"nothing to take it from": {Identity{LoginFrom: "email", EmailFrom: []string{"userName"}}, "", matomo.LoginInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, block := test.identity.Login(person)
			reason := matomo.Reason("")
			if block != nil {
				reason = block.Reason
			}
			if got != test.want || reason != test.reason {
				t.Errorf("login %q, reason %q; want %q, %q", got, reason, test.want, test.reason)
			}
		})
	}
}

func TestIdentity_Email(t *testing.T) {
	tests := map[string]struct {
		person directory.Person
		want   string
		reason matomo.Reason
	}{
		"primary":     {directory.Person{PrimaryEmail: "a@example.org", WorkEmail: "b@example.org", UserName: "c@example.org"}, "a@example.org", ""},
		"work":        {directory.Person{WorkEmail: " b@example.org ", UserName: "c@example.org"}, "b@example.org", ""},
		"userName":    {directory.Person{UserName: "c@example.org"}, "c@example.org", ""},
		"no address":  {directory.Person{UserName: "ada"}, "", matomo.EmailMissing},
		"not one":     {directory.Person{PrimaryEmail: "x@y"}, "x@y", matomo.EmailInvalid},
		"who is gone": {directory.Person{}, "", matomo.EmailMissing},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, block := Identity{}.Email(test.person)
			reason := matomo.Reason("")
			if block != nil {
				reason = block.Reason
			}
			if got != test.want || reason != test.reason {
				t.Errorf("e-mail %q, reason %q; want %q, %q", got, reason, test.want, test.reason)
			}
		})
	}
}

func TestSettleUntil(t *testing.T) {
	first := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return first.Add(time.Duration(s) * time.Second) }
	tests := map[string]struct {
		last, now time.Time
		settle    time.Duration
		want      time.Time
	}{
		"after the change":        {at(0), at(1), 10 * time.Second, at(10)},
		"restarted":               {at(8), at(9), 10 * time.Second, at(18)},
		"over":                    {at(8), at(18), 10 * time.Second, time.Time{}},
		"the ceiling":             {at(55), at(56), 10 * time.Second, at(60)},
		"past the ceiling":        {at(70), at(71), 10 * time.Second, time.Time{}},
		"longer than the ceiling": {at(0), at(1), time.Hour, at(60)},
		"switched off":            {at(0), at(0), 0, time.Time{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := settleUntil(first, test.last, test.now, test.settle); !got.Equal(test.want) {
				t.Errorf("until %v, want %v", got, test.want)
			}
		})
	}
	if got := settleUntil(time.Time{}, at(0), at(0), time.Minute); !got.IsZero() {
		t.Errorf("nothing is unsettled and it waits until %v", got)
	}
}

func TestBackoff(t *testing.T) {
	full := func() float64 { return 0.999999 }
	none := func() float64 { return 0 }
	for attempts, want := range map[int]time.Duration{
		0: 5 * time.Second, 1: 5 * time.Second, 2: 10 * time.Second, 3: 20 * time.Second, 8: 640 * time.Second, 9: 15 * time.Minute, 1000: 15 * time.Minute,
	} {
		if got := backoff(attempts, full); got > want || got < want-time.Second {
			t.Errorf("attempt %d waits %v, want up to %v", attempts, got, want)
		}
		if got := backoff(attempts, none); got != want/10 {
			t.Errorf("attempt %d waits at least %v, want %v", attempts, got, want/10)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(-5, 1<<40).Draw(r, "attempts")
		if d := backoff(n, nil); d <= 0 || d > backoffCap {
			r.Errorf("attempt %d waits %v", n, d)
		}
	})
}

func TestLeaverWork(t *testing.T) {
	now := time.Now()
	past, future := now.Add(-time.Second), now.Add(time.Hour)
	tests := map[string]struct {
		b    bindings.Binding
		want Work
	}{
		"no account":       {bindings.Binding{State: bindings.Pending}, WorkNone},
		"has just left":    {bindings.Binding{Login: "ada", State: bindings.Converged}, WorkLeave},
		"broke off":        {bindings.Binding{Login: "ada", State: bindings.Leaving}, WorkLeave},
		"blocked":          {bindings.Binding{Login: "ada", State: bindings.Blocked}, WorkLeave},
		"revoked":          {bindings.Binding{Login: "ada", State: bindings.Revoked, DeleteAt: &future}, WorkSeal},
		"done":             {bindings.Binding{Login: "ada", State: bindings.Done, DeleteAt: &future}, WorkLeave},
		"time is over":     {bindings.Binding{Login: "ada", State: bindings.Done, DeleteAt: &past}, WorkDelete},
		"login is needed":  {bindings.Binding{Login: "ada", State: bindings.Revoked, DeleteAt: &now}, WorkDelete},
		"deleted, unbound": {bindings.Binding{State: bindings.Gone, DeleteAt: &past}, WorkNone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := leaverWork(test.b, now); got != test.want {
				t.Errorf("work %s, want %s", got.Label(), test.want.Label())
			}
			if test.want.OfLeaver() != (test.want != WorkNone) {
				t.Errorf("%s is of a leaver: %t", test.want.Label(), test.want.OfLeaver())
			}
		})
	}
	if WorkPerson.OfLeaver() {
		t.Error("an active person is no leaver")
	}
}

// What was recorded is read again as it was written, each grant once.
func TestIntended_RemembersOldAndNewGrants(t *testing.T) {
	old := mapping.GrantOrigin{Site: 1, Role: access.View, Rule: "r1"}
	data, err := encodeOrigins([]mapping.GrantOrigin{old, old})
	if err != nil {
		t.Fatal(err)
	}
	c := Case{Binding: bindings.Binding{Grants: data}}
	c.Decision.Reasons = []mapping.Reason{
		{Rule: &mapping.RuleRef{ID: "r2"}, Site: 2, Role: access.Admin, Capabilities: []string{"tagmanager_write"}},
		{Rule: &mapping.RuleRef{ID: "r3"}},
	}
	data, err = c.Intended()
	if err != nil {
		t.Fatal(err)
	}
	c.Binding.Grants = data
	got := grantedBy(originsOf(c.Binding))
	want := access.Access{Superuser: true, Sites: map[access.SiteID]access.SiteAccess{
		1: {Role: access.View}, 2: {Role: access.Admin, Capabilities: []string{"tagmanager_write"}},
	}}
	if !got.Equal(want) {
		t.Errorf("recorded %s, want %s", got, want)
	}
	if n := len(originsOf(c.Binding)); n != 3 {
		t.Errorf("%d origins, want each once", n)
	}
	if broken := originsOf(bindings.Binding{Grants: []byte("{")}); broken != nil {
		t.Errorf("an unreadable record gives %v", broken)
	}
}

func TestLeftSince(t *testing.T) {
	left := time.Now()
	later := left.Add(time.Hour)
	for name, test := range map[string]struct {
		b    bindings.Binding
		want time.Time
	}{
		"this leave":  {bindings.Binding{Event: bindings.Leaver, AcceptedAt: left}, left},
		"a later one": {bindings.Binding{Event: bindings.Leaver, AcceptedAt: later}, later},
		"drift":       {bindings.Binding{Event: bindings.Drift}, left},
		"not a leave": {bindings.Binding{Event: bindings.Mover, AcceptedAt: later}, left},
	} {
		if got := leftSince(test.b, left); !got.Equal(test.want) {
			t.Errorf("%s: since %v, want %v", name, got, test.want)
		}
	}
}

func TestOverlooked(t *testing.T) {
	refused := &matomo.Error{Kind: matomo.Refused}
	step := func(k matomo.StepKind, err error) matomo.StepResult {
		return matomo.StepResult{Step: matomo.Step{Kind: k}, Sent: true, Err: err}
	}
	tests := map[string]struct {
		attempts int
		steps    []matomo.StepResult
		want     bool
	}{
		"nothing failed":         {0, []matomo.StepResult{step(matomo.RandomPassword, nil)}, true},
		"the first mail error":   {0, []matomo.StepResult{step(matomo.RandomPassword, refused)}, false},
		"the third":              {2, []matomo.StepResult{step(matomo.RandomPassword, refused), step(matomo.RevokeTokens, nil)}, true},
		"tokens are no password": {9, []matomo.StepResult{step(matomo.RevokeTokens, refused)}, false},
		"another refusal":        {9, []matomo.StepResult{step(matomo.RandomPassword, &matomo.Error{Kind: matomo.WrongPassword})}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := Case{Binding: bindings.Binding{Attempts: test.attempts}, Applied: matomo.Result{Steps: test.steps}}
			if got := c.overlooked(); got != test.want {
				t.Errorf("overlooked %t, want %t", got, test.want)
			}
		})
	}
}

func TestPlanText(t *testing.T) {
	if got := PlanText(matomo.Plan{}, nil); got != "nothing to change" {
		t.Errorf("%q", got)
	}
	plan := matomo.Plan{Steps: []matomo.Step{{Kind: matomo.DeleteUser, Login: "ada"}}}
	got := PlanText(plan, []matomo.Block{{Reason: GuardCap, Detail: "three have it"}})
	if want := "delete_user ada; not: three have it (superuser_cap)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReasonTexts_NameGroupSourceRuleAndLine(t *testing.T) {
	rule := &mapping.RuleRef{File: "mapping.ini", Line: 7}
	d := mapping.Decision{Reasons: []mapping.Reason{
		{Rule: rule, Group: mapping.GroupRef{Source: "okta", Name: "Sales"}, Grant: "site:1:view", Effective: true},
		{Rule: rule, Group: mapping.GroupRef{Source: "okta", Name: "Sales"}, Grant: "site:1:view", Effective: true},
		{Rule: rule, User: true, Grant: "site:2:view"},
	}}
	got := ReasonTexts(d)
	want := []string{`group "Sales" of okta: site:1:view (mapping.ini:7)`, "the person's attributes: site:2:view (mapping.ini:7), outranked"}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%q, want %q", got, want)
	}
}
