package discovery_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/scim/discovery"
	"github.com/matomo-scim/bridge/scim/schema"
)

const base = "https://scim.example/scim/v2"

// document is a document as a client reads it.
func document(t *testing.T, doc schema.Document) map[string]any {
	t.Helper()
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestServiceProviderConfig_SaysWhatIsThere compares the whole document: a member too many makes some clients refuse
// it, and one that promises too much makes them fail later.
func TestServiceProviderConfig_SaysWhatIsThere(t *testing.T) {
	yes, no := map[string]any{"supported": true}, map[string]any{"supported": false}
	want := map[string]any{
		"schemas": []any{schema.ServiceProviderConfigURN}, "patch": yes, "changePassword": no, "sort": yes, "etag": yes,
		"bulk":   map[string]any{"supported": true, "maxOperations": 7.0, "maxPayloadSize": 4096.0},
		"filter": map[string]any{"supported": true, "maxResults": 20.0},
		"authenticationSchemes": []any{
			map[string]any{
				"type": "oauthbearertoken", "name": "Bearer token", "primary": true, "specUri": "https://www.rfc-editor.org/info/rfc6750",
				"description": "A secret made by this server, sent in the Authorization header",
			},
			map[string]any{"type": "httpbasic", "name": "Basic", "primary": false, "specUri": "x", "description": "y"},
		},
		"meta": map[string]any{"resourceType": "ServiceProviderConfig", "location": base + "/ServiceProviderConfig"},
	}
	features := discovery.Features{
		MaxResults: 20, Bulk: discovery.Bulk{Supported: true, MaxOperations: 7, MaxPayload: 4096},
		Authentication: []discovery.Scheme{discovery.BearerToken(), {Type: "httpbasic", Name: "Basic", SpecURI: "x", Description: "y"}},
	}
	if diff := cmp.Diff(want, document(t, discovery.New(features).ServiceProviderConfig(base))); diff != "" {
		t.Errorf("without cursors (-want +got):\n%s", diff)
	}
	features.Cursors, features.CursorTimeout = true, time.Minute
	want["pagination"] = map[string]any{
		"cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": 20.0, "maxPageSize": 20.0, "cursorTimeout": 60.0,
	}
	if diff := cmp.Diff(want, document(t, discovery.New(features).ServiceProviderConfig(base))); diff != "" {
		t.Errorf("with cursors (-want +got):\n%s", diff)
	}
}

// TestDocuments_FoundAsListed reads each listed document by the name it gives itself.
func TestDocuments_FoundAsListed(t *testing.T) {
	docs := discovery.New(discovery.Features{}, schema.User(), schema.Group())
	schemas, types := docs.Schemas(base), docs.ResourceTypes(base)
	if len(schemas) != 3 || len(types) != 2 {
		t.Fatalf("%d schemas, %d types", len(schemas), len(types))
	}
	for _, list := range []struct {
		all  []schema.Document
		find func(base, name string) (schema.Document, bool)
	}{{schemas, docs.Schema}, {types, docs.ResourceType}} {
		for _, want := range list.all {
			id, _ := want["id"].(string)
			got, ok := list.find(base, id)
			if diff := cmp.Diff(document(t, want), document(t, got)); !ok || diff != "" {
				t.Errorf("%s: %v\n%s", id, ok, diff)
			}
		}
		if doc, ok := list.find(base, "none"); ok {
			t.Errorf("none is %v", doc)
		}
	}
	// A URN is the same in any case (RFC 8141), the name of a type is not.
	if _, ok := docs.Schema(base, "URN:IETF:params:scim:schemas:core:2.0:user"); !ok {
		t.Error("the URN in another case is not found")
	}
	if _, ok := docs.ResourceType(base, "user"); ok {
		t.Error("the type in another case is found")
	}
}
