package main

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// leaverRequests is more than a leaver's two phases send to Matomo: read, write and
// read back, each.
const leaverRequests = 8

// TestCrash_ALeaverAtEveryRequest kills the bridge with SIGKILL before and after each
// request of a leaver's way. After the next start access, tokens and sessions are gone
// all the same, and somebody who then comes back finds no old token alive.
func TestCrash_ALeaverAtEveryRequest(t *testing.T) {
	w := newCrashWorld(t)
	stop := w.start()
	w.createGroups()
	for n := 1; n <= leaverRequests; n++ {
		for _, answered := range []bool{false, true} {
			p := w.newPeople(100*n, 1)[0]
			if answered {
				p.name = "answered-" + p.name
			}
			token := w.prepareLeaver(p)
			died := w.killAt(n, answered, stop)
			if err := w.setActive(p, false); err != nil {
				p.active = false // acknowledged or not: sent again below
			}
			w.eventually("died or done", func() bool { return died.Load() || w.gone(p, token) })
			w.rest() // the last read back
			w.onRequest(nil)
			where := fmt.Sprintf("killed at request %d (answered: %t, reached: %t)", n, answered, died.Load())
			if n <= 6 && !died.Load() {
				t.Errorf("%s: two phases are six requests", where)
			}
			if died.Load() {
				w.leasesRunOut()
				stop = w.start()
			}
			if err := w.setActive(p, false); err != nil {
				t.Fatal(err)
			}
			w.eventually(where+": "+p.name+" is gone", func() bool { return w.gone(p, token) })
			w.comeBack(p, where, token)
		}
	}
	stop()
}

// prepareLeaver creates a person with access and a token.
func (w *crashWorld) prepareLeaver(p *crashPerson) (token string) {
	w.t.Helper()
	if err := w.ensure(p); err != nil {
		w.t.Fatal(err)
	}
	if err := w.setMember(p, "Analysts", true); err != nil {
		w.t.Fatal(err)
	}
	w.eventually("access", func() bool { return !w.matomo.Access(p.name).Empty() })
	w.rest()
	w.matomo.SetPassword(p.name, "a-known-password")
	token, err := w.matomo.MintToken(p.name, "a-known-password")
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// killAt kills the bridge at its n-th request to Matomo from now on, before Matomo
// sees it or when the answer is on its way.
func (w *crashWorld) killAt(n int, answered bool, kill func()) *atomic.Bool {
	var died atomic.Bool
	var seen atomic.Int32
	w.onRequest(func(after bool) {
		if after == answered && int(seen.Add(1)) == n {
			kill()
			died.Store(true)
		}
	})
	return &died
}

// gone reports whether a leaver has nothing left in Matomo: no access, no token, and
// no password that the person knows.
func (w *crashWorld) gone(p *crashPerson, token string) bool {
	return w.matomo.Access(p.name).Empty() && !w.matomo.TokenAlive(token) && !w.matomo.CheckPassword(p.name, "a-known-password")
}

// eventually waits until something is so.
func (w *crashWorld) eventually(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); !is(); pause() {
		if time.Now().After(end) {
			w.t.Fatalf("never: %s", what)
		}
	}
}

// leasesRunOut lets the half minute pass for which a killed bridge keeps what it was
// working on from the next one.
func (w *crashWorld) leasesRunOut() {
	w.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "bridge.db"))
	if err == nil {
		_, err = db.ExecContext(w.t.Context(), "UPDATE bindings SET lease_until = 0 WHERE lease IS NOT NULL")
	}
	if err := errors.Join(err, db.Close()); err != nil {
		w.t.Fatal(err)
	}
}

// rest lets requests that follow a write come: nothing in Matomo shows them.
func (w *crashWorld) rest() { <-time.After(200 * time.Millisecond) }

// comeBack lets a person come back: the token from before stays dead.
func (w *crashWorld) comeBack(p *crashPerson, where, token string) {
	w.t.Helper()
	w.matomo.SetPassword(p.name, "another-password")
	suspended, err := w.matomo.MintToken(p.name, "another-password")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.setActive(p, true); err != nil {
		w.t.Fatal(err)
	}
	w.eventually(where+": comes back", func() bool { return w.matomo.Access(p.name).String() == "1:write, 2:view" })
	if w.matomo.TokenAlive(token) || w.matomo.TokenAlive(suspended) {
		w.t.Errorf("%s: an old token lives after the come-back", where)
	}
}
