package reconcile_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// readMethods are those that a read is made of, without evidence.
var readMethods = []string{
	"UsersManager.hasSuperUserAccess", "API.getMatomoVersion", "UsersManager.getAvailableCapabilities", "API.isPluginActivated",
	"SitesManager.getAllSites", "UsersManager.getUsers", "UsersManager.getUsersHavingSuperUserAccess",
	"UsersManager.getUsersSitesFromAccess", "UsersManager.getSitesAccessFromUser", "ScimBridge.getTokens",
}

// I1: an incomplete or failed read never leads to a removal.
func TestI1_AFailedReadRemovesNothing(t *testing.T) {
	property(t, func(r *rapid.T, w *world) {
		for i := range 3 {
			w.join(fmt.Sprintf("p%d@example.org", i), someGroups(r, "groups")...)
		}
		w.drain()
		before := w.matomo.Snapshot()
		fault := matomotest.Fault{
			Kind:   rapid.SampledFrom([]matomotest.FaultKind{matomotest.Refused, matomotest.CutBefore, matomotest.CutAfter, matomotest.ServerError}).Draw(r, "kind"),
			Method: rapid.SampledFrom(readMethods).Draw(r, "method"), Message: "An unexpected error occurred.",
		}
		w.matomo.Fault(fault)
		for i := range 3 {
			w.due(w.subject(fmt.Sprintf("p%d@example.org", i)))
		}
		_, _ = w.engine.Drain(w.ctx)        // most fail
		_ = w.engine.MarkDifferences(w.ctx) // as here
		_, _ = w.engine.Drain(w.ctx)
		if changes := before.Changes(w.matomo.Snapshot()); len(changes) > 0 {
			w.tb.Errorf("a failed %s changed %v", fault.Method, changes)
		}
	}, withPlugin(), withGuards(10, 0))
}

// I1: a removal that is due waits for a read that is complete.
func TestI1_ARemovalWaitsForACompleteRead(t *testing.T) {
	for _, method := range readMethods {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t, databasetest.SQLite(t), withPlugin())
			w.join(ada, "Analysts")
			w.join("bob@example.org", "Analysts")
			w.drain()
			w.remove("Analysts", ada)
			w.leave("bob@example.org")
			w.matomo.ResetCalls()
			heal := w.matomo.Fault(matomotest.Fault{Kind: matomotest.ServerError, Method: method})
			if _, err := w.engine.Drain(w.ctx); err == nil {
				t.Error("a failed read is no error")
			}
			w.wantAccess(ada, "1:write, 2:view")
			// Leavers are read through the maps of the whole instance.
			if writes := w.writes(); len(writes) > 0 && method != "UsersManager.getSitesAccessFromUser" {
				t.Errorf("writes %v after a read that failed", writes)
			}
			heal()
			w.drain()
			w.wantAccess(ada, "")
			w.wantAccess("bob@example.org", "")
		})
	}
}

// I2: only logins with a binding of ours are ever changed.
func TestI2_OnlyOurLoginsAreChanged(t *testing.T) {
	property(t, func(r *rapid.T, w *world) {
		names := []string{"Ünsal", "root", "mia@example.org", "Zoë2", "max"}
		spellings := map[string]string{"Ünsal": "unsal", "root": "ROOT", "mia@example.org": "Mia@Example.org", "Zoë2": "Zoë2", "max": "mäx"}
		foreign := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID[string]).Draw(r, "foreign")
		for i, name := range foreign {
			if err := w.matomo.AddUser(spellings[name], fmt.Sprintf("f%d@elsewhere.org", i), "some-password"); err != nil {
				foreign[i] = ""
				continue
			}
			w.matomo.Grant(spellings[name], "admin", 4)
		}
		before := w.matomo.Snapshot()
		for _, name := range names {
			w.join(name, someGroups(r, "groups of "+name)...)
		}
		w.drain()
		for _, name := range names {
			if rapid.Bool().Draw(r, "leaves") {
				w.leave(name)
			} else {
				w.add("Everywhere", name)
			}
		}
		w.drain()
		w.compare()
		for _, change := range before.Changes(w.matomo.Snapshot()) {
			for _, name := range foreign {
				if name != "" && strings.HasPrefix(change, spellings[name]+":") {
					w.tb.Errorf("an account that is not ours was changed: %s", change)
				}
			}
		}
	}, withGuards(10, 0))
}

