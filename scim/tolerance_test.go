package scim_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/scim/schema"
)

// tolerance is a request that needs one, on a user of the name "subject" with a work e-mail address, or on a group of it.
type tolerance struct {
	method, path string // {user} and {group} stand for the two
	body         any
	strictToo    bool // the profile strict grants it too
	entraOnly    bool // only the profile entra grants it
}

// create is a POST of a user whose name is the kind.
func create(more ...any) tolerance {
	return tolerance{http.MethodPost, "/Users", user("{kind}", more...), false, false}
}

// change is a PATCH of the user.
func change(ops ...map[string]any) tolerance {
	return tolerance{http.MethodPatch, "{user}", patchOp(ops...), false, false}
}

// tolerances are the requests by kind.
var tolerances = map[schema.Fixup]tolerance{
	schema.FixStringBool:       create("active", "False"),
	schema.FixSingleValue:      create("emails", object{"value": "a@x"}),
	schema.FixBareValue:        create("roles", []any{"admin"}),
	schema.FixSingletonArray:   change(op("replace", "name", []any{object{"familyName": "x"}})),
	schema.FixManagerID:        create(enterpriseURN, object{"manager": object{"managerId": "m"}}),
	schema.FixEmptyValue:       create("active", ""),
	schema.FixNullElement:      create("emails", []any{nil}),
	schema.FixTwoPrimaries:     create("emails", []any{mail("a", "work", "primary", true), mail("b", "home", "primary", true)}),
	schema.FixUnknownAttribute: create("favouriteColour", "blue"),
	schema.FixUnknownSchema:    create("urn:example:x", object{"a": 1}),
	schema.FixSchemasMissing:   {http.MethodPost, "/Users", object{"userName": "{kind}"}, false, false},
	schema.FixSchemaUnlisted:   create(enterpriseURN, object{"department": "x"}),
	schema.FixDottedKey:        change(op("replace", "", object{"name.familyName": "x"})),
	schema.FixURNKey:           change(op("replace", "", object{enterpriseURN + ":department": "x"})),
	schema.FixShortExtension:   change(op("replace", "department", "x")),
	schema.FixOpCase:           {http.MethodPatch, "{user}", patchOp(op("Replace", "title", "x")), true, false},
	schema.FixValueArrayRemove: {http.MethodPatch, "{group}", patchOp(op("remove", "members", values("00000000-0000-0000-0000-000000000000"))), false, false},
	schema.FixReadOnlyIgnored:  change(op("replace", "", object{"id": "other", "title": "x"})),
	schema.FixFilteredCreate:   change(op("replace", `emails[type eq "other"].value`, "o@x")),
	schema.FixPutWithoutActive: {http.MethodPut, "{user}", user("subject"), true, false},
	schema.FixUnquotedValue:    {http.MethodGet, "/Users?filter=userName+eq+subject", nil, false, false},
	schema.FixValuePathSuffix:  {http.MethodGet, "/Users?filter=emails[type+eq+%22work%22].value+eq+%22w@x%22", nil, false, false},
	schema.FixSharedExternalID: {http.MethodPost, "/Bulk", bulkRequest(
		bulkOp("POST", "/Users", user("{kind} 1", "externalId", "same"), "bulkId", "1"),
		bulkOp("POST", "/Users", user("{kind} 2", "externalId", "same"), "bulkId", "2")), false, true},
	schema.FixEndpointName:  {http.MethodGet, "/serviceConfiguration", nil, false, false},
	schema.FixBulkIDMissing: {http.MethodPost, "/Bulk", bulkRequest(bulkOp("POST", "/Users", user("{kind}"))), false, false},
}

// TestTolerances needs each tolerance once: it is granted and counted, and the profile strict refuses it.
func TestTolerances(t *testing.T) {
	kinds := schema.FixupKinds()
	if len(kinds) != len(tolerances) {
		t.Errorf("%d kinds, %d requests", len(kinds), len(tolerances))
	}
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			s := newServer(t, databasetest.SQLite(t))
			for _, source := range []string{"okta", "entra", "strict"} {
				name := "subject of " + source
				subject := s.createUser(t, source, name)
				s.do(t, source, http.MethodPatch, "/Users/"+subject, patchOp(op("add", "emails", []any{mail("w@x", "work")})))
				fill := strings.NewReplacer("{user}", "/Users/"+subject, "{group}", "/Groups/"+s.createGroup(t, source, "g"), "{kind}", string(kind)+" of "+source, `"subject"`, `"`+name+`"`)
				tc := tolerances[kind]
				var body any
				if tc.body != nil {
					body = fill.Replace(jsonText(tc.body))
				}
				a := s.do(t, source, tc.method, fill.Replace(tc.path), body)
				refused := a.status >= http.StatusBadRequest || strings.Contains(a.statuses(), "4")
				want := source == "strict" && !tc.strictToo || source != "entra" && tc.entraOnly
				if refused != want {
					t.Errorf("%s: status %d, refused %v, want %v\n%s", source, a.status, refused, want, a.raw)
				}
				counted := value(t, s, "scim_bridge_compat_fixups_total", "idp", source, "kind", string(kind)) > 0
				if counted == refused {
					t.Errorf("%s: counted %v, refused %v", source, counted, refused)
				}
			}
		})
	}
}

// doc is the page about SCIM.
func doc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "scim.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocs_ListEveryTolerance(t *testing.T) {
	var listed []schema.Fixup
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ").FindAllStringSubmatch(section(t, "## Tolerances"), -1) {
		listed = append(listed, schema.Fixup(m[1]))
	}
	kinds := schema.FixupKinds()
	slices.Sort(listed)
	slices.Sort(kinds)
	if !slices.Equal(listed, kinds) {
		t.Errorf("documented %v\nin the code %v", listed, kinds)
	}
}

// section is the part of the page under a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, text, ok := strings.Cut(doc(t), heading+"\n")
	if !ok {
		t.Fatalf("no section %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// TestDocs_SayWhereEachLineIsTested compares the page with the files: each line of the checklist stands with the file
// that its test is in.
func TestDocs_SayWhereEachLineIsTested(t *testing.T) {
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| [^|]+ \\| ([^|]+) \\| `(scim/rfc_[a-z]+_test.go)` \\|$").FindAllStringSubmatch(section(t, "## The RFC checklist"), -1) {
		for id := range strings.FieldsSeq(m[1]) {
			documented[id] = m[2]
		}
	}
	files, err := filepath.Glob("rfc_*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^\t"([A-Z]{1,2}[0-9]{2})": +`).FindAllSubmatch(src, -1) {
			lines++
			if id := string(m[1]); documented[id] != "scim/"+file {
				t.Errorf("%s is in scim/%s; the page says %q", id, file, documented[id])
			}
		}
	}
	if lines != len(documented) || lines != 170 {
		t.Errorf("%d lines in the files, %d on the page, want 170", lines, len(documented))
	}
}

// TestDocs_NameTestsThatExist finds every test that the page names.
func TestDocs_NameTestsThatExist(t *testing.T) {
	var all strings.Builder
	for _, pattern := range []string{"*_test.go", "*/*_test.go", "*/*/*_test.go", "../internal/directory/*_test.go", "../config/*_test.go", "../config/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(src)
		}
	}
	named := regexp.MustCompile(`\b(Test|Fuzz)[A-Z][A-Za-z0-9_]+`).FindAllString(doc(t), -1)
	if len(named) < 10 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, name := range named {
		if !strings.Contains(all.String(), fmt.Sprintf("func %s(", name)) {
			t.Errorf("%s is named and not there", name)
		}
	}
}
