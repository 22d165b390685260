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

func TestMarshal_LeavesOtherSectionsOut(t *testing.T) {
	text, err := mapping.Marshal([]mapping.File{{Name: "config.ini.php", Data: []byte(configINI)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter1", "hunter2", "hunter3", "hunter4", "secret"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is stored: %s", secret, text)
		}
	}
	for _, kept := range []string{"staff", "rules", "[database]", "site:1:view"} {
		if !strings.Contains(text, kept) {
			t.Errorf("%s is not stored: %s", kept, text)
		}
	}
}

func TestUnmarshal_Errors(t *testing.T) {
	for _, text := range []string{"", "{}", `[{"name":"a","other":1}]`, "[1]"} {
		if files, err := mapping.Unmarshal(text); err == nil {
			t.Errorf("Unmarshal(%q) = %v", text, files)
		}
	}
}

func TestHash(t *testing.T) {
	hash := func(files ...mapping.File) string {
		r, err := mapping.Parse(files, one)
		if err != nil {
			t.Fatal(err)
		}
		return r.Hash()
	}
	a := mapping.File{Name: "a.ini", Data: []byte(configINI)}
	b := mapping.File{Name: "b.ini", Data: []byte(lines("group[a] = superuser"))}
	base := hash(a, b)
	same := map[string][]mapping.File{
		"other order":        {b, a},
		"other line endings": {{Name: a.Name, Data: []byte(strings.ReplaceAll(configINI, "\r\n", "\n"))}, b},
		"other password":     {{Name: a.Name, Data: []byte(strings.ReplaceAll(configINI, "hunter2", "new"))}, b},
		"byte order mark":    {{Name: a.Name, Data: []byte("\ufeff" + configINI)}, b},
	}
	for name, files := range same {
		if hash(files...) != base {
			t.Errorf("%s: another hash", name)
		}
	}
	other := map[string][]mapping.File{
		"other rule": {a, {Name: b.Name, Data: []byte(lines("group[b] = superuser"))}},
		"other name": {a, {Name: "c.ini", Data: b.Data}},
		"other line": {a, {Name: b.Name, Data: []byte(lines("", "group[a] = superuser"))}},
		"one fewer":  {a},
	}
	for name, files := range other {
		if hash(files...) == base {
			t.Errorf("%s: the same hash", name)
		}
	}
}
