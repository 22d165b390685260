package certificate

import (
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
		"authority without TLS": {Keys{ACMEHosts: hosts, ACMEURL: "http://acme.example.com"}, []string{"acme_url"}, true},
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
