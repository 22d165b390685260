package ways

import (
	"errors"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/matomo/internal/wire"
	"github.com/matomo-scim/bridge/matomo/plan"
)

var all = []plan.Strategy{plan.Plugin, plan.Database, plan.Regenerate}

func made(tb testing.TB, reg prometheus.Registerer) *Ways {
	tb.Helper()
	w, err := New(reg, "main")
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func failure(kind wire.ErrorKind) error { return &wire.Error{Kind: kind, Method: "m"} }

func TestWays_WhatAFailureMeans(t *testing.T) {
	for kind, usableAfter := range map[wire.ErrorKind]int{
		wire.StoreRefused: 0, wire.UnknownMethod: 0, // failures until it is out of use, less one
		wire.Refused: brokenAfter - 1, wire.Validation: brokenAfter - 1,
		wire.StoreDown: 100, wire.Skipped: 100, wire.UserMissing: 100,
	} {
		w := made(t, nil)
		for n := range 100 {
			if usable := slices.Contains(w.Usable(all), plan.Plugin); usable != (n <= usableAfter) {
				t.Fatalf("%s: after %d failures usable is %t", kind, n, usable)
			}
			w.Note(plan.Plugin, Ends, failure(kind))
		}
		if got := w.Usable(all); !slices.Contains(got, plan.Database) {
			t.Errorf("%s: another strategy fell with it: %v", kind, got)
		}
		w.Forgive(plan.Plugin)
		if got := w.Usable(all); !slices.Equal(got, all) || len(w.Broken()) > 0 {
			t.Errorf("%s: forgiven, and usable are %v", kind, got)
		}
	}
}

// A success at one thing does not make up for failures at the other: a plugin that
// lists and no longer ends tokens is no use.
func TestWays_DeedsAreCountedApart(t *testing.T) {
	w := made(t, nil)
	for range brokenAfter {
		w.Note(plan.Plugin, Ends, failure(wire.Refused))
		w.Note(plan.Plugin, Lists, nil)
	}
	if slices.Contains(w.Usable(all), plan.Plugin) || w.Broken()[plan.Plugin] == nil {
		t.Error("in use although it ends nothing")
	}
	w = made(t, nil)
	for range 10 * brokenAfter {
		for range brokenAfter - 1 {
			w.Note(plan.Plugin, Lists, errors.New("now and then"))
		}
		w.Note(plan.Plugin, Lists, nil)
	}
	if !slices.Contains(w.Usable(all), plan.Plugin) {
		t.Error("out of use although it recovers each time")
	}
}

// Whatever happens, what is usable keeps its order, and is what is not broken.
func TestWays_UsableKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := made(t, nil)
		for range rapid.IntRange(0, 30).Draw(r, "events") {
			s := rapid.SampledFrom(all).Draw(r, "strategy")
			switch rapid.IntRange(0, 2).Draw(r, "event") {
			case 0:
				w.Note(s, rapid.SampledFrom([]Deed{Lists, Ends}).Draw(r, "deed"), failure(rapid.SampledFrom([]wire.ErrorKind{wire.Refused, wire.StoreRefused, wire.StoreDown}).Draw(r, "kind")))
			case 1:
				w.Note(s, Ends, nil)
			default:
				w.Forgive(s)
			}
		}
		var want []plan.Strategy
		for _, s := range all {
			if w.Broken()[s] == nil {
				want = append(want, s)
			}
		}
		if got := w.Usable(all); !slices.Equal(got, want) {
			r.Errorf("usable %v, want %v", got, want)
		}
	})
}

func TestWays_Metrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	w := made(t, reg)
	if !w.Use(plan.Database) || w.Use(plan.Database) || !w.Use(plan.NoStrategy) {
		t.Error("news and no news are mixed up")
	}
	if _, err := New(reg, "second"); err != nil {
		t.Errorf("a second target: %v", err)
	}
	w.Ended(plan.Plugin, nil)
	w.Ended(plan.Plugin, failure(wire.Refused))
	w.Ended("nonsense", nil)
	for _, tc := range []struct {
		got  prometheus.Collector
		want float64
	}{
		{w.metrics.strategy.WithLabelValues("main", "none"), 1},
		{w.metrics.strategy.WithLabelValues("main", "database"), 0},
		{w.metrics.revocations.WithLabelValues("main", "plugin", "ok"), 1},
		{w.metrics.revocations.WithLabelValues("main", "plugin", "error"), 1},
	} {
		if got := testutil.ToFloat64(tc.got); got != tc.want {
			t.Errorf("%v, want %v", got, tc.want)
		}
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
