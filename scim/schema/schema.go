// Package schema knows the attributes of the SCIM resources (RFC 7643) and what
// may be done with them: it reads a JSON body strictly (Decode), turns what a
// client sent into the one stored form (Canonicalize), checks a result
// (Validate), cuts an answer down to what was asked (Projection) and renders
// the discovery documents. Everything that identity providers send and the RFC
// does not allow is normalised here and named by a Fixup; in strict mode it is
// refused instead.
//
// The package is pure: no I/O, no state. Resource types are built once and
// never written afterwards, so they may be shared by any number of goroutines.
package schema

import (
	"sync"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
)

// URNs of the schemas and messages this service speaks (RFC 7643 section 10,
// RFC 7644 section 8.2).
const (
	UserURN                  = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupURN                 = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseURN            = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	SchemaURN                = attribute.SchemaURN
	ResourceTypeURN          = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	ServiceProviderConfigURN = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	ListResponseURN          = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	SearchRequestURN         = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	PatchOpURN               = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	BulkRequestURN           = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	BulkResponseURN          = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
	ErrorURN                 = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// Document is one JSON object as Decode gives it: map[string]any, []any,
// string, bool, json.Number and nil. After Canonicalize its attribute names
// have the spelling of the schema. Documents share parts with what they were
// made from; whoever wants to write into one copies it first (Clone).
type Document = map[string]any

// ResourceType is a kind of resource with its core schema and its extensions
// (RFC 7643 section 6). Build it with User, Group, NewUser or NewGroup; it must
// not be changed afterwards.
type ResourceType struct {
	Name, Endpoint, Description string
	Core                        *Schema
	Extensions                  []*Schema

	index    *attribute.Index
	required []*Attribute // of the core
}

var (
	standardUser  = sync.OnceValue(func() *ResourceType { return userType(nil) })
	standardGroup = sync.OnceValue(func() *ResourceType { return groupType(nil) })
)

// User returns the User resource type with the enterprise extension. It is
// built once and shared.
func User() *ResourceType { return standardUser() }

// Group returns the Group resource type. It is built once and shared.
func Group() *ResourceType { return standardGroup() }

// NewUser returns the User resource type with the enterprise extension and
// further extensions, for schemas declared in a configuration. The error names
// the first extension that breaks a rule of RFC 7643: a URN that is missing,
// taken or not a URN, a name taken twice or malformed, a complex attribute
// within a complex one.
func NewUser(extra ...*Schema) (*ResourceType, error) {
	if err := attribute.CheckExtensions(extra, UserURN, EnterpriseURN); err != nil {
		return nil, err
	}
	return userType(extra), nil
}

// NewGroup returns the Group resource type with further extensions; errors as
// for NewUser.
func NewGroup(extra ...*Schema) (*ResourceType, error) {
	if err := attribute.CheckExtensions(extra, GroupURN); err != nil {
		return nil, err
	}
	return groupType(extra), nil
}

// userType builds a User; the extensions were checked before.
func userType(extra []*Schema) *ResourceType {
	return (&ResourceType{
		Name: "User", Endpoint: "/Users", Description: "User Account",
		Core: userSchema(), Extensions: append([]*Schema{enterpriseSchema()}, extra...),
	}).indexed()
}

// groupType builds a Group; the extensions were checked before.
func groupType(extra []*Schema) *ResourceType {
	return (&ResourceType{
		Name: "Group", Endpoint: "/Groups", Description: "Group",
		Core: groupSchema(), Extensions: extra,
	}).indexed()
}

// indexed builds the look-up tables.
func (rt *ResourceType) indexed() *ResourceType {
	rt.index = attribute.NewIndex(commonAttributes(), rt.Core, rt.Extensions)
	for i := range rt.Core.Attributes {
		if rt.Core.Attributes[i].Required {
			rt.required = append(rt.required, &rt.Core.Attributes[i])
		}
	}
	return rt
}

// Lookup finds a name that SplitName took apart; every part in any case. The
// URN of the core schema may be left out; a name without URN that the core does
// not have is looked for in the extensions (Ref.Short). ok is false when no
// schema has it.
func (rt *ResourceType) Lookup(urn, attr, sub string) (ref Ref, ok bool) {
	return rt.index.Lookup(urn, attr, sub)
}

// LookupName is Lookup for a whole name, such as "name.familyName" or
// "urn:...:User:department".
func (rt *ResourceType) LookupName(name string) (Ref, bool) { return rt.index.LookupName(name) }

// Document renders the resource type for the /ResourceTypes endpoint (RFC 7643
// section 6). base is as for Schema.Document.
func (rt *ResourceType) Document(base string) Document {
	extensions := make([]any, 0, len(rt.Extensions))
	for _, e := range rt.Extensions {
		extensions = append(extensions, Document{"schema": e.ID, "required": false})
	}
	doc := Document{
		"schemas":     []any{ResourceTypeURN},
		"id":          rt.Name,
		"name":        rt.Name,
		"endpoint":    rt.Endpoint,
		"description": rt.Description,
		"schema":      rt.Core.ID,
		"meta":        Document{"resourceType": "ResourceType", "location": base + "/ResourceTypes/" + rt.Name},
	}
	if len(extensions) > 0 {
		doc["schemaExtensions"] = extensions
	}
	return doc
}

// Schemas gives the core schema and the extensions, in order.
func (rt *ResourceType) Schemas() []*Schema {
	return append([]*Schema{rt.Core}, rt.Extensions...)
}
