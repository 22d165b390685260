package matomo_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// The part of the contract suite about words: which logins and addresses Matomo takes, and how it refuses.

func contractSpelling(t *testing.T, p *party) {
	p.bring(t, "odd", p.on("view"))
	upper := strings.ToUpper(p.prefix + "odd")
	step := matomo.Step{Kind: matomo.SetAccess, Login: upper, Role: access.Admin, Sites: p.sites[1:2]}
	if r := p.c.Apply(context.Background(), []matomo.Plan{{Login: upper, Steps: []matomo.Step{step}}})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	for _, opt := range []matomo.Read{{}, {Orphans: true}} {
		s, _ := p.read(t, opt, "odd")
		if a, _ := s.Account(upper); a.Login != p.prefix+"odd" || !a.Access.Equal(p.on("view", "admin")) {
			t.Errorf("%+v: %s has %s", opt, a.Login, a.Access)
		}
	}
	if a := p.bring(t, "odd", p.on("", "view")); !a.Access.Equal(p.on("", "view")) {
		t.Errorf("access %s", a.Access)
	}
}

func contractLogins(t *testing.T, p *party) {
	numeric := strings.Map(func(r rune) rune { return '0' + r%10 }, p.prefix)
	for _, login := range []string{"plus+sign", "at@sign.org", "dash-dot._", "müller", "GROSS"} {
		if a := p.bring(t, login, p.on("view", "write")); a.Login != p.prefix+login {
			t.Errorf("%q came back as %q", login, a.Login)
		}
	}
	prefix := p.prefix
	p.prefix = numeric
	defer func() { p.prefix = prefix }()
	p.bring(t, "", p.on("view"), func(w *matomo.Want) { w.Email = prefix + "number@example.org" })
	defer p.clean(t)
	whole, err := p.c.ReadInstance(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := whole.Account(numeric); a.Login != numeric || !a.Access.Equal(p.on("view")) {
		t.Errorf("%q has %s", a.Login, a.Access)
	}
}

func contractRefusals(t *testing.T, p *party) {
	p.bring(t, "first", p.on())
	taken, mail := p.prefix+"first", p.prefix+"first@example.org"
	super := matomo.Step{Kind: matomo.SetAccess, Login: p.prefix + "super", Role: access.View, Sites: p.sites[:1]}
	p.bring(t, "super", access.Access{Superuser: true})
	tests := []struct {
		kind matomo.ErrorKind
		step matomo.Step
	}{
		{matomo.DuplicateLogin, matomo.Step{Kind: matomo.AddUser, Login: taken, Email: p.prefix + "x@example.org"}},
		{matomo.DuplicateLogin, matomo.Step{Kind: matomo.AddUser, Login: strings.ToUpper(taken), Email: p.prefix + "x@example.org"}},
		{matomo.DuplicateEmail, matomo.Step{Kind: matomo.AddUser, Login: p.prefix + "x", Email: mail}},
		{matomo.DuplicateLogin, matomo.Step{Kind: matomo.AddUser, Login: mail, Email: p.prefix + "x@example.org"}},
		{matomo.UserMissing, matomo.Step{Kind: matomo.SetAccess, Login: p.prefix + "nobody", Role: access.View, Sites: p.sites[:1]}},
		{matomo.UserMissing, matomo.Step{Kind: matomo.SetEmail, Login: p.prefix + "nobody", Email: p.prefix + "y@example.org"}},
		{matomo.UserMissing, matomo.Step{Kind: matomo.Demote, Login: p.prefix + "nobody"}},
		{matomo.DuplicateEmail, matomo.Step{Kind: matomo.SetEmail, Login: p.prefix + "super", Email: mail}},
		{matomo.IsSuperuser, super},
		{matomo.Validation, matomo.Step{Kind: matomo.SetAccess, Login: taken, Role: "owner", Sites: p.sites[:1]}},
		{matomo.Validation, matomo.Step{Kind: matomo.InviteUser, Login: p.prefix + "inv", Email: p.prefix + "inv@example.org"}},
	}
	for _, tt := range tests {
		r := p.c.Apply(context.Background(), []matomo.Plan{{Login: tt.step.Login, Steps: []matomo.Step{tt.step}}})[0]
		if matomo.KindOf(r.Err) != tt.kind {
			t.Errorf("%s: %v, want %s", tt.step, r.Err, tt.kind)
		}
	}
	p.bring(t, "super", p.on())
}

func contractValidation(t *testing.T, p *party) {
	for i, login := range []string{"good", "with space", "quo'te", "co,mma", "am&p", "per%cent", "naïve", "ümlaut", "a/b", "tab\tx", "semi;colon", strings.Repeat("l", 100-len(p.prefix)), strings.Repeat("l", 101-len(p.prefix))} {
		full := p.prefix + login
		got := p.call(t, p.token, "UsersManager.addUser", "userLogin", full, "password", knownPassword, "email", fmt.Sprintf("%sv%d@example.org", p.prefix, i))
		if ours, theirs := matomo.ValidateLogin(full) == nil, strings.Contains(got, "success"); ours != theirs {
			t.Errorf("login %q: we say %v, Matomo %s", full, ours, got)
		}
	}
	for i, mail := range []string{
		"a@b.org", "a+b@c.org", "a'b@c.org", "a&b@c.org", "ü@c.org", "a@c", "a@ü.org", "a.@c.org", ".a@c.org", "a..b@c.org", "a_b-c@d-e.org", "a@-b.org", "a@b.1", "a%b@c.org", "a=b@c.org", "a#b@c.org", "a/b@c.org",
		"a!b$c@d.org", "a*b?c^d`e{f|g}h~i@j.org", "a<b@c.org", `a"b@c.org`, "a b@c.org", "a,b@c.org", "a:b@c.org",
		strings.Repeat("m", 64-len(p.prefix)) + "@c.org", strings.Repeat("m", 65-len(p.prefix)) + "@c.org",
	} {
		login, full := fmt.Sprintf("%sm%d", p.prefix, i), p.prefix+mail
		got := p.call(t, p.token, "UsersManager.addUser", "userLogin", login, "password", knownPassword, "email", full)
		if ours, theirs := matomo.ValidateEmail(full) == nil, strings.Contains(got, "success"); ours != theirs {
			t.Errorf("e-mail %q: we say %v, Matomo %s", full, ours, got)
		}
	}
}

func contractWrongSecrets(t *testing.T, p *party) {
	wrong := p.client(t, strings.Repeat("0", 32), p.password)
	for range 2 { // the second time it is not sent
		_, err := wrong.ReadInstance(context.Background())
		wantKind(t, err, matomo.BadToken)
	}
	wrong = p.client(t, p.token, "wrong-password")
	for range 2 {
		wantKind(t, wrong.ProvePassword(context.Background()), matomo.WrongPassword)
	}
	if err := p.c.ProvePassword(context.Background()); err != nil {
		t.Error(err)
	}
	p.bring(t, "plain", p.on("view"))
	p.setPassword(t, p.prefix+"plain")
	other := p.client(t, p.mustMint(t, p.prefix+"plain"), p.password)
	if _, err := other.ReadInstance(context.Background()); !KindIn(err, matomo.NoPermission, matomo.BadToken) {
		t.Errorf("token of somebody else: %v", err)
	}
}
