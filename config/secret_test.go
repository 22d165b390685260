package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"go.yaml.in/yaml/v3"

	"github.com/matomo-scim/bridge/config/secret"
)

func TestSecret_Read(t *testing.T) {
	for name, tc := range map[string]struct{ text, want, wantErr string }{
		"plain":                {"abc", "abc", ""},
		"one line end":         {"abc\n", "abc", ""},
		"windows line end":     {"abc\r\n", "abc", ""},
		"two line ends":        {"abc\n\n", "abc\n", ""},
		"lone return stays":    {"abc\r", "abc\r", ""},
		"spaces stay":          {" a b \n", " a b ", ""},
		"empty":                {"", "", "is empty"},
		"line end and no more": {"\n", "", "is empty"},
		"too long": {
			strings.Repeat("x", secret.MaxSize+1),
			"",
			"has more than 65536 bytes: that is no token or password",
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, t.TempDir(), "secret", tc.text)
			got, err := secret.File(path).Read()
			if tc.wantErr != "" {
				if want := "file " + path + " " + tc.wantErr; err == nil || err.Error() != want {
					t.Errorf("error = %v, want %q", err, want)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("Read = %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestSecret_ReadsAgain(t *testing.T) {
	dir := t.TempDir()
	s := secret.File(write(t, dir, "secret", "old"))
	if got, err := s.Read(); err != nil || got != "old" {
		t.Fatalf("Read = %q, %v", got, err)
	}
	write(t, dir, "secret", "new")
	if got, err := s.Read(); err != nil || got != "new" {
		t.Errorf("Read after the file changed = %q, %v; want new", got, err)
	}
	value := "one"
	e := secret.Env("X", func(string) string { return value })
	value = "two\n"
	if got, err := e.Read(); err != nil || got != "two" {
		t.Errorf("Read of the environment = %q, %v; want two", got, err)
	}
}

func TestSecret_Nowhere(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for name, tc := range map[string]struct {
		s    Secret
		want string
	}{
		"zero":        {Secret{}, "no secret is configured"},
		"no file":     {secret.File(missing), "file " + missing + ": there is no such file"},
		"no variable": {secret.Env("X", noEnv), "environment variable X is not set, or empty"},
		"only newline": {
			secret.Env("X", env("X", "\n")),
			"environment variable X is not set, or empty",
		},
	} {
		if v, err := tc.s.Read(); v != "" || err == nil || err.Error() != tc.want {
			t.Errorf("%s: Read = %q, %v; want %q", name, v, err, tc.want)
		}
	}
	if (Secret{}).Source() != "nowhere" || !(Secret{}).IsZero() || secret.Env("X", noEnv).IsZero() {
		t.Error("IsZero or Source of the zero Secret is wrong")
	}
}

// A whole configuration goes through every printer there is; the secret and
// its place stay inside.
func TestSecret_NeverShows(t *testing.T) {
	dir, path := project(t, minimal)
	write(t, dir, "token", "s3cr3t")
	c, err := Load(path, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	token := c.Targets[0].Token
	core, logs := observer.New(zap.DebugLevel)
	zap.New(core).Info("x", zap.Any("s", token), zap.Reflect("r", token), zap.Stringer("g", token), zap.Any("c", c))
	encoder, err := json.Marshal(logs.All()[0].ContextMap())
	if err != nil {
		t.Fatal(err)
	}
	jsonText, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	yamlText, err := yaml.Marshal(map[string]any{"token": token})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"%v": fmt.Sprintf("%v", token), "%+v": fmt.Sprintf("%+v", token), "%#v": fmt.Sprintf("%#v", token), "String": token.String(), "%q": fmt.Sprintf("%q", token),
		"config %+v": fmt.Sprintf("%+v", *c), "config %#v": fmt.Sprintf("%#v", *c),
		"json": string(jsonText), "yaml": string(yamlText), "zap": string(encoder),
	} {
		if strings.Contains(text, "s3cr3t") || strings.Contains(text, token.Path()) {
			t.Errorf("%s shows the secret or its place: %s", name, text)
		}
		if !strings.Contains(text, secret.Redacted) {
			t.Errorf("%s does not say that something is left out: %s", name, text)
		}
	}
}
