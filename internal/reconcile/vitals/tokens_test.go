package vitals_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/matomo-scim/bridge/internal/reconcile/vitals"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// watch is a TokenWatch on a stand-in, with what it said.
func watch(t *testing.T, server *matomotest.Server, pol matomo.Policy) (w *vitals.TokenWatch, logs *observer.ObservedLogs, health *[]string) {
	t.Helper()
	client, err := matomo.New(matomo.Options{
		Name: "main", URL: "http://matomo.test/", Login: "bridge", Transport: server.RoundTripper(),
		Token: func() (string, error) { return server.Token(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	health = new([]string)
	return &vitals.TokenWatch{
		Target: "main", Client: client, Policy: pol, Log: zap.New(core),
		Report: func(component, state, detail, action string, _ time.Duration) {
			*health = append(*health, strings.Join([]string{component, state, detail, action}, "|"))
		},
	}, logs, health
}

// What leaving costs where nothing ends tokens is in the log, by setting.
func TestTokenWatch_SaysWhatItCosts(t *testing.T) {
	for pol, want := range map[matomo.LeaverTokens]string{
		matomo.RevokeOrInert: "cannot be ended", matomo.RevokeOrRecreate: "deleted and added again", matomo.RevokeOrDelete: "deleted at once",
	} {
		w, logs, _ := watch(t, matomotest.New(matomotest.Options{}), matomo.Policy{Tokens: matomo.Auto, LeaverTokens: pol})
		if err := w.Notice(context.Background()); err != nil {
			t.Fatal(err)
		}
		said := logs.FilterMessage("nothing ends tokens of other people here").All()
		if len(said) != 1 || said[0].Level != zap.WarnLevel || !strings.Contains(said[0].ContextMap()["cost"].(string), want) {
			t.Errorf("%s: %v", pol, said)
		}
	}
	// Who asked for none is not warned.
	w, logs, _ := watch(t, matomotest.New(matomotest.Options{}), matomo.Policy{Tokens: "none"})
	if err := w.Notice(context.Background()); err != nil {
		t.Fatal(err)
	}
	if logs.FilterLevelExact(zap.WarnLevel).Len() > 0 {
		t.Errorf("%v", logs.All())
	}
}

// A target that does not answer is asked again; one that did is not, until the next
// full compare.
func TestTokenWatch_LooksUntilItSees(t *testing.T) {
	server := matomotest.New(matomotest.Options{Plugin: true})
	w, logs, health := watch(t, server, matomo.Policy{Tokens: matomo.Auto})
	heal := server.Fault(matomotest.Fault{Kind: matomotest.CutBefore})
	if err := w.Notice(context.Background()); matomo.KindOf(err) != matomo.Unreachable {
		t.Errorf("%v", err)
	}
	if logs.Len() > 0 || len(*health) > 0 {
		t.Error("something was said without having been seen")
	}
	heal()
	for range 3 {
		if err := w.Notice(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	said := logs.FilterMessage("how tokens are ended").All()
	if len(said) != 1 || said[0].ContextMap()["strategy"] != "plugin" {
		t.Errorf("said %v", said)
	}
	if !slices.Equal(*health, []string{"tokens/main|ok||"}) {
		t.Errorf("health %v", *health)
	}
}

// What passes find out is shown without a look, and stays until a look finds it working again.
func TestTokenWatch_NoticesWhatPassesFind(t *testing.T) {
	server := matomotest.New(matomotest.Options{Plugin: true})
	w, logs, health := watch(t, server, matomo.Policy{Tokens: matomo.Auto})
	notice := func() {
		t.Helper()
		if err := w.Notice(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	notice()
	if err := server.AddUser("ada", "ada@example.org", "a password that nobody types"); err != nil {
		t.Fatal(err)
	}
	heal := server.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: "ScimBridge.getTokens", Message: "An unexpected error occurred."})
	for range 4 {
		if _, err := w.Client.ReadTokens(t.Context(), []string{"ada"}); err != nil {
			t.Fatal(err)
		}
	}
	asked := server.Requests()
	notice()
	notice()
	if server.Requests() != asked {
		t.Error("somebody was asked")
	}
	if len(*health) != 2 || !strings.HasPrefix((*health)[1], "tokens/main|degraded|plugin: ") {
		t.Errorf("health %q", *health)
	}
	if logs.FilterMessage("nothing ends tokens of other people here").Len() != 1 {
		t.Errorf("log %v", logs.All())
	}
	heal()
	notice()
	if len(*health) != 2 {
		t.Errorf("found working without a look: %q", *health)
	}
	if err := w.Look(t.Context()); err != nil || (*health)[len(*health)-1] != "tokens/main|ok||" {
		t.Errorf("%v, health %q", err, *health)
	}
}
