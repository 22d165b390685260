package matomo_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

func TestRead_BothWaysAgree(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "alice", "bob", "carol", "Größe")
		b.Grant("alice", "view", 1, 2)
		b.Grant("alice", "tagmanager_write", 2)
		b.Grant("bob", "admin", 3)
		b.Grant("Größe", "write", 1, 5)
		b.SetSuperuser("carol", true)
		b.SetTwoFactor("bob", true)
		if _, err := b.SignIn("bob", "secret-bob"); err != nil {
			t.Fatal(err)
		}
		whole, err := b.c.ReadInstance(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		names := []string{"alice", "bob", "carol", "Größe", "nobody", "bridge"}
		few, orphans := b.accounts(t, matomo.Read{}, names...), b.accounts(t, matomo.Read{Orphans: true}, names...)
		for _, l := range names {
			w, known := whole.Account(l)
			if !known {
				t.Fatalf("%s is not known", l)
			}
			o, _ := orphans.Account(l)
			o.TokensKnown = w.TokensKnown
			if diff := cmp.Diff(w, o); diff != "" {
				t.Errorf("%s by maps (-whole +few):\n%s", l, diff)
			}
			f, _ := few.Account(l)
			f.TokensKnown, f.OrphansKnown = w.TokensKnown, w.OrphansKnown
			if diff := cmp.Diff(w, f); diff != "" {
				t.Errorf("%s by person (-whole +few):\n%s", l, diff)
			}
		}
		alice, _ := whole.Account("alice")
		if !alice.Exists || alice.Email != "alice@example.test" || alice.Registered.IsZero() || !alice.Access.Equal(sites("1:view 2:view+tagmanager_write")) {
			t.Errorf("alice: %+v", alice)
		}
		if bob, _ := whole.Account("bob"); !bob.Uses2FA || time.Since(bob.LastSeen) > time.Minute {
			t.Errorf("bob: %+v", bob)
		}
		if got := whole.Superusers(); !slices.Equal(got, []string{"bridge", "carol"}) {
			t.Errorf("superusers %v", got)
		}
		var all []string
		for a := range whole.Each() {
			all = append(all, a.Login)
		}
		if len(all) != whole.Len() || len(all) != 6 {
			t.Errorf("each yields %v", all)
		}
		for range whole.Each() {
			break
		}
	})
}

