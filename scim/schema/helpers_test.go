package schema_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/scim/schema"
)

// decode reads a document in a test.
func decode(t testing.TB, text string) schema.Document {
	t.Helper()
	doc, err := schema.Decode([]byte(text))
	if err != nil {
		t.Fatalf("Decode(%s): %v", text, err)
	}
	return doc
}

// wantError checks that err is a *schema.Error of a kind, and that its text
// contains something.
func wantError(t testing.TB, err error, scimType, contains string) {
	t.Helper()
	var e *schema.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *schema.Error", err)
	}
	if e.ScimType != scimType {
		t.Errorf("scimType %q, want %q (%v)", e.ScimType, scimType, err)
	}
	if !strings.Contains(e.Error(), contains) {
		t.Errorf("error %q does not say %q", e.Error(), contains)
	}
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// bodyOkta and bodyEntra are what the two largest identity providers send for a
// joiner.
const (
	bodyOkta = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@example.com",` +
		`"name":{"givenName":"Ada","familyName":"Lovelace"},"emails":[{"primary":true,"value":"ada@example.com","type":"work"}],` +
		`"displayName":"Ada Lovelace","locale":"en-US","externalId":"00uada0example","groups":[],"password":"x9Kq2!vTz0Lm","active":true}`
	bodyEntra = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],` +
		`"externalId":"0a21f0f2","userName":"eve@example.com","active":"True","displayName":"Eve Curie",` +
		`"emails":[{"primary":true,"type":"work","value":"eve@example.com"}],"meta":{"resourceType":"User"},` +
		`"name":{"formatted":"Eve Curie","familyName":"Curie","givenName":"Eve"},"roles":[],"addresses":null,"title":null,` +
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Research","manager":null}}`
)

// BenchmarkCreate is what POST /Users spends in this package.
func BenchmarkCreate(b *testing.B) {
	for name, body := range map[string]string{"Okta": bodyOkta, "Entra": bodyEntra} {
		b.Run(name, func(b *testing.B) {
			rt := schema.User()
			data := []byte(body)
			b.ReportAllocs()
			for b.Loop() {
				doc, err := schema.Decode(data)
				if err != nil {
					b.Fatal(err)
				}
				if doc, _, err = rt.Canonicalize(doc, schema.Mode{}); err != nil {
					b.Fatal(err)
				}
				if err = rt.Validate(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
