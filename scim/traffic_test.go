package scim_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/scim"
)

// step is one file of a recorded session; testdata/traffic/README.md explains it.
type step struct {
	Name    string            `json:"name"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	Expect  struct {
		Status    []int          `json:"status"`
		Tolerated []int          `json:"tolerated"`
		JSON      map[string]any `json:"json"`
	} `json:"expect"`
	Verify []struct {
		Method string         `json:"method"`
		Path   string         `json:"path"`
		Status []int          `json:"status"`
		JSON   map[string]any `json:"json"`
	} `json:"verify"`
	Save map[string]string `json:"save"`
}

// sessions are the recorded identity providers and the profile that their administrators are told to take.
var sessions = map[string]string{
	"okta-aiw": "okta", "okta-oin": "okta", "authentik": "okta", "keycloak-patch": "okta", "google": "okta",
	"entra-legacy": "entra", "entra-new": "entra", "entra-validator": "entra",
	"onelogin": "okta", "jumpcloud": "okta", "pingfederate": "okta", "pocket-id": "okta", "idp-scim-sync": "okta", "keycloak-put": "okta",
}

// loadSession reads the steps of a session in order.
func loadSession(t *testing.T, name string) []step {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "traffic", name, "*.json"))
	if err != nil || len(files) < 2 {
		t.Fatalf("session %s: %d files, %v", name, len(files), err)
	}
	var steps []step
	for _, file := range files {
		if strings.HasSuffix(file, "00-session.json") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var st step
		if err := json.Unmarshal(data, &st); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		st.Name = strings.TrimSuffix(filepath.Base(file), ".json")
		steps = append(steps, st)
	}
	return steps
}

// replay sends the steps of a session for a source and checks every expectation.
func replay(t *testing.T, s *server, source, name string) {
	t.Helper()
	vars := map[string]string{"token": s.tokens[source]}
	fill := func(text string) string {
		for k, v := range vars {
			text = strings.ReplaceAll(text, "{{"+k+"}}", v)
		}
		return text
	}
	for _, st := range loadSession(t, name) {
		body := ""
		if string(st.Body) != "null" {
			body = fill(string(st.Body))
		}
		r := httptest.NewRequestWithContext(t.Context(), st.Method, "http://scim.example"+scim.DefaultBasePath+fill(st.Path), strings.NewReader(body))
		for k, v := range st.Headers {
			r.Header.Set(k, fill(v))
		}
		a := s.send(t, r)
		if !slices.Contains(st.Expect.Status, a.status) {
			t.Fatalf("%s: status %d, want one of %v\n%s", st.Name, a.status, st.Expect.Status, a.raw)
		}
		check(t, st.Name, a, st.Expect.JSON, fill)
		for as, path := range st.Save {
			if vars[as] = a.str(path); vars[as] == "" {
				t.Fatalf("%s: nothing to save at %s\n%s", st.Name, path, a.raw)
			}
		}
		for i, v := range st.Verify {
			got := s.do(t, source, v.Method, fill(v.Path), nil)
			where := fmt.Sprintf("%s, verify %d", st.Name, i)
			if !slices.Contains(v.Status, got.status) {
				t.Fatalf("%s: status %d, want one of %v\n%s", where, got.status, v.Status, got.raw)
			}
			check(t, where, got, v.JSON, fill)
		}
	}
}

// check compares an answer with the expectations of a step.
func check(t *testing.T, where string, a answer, expect map[string]any, fill func(string) string) {
	t.Helper()
	if a.raw == "" { // a 204 has nothing to look at
		return
	}
	for path, want := range expect {
		got := lookup(a.json, path)
		if text, ok := want.(string); ok {
			want = fill(text)
		}
		if !matches(got, want) {
			t.Errorf("%s: %s = %v, want %v\n%s", where, path, got, want, a.raw)
		}
	}
}

// matches holds a value against an expectation.
func matches(got, want any) bool {
	text, ok := want.(string)
	if !ok || !strings.HasPrefix(text, "$") {
		return jsonText(got) == jsonText(want)
	}
	list, isList := got.([]any)
	_, isBool := got.(bool)
	number, isNumber := got.(json.Number)
	switch {
	case text == "$absent", text == "$absentOrNull":
		return got == nil
	case text == "$emptyOrAbsent":
		return got == nil || isList && len(list) == 0
	case text == "$nonEmpty":
		return got != nil && got != "" && (!isList || len(list) > 0)
	case text == "$int":
		_, err := number.Int64()
		return isNumber && err == nil
	case text == "$bool":
		return isBool
	case text == "$array":
		return isList
	case text == "$listResponse":
		return slices.Contains(list, any("urn:ietf:params:scim:api:messages:2.0:ListResponse"))
	case text == "$error":
		return slices.Contains(list, any("urn:ietf:params:scim:api:messages:2.0:Error"))
	case strings.HasPrefix(text, "$len:"):
		n, err := strconv.Atoi(text[len("$len:"):])
		return err == nil && isList && len(list) == n
	}
	return false
}

// lookup follows a dotted path; "urn|attr" goes through a name with dots in it, "\\." is a dot in a name.
func lookup(v any, path string) any {
	var steps []string
	if urn, rest, ok := strings.Cut(path, "|"); ok {
		steps, path = append(steps, urn), rest
	}
	for s := range strings.SplitSeq(strings.ReplaceAll(path, `\.`, "\x00"), ".") {
		steps = append(steps, strings.ReplaceAll(s, "\x00", "."))
	}
	for _, s := range steps {
		switch t := v.(type) {
		case map[string]any:
			v = t[s]
		case []any:
			i, err := strconv.Atoi(s)
			if err != nil || i < 0 || i >= len(t) {
				return nil
			}
			v = t[i]
		default:
			return nil
		}
	}
	return v
}

func TestTraffic(t *testing.T) {
	for name, source := range sessions {
		t.Run(name, func(t *testing.T) {
			databasetest.Run(t, func(t *testing.T, db *database.DB) {
				replay(t, newServer(t, db), source, name)
			})
		})
	}
}

// TestTraffic_EveryProfile replays every session under the other tolerant profile: an administrator who takes the
// wrong one gets another answer to a PATCH, never another effect.
func TestTraffic_EveryProfile(t *testing.T) {
	other := map[string]string{"okta": "entra", "entra": "okta"}
	for name, source := range sessions {
		t.Run(name, func(t *testing.T) {
			replay(t, newServer(t, databasetest.SQLite(t)), other[source], name)
		})
	}
}

// TestTraffic_TwoAtOnce replays pairs of sessions at the same time, each for a source of its own.
func TestTraffic_TwoAtOnce(t *testing.T) {
	pairs := [][2]string{{"okta-aiw", "entra-new"}, {"okta-oin", "entra-legacy"}, {"authentik", "keycloak-patch"}, {"google", "entra-new"}}
	for _, pair := range pairs {
		t.Run(pair[0]+"+"+pair[1], func(t *testing.T) {
			databasetest.Run(t, func(t *testing.T, db *database.DB) {
				s := newServer(t, db)
				for i, name := range pair {
					source := sessions[name]
					if i == 1 && source == "okta" {
						source = "other"
					}
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						replay(t, s, source, name)
					})
				}
			})
		})
	}
}

func TestTraffic_EverySessionIsReplayed(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join("testdata", "traffic"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && sessions[e.Name()] == "" {
			t.Errorf("session %s is not in the table", e.Name())
		}
	}
}
