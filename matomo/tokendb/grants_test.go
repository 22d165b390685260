package tokendb

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var testTable = Table{Schema: "matomo", Name: "matomo_user_token_auth", Prefix: "matomo_"}

func TestExcess(t *testing.T) {
	const on = "`matomo`.`matomo_user_token_auth`"
	for name, tt := range map[string]struct {
		action Action
		lines  []string
		want   []string
	}{
		"what is needed": {Delete, []string{
			"GRANT USAGE ON *.* TO `bridge`@`%` IDENTIFIED BY PASSWORD '*0123'",
			"GRANT SELECT (`date_expired`, `idusertokenauth`, `login`), DELETE ON " + on + " TO `bridge`@`%`",
		}, nil},
		"what is needed to expire": {Expire, []string{"GRANT SELECT (`login`), UPDATE (`date_expired`) ON " + on + " TO `bridge`@`%`"}, nil},
		"MySQL's spelling":         {Expire, []string{"GRANT SELECT (`login`,`date_expired`), UPDATE (`date_expired`) ON " + on + " TO `bridge`@`%`"}, nil},
		"to expire, and more":      {Expire, []string{"GRANT UPDATE (`date_expired`, `password`), DELETE ON " + on + " TO `bridge`@`%`"}, []string{"UPDATE (`date_expired`, `password`) on " + on, "DELETE on " + on}},
		"hashes":                   {Delete, []string{"GRANT SELECT ON " + on + " TO `bridge`@`%`"}, []string{"SELECT on " + on}},
		"a hash by name":           {Delete, []string{"GRANT SELECT (`login`, `Password`) ON " + on + " TO `bridge`@`%`"}, []string{"SELECT (`login`, `Password`) on " + on}},
		"everything": {Delete, []string{"GRANT ALL PRIVILEGES ON *.* TO `bridge`@`%` WITH GRANT OPTION"}, []string{
			"ALL PRIVILEGES on *.*", "GRANT OPTION on *.*",
		}},
		"another database":     {Delete, []string{"GRANT SELECT, INSERT ON `shop`.* TO `bridge`@`%`"}, []string{"SELECT on `shop`.*", "INSERT on `shop`.*"}},
		"a table of that name": {Delete, []string{"GRANT DELETE ON `other`.`matomo_user_token_auth` TO `bridge`@`%`"}, []string{"DELETE on `other`.`matomo_user_token_auth`"}},
		"a role":               {Delete, []string{"GRANT `admins` TO `bridge`@`%`", "SET DEFAULT ROLE `admins` FOR `bridge`@`%`"}, []string{"role `admins`"}},
		"a procedure":          {Delete, []string{"GRANT EXECUTE ON PROCEDURE `matomo`.`p` TO `bridge`@`%`"}, []string{"EXECUTE on PROCEDURE `matomo`.`p`"}},
		"a proxy":              {Delete, []string{"GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION"}, []string{"PROXY on ''@'%'", "GRANT OPTION on ''@'%'"}},
		"a name with a catch":  {Delete, []string{"GRANT DELETE ON `a ON b`.`c TO d` TO `x`@`%`"}, []string{"DELETE on `a ON b`.`c TO d`"}},
	} {
		if diff := cmp.Diff(tt.want, excess(tt.lines, testTable, tt.action)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Whatever a server answers is read to its end, and a privilege that is not needed
// is never swallowed.
func FuzzExcess(f *testing.F) {
	for _, line := range []string{
		"GRANT USAGE ON *.* TO `bridge`@`%`",
		"GRANT SELECT (`login`), DELETE ON `matomo`.`matomo_user_token_auth` TO `bridge`@`%` WITH GRANT OPTION",
		"GRANT ", "GRANT ( ON ` TO '", "", "GRANT `r` TO `u`", "GRANT SELECT () ON x TO y",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, a := range []Action{Delete, Expire} {
			for _, out := range excess([]string{line}, testTable, a) {
				if out == "" {
					t.Error("an empty line")
				}
			}
		}
		g, ok := parseGrant(line)
		if ok && g.role == "" && !strings.Contains(line, g.on) {
			t.Errorf("%q is read as being on %q", line, g.on)
		}
	})
}

// Any one privilege added to those that are needed shows.
func TestExcess_ShowsWhatIsAdded(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		action := rapid.SampledFrom([]Action{Delete, Expire}).Draw(r, "action")
		needed := []string{"SELECT (`login`, `date_expired`)", map[Action]string{Delete: "DELETE", Expire: "UPDATE (`date_expired`)"}[action]}
		added := rapid.SampledFrom([]string{"INSERT", "UPDATE", "SELECT", "DROP", "ALTER", "CREATE", "TRIGGER", "REFERENCES", "SELECT (`password`)", "UPDATE (`login`)"}).Draw(r, "added")
		all := slices.Insert(slices.Clone(needed), rapid.IntRange(0, 2).Draw(r, "at"), added)
		line := func(p []string) []string {
			return []string{"GRANT " + strings.Join(p, ", ") + " ON `matomo`.`matomo_user_token_auth` TO `b`@`%`"}
		}
		if got := excess(line(needed), testTable, action); len(got) > 0 {
			r.Errorf("needed, and told: %v", got)
		}
		if got := excess(line(all), testTable, action); len(got) != 1 || !strings.HasPrefix(got[0], added+" on ") {
			r.Errorf("added %s, told %v", added, got)
		}
	})
}

// The statement that is suggested gives nothing that would be told.
func TestStatements_GiveWhatIsNeeded(t *testing.T) {
	for _, a := range []Action{Delete, Expire} {
		for _, s := range Statements(testTable, "`b`@`%`", a) {
			if got := excess([]string{s}, testTable, a); len(got) > 0 {
				t.Errorf("%s gives too much: %v", s, got)
			}
			if strings.Contains(s, "password") {
				t.Errorf("%s shows the hashes", s)
			}
		}
	}
}