func TestRead_KnownMissingUnknown(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.add(t, "alice", "bob")
	s := b.accounts(t, matomo.Read{}, "alice", "ghost", "Alice", "")
	if _, known := s.Account("bob"); known {
		t.Error("bob was not asked for, and yet known")
	}
	if a, known := s.Account("GHOST"); !known || a.Exists || a.Login != "ghost" {
		t.Errorf("ghost: %+v, known %v", a, known)
	}
	if s.Len() != 1 || s.Whole {
		t.Errorf("%d accounts, whole %v", s.Len(), s.Whole)
	}
	whole, err := b.c.ReadInstance(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if a, known := whole.Account("ghost"); !known || a.Exists {
		t.Errorf("ghost in the whole: %+v, known %v", a, known)
	}
	if none := b.accounts(t, matomo.Read{}); none.Len() != 0 || len(none.SiteIDs()) != 5 || len(none.Capabilities) != 3 {
		t.Errorf("a read of nobody: %d accounts, %v", none.Len(), none.SiteIDs())
	}
}

func TestRead_OneRequestOnceTheInstanceIsKnown(t *testing.T) {
	eachVersion(t, matomotest.Options{Plugin: true}, func(t *testing.T, b *bench) {
		var names []string
		for i := range 60 {
			names = append(names, fmt.Sprintf("user%02d", i))
		}
		b.add(t, names...)
		b.accounts(t, matomo.Read{})
		for name, read := range map[string]func() error{
			"instance": func() error { _, err := b.c.ReadInstance(context.Background()); return err },
			"one":      func() error { _, err := b.c.ReadAccounts(context.Background(), names[:1], matomo.Read{}); return err },
			"a leaver": func() error {
				_, err := b.c.ReadAccounts(context.Background(), names[:1], matomo.Read{Orphans: true, Tokens: true, Evidence: matomo.EvidenceAll})
				return err
			},
			"twenty": func() error {
				_, err := b.c.ReadAccounts(context.Background(), names[:20], matomo.Read{Evidence: matomo.EvidenceReports})
				return err
			},
			"sixty": func() error {
				_, err := b.c.ReadAccounts(context.Background(), names, matomo.Read{Tokens: true})
				return err
			},
		} {
			b.ResetCalls()
			if err := read(); err != nil || b.Requests() != 1 {
				t.Errorf("%s: %d requests, %v", name, b.Requests(), err)
			}
		}
		b.ResetCalls()
		s := b.accounts(t, matomo.Read{Tokens: true, Evidence: matomo.EvidenceAll}, names...) // 60 dashboards do not fit besides 60 token lists
		if a, _ := s.Account("user59"); b.Requests() != 2 || !a.TokensKnown || a.Evidence == nil || a.Evidence.Dashboards == nil {
			t.Errorf("%d requests, last one %+v", b.Requests(), a)
		}
	})
}

func TestRead_NewCapabilityIsNoticed(t *testing.T) {
	b := newBench(t, matomotest.Options{NoTagManager: true})
	if s := b.accounts(t, matomo.Read{}); len(s.Capabilities) != 0 {
		t.Fatalf("capabilities %v", s.Capabilities)
	}
	// The plugin is switched on: the same client meets an instance that has more.
	other := newBench(t, matomotest.Options{})
	other.add(t, "alice")
	other.Grant("alice", "view", 1)
	other.Grant("alice", "tagmanager_write", 1)
	b.wire.next = other.RoundTripper()
	s, err := b.c.ReadInstance(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := s.Account("alice"); !a.Access.Equal(sites("1:view+tagmanager_write")) || len(s.Capabilities) != 3 {
		t.Errorf("alice has %s, capabilities %v", a.Access, s.Capabilities)
	}
	if !slices.Equal(s.Capabilities[0].IncludedInRoles, []access.Role{access.Write, access.Admin}) {
		t.Errorf("capability %+v", s.Capabilities[0])
	}
}

func TestRead_Invitations(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		mustOK(t, b.bring(t, person("alice", "2:admin 3:view"), func(p *matomo.Policy) { p.SignIn = matomo.SignInInvite }))
		a := b.account(t, "alice", matomo.Read{})
		if a.Invite != matomo.InvitePending || !a.Access.Equal(sites("2:admin 3:view")) {
			t.Errorf("alice: %+v", a)
		}
		mails := 0
		for _, m := range b.Mails() {
			if m.To == "alice@example.test" {
				mails++
			}
		}
		if mails != 1 {
			t.Errorf("%d mails to alice, want 1: %v", mails, b.Mails())
		}
		mustOK(t, b.bring(t, person("alice", "2:view"), func(p *matomo.Policy) { p.SignIn = matomo.SignInInvite }))
		if n := b.Count("UsersManager.inviteUser") + b.Count("UsersManager.resendInvite"); n != 1 {
			t.Errorf("%d invitations, want 1", n)
		}
		mustOK(t, b.leave(t, "alice", matomo.PhaseRevoke))
		if _, there := b.User("alice"); there {
			t.Error("a leaver with a pending invitation is still there")
		}
	})
}

func TestRead_Evidence(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "alice", "bob")
		b.AddReport(matomotest.Report{Site: 1, Login: "alice", Description: "mine", Period: "day"})
		b.AddReport(matomotest.Report{Site: 2, Login: "bob", Description: "his, to her", AdditionalEmails: []string{"x@example.test", "ALICE@example.test"}})
		b.AddReport(matomotest.Report{Site: 3, Login: "bob", Description: "his", AdditionalEmails: []string{"x@example.test"}})
		s := b.accounts(t, matomo.Read{Evidence: matomo.EvidenceAll}, "alice", "bob", "ghost")
		alice, _ := s.Account("alice")
		if len(alice.Evidence.Reports) != 1 || len(alice.Evidence.Missing) != 0 || len(alice.Evidence.Dashboards) == 0 {
			t.Errorf("evidence of alice: %+v", alice.Evidence)
		}
		if diff := cmp.Diff([]matomo.MailedReport{{ID: 2, Site: 2, Owner: "bob", Name: "his, to her"}}, alice.Evidence.MailedBy); diff != "" {
			t.Errorf("mailed to alice (-want +got):\n%s", diff)
		}
		if bob, _ := s.Account("bob"); len(bob.Evidence.Reports) != 2 || len(bob.Evidence.MailedBy) != 0 {
			t.Errorf("evidence of bob: %+v", bob.Evidence)
		}
		if ghost, _ := s.Account("ghost"); ghost.Exists || ghost.Evidence != nil {
			t.Errorf("ghost: %+v", ghost)
		}
		b.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: "ScheduledReports.getReports", Message: "Undefined index"})
		if a := b.account(t, "alice", matomo.Read{Evidence: matomo.EvidenceReports}); len(a.Evidence.Missing) != 1 {
			t.Errorf("a failed read of reports is not written down: %+v", a.Evidence)
		}
		b.ClearFaults()
		b.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: "ScheduledReports.getReports", Message: "The plugin ScheduledReports is not enabled. You can activate the plugin on Settings > Plugins page in Matomo."})
		if a := b.account(t, "alice", matomo.Read{Evidence: matomo.EvidenceReports}); a.Evidence != nil && len(a.Evidence.Missing) != 0 {
			t.Errorf("a plugin that is off has nothing to lose: %+v", a.Evidence)
		}
		if a := b.account(t, "alice", matomo.Read{}); a.Evidence != nil {
			t.Error("evidence that nobody asked for")
		}
	})
}

