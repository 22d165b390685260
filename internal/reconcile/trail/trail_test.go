package trail_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/internal/reconcile/trail"
	"github.com/matomo-scim/bridge/matomo"
)

// planned is a case with steps of some kinds, each as the planner marks it.
func planned(work course.Work, kinds ...matomo.StepKind) *course.Case {
	c := &course.Case{Work: work, Login: "ada", Account: &matomo.Account{Login: "ada", Exists: true}}
	for _, k := range kinds {
		takes := k != matomo.AddUser && k != matomo.Promote && k != matomo.SetEmail && k != matomo.SetLdapUser
		c.Plan.Steps = append(c.Plan.Steps, matomo.Step{Kind: k, Login: "ada", Reduces: takes, Why: "test"})
	}
	return c
}

func kindsOf(c *course.Case) (out []matomo.StepKind) {
	for _, s := range c.Plan.Steps {
		out = append(out, s.Kind)
	}
	return out
}

func TestOnlyTakes(t *testing.T) {
	type kinds = []matomo.StepKind
	for name, tc := range map[string]struct {
		work course.Work
		plan kinds
		want kinds // nil: it waits
	}{
		"leaver":                  {course.WorkLeave, kinds{matomo.Demote, matomo.RemoveAccess, matomo.RevokeTokens}, kinds{matomo.Demote, matomo.RemoveAccess, matomo.RevokeTokens}},
		"second phase":            {course.WorkSeal, kinds{matomo.RandomPassword, matomo.RevokeTokens, matomo.Logout}, kinds{matomo.RandomPassword, matomo.RevokeTokens, matomo.Logout}},
		"open invitation":         {course.WorkLeave, kinds{matomo.DeleteUser}, kinds{matomo.DeleteUser}},
		"recreated leaver":        {course.WorkLeave, kinds{matomo.RemoveAccess, matomo.DeleteUser, matomo.AddUser}, kinds{matomo.RemoveAccess}},
		"deletion":                {course.WorkDelete, kinds{matomo.DeleteUser}, nil},
		"joiner":                  {course.WorkPerson, kinds{matomo.AddUser, matomo.SetAccess}, nil},
		"mover":                   {course.WorkPerson, kinds{matomo.SetAccess, matomo.RemoveAccess, matomo.RevokeTokens}, kinds{matomo.RemoveAccess, matomo.RevokeTokens}},
		"superuser loses all":     {course.WorkPerson, kinds{matomo.Demote, matomo.RemoveAccess}, kinds{matomo.Demote, matomo.RemoveAccess}},
		"superuser becomes other": {course.WorkPerson, kinds{matomo.Demote, matomo.SetAccess}, nil},
		"come-back":               {course.WorkPerson, kinds{matomo.DeleteUser, matomo.AddUser, matomo.SetAccess}, nil},
		"promotion":               {course.WorkPerson, kinds{matomo.Promote}, nil},
		"new address":             {course.WorkPerson, kinds{matomo.SetEmail}, nil},
	} {
		c := planned(tc.work, tc.plan...)
		ok := trail.OnlyTakes(c)
		if ok != (tc.want != nil) || ok && cmp.Diff(tc.want, kindsOf(c)) != "" {
			t.Errorf("%s: %v, %v; want %v", name, ok, kindsOf(c), tc.want)
		}
	}
}

// Whatever the plan is, nothing that goes on without a record gives anything (I3).
func TestOnlyTakes_Property(t *testing.T) {
	all := []matomo.StepKind{
		matomo.AddUser, matomo.InviteUser, matomo.SetLdapUser, matomo.DeleteUser, matomo.RevokeTokens, matomo.Demote, matomo.SetAccess,
		matomo.RemoveAccess, matomo.SetEmail, matomo.Promote, matomo.RandomPassword, matomo.Logout,
	}
	rapid.Check(t, func(t *rapid.T) {
		work := rapid.SampledFrom([]course.Work{course.WorkPerson, course.WorkLeave, course.WorkSeal, course.WorkDelete}).Draw(t, "work")
		c := planned(work, rapid.SliceOfN(rapid.SampledFrom(all), 0, 6).Draw(t, "plan")...)
		before := kindsOf(c)
		if !trail.OnlyTakes(c) {
			if cmp.Diff(before, kindsOf(c)) != "" {
				t.Fatalf("a plan that waits was changed: %v", kindsOf(c))
			}
			return
		}
		for _, k := range kindsOf(c) {
			switch k {
			case matomo.AddUser, matomo.InviteUser, matomo.SetAccess, matomo.Promote, matomo.SetEmail, matomo.SetLdapUser:
				t.Fatalf("%s goes on without a record", k)
			case matomo.DeleteUser:
				if work != course.WorkLeave {
					t.Fatalf("an account is deleted without a record in %s", work.Label())
				}
			default:
			}
		}
	})
}