// I3: after any prefix of a plan nobody has more than old-or-new access, protected
// logins are untouched, and the floor holds.
func TestI3_AnyPrefixIsSafe(t *testing.T) {
	property(t, func(r *rapid.T, w *world) {
		book := rulebooks[0]
		if err := w.matomo.AddUser("keeper", "keeper@elsewhere.org", "some-password"); err != nil {
			w.tb.Fatal(err)
		}
		w.matomo.SetSuperuser("keeper", true)
		old, next := map[string][]string{}, map[string][]string{}
		for i := range 3 {
			name := fmt.Sprintf("p%d@example.org", i)
			old[name], next[name] = someGroups(r, "old groups"), someGroups(r, "new groups")
			w.join(name, old[name]...)
		}
		w.drain()
		for name := range old {
			w.regroup(r, name, old[name], next[name])
		}
		kind := rapid.SampledFrom([]matomotest.FaultKind{matomotest.CutBefore, matomotest.CutAfter, matomotest.ServerError}).Draw(r, "kind")
		method := rapid.SampledFrom([]string{
			"UsersManager.addUser", "UsersManager.setUserAccess", "UsersManager.setSuperUserAccess", "ScimBridge.revokeTokens", "UsersManager.updateUser",
			"UsersManager.getUsers",
		}).Draw(r, "method")
		w.matomo.Fault(matomotest.Fault{Kind: kind, Method: method, Skip: rapid.IntRange(0, 4).Draw(r, "skip"), Count: 1})
		_, _ = w.engine.Drain(w.ctx)
		for name := range old {
			most := access.Merge(book.expected(old[name], w.siteIDs()), book.expected(next[name], w.siteIDs()))
			if got := w.matomo.Access(name); !most.Superuser && !clip(got, most).Equal(got) {
				w.tb.Errorf("%s has %s in between, which is more than %s", name, got, most)
			}
		}
		if u, _ := w.matomo.User("keeper"); !u.Superuser {
			w.tb.Error("a superuser who is protected, and the floor, is gone")
		}
		w.matomo.ClearFaults()
		w.restart()
		w.drain()
		for name := range next {
			w.wantGroups(book, name, next[name])
		}
	}, withPlugin(), withGuards(10, 1), withClient(func(o *matomo.Options) { o.Protected = []string{"keeper"} }))
}

// I4: a second pass over the same state changes nothing.
func TestI4_ASecondPassChangesNothing(t *testing.T) {
	property(t, func(r *rapid.T, w *world) {
		var subjects []string
		for i := range 3 {
			name := fmt.Sprintf("p%d@example.org", i)
			w.join(name, someGroups(r, "groups")...)
			subjects = append(subjects, w.subject(name))
		}
		w.drain()
		before := w.matomo.Snapshot()
		w.matomo.ResetCalls()
		w.due(subjects...)
		w.drain()
		w.compare()
		if writes := w.writes(); len(writes) > 0 {
			w.tb.Errorf("a second pass wrote %v", writes)
		}
		if changes := before.Changes(w.matomo.Snapshot()); len(changes) > 0 {
			w.tb.Errorf("a second pass changed %v", changes)
		}
	}, withPlugin(), withGuards(10, 0))
}

// I5: a mover is never without the access that both old and new state have. Every
// call takes a second of fake time, and somebody looks ten times a second.
func TestI5_AMoverKeepsWhatBothStatesHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		property(t, func(r *rapid.T, w *world) {
			book := rulebooks[0]
			moves := []string{"Analysts", "Editors", "Everywhere", "Unknown"}
			draw := func(label string) []string {
				return rapid.SliceOfNDistinct(rapid.SampledFrom(moves), 0, 3, rapid.ID[string]).Draw(r, label)
			}
			from, to := draw("from"), draw("to")
			w.join(ada, from...)
			w.drain()
			both := clip(book.expected(from, w.siteIDs()), book.expected(to, w.siteIDs()))
			for _, method := range []string{"UsersManager.setUserAccess", "ScimBridge.revokeTokens"} {
				w.matomo.Fault(matomotest.Fault{Kind: matomotest.Slow, Method: method, Latency: time.Second})
			}
			w.regroup(r, ada, from, to)
			done := make(chan error)
			go func() {
				_, err := w.engine.Drain(w.ctx)
				done <- err
			}()
			for {
				select {
				case err := <-done:
					if err != nil {
						w.tb.Fatal(err)
					}
					w.wantGroups(book, ada, to)
					return
				case <-time.After(100 * time.Millisecond):
				}
				// Matomo's own moment between delete and insert (trap 7) is over.
				synctest.Wait()
				if got := w.matomo.Access(ada); !clip(both, got).Equal(both) {
					w.tb.Errorf("moving from %v to %v: has %s, and %s is in both", from, to, got, both)
				}
			}
		}, withPlugin(), withSettle(0))
	})
}

