// Package extension is the part of the configuration that declares SCIM schemas
// of one's own (RFC 7643 section 3.3): attributes that an identity provider can
// send beside the standard ones, and that rules can ask for.
//
// It is apart from package config because it knows what a schema is: an
// extension is checked against the very tables it extends. It reads no file;
// config decodes into these types and reports the problems with their lines.
package extension

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/scim/schema"
)

// Schema is one extension. The yaml tags are the keys of the file.
type Schema struct {
	// ID is the URN under which the attributes stand in a resource.
	ID string `yaml:"id"`
	// Name and Description are for people, in /Schemas.
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
	// Resource is User or Group; empty means User.
	Resource   string      `yaml:"resource"`
	Attributes []Attribute `yaml:"attributes"`
}

// Attribute is one attribute of an extension. Empty Type and Mutability mean
// string and readWrite.
type Attribute struct {
	Name            string         `yaml:"name"`
	Type            string         `yaml:"type"`
	Description     string         `yaml:"description"`
	MultiValued     bool           `yaml:"multi_valued"`
	Required        bool           `yaml:"required"`
	CaseExact       bool           `yaml:"case_exact"`
	Mutability      string         `yaml:"mutability"`
	CanonicalValues []string       `yaml:"canonical_values"`
	SubAttributes   []SubAttribute `yaml:"sub_attributes"`
}

// SubAttribute is one attribute of a complex attribute; it cannot be complex
// itself (RFC 7643 section 2.3.8).
type SubAttribute struct {
	Name            string   `yaml:"name"`
	Type            string   `yaml:"type"`
	Description     string   `yaml:"description"`
	MultiValued     bool     `yaml:"multi_valued"`
	Required        bool     `yaml:"required"`
	CaseExact       bool     `yaml:"case_exact"`
	Mutability      string   `yaml:"mutability"`
	CanonicalValues []string `yaml:"canonical_values"`
}

// The resources that can be extended.
const (
	user  = "User"
	group = "Group"
)

// standard is where the URNs of the RFC begin. Nobody else gives names there.
const standard = "urn:ietf:params:scim:"

// The words of type and mutability, the default first.
var (
	types = []string{
		string(schema.String), string(schema.Boolean), string(schema.Decimal), string(schema.Integer), string(schema.DateTime),
		string(schema.Reference), string(schema.Binary), string(schema.Complex),
	}
	mutabilities = []string{schema.ReadWrite, schema.Immutable, schema.WriteOnly, schema.ReadOnly}
)

// Problem is one thing wrong with the declarations. Path is the key, such as
// [0].attributes[1].name.
type Problem struct{ Path, Msg, Hint string }

// checker collects problems.
type checker struct {
	found []Problem
	// ids and names are where a URN, and an attribute of users, was declared; in
	// lower case.
	ids, names map[string]string
}

// Check lists what is wrong with the declarations, all at once.
func Check(list []Schema) []Problem {
	c := checker{ids: map[string]string{}, names: map[string]string{}}
	for i := range list {
		c.schema(fmt.Sprintf("[%d]", i), &list[i])
	}
	return c.found
}

// add notes a problem.
func (c *checker) add(path, msg, hint string) { c.found = append(c.found, Problem{path, msg, hint}) }

// schema checks one extension.
func (c *checker) schema(path string, s *Schema) {
	id := strings.ToLower(s.ID)
	switch at, twice := c.ids[id]; {
	case s.ID == "":
		c.add(path+".id", "the URN is missing", "say id: urn:example:params:scim:schemas:extension:NAME:2.0:User")
	case !strings.HasPrefix(id, "urn:") || strings.ContainsAny(id, " \t\"[]()") || strings.HasSuffix(id, ":"):
		c.add(path+".id", fmt.Sprintf("%q is no URN", s.ID), "write urn: and names between colons, without blanks, quotes and brackets")
	case strings.HasPrefix(id, standard):
		c.add(path+".id", "such URNs belong to the standard", "begin with a name of your own, like urn:example:params:scim:schemas:extension:NAME:2.0:User")
	case twice:
		c.add(path+".id", "is already the id of schemas"+at, "give each schema its own; case makes no difference")
	default:
		c.ids[id] = path
	}
	if s.Name == "" {
		c.add(path+".name", "the name is missing", "say name: NAME; people see it in the list of schemas")
	}
	if s.Resource != "" && s.Resource != user && s.Resource != group {
		c.add(path+".resource", fmt.Sprintf("%q is no resource", s.Resource), "use one of: User, Group")
	}
	if len(s.Attributes) == 0 {
		c.add(path+".attributes", "the schema has no attributes", "name at least one")
	}
	seen := map[string]string{}
	for i := range s.Attributes {
		a := &s.Attributes[i]
		at := fmt.Sprintf("%s.attributes[%d]", path, i)
		if c.name(at, a.Name, seen) && s.Resource != group {
			c.unambiguous(at, a.Name)
		}
		c.attribute(at, a)
	}
}

