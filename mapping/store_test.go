package mapping_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/mapping"
)

// A config.ini.php with secrets around its rules.
const configINI = "; <?php exit; ?> top secret\r\n[database]\r\npassword = \"hunter2\"\r\n; old = hunter1\r\n\r\n [RoleMapping] ; rules\r\n; staff\r\ngroup[a] = \"site:1:view\"\r\n[Login] ; hunter3\r\nldap_bind_password = hunter4\r\n[LoginLdap_RoleMapping]\r\ngroup[b] = \"site:2:view\"\r\n"

func TestMarshal_RulesSurviveStorage(t *testing.T) {
	files := []mapping.File{
		{Name: "z.yaml", Data: []byte("\ufeff" + strings.ReplaceAll(yamlExample, "\n", "\r\n"))},
		{Name: "config.ini.php", Data: []byte(configINI)},
		{Name: "bytes.ini", Data: []byte("[RoleMapping]\n; caf\xe9\ngroup[c] = \"site:3:view\"\n")},
		{Name: "example.ini", Data: []byte(example)},
	}
	before, err := mapping.Parse(files, exampleOptions)
	if err != nil {
		t.Fatal(err)
	}
	text, err := before.Text()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := mapping.Unmarshal(text)
	if err != nil {
		t.Fatal(err)
	}
	after, err := mapping.Parse(stored, exampleOptions)
	if err != nil {
		t.Fatal(err)
	}
	for i, rule := range before.All() {
		if diff := cmp.Diff(rule.Ref, after.All()[i].Ref); diff != "" {
			t.Error(diff)
		}
	}
	if before.Hash() != after.Hash() {
		t.Error("the hash changed on the way")
	}
	again, err := after.Text()
	if err != nil || again != text {
		t.Errorf("storing what was stored changes it (%v)", err)
	}
}

func TestRules_HashDoesNotDependOnTheOrderOfFiles(t *testing.T) {
	a := mapping.File{Name: "a.ini", Data: []byte(configINI)}
	b := mapping.File{Name: "b.ini", Data: []byte(lines("group[a] = superuser"))}
	var hashes []string
	for _, files := range [][]mapping.File{{a, b}, {b, a}, {a}} {
		r, err := mapping.Parse(files, one)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, r.Hash())
	}
	if hashes[0] != hashes[1] || hashes[0] == hashes[2] {
		t.Errorf("hashes = %q", hashes)
	}
}