// I5: also with settling, when the two halves of the move come apart.
func TestI5_AMoveInTwoHalvesSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running(t, withSettle(ten))
		w.join(ada, "Analysts")
		time.Sleep(time.Minute)
		w.remove("Analysts", ada)
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			w.wantAccess(ada, "1:write, 2:view")
		}
		w.add("Editors", ada)
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			if got := w.matomo.Access(ada).Sites[2]; got.Role.Rank() < access.View.Rank() {
				t.Fatalf("site 2 is in both states, and has %s", got)
			}
		}
		time.Sleep(2 * time.Second)
		w.wantAccess(ada, "2:admin, 3:view")
	})
}

// I6: the same end state in any order of events leads to the same access.
func TestI6_AnyOrderOfEventsEndsTheSame(t *testing.T) {
	property(t, func(r *rapid.T, w *world) {
		names := []string{"p0@example.org", "p1@example.org", "p2@example.org"}
		final := map[string][]string{}
		var steps []func()
		for _, name := range names {
			w.create(name, "ext-"+name)
			from, to := someGroups(r, "first groups"), someGroups(r, "last groups")
			for _, g := range from {
				w.add(g, name)
			}
			final[name] = to
			for _, g := range groupNames {
				switch has, wants := slices.Contains(from, g), slices.Contains(to, g); {
				case wants && !has:
					steps = append(steps, func() { w.add(g, name) })
				case has && !wants:
					steps = append(steps, func() { w.remove(g, name) })
				}
			}
		}
		steps = append(steps, func() { w.activate(rulebooks[1].text) })
		for _, i := range rapid.Permutation(indexes(len(steps))).Draw(r, "order") {
			steps[i]()
			if rapid.Bool().Draw(r, "look") {
				w.drain()
			}
		}
		w.drain()
		for name, groups := range final {
			w.wantGroups(rulebooks[1], name, groups)
			if b := w.binding(name); b.State != bindings.Converged {
				w.tb.Errorf("%s is %s (%s)", name, b.State, b.Detail)
			}
		}
	}, withGuards(10, 0))
}

// I7: a leaver is done after a read-back without access and without live tokens, or
// with tokens that are labelled as inert.
func TestI7_DoneMeansGone(t *testing.T) {
	property(t, func(r *rapid.T, w *world) {
		w.join(ada, someGroups(r, "groups")...)
		w.drain()
		if _, exists := w.matomo.User(ada); exists && rapid.Bool().Draw(r, "has a token") {
			w.mint(ada)
		}
		if rapid.Bool().Draw(r, "by hand") {
			w.matomo.Grant(ada, "admin", 5, 77) // one of them a site that does not exist
		}
		w.leave(ada)
		if rapid.Bool().Draw(r, "fault") {
			w.matomo.Fault(matomotest.Fault{
				Kind: matomotest.ServerError, Count: 1, Skip: rapid.IntRange(0, 3).Draw(r, "skip"),
				Method: rapid.SampledFrom([]string{"UsersManager.setUserAccess", "ScimBridge.revokeTokens", "UsersManager.updateUser", "UsersManager.getUsers"}).Draw(r, "method"),
			})
		}
		_, _ = w.engine.Drain(w.ctx)
		check := func() {
			b := w.binding(ada)
			if b.State != bindings.Revoked && b.State != bindings.Done {
				return
			}
			if rows := w.matomo.Rows(ada); len(rows) > 0 || w.matomo.Access(ada).Superuser {
				w.tb.Errorf("%s with rows %v", b.State, rows)
			}
			if alive := len(w.matomo.Tokens(ada)); alive > 0 {
				w.tb.Errorf("%s with %d tokens", b.State, alive)
			}
		}
		check()
		w.matomo.ClearFaults()
		w.drain()
		check()
		if b := w.binding(ada); b.State != bindings.Done && b.State != bindings.Gone {
			w.tb.Errorf("%s: %s", b.State, b.Detail)
		}
	}, withPlugin(), withGuards(10, 0))
}