// name checks the name of an attribute; seen are those beside it. It reports
// whether it can be used.
func (c *checker) name(path, name string, seen map[string]string) bool {
	key := strings.ToLower(name)
	switch at, twice := seen[key]; {
	case name == "":
		c.add(path+".name", "the name is missing", "say name: NAME, as the identity provider sends it")
	case !schema.ValidName(name):
		c.add(path+".name", fmt.Sprintf("%q is no name", name), "start with a letter, go on with letters, digits, _ and -")
	case twice:
		c.add(path+".name", fmt.Sprintf("%q is already declared by schemas%s", name, at), "give each its own name; case makes no difference")
	default:
		seen[key] = path
		return true
	}
	return false
}

// unambiguous wants an attribute of users to be the only one of its name: rules
// name attributes without the URN of their schema.
func (c *checker) unambiguous(path, name string) {
	key := strings.ToLower(name)
	if _, taken := schema.User().LookupName(name); taken {
		c.add(path+".name", fmt.Sprintf("%q is an attribute of the standard already", name), "choose another name: a rule user[(NAME=...)] could mean either")
		return
	}
	if at, taken := c.names[key]; taken {
		c.add(path+".name", fmt.Sprintf("%q is already declared by schemas%s", name, at), "choose another name: a rule user[(NAME=...)] could mean either")
		return
	}
	c.names[key] = path
}

// attribute checks an attribute and what is below it.
func (c *checker) attribute(path string, a *Attribute) {
	c.traits(path, a.Type, a.Mutability, a.CanonicalValues, types)
	switch complexType := a.Type == string(schema.Complex); {
	case complexType && len(a.SubAttributes) == 0:
		c.add(path+".sub_attributes", "a complex attribute needs some", "name at least one, or choose another type")
	case !complexType && len(a.SubAttributes) > 0:
		c.add(path+".sub_attributes", "only a complex attribute has some", "say type: complex, or remove them")
	}
	seen := map[string]string{}
	for i := range a.SubAttributes {
		s := &a.SubAttributes[i]
		at := fmt.Sprintf("%s.sub_attributes[%d]", path, i)
		c.name(at, s.Name, seen)
		// Complex within complex is not in the RFC.
		c.traits(at, s.Type, s.Mutability, s.CanonicalValues, types[:len(types)-1])
	}
}

// traits checks the words of an attribute; allowed are the types it may have.
func (c *checker) traits(path, kind, mutability string, canonical, allowed []string) {
	if kind != "" && !slices.Contains(allowed, kind) {
		c.add(path+".type", fmt.Sprintf("%q is no type here", kind), "use one of: "+strings.Join(allowed, ", "))
	}
	if mutability != "" && !slices.Contains(mutabilities, mutability) {
		c.add(path+".mutability", fmt.Sprintf("%q is not known here", mutability), "use one of: "+strings.Join(mutabilities, ", "))
	}
	if slices.Contains(types[1:], kind) && kind != string(schema.Reference) && len(canonical) > 0 {
		c.add(path+".canonical_values", "only text has canonical values", "remove them, or say type: string")
	}
}

// Types builds the resource types of users and groups with the declared
// extensions. The error is for declarations that Check complains about.
func Types(list []Schema) (users, groups *schema.ResourceType, err error) {
	var forUsers, forGroups []*schema.Schema
	for i := range list {
		s := &list[i]
		out := &schema.Schema{ID: s.ID, Name: s.Name, Description: cmp.Or(s.Description, s.Name)}
		for j := range s.Attributes {
			out.Attributes = append(out.Attributes, s.Attributes[j].attribute())
		}
		if s.Resource == group {
			forGroups = append(forGroups, out)
		} else {
			forUsers = append(forUsers, out)
		}
	}
	if users, err = schema.NewUser(forUsers...); err != nil {
		return nil, nil, fmt.Errorf("schemas of users: %w", err)
	}
	if groups, err = schema.NewGroup(forGroups...); err != nil {
		return nil, nil, fmt.Errorf("schemas of groups: %w", err)
	}
	return users, groups, nil
}

// attribute is the attribute in the words of the schema.
func (a *Attribute) attribute() schema.Attribute {
	out := described(SubAttribute{
		a.Name, a.Type, a.Description, a.MultiValued, a.Required, a.CaseExact, a.Mutability, a.CanonicalValues,
	})
	for _, s := range a.SubAttributes {
		out.SubAttributes = append(out.SubAttributes, described(s))
	}
	return out
}

// described is an attribute without sub-attributes in the words of the schema.
func described(s SubAttribute) schema.Attribute {
	out := schema.Attribute{
		Name: s.Name, Type: schema.Type(cmp.Or(s.Type, string(schema.String))), Description: cmp.Or(s.Description, s.Name),
		MultiValued: s.MultiValued, Required: s.Required, CaseExact: s.CaseExact, Mutability: s.Mutability,
		CanonicalValues: s.CanonicalValues,
	}
	if out.Type == schema.Reference {
		out.CaseExact, out.ReferenceTypes = true, []string{"external"}
	}
	// What is only written is never shown, and nothing here reads it.
	if s.Mutability == schema.WriteOnly {
		out.Returned = schema.ReturnedNever
	}
	return out
}
