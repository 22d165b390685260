package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestExample_Loads(t *testing.T) {
	dir, path := project(t, "")
	write(t, dir, "matomo_token", "x\n")
	write(t, dir, "bridge.yaml", strings.ReplaceAll(Example(), "/run/secrets/", dir+"/"))
	if _, err := Load(path, noEnv); err != nil {
		t.Fatal(err)
	}
}

// The example says that all it shows are defaults. It must not lie.
func TestExample_ShowsTheDefaults(t *testing.T) {
	shown, err := Parse("f", []byte(Example()))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := Parse("f", []byte(strings.Replace(minimal, "token_file: token", "token_file: /run/secrets/matomo_token", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(bare, shown, ignoreSecrets, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("a file with only what is required (-) and the example (+) differ:\n%s", diff)
	}
}

// Every key of the structs stands in the example, or as a commented alternative.
func TestExample_MentionsEveryKey(t *testing.T) {
	seen := 0
	walkKeys(reflect.TypeFor[Config](), "", func(path, key string) {
		seen++
		if !regexp.MustCompile(`(?m)^ *(# *)?(- )?` + regexp.QuoteMeta(key) + `:`).MatchString(Example()) {
			t.Errorf("%s is not in the example", path)
		}
	})
	if seen < 50 {
		t.Errorf("only %d keys were looked for", seen)
	}
}

// together are keys that make sense only with others: one that is commented out is
// tried with its company.
var together = map[string][]string{
	"entra_tenant": {"app_ids"}, "issuer": {"audience", "app_ids"}, "audience": {"issuer", "app_ids"},
	"app_ids": {"issuer", "audience"}, "client_claim": {"issuer", "audience", "app_ids"},
}

// And each alternative that is commented out is right when it replaces the
// line above it.
func TestExample_CommentedAlternativesAreRight(t *testing.T) {
	commented := regexp.MustCompile(`(?m)^( *)# ([a-z_]+): \S+$`)
	lines := strings.Split(Example(), "\n")
	tried := 0
	for i, line := range lines {
		m := commented.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		tried++
		var text []string
		for j, other := range lines {
			company := commented.FindStringSubmatch(other)
			switch {
			case j == i || company != nil && slices.Contains(together[m[2]], company[2]):
				text = append(text, strings.Replace(other, "# ", "", 1))
			case strings.Contains(strings.ToLower(line), "token_database") && strings.HasSuffix(other, `: ""`):
				other = strings.Replace(other, `address: ""`, "address: db:3306", 1)
				other = strings.Replace(other, `name: ""`, "name: matomo", 1)
				text = append(text, strings.Replace(other, `user: ""`, "user: bridge", 1))
			case m[2] == "checkpoint_file" && strings.Contains(other, "# signing_key_file:"), m[2] == "signing_key_file" && strings.Contains(other, "# checkpoint_file:"):
				text = append(text, strings.Replace(other, "# ", "", 1)) // the one needs the other
			case m[2] == "token_env" && strings.Contains(other, "token_file: "):
			case strings.HasPrefix(other, "  url: sqlite:") && strings.Contains(line, "DATABASE_PASSWORD") || strings.HasPrefix(other, "  url: sqlite:") && strings.Contains(line, "database_password"):
				text = append(text, "  url: postgres://bridge@db/bridge")
			default:
				text = append(text, other)
			}
		}
		if _, err := Parse("f", []byte(strings.Join(text, "\n"))); err != nil {
			t.Errorf("line %d: %v", i+1, err)
		}
	}
	if tried < 5 {
		t.Errorf("only %d alternatives were tried", tried)
	}
}

// The schemas that the example shows in comments are right, too.
func TestExample_SchemasAreRight(t *testing.T) {
	block := regexp.MustCompile(`(?m)^schemas: \[\]\n((?:  # .*\n)+)`).FindStringSubmatch(Example())
	if block == nil {
		t.Fatal("no schemas in the example")
	}
	text := regexp.MustCompile(`(?m)^  # `).ReplaceAllString(block[1], "  ")
	c, err := Parse("f", []byte(minimal+"schemas:\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Schemas) != 1 || len(c.Schemas[0].Attributes) != 2 || len(c.Schemas[0].Attributes[1].SubAttributes) != 2 {
		t.Errorf("read as %+v", c.Schemas)
	}
}

// Every word of every closed set is explained where its key is.
func TestExample_NamesEveryWord(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(rt reflect.Type) {
		for f := range rt.Fields() {
			ft := f.Type
			if ft.Kind() == reflect.Slice {
				ft = ft.Elem()
			}
			if keyOf(f) == "" {
				continue
			}
			if e, ok := reflect.TypeAssert[enum](reflect.Zero(ft)); ok {
				for _, w := range e.values() {
					if !regexp.MustCompile(`\b` + regexp.QuoteMeta(w) + `\b`).MatchString(Example()) {
						t.Errorf("%s: the word %s is not in the example", keyOf(f), w)
					}
				}
			}
			if ft.Kind() == reflect.Struct {
				walk(ft)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

func ExampleProblems() {
	_, err := Parse("bridge.yaml", []byte("targets:\n  - name: main\n    ulr: https://matomo.example.com/\n    login: bridge\n    token: abc\nmapping: {files: [mapping.ini]}\n"))
	fmt.Println(err)
	// Output:
	// bridge.yaml:3:5: targets[0].ulr: unknown key
	//    3 |     ulr: https://matomo.example.com/
	//      |     ^
	//   did you mean url?
	// bridge.yaml:5:5: targets[0].token: secrets do not stand in this file
	//    5 |     token: [redacted]
	//      |     ^
	//   write it to a file that only the bridge can read (chmod 600) and say token_file: PATH, or token_env: VARIABLE
}