func TestRead_TokensWhereTheyCanBeSeen(t *testing.T) {
	for _, plugin := range []bool{true, false} {
		b := newBench(t, matomotest.Options{Plugin: plugin})
		b.add(t, "alice")
		if _, err := b.MintToken("alice", "secret-alice"); err != nil {
			t.Fatal(err)
		}
		s := b.accounts(t, matomo.Read{}, "alice", "ghost")
		if s.CanRevoke != plugin {
			t.Errorf("CanRevoke = %v", s.CanRevoke)
		}
		s = b.accounts(t, matomo.Read{Tokens: true}, "alice", "ghost")
		a, _ := s.Account("alice")
		if a.TokensKnown != plugin || plugin && (len(a.Tokens) != 1 || a.Tokens[0].Description != "minted" || a.Tokens[0].Created == "") {
			t.Errorf("plugin %v: %+v", plugin, a)
		}
		if g, _ := s.Account("ghost"); g.Exists || !g.TokensKnown {
			t.Errorf("ghost: %+v", g)
		}
		if a = b.account(t, "alice", matomo.Read{}); a.TokensKnown {
			t.Error("tokens that nobody asked for")
		}
	}
}

func TestRead_SiteNamesAreText(t *testing.T) {
	b := newBench(t, matomotest.Options{Sites: 1})
	b.AddSite("Shop &amp; Co", "A &lt; B")
	s := b.accounts(t, matomo.Read{})
	if got := s.Sites[1]; got.Name != "Shop & Co" || got.Group != "A < B" {
		t.Errorf("site %+v", got)
	}
}

func TestRead_RowsOfNobodyAreCounted(t *testing.T) {
	users := `[{"login":"alice","superuser_access":"0","email":null,"uses_2fa":0,"invite_status":"expired","date_registered":"2026-01-02 03:04:05","last_seen":"never"}]`
	body := `[{"value":true},{"value":"5.1.2"},[],{"value":false},[{"idsite":"1","name":"One","group":null}],` + users + `,{"alice":["1"],"ghost":[1]},[],{"Alice":[1]}]`
	probe := `[{"value":true},{"value":"5.1.2"},[],{"value":false}]`
	n := 0
	b := newBench(t, matomotest.Options{})
	b.wire.next = sequence(&n, probe, body)
	s, err := b.c.ReadInstance(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	a, _ := s.Account("alice")
	if s.Strays() != 1 || a.Invite != matomo.InviteExpired || !a.LastSeen.IsZero() || a.Registered.Format(time.DateTime) != "2026-01-02 03:04:05" {
		t.Errorf("strays %d, alice %+v", s.Strays(), a)
	}
	if !a.Access.Equal(sites("1:admin")) || !slices.Equal(a.Doubled, ids(1)) {
		t.Errorf("access %s, doubled %v", a.Access, a.Doubled)
	}
}

// The lists may be whole or not when the token is no superuser's: the read is worth nothing.
func TestI1_ReadWithoutSuperuserIsNone(t *testing.T) {
	for version, kind := range map[string]matomo.ErrorKind{"5.1.2": matomo.NoPermission, "4.16.1": matomo.BadToken} {
		n := 0
		b := newBench(t, matomotest.Options{})
		b.wire.next = sequence(&n,
			`[{"value":true},{"value":"`+version+`"},[],{"value":false}]`,
			`[{"value":false},{"value":"`+version+`"},[],{"value":false},[],[],[],[],[]]`)
		s, err := b.c.ReadInstance(context.Background())
		if wantKind(t, err, kind); s != nil {
			t.Errorf("%s: a snapshot", version)
		}
		if bad := b.c.Health().TokenBad; bad != (kind == matomo.BadToken) {
			t.Errorf("%s: token out of use: %v", version, bad)
		}
	}
}
