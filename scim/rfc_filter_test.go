package scim_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// people makes the people that the filter lines look for, at the first call, and gives what restricts a filter to them.
func (c *client) people(t *testing.T) string {
	t.Helper()
	const only = `userName sw "filter-"`
	if a := c.get(t, "/Users?count=0&filter="+url.QueryEscape(only)); jsonText(a.get("totalResults")) == "4" {
		return only
	}
	mail := func(kind, value string) object { return object{"type": kind, "value": value} }
	for _, doc := range []object{
		person("filter-zeta", "name", object{"familyName": "Zeta"}, "title", "Boss", "externalId", "Ext-1",
			"emails", []any{mail("work", "z@y.net"), mail("home", "z@h.org")},
			enterpriseURN, object{"department": "Eng", "manager": object{"value": "m-1"}}),
		person("Filter-Abel", "name", object{"familyName": "Abel"}, "emails", []any{mail("home", "a@y.net")}, "active", false),
		person("filter-young", "name", object{"familyName": "Young"}, "title", `Sa"y`),
		person("filter-plain", "title", "none", "emails", []any{mail("work", "p@h.org")}),
	} {
		c.create(t, "/Users", doc)
	}
	return only
}

// finds makes a line of a filter and of whom it finds, by the ends of their userNames.
func finds(filter string, want ...string) line {
	return func(t *testing.T, c *client) {
		only := c.people(t)
		got := c.get(t, "/Users?filter="+url.QueryEscape("("+filter+") and "+only)).names("userName")
		for i := range got {
			got[i] = strings.ToLower(got[i][len("filter-"):])
		}
		slices.Sort(got)
		slices.Sort(want)
		equal(t, filter, got, append([]string{}, want...))
	}
}

// invalidFilter makes a line of filters that are refused.
func invalidFilter(filters ...string) line {
	return func(t *testing.T, c *client) {
		for _, filter := range filters {
			a := c.do(t, http.MethodGet, "/Users?filter="+url.QueryEscape(filter), nil).want(t, http.StatusBadRequest)
			equal(t, filter, a.get("scimType"), "invalidFilter")
		}
	}
}

var filterLines = map[string]line{
	"F01": finds(`name.familyName eq "Zeta"`, "zeta"),
	"F02": finds(`name.familyName ne "Zeta"`, "abel", "young", "plain"),
	"F03": finds(`name.familyName co "oun"`, "young"),
	"F04": finds(`name.familyName sw "Ab"`, "abel"),
	"F05": finds(`name.familyName ew "ta"`, "zeta"),
	"F06": finds(`title pr`, "zeta", "young", "plain"),
	"F07": finds(`not (title pr)`, "abel"),
	"F08": finds(`name.familyName gt "M"`, "zeta", "young"),
	"F09": finds(`name.familyName le "Young"`, "abel", "young"),
	"F10": finds(`meta.created gt "2015-10-10T14:38:21.8617979-07:00"`, "zeta", "abel", "young", "plain"),
	"F11": finds(`meta.lastModified lt "2015-10-10T14:38:21Z"`),
	"F12": finds(`name.familyName eq "Abel" or name.familyName eq "Zeta" and title eq "none"`, "abel"),
	"F13": finds(`(name.familyName eq "Abel" or name.familyName eq "Zeta") and title eq "Boss"`, "zeta"),
	"F14": finds(`not (name.familyName eq "Abel" or name.familyName eq "Zeta")`, "young", "plain"),
	"F15": finds(`emails[type eq "work" and value co "@y.net"]`, "zeta"),
	"F16": finds(`emails[type eq "home" and value co "@y.net"]`, "abel"),
	"F17": finds(`emails.value ew "@y.net"`, "zeta", "abel"),
	"F18": finds(`name.familyName EQ "Zeta" AND title Pr`, "zeta"),
	"F19": finds(`NAME.FAMILYNAME eq "Zeta"`, "zeta"),
	"F20": finds(`name.familyName eq "ZETA"`, "zeta"),
	"F21": finds(`userName eq "FILTER-abel"`, "abel"),
	"F22": func(t *testing.T, c *client) {
		finds(`externalId eq "Ext-1"`, "zeta")(t, c)
		finds(`externalId eq "ext-1"`)(t, c)
	},
	"F23": finds(userURN+`:name.familyName eq "Zeta"`, "zeta"),
	"F24": finds(enterpriseURN+`:department eq "Eng"`, "zeta"),
	"F25": finds(enterpriseURN+`:manager.value eq "m-1"`, "zeta"),
	"F26": finds(`active eq false`, "abel"),
	"F27": finds(`title eq "Sa\"y"`, "young"),
	"F28": finds(`emails co "@y.net"`, "zeta", "abel"),
	"F29": finds(`nope eq "x"`),
	"F30": invalidFilter(`name.familyName eq`, `eq "x"`, `title eq "x" and`, `(title pr`, `title pr)`, `title xx "a"`, `emails[type eq "a"`, `title eq "a`, `"`),
	"F31": invalidFilter(`active gt true`, `active sw true`, `active le false`),
	"F32": func(t *testing.T, c *client) {
		c.create(t, "/Users", person("f32", "password", "s3cret-f32"))
		a := c.do(t, http.MethodGet, "/Users?filter="+url.QueryEscape(`userName eq "f32" and password eq "s3cret-f32"`), nil)
		if a.status == http.StatusOK && jsonText(a.get("totalResults")) != "0" || a.status != http.StatusOK && a.status != http.StatusBadRequest {
			t.Error(a.raw)
		}
	},
	"F33": func(t *testing.T, c *client) {
		_, m := c.create(t, "/Users", person("f33"))
		c.create(t, "/Groups", groupDoc("f33 with", m.str("id")))
		c.create(t, "/Groups", groupDoc("f33 without"))
		for _, filter := range []string{`members.value eq "` + m.str("id") + `"`, `members[value eq "` + m.str("id") + `"]`} {
			equal(t, filter, c.get(t, "/Groups?filter="+url.QueryEscape(filter)).names("displayName"), []string{"f33 with"})
		}
	},
	"F34": finds(`emails[type eq "work"].value eq "z@y.net"`, "zeta"),
	"F35": func(t *testing.T, c *client) {
		for _, path := range []string{"/Users?filter=userName+eq+%22nobody%22", "/Groups?filter=displayName+eq+%22nobody%22"} {
			a := c.get(t, path)
			equal(t, path, []any{a.get("totalResults"), len(a.list("Resources"))}, []int{0, 0})
		}
	},
	"F36": func(t *testing.T, c *client) {
		c.people(t)
		for _, query := range []string{`userName+eq+%22filter-zeta%22`, `userName%20eq%20%22filter-zeta%22`} {
			equal(t, query, c.get(t, "/Users?filter="+query).names("userName"), []string{"filter-zeta"})
		}
	},
	"F37": func(t *testing.T, c *client) {
		finds(`id pr`, "zeta", "abel", "young", "plain")(t, c)
		_, a := c.create(t, "/Users", person("f37"))
		equal(t, "id eq", c.get(t, "/Users?filter="+url.QueryEscape(`id eq "`+a.str("id")+`"`)).names("userName"), []string{"f37"})
	},
	"F38": finds(`((((name.familyName eq "Zeta"))))`, "zeta"),
	"F39": finds(`meta.resourceType eq "User"`, "zeta", "abel", "young", "plain"),
}