// I9: every change in Matomo can be traced: the event, the group, the rule with its
// line, the plan, and Matomo's answer.
func TestI9_EveryChangeIsOnRecord(t *testing.T) {
	property(t, func(r *rapid.T, w *world) {
		groups := map[string][]string{}
		for i := range 3 {
			name := fmt.Sprintf("p%d@example.org", i)
			groups[name] = someGroups(r, "groups")
			w.join(name, groups[name]...)
		}
		w.drain()
		for name := range groups {
			switch rapid.SampledFrom([]string{"leave", "move", "stay"}).Draw(r, "event") {
			case "leave":
				w.leave(name)
			case "move":
				w.regroup(r, name, groups[name], someGroups(r, "new groups"))
			}
		}
		if rapid.Bool().Draw(r, "fault") {
			w.matomo.Fault(cutAfter("UsersManager.setUserAccess"))
		}
		_, _ = w.engine.Drain(w.ctx)
		w.matomo.ClearFaults()
		w.drain()
		for name := range groups {
			w.traced(name)
		}
	}, withPlugin(), withGuards(10, 0))
}

// traced checks that every write for a login has an intent before it and an answer
// after it, and that grants name group and rule.
func (w *world) traced(login string) {
	written := map[string]int{}
	for _, c := range w.matomo.Calls() {
		if isWrite(c.Method) && strings.EqualFold(c.Params["userLogin"], login) {
			written[c.Method]++
		}
	}
	subject := w.subject(login)
	answered, promised := 0, 0
	for _, e := range w.entries(subject, "outcome.") {
		var answers []map[string]string
		remarshal(w.tb, e.Answer, &answers)
		answered += len(answers)
	}
	for _, e := range w.entries(subject, "intent.") {
		var after struct {
			Steps   []matomo.Step
			Reasons []string
			Event   string
		}
		remarshal(w.tb, e.After, &after)
		promised += len(after.Steps)
		for _, s := range after.Steps {
			if s.Why == "" {
				w.tb.Errorf("step %s says no why", s)
			}
			if s.Kind == matomo.SetAccess && (len(after.Reasons) == 0 || !strings.Contains(after.Reasons[0], "mapping.ini:")) {
				w.tb.Errorf("access is granted to %s and no rule is named: %v", login, after.Reasons)
			}
		}
	}
	total := 0
	for _, n := range written {
		total += n
	}
	if total > answered || total > promised {
		w.tb.Errorf("%s: %d writes %v, %d promised, %d answered", login, total, written, promised, answered)
	}
	if total > 0 && len(w.entries(subject, "user.")) == 0 {
		w.tb.Errorf("%s: no event leads to the change", login)
	}
}

func remarshal(tb interface{ Fatal(args ...any) }, from, to any) {
	data, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(data, to)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// I10: a person who comes back never finds an old token alive.
func TestI10_NoOldTokenAfterAComeBack(t *testing.T) {
	for name, strategy := range tokenWays {
		t.Run(name, func(t *testing.T) {
			property(t, func(r *rapid.T, w *world) {
				w.join(ada, "Analysts")
				w.drain()
				var old []string
				for range rapid.IntRange(1, 3).Draw(r, "leaves") {
					mint := func(label string) {
						if _, exists := w.matomo.User(ada); exists && rapid.Bool().Draw(r, label) {
							old = append(old, w.mint(ada))
						}
					}
					mint("mints before")
					w.leave(ada)
					look := rapid.Bool().Draw(r, "looks")
					if look {
						w.drain()
						mint("mints while suspended")
						if rapid.Bool().Draw(r, "compares") {
							w.compare()
							mint("mints again")
						}
					}
					if rapid.Bool().Draw(r, "without groups") {
						w.remove("Analysts", ada)
						w.back(ada)
						w.drain()
						w.add("Analysts", ada)
					} else {
						w.back(ada)
					}
					w.drain()
					w.wantAccess(ada, "1:write, 2:view")
					w.wantDead(old...)
				}
			}, strategy)
		})
	}
}
