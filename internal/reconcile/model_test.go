package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// The model: what the identity provider has said, whatever the bridge made of it.
type model struct {
	*world

	book    int               // index of the active rules
	people  map[string]*human // by name: who there ever was
	groupOf map[string]string // id of a group by its first name; groups are renamed
	nameOf  map[string]string // what it is called now
	rehired int
	old     []string // tokens from before a leave
	foreign matomotest.Snapshot
}

// human is one person of the model.
type human struct {
	name, subject string
	exists        bool // has a user
	active        bool
	groups        map[string]bool // by the group's first name
}

// names are logins; two people may fight for one after a rehire.
var modelNames = []string{"ann", "bob", "cleo", "dan"}

func newModel(w *world) *model {
	m := &model{world: w, people: map[string]*human{}, groupOf: map[string]string{}, nameOf: map[string]string{}}
	for i, login := range []string{"keeper", "stranger", "root"} {
		if err := w.matomo.AddUser(login, login+"@elsewhere.org", "some-password"); err != nil {
			w.tb.Fatal(err)
		}
		w.matomo.Grant(login, "admin", i+1)
	}
	w.matomo.SetSuperuser("root", true)
	for _, g := range groupNames {
		created, err := w.dir.CreateGroup(w.ctx, actor, map[string]any{"displayName": g}, nil)
		if err != nil {
			w.tb.Fatal(err)
		}
		m.groupOf[g], m.nameOf[g] = created.ID, g
	}
	m.foreign = w.matomo.Snapshot()
	return m
}

// the user of a name, if there is one.
func (m *model) user(name string) *human {
	if h := m.people[name]; h != nil && h.exists {
		return h
	}
	return nil
}

func (m *model) hire(r *rapid.T, name string) {
	h := m.people[name]
	external := "ext-" + name
	if m.user(name) != nil {
		return
	}
	if h != nil && rapid.Bool().Draw(r, "another person") {
		m.rehired++
		external = fmt.Sprintf("ext-%s-%d", name, m.rehired)
	}
	m.create(name, external)
	m.people[name] = &human{name: name, subject: m.subject(name), exists: true, active: true, groups: map[string]bool{}}
}

func (m *model) fire(name string) {
	if h := m.user(name); h != nil {
		m.noteTokens(name)
		m.delete(name)
		h.exists, h.active, h.groups = false, false, map[string]bool{}
	}
}

// noteTokens remembers the tokens of somebody who leaves now.
func (m *model) noteTokens(name string) {
	for _, t := range m.matomo.Tokens(name) {
		m.old = append(m.old, t.Secret)
	}
}

func (m *model) setActive(name string, active bool) {
	h := m.user(name)
	if h == nil || h.active == active {
		return
	}
	if !active {
		m.noteTokens(name)
	}
	m.update(name, func(doc map[string]any) { doc["active"] = active })
	h.active = active
}

func (m *model) member(name, group string, in bool) {
	h := m.user(name)
	if h == nil || h.groups[group] == in || m.nameOf[group] == "" {
		return
	}
	op := directory.MemberOp{Kind: directory.Remove, Values: []string{m.users[name]}}
	if in {
		op.Kind = directory.Add
	}
	if _, _, err := m.dir.UpdateGroup(m.ctx, actor, m.groupOf[group], nil, nil, []directory.MemberOp{op}); err != nil {
		m.tb.Fatal(err)
	}
	h.groups[group] = in
}

// rename gives a group another name, or its own back; with it goes what rules give.
func (m *model) rename(group string) {
	switch m.nameOf[group] {
	case "":
		return
	case group:
		m.nameOf[group] = "Renamed " + group
	default:
		m.nameOf[group] = group
	}
	_, _, err := m.dir.UpdateGroup(m.ctx, actor, m.groupOf[group], nil, func(_ directory.Group, doc map[string]any) (map[string]any, error) {
		doc["displayName"] = m.nameOf[group]
		return doc, nil
	}, nil)
	if err != nil {
		m.tb.Fatal(err)
	}
}

func (m *model) dissolve(group string) {
	if m.nameOf[group] == "" {
		return
	}
	if err := m.dir.DeleteGroup(m.ctx, actor, m.groupOf[group], nil); err != nil {
		m.tb.Fatal(err)
	}
	m.nameOf[group] = ""
	for _, h := range m.people {
		delete(h.groups, group)
	}
}

// meddle changes Matomo by hand.
func (m *model) meddle(r *rapid.T, name string) {
	u, exists := m.matomo.User(name)
	if !exists || u.Superuser { // Matomo refuses to give sites to a superuser
		return
	}
	switch rapid.SampledFrom([]string{"grant", "revoke", "delete", "mint", "orphan"}).Draw(r, "by hand") {
	case "grant":
		m.matomo.Grant(name, "admin", 4)
	case "revoke":
		m.matomo.Revoke(name, 1, 2)
	case "delete":
		m.matomo.DeleteUser(name)
	case "orphan":
		m.matomo.Grant(name, "view", 99)
	case "mint":
		token := m.mint(name)
		if h := m.people[name]; h == nil || !h.active {
			m.old = append(m.old, token)
		}
	}
}

