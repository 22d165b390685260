// Package discovery builds the documents that say what is there (RFC 7644 section
// 4) and nothing else: what a client may not do is false, because authentik and
// others steer by it. The schemas come from the tables that requests are checked
// against, so they cannot promise something else.
package discovery

import (
	"strings"
	"time"

	"github.com/matomo-scim/bridge/scim/schema"
)

// Features is what ServiceProviderConfig says beyond what never changes.
type Features struct {
	// MaxResults is the largest page, and the one for who asks for none.
	MaxResults int
	// Cursors says that listings can be paged by cursor (RFC 9865), which may wait
	// for CursorTimeout between two pages.
	Cursors       bool
	CursorTimeout time.Duration
	// Bulk says what POST /Bulk takes. The sizes are announced although Supported
	// is false: authentik sizes its member operations by them.
	Bulk Bulk
	// Authentication lists how a client may prove who it is, the preferred one
	// first.
	Authentication []Scheme
}

// Bulk is the size of a bulk request (RFC 7643 section 5).
type Bulk struct {
	Supported     bool
	MaxOperations int
	MaxPayload    int64 // bytes
}

// Scheme is one way to authenticate (RFC 7643 section 5).
type Scheme struct{ Type, Name, Description, SpecURI string }

// BearerToken is a secret made by this server.
func BearerToken() Scheme {
	return Scheme{
		Type: "oauthbearertoken", Name: "Bearer token",
		Description: "A secret made by this server, sent in the Authorization header",
		SpecURI:     "https://www.rfc-editor.org/info/rfc6750",
	}
}

// Documents are the discovery documents of the given types.
type Documents struct {
	features Features
	types    []*schema.ResourceType
}

// New returns the documents of resource types and features.
func New(f Features, types ...*schema.ResourceType) *Documents {
	return &Documents{features: f, types: types}
}

// ServiceProviderConfig says what this server can do (RFC 7643 section 5), and
// nothing that it cannot. base is the URL of the base path.
func (d *Documents) ServiceProviderConfig(base string) schema.Document {
	supported := func(is bool) map[string]any { return map[string]any{"supported": is} }
	schemes := make([]any, len(d.features.Authentication))
	for i, s := range d.features.Authentication {
		schemes[i] = map[string]any{
			"type": s.Type, "name": s.Name, "primary": i == 0, "description": s.Description, "specUri": s.SpecURI,
		}
	}
	bulk := d.features.Bulk
	doc := schema.Document{
		"schemas":               []any{schema.ServiceProviderConfigURN},
		"patch":                 supported(true),
		"bulk":                  map[string]any{"supported": bulk.Supported, "maxOperations": bulk.MaxOperations, "maxPayloadSize": bulk.MaxPayload},
		"filter":                map[string]any{"supported": true, "maxResults": d.features.MaxResults},
		"changePassword":        supported(false),
		"sort":                  supported(true),
		"etag":                  supported(true),
		"authenticationSchemes": schemes,
		"meta":                  map[string]any{"resourceType": "ServiceProviderConfig", "location": base + "/ServiceProviderConfig"},
	}
	// Without cursors the member is left out: it is younger than most clients, and
	// some refuse what they do not know.
	if d.features.Cursors {
		doc["pagination"] = map[string]any{
			"cursor": true, "index": true, "defaultPaginationMethod": "index",
			"defaultPageSize": d.features.MaxResults, "maxPageSize": d.features.MaxResults,
			"cursorTimeout": int(d.features.CursorTimeout.Seconds()),
		}
	}
	return doc
}

// Schemas are the documents of all schemas, each once.
func (d *Documents) Schemas(base string) []schema.Document {
	var docs []schema.Document
	for _, rt := range d.types {
		for _, s := range rt.Schemas() {
			docs = append(docs, s.Document(base))
		}
	}
	return docs
}

// Schema is the document of the schema with the given URN.
func (d *Documents) Schema(base, urn string) (doc schema.Document, ok bool) {
	for _, rt := range d.types {
		for _, s := range rt.Schemas() {
			// A URN is compared without regard to case (RFC 8141 section 3).
			if strings.EqualFold(s.ID, urn) {
				return s.Document(base), true
			}
		}
	}
	return nil, false
}

// ResourceTypes are the documents of all resource types.
func (d *Documents) ResourceTypes(base string) []schema.Document {
	docs := make([]schema.Document, len(d.types))
	for i, rt := range d.types {
		docs[i] = rt.Document(base)
	}
	return docs
}

// ResourceType is the document of the resource type of that name.
func (d *Documents) ResourceType(base, name string) (doc schema.Document, ok bool) {
	for _, rt := range d.types {
		if rt.Name == name {
			return rt.Document(base), true
		}
	}
	return nil, false
}