// fixture is a trail with a record and a journal.
type fixture struct {
	*trail.Trail
	db  *database.DB
	log *audit.Log
}

func newFixture(t *testing.T, db *database.DB) *fixture {
	t.Helper()
	store := bindings.New(db)
	return &fixture{
		Trail: &trail.Trail{
			Bindings: store,
			Journal:  audit.NewJournal(db, filepath.Join(t.TempDir(), "journal"), trail.Keep(store), zap.NewNop(), nil),
		},
		db: db, log: audit.New(db, zap.NewNop(), nil),
	}
}

// losing is a leaver whose report would be deleted.
func losing() *course.Case {
	c := planned(course.WorkLeave, matomo.RemoveAccess)
	c.Binding = bindings.Binding{Target: "main", Subject: "s1", Event: bindings.Leaver, Cause: bindings.Cause{Actor: "okta", Source: "scim", RequestID: "r1"}}
	c.Account.Evidence = &matomo.Evidence{Reports: []json.RawMessage{json.RawMessage(`{"idreport":1}`)}}
	return c
}

// Through the record or through the journal: the same entries and the same evidence.
func TestTrail_BothWaysAreTheSame(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		done := losing()
		done.Applied.Steps = []matomo.StepResult{{Step: done.Plan.Steps[0], Sent: true}, {Step: done.Plan.Steps[0], Sent: true, Err: errors.New("no")}}
		err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			return errors.Join(f.Intent(ctx, tx, losing()), f.Outcome(ctx, tx, done))
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.WithoutRecord([]*course.Case{losing()}, errors.New("disk full")), f.OutcomesWithoutRecord([]*course.Case{done})); err != nil {
			t.Fatal(err)
		}
		if n, err := f.Journal.Replay(t.Context()); n != 2 || err != nil {
			t.Fatalf("Replay = %d, %v", n, err)
		}
		var rows []audit.Row
		if err := f.log.Each(t.Context(), audit.Filter{}, func(r audit.Row) error { rows = append(rows, r); return nil }); err != nil || len(rows) != 4 {
			t.Fatalf("%d entries, %v", len(rows), err)
		}
		for i := range 2 {
			a, b := rows[i].Entry, rows[i+2].Entry
			a.After, b.After = nil, nil // the evidence has another id
			if diff := cmp.Diff(a, b); diff != "" || a.Actor != "okta" || a.RequestID != "r1" {
				t.Errorf("record and journal differ:\n%s", diff)
			}
		}
		saved, err := f.Bindings.EvidenceOf(t.Context(), db.Reader(), "main", "ada")
		if err != nil || len(saved) != 2 || string(saved[0].Data) != string(saved[1].Data) {
			t.Errorf("evidence %v, %v", saved, err)
		}
	})
}

func TestTrail_WithoutAJournalTheCauseIsReturned(t *testing.T) {
	cause := errors.New("disk full")
	f := &trail.Trail{}
	if err := f.WithoutRecord([]*course.Case{losing()}, cause); !errors.Is(err, cause) {
		t.Errorf("err = %v", err)
	}
}

// What another release left in the journal stops the replay; it is not thrown away.
func TestKeep_RefusesWhatItDoesNotKnow(t *testing.T) {
	db := databasetest.SQLite(t)
	keep := trail.Keep(bindings.New(db))
	for kind, data := range map[string]string{"novelty": `{}`, "evidence": `[]`} {
		err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error { return keep(ctx, tx, kind, json.RawMessage(data)) })
		if err == nil || !strings.Contains(err.Error(), "journal") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
