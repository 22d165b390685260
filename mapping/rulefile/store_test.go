package rulefile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/mapping/rulefile"
)

// A config.ini.php with secrets around its rules.
const configINI = "; <?php exit; ?> top secret\r\n[database]\r\npassword = \"hunter2\"\r\n; old = hunter1\r\n\r\n [RoleMapping] ; rules\r\n; staff\r\ngroup[a] = \"site:1:view\"\r\n[Login] ; hunter3\r\nldap_bind_password = hunter4\r\n[LoginLdap_RoleMapping]\r\ngroup[b] = \"site:2:view\"\r\n"

func TestMarshal_LeavesOtherSectionsOut(t *testing.T) {
	text, err := rulefile.Marshal([]rulefile.File{{Name: "config.ini.php", Data: []byte(configINI)}})
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

// Nothing that stands outside the rule sections is ever stored.
func TestMarshal_NeverStoresWhatIsNotOurs(t *testing.T) {
	secrets := []string{"password = hunter2", "group[hunter2]", " ; hunter2", "hunter2]", "x = [hunter2", "[mail] hunter2", "\thunter2 = ]["}
	rapid.Check(t, func(t *rapid.T) {
		text := []string{"; hunter2"}
		for range rapid.IntRange(1, 6).Draw(t, "parts") {
			if rapid.Bool().Draw(t, "rules") {
				text = append(text, "[RoleMapping]", "group[a] = superuser")
				continue
			}
			text = append(text, rapid.SampledFrom([]string{"[database]", " [ mail ]", "[RoleMapping2] ; hunter2"}).Draw(t, "section"))
			text = append(text, rapid.SliceOfN(rapid.SampledFrom(secrets), 0, 3).Draw(t, "lines")...)
		}
		stored, err := rulefile.Marshal([]rulefile.File{{Name: "c.ini", Data: []byte(strings.Join(text, "\n"))}})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(stored, "hunter2") {
			t.Fatalf("%q is stored as %s", text, stored)
		}
	})
}

func TestMarshal_KeepsWhatIsReadAndItsPlaces(t *testing.T) {
	for _, file := range []rulefile.File{
		{Name: "config.ini.php", Data: []byte(configINI)},
		{Name: "z.yaml", Data: []byte("\ufeffrules:\r\n- {group: a, grants: [superuser]}\r\n")},
		{Name: "bytes.ini", Data: []byte("[RoleMapping]\n; x\ngroup[c] = \"site:3:view\"")},
		{Name: "crlf.ini", Data: []byte("\ufeff\t[RoleMapping]\r\n\r\ngroup[c] = \"site:3:view\"\r\n[x]\r\n[RoleMapping]\r\ngroup[d] = superuser")},
	} {
		rules := mustRead(t, file.Name, string(file.Data))
		checkStored(t, file, rules)
		text, err := rulefile.Marshal([]rulefile.File{file})
		if err != nil {
			t.Fatal(err)
		}
		files, err := rulefile.Unmarshal(text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := rulefile.Marshal(files)
		if err != nil || again != text {
			t.Errorf("storing what was stored changes it (%v)", err)
		}
	}
}

func TestMarshal_BytesThatAreNoUTF8(t *testing.T) {
	file := rulefile.File{Name: "bytes.ini", Data: []byte("[RoleMapping]\n; caf\xe9\ngroup[c] = \"site:3:view\"\n")}
	text, err := rulefile.Marshal([]rulefile.File{file})
	if err != nil {
		t.Fatal(err)
	}
	files, err := rulefile.Unmarshal(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]rulefile.File{file}, files); diff != "" {
		t.Error(diff)
	}
}

func TestMarshal_SortsByName(t *testing.T) {
	a, b := rulefile.File{Name: "a.yaml", Data: []byte("1")}, rulefile.File{Name: "b.yaml", Data: []byte("2")}
	one, errOne := rulefile.Marshal([]rulefile.File{a, b})
	other, errOther := rulefile.Marshal([]rulefile.File{b, a})
	if errOne != nil || errOther != nil || one != other {
		t.Errorf("%s and %s (%v, %v)", one, other, errOne, errOther)
	}
}

func TestUnmarshal_Errors(t *testing.T) {
	for _, text := range []string{"", "{}", `[{"name":"a","other":1}]`, "[1]", "x"} {
		if files, err := rulefile.Unmarshal(text); err == nil || !strings.Contains(err.Error(), "unmarshal rules") {
			t.Errorf("Unmarshal(%q) = %v, %v", text, files, err)
		}
	}
}

func TestHash(t *testing.T) {
	a := rulefile.File{Name: "a.ini", Data: []byte(configINI)}
	b := rulefile.File{Name: "b.yaml", Data: []byte("rules: []\n")}
	change := func(f rulefile.File, from, to string) rulefile.File {
		f.Data = []byte(strings.ReplaceAll(string(f.Data), from, to))
		return f
	}
	base := rulefile.Hash([]rulefile.File{a, b})
	for name, files := range map[string][]rulefile.File{
		"other line endings": {change(a, "\r\n", "\n"), change(b, "\n", "\r\n")},
		"other password":     {change(a, "hunter2", "new"), b},
		"byte order mark":    {change(a, "; <?php", "\ufeff; <?php"), change(b, "rules", "\ufeffrules")},
	} {
		if rulefile.Hash(files) != base {
			t.Errorf("%s: another hash", name)
		}
	}
	for name, files := range map[string][]rulefile.File{
		"other rule":    {change(a, "group[a]", "group[c]"), b},
		"other comment": {change(a, "staff", "people"), b},
		"other name":    {a, {Name: "c.yaml", Data: b.Data}},
		"other line":    {a, change(b, "rules", "\nrules")},
		"one fewer":     {a},
		"none":          nil,
		"swapped data":  {{Name: a.Name, Data: b.Data}, {Name: b.Name, Data: a.Data}},
	} {
		if rulefile.Hash(files) == base {
			t.Errorf("%s: the same hash", name)
		}
	}
	files := []rulefile.File{a, b}
	slices.Reverse(files)
	if rulefile.Hash(rulefile.Sorted(files)) != base {
		t.Error("sorting does not undo another order")
	}
}