// trouble sets a fault for a while.
func (m *model) trouble(r *rapid.T) {
	m.matomo.Fault(matomotest.Fault{
		Kind: rapid.SampledFrom([]matomotest.FaultKind{
			matomotest.CutBefore, matomotest.CutAfter, matomotest.ServerError, matomotest.Refused, matomotest.MailError, matomotest.Truncated,
		}).Draw(r, "fault"),
		Method: rapid.SampledFrom([]string{
			"", "UsersManager.addUser", "UsersManager.setUserAccess", "UsersManager.setSuperUserAccess", "UsersManager.updateUser",
			"UsersManager.deleteUser", "UsersManager.getUsers", "ScimBridge.revokeTokens",
		}).Draw(r, "at"),
		Count: rapid.IntRange(1, 3).Draw(r, "times"), Skip: rapid.IntRange(0, 2).Draw(r, "skip"), Message: "An unexpected error occurred.",
	})
}

// crash ends a pass in the middle: the process is gone, its leases are not.
func (m *model) crash(r *rapid.T) {
	ctx, kill := context.WithCancel(m.ctx)
	n := rapid.IntRange(1, 4).Draw(r, "requests before the crash")
	m.hook = func(string) {
		if n--; n == 0 {
			m.exec("UPDATE bindings SET lease = 'dead', lease_until = $1 WHERE lease IS NOT NULL", time.Now().Add(30*time.Second).UnixMicro())
			kill()
		}
	}
	_, _ = m.engine.Drain(ctx)
	kill()
	m.hook = nil
	m.restart()
}

// step does one random thing.
func (m *model) step(r *rapid.T) {
	name := rapid.SampledFrom(modelNames).Draw(r, "who")
	group := rapid.SampledFrom(groupNames).Draw(r, "group")
	switch rapid.SampledFrom([]string{
		"hire", "hire", "fire", "leave", "back", "add", "add", "add", "remove", "rename", "dissolve", "rules", "by hand", "trouble", "crash", "drain", "drain", "wait", "site", "compare",
	}).Draw(r, "event") {
	case "hire":
		m.hire(r, name)
	case "fire":
		m.fire(name)
	case "leave":
		m.setActive(name, false)
	case "back":
		m.setActive(name, true)
	case "add":
		m.member(name, group, true)
	case "remove":
		m.member(name, group, false)
	case "rename":
		m.rename(group)
	case "dissolve":
		if rapid.IntRange(0, 3).Draw(r, "really") == 0 {
			m.dissolve(group)
		}
	case "rules":
		m.book = 1 - m.book
		m.activate(rulebooks[m.book].text)
	case "by hand":
		m.meddle(r, name)
	case "trouble":
		m.trouble(r)
	case "crash":
		m.crash(r)
	case "drain":
		_, _ = m.engine.Drain(m.ctx)
	case "wait":
		time.Sleep(time.Duration(rapid.IntRange(1, 70).Draw(r, "seconds")) * time.Second)
	case "site":
		if len(m.siteIDs()) < 7 {
			m.matomo.AddSite(fmt.Sprintf("Extra %d", len(m.siteIDs())), "")
		}
	case "compare":
		_ = m.engine.MarkDifferences(m.ctx)
	}
}

// settle lets everything come to rest: no faults, back-offs over, a full compare.
func (m *model) rest() {
	m.matomo.ClearFaults()
	for range 3 {
		time.Sleep(4 * time.Minute)
		m.drain()
		m.compare()
	}
}

// check compares Matomo with the model.
func (m *model) check() {
	for name, h := range m.people {
		b := m.bindingOf(h.subject)
		if !h.active {
			m.checkLeaver(name, b)
			continue
		}
		var groups []string
		for g, in := range h.groups {
			if in {
				groups = append(groups, m.nameOf[g])
			}
		}
		slices.Sort(groups)
		if b.State != bindings.Converged {
			m.tb.Errorf("%s with %v is %s (%s: %s)", name, groups, b.State, b.Reason, b.Detail)
		}
		m.wantGroups(rulebooks[m.book], name, groups)
	}
	m.wantDead(m.old...)
	for _, change := range m.foreign.Changes(m.matomo.Snapshot()) {
		for _, login := range []string{"keeper", "stranger", "root", "anonymous", "bridge"} {
			if strings.HasPrefix(change, login+":") {
				m.tb.Errorf("not ours, and changed: %s", change)
			}
		}
	}
	if rest := m.differences(); len(rest) > 0 {
		m.tb.Errorf("a compare still finds %+v", rest)
	}
}

// checkLeaver checks that somebody without an active user has nothing.
func (m *model) checkLeaver(name string, b bindings.Binding) {
	if b.State != bindings.Done && b.State != bindings.Gone {
		m.tb.Errorf("%s left and is %s (%s: %s)", name, b.State, b.Reason, b.Detail)
	}
	if b.Login == "" {
		return
	}
	if rows := m.matomo.Rows(b.Login); len(rows) > 0 || m.matomo.Access(b.Login).Superuser {
		m.tb.Errorf("%s left and has %v", name, rows)
	}
	if tokens := m.matomo.Tokens(b.Login); len(tokens) > 0 {
		m.tb.Errorf("%s left and has %d tokens", name, len(tokens))
	}
}

// Whatever happens in whatever order: once it is quiet, Matomo is as the rules say
// for everybody who is managed, nobody else was touched, and no leaver's token is
// alive.
func TestModel(t *testing.T) {
	for _, settle := range []time.Duration{0, ten} {
		t.Run("settle "+settle.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				property(t, func(r *rapid.T, w *world) {
					m := newModel(w)
					for range rapid.IntRange(5, 60).Draw(r, "steps") {
						m.step(r)
					}
					m.rest()
					m.check()
				}, withPlugin(), withGuards(100, 0), withSettle(settle), withClient(func(o *matomo.Options) { o.Protected = []string{"keeper"} }))
			})
		})
	}
}
