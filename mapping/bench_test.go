package mapping_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo/access"
)

// company makes what a large customer has: 50 sites, some 220 rules of all kinds,
// and 10,000 people in six groups each, half of them DNs.
func company(tb testing.TB) (*mapping.Rules, []access.Site, []mapping.Subject) {
	var sites []access.Site
	rules := []string{
		`group[Matomo-{site}-Viewers] = "site:{site}:view"`,
		`group[Brand {brand} {role}] = "site:name={brand}:{role}"`,
		`group[cn=team-{site},ou=groups,dc=example,dc=com] = "site:{site}:write"`,
		`group[everybody] = "site:group=Public:view"`,
		`group[auditors] = "site:*:view"`,
		`group[no-payroll] = "site:9:noaccess"`,
		`user[(&(department=Sales)(!(userType=Contractor)))] = "site:7:view"`,
		`user[(emails.value=*@partner.example)] = "site:3:noaccess"`,
	}
	for i := 1; i <= 50; i++ {
		sites = append(sites, access.Site{ID: access.SiteID(i), Name: fmt.Sprintf("Site %d", i), Group: []string{"Public", "Internal"}[i%2]})
		rules = append(rules,
			fmt.Sprintf(`group[Matomo-Site%d-Admins] = "site:%d:admin"`, i, i),
			fmt.Sprintf(`group[Matomo-Site%d-Writers] = "site:%d:write+tagmanager_write"`, i, i),
			fmt.Sprintf(`group[cn=site%d,ou=groups,dc=example,dc=com] = "site:%d:view,site:%d:write"`, i, i, i%50+1),
			fmt.Sprintf(`group[CN=Site%d Owners,OU=Groups,DC=example,DC=com] = "site:name='Site %d':admin"`, i, i))
	}
	r := parse(tb, one, lines(rules...))
	people := make([]mapping.Subject, 10_000)
	for i := range people {
		n := i%50 + 1
		s := in("Everybody", fmt.Sprintf("Matomo-%d-Viewers", n), fmt.Sprintf("matomo-site%d-writers", n%7+1),
			fmt.Sprintf("CN=site%d,OU=groups,DC=example,DC=com", n), fmt.Sprintf("CN=Site%d Owners,OU=Groups,DC=example,DC=com", n%11+1), "cn=unrelated,ou=groups,dc=example,dc=com")
		if i%10 == 0 {
			s.Groups = append(s.Groups, mapping.GroupRef{Source: "scim", Name: "auditors"})
		}
		s.Attributes = map[string][]string{"department": {[]string{"Sales", "HR"}[i%2]}, "usertype": {"Employee"}, "emails.value": {"a@example.com", "b@example.com"}}
		people[i] = s
	}
	return r, sites, people
}

// BenchmarkDecide decides for 10,000 people on 50 sites each round; deciding and
// planning for all of them may take 0.4 s.
func BenchmarkDecide(b *testing.B) {
	r, sites, people := company(b)
	b.ReportAllocs()
	for b.Loop() {
		for i := range people {
			mapping.Decide(r, people[i], "main", sites, now)
		}
	}
}

// BenchmarkDecider is the same with the sites prepared once.
func BenchmarkDecider(b *testing.B) {
	r, sites, people := company(b)
	b.ReportAllocs()
	for b.Loop() {
		d := r.For("main", sites)
		for i := range people {
			d.Decide(people[i], now)
		}
	}
}

// BenchmarkDecide_EverySite is the worst case: everybody has a role everywhere.
func BenchmarkDecide_EverySite(b *testing.B) {
	_, sites, people := company(b)
	r := parse(b, one, lines(`group[everybody] = "site:*:view"`))
	b.ReportAllocs()
	for b.Loop() {
		for i := range people {
			mapping.Decide(r, people[i], "main", sites, now)
		}
	}
}

// BenchmarkParse reads a thousand rules.
func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "group[cn=team%d,ou=groups,dc=example] = \"site:%d:view, site:name='Shop %d':write\"\n", i, i+1, i)
	}
	for b.Loop() {
		parse(b, one, lines(text.String()))
	}
}
