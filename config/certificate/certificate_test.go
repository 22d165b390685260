package certificate

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeys_Check(t *testing.T) {
	hosts := []string{"scim.example.com"}
	for name, tc := range map[string]struct {
		keys    Keys
		want    []string // the keys that are complained about
		enabled bool
	}{
		"nothing":        {Keys{ACMEDir: "acme"}, nil, false},
		"files":          {Keys{CertFile: "c", KeyFile: "k"}, nil, true},
		"authority":      {Keys{ACMEHosts: hosts, ACMEURL: "https://acme.example.com/directory"}, nil, true},
		"half of a pair": {Keys{CertFile: "c"}, []string{"cert_file"}, true},
		"other half":     {Keys{KeyFile: "k"}, []string{"key_file"}, false},
		"both":           {Keys{CertFile: "c", KeyFile: "k", ACMEHosts: hosts}, []string{"acme_hosts"}, true},
		"hosts": {
			Keys{ACMEHosts: []string{"a.example.com", "localhost", "-x.example.com", "a.example.com", "x.example.com:443"}},
			[]string{"acme_hosts[1]", "acme_hosts[2]", "acme_hosts[3]", "acme_hosts[4]"},
			true,
		},
		"whom to trust, of Let's Encrypt": {Keys{ACMEHosts: hosts, ACMECAFile: "ca.pem"}, []string{"acme_ca_file"}, true},
		"authority without TLS":           {Keys{ACMEHosts: hosts, ACMEURL: "http://acme.example.com"}, []string{"acme_url"}, true},
	} {
		var got []string
		for _, p := range tc.keys.Check() {
			if p.Msg == "" || p.Hint == "" {
				t.Errorf("%s: %+v says too little", name, p)
			}
			got = append(got, p.Key)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" || tc.keys.Enabled() != tc.enabled {
			t.Errorf("%s: enabled %v, problems (-want +got):\n%s", name, tc.keys.Enabled(), diff)
		}
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.pem")
	if err := os.WriteFile(file, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if Load(file, file) == nil || Load("missing", file) == nil {
		t.Error("what is no certificate can be served")
	}
}

func TestKeys_Files(t *testing.T) {
	dir := t.TempDir()
	inDir := func(path string) string { return filepath.Join(dir, path) }
	k := Keys{KeyFile: "k", ACMEDir: "acme"}.Resolved(inDir)
	if diff := cmp.Diff(Keys{KeyFile: inDir("k"), ACMEDir: inDir("acme")}, k); diff != "" {
		t.Errorf("resolved (-want +got):\n%s", diff)
	}
	if roots, err := k.Roots(); roots != nil || err != nil {
		t.Errorf("without a file: %v, %v; want the trust of this host", roots, err)
	}
	authority := httptest.NewTLSServer(nil)
	defer authority.Close()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw})
	for name, tc := range map[string]struct {
		text []byte
		ok   bool
	}{"ca.pem": {text, true}, "empty.pem": {nil, false}} {
		if err := os.WriteFile(inDir(name), tc.text, 0o600); err != nil {
			t.Fatal(err)
		}
		roots, err := Keys{ACMECAFile: inDir(name)}.Roots()
		if (err == nil) != tc.ok || (roots != nil) != tc.ok {
			t.Errorf("%s: %v, %v", name, roots, err)
		}
	}
	if _, err := (Keys{ACMECAFile: inDir("missing")}).Roots(); err == nil {
		t.Error("a file that is not there is trusted")
	}
}
