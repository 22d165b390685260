package attribute

// Document renders the schema for the /Schemas endpoint (RFC 7643 section 7).
// base is the URL under which the SCIM endpoints live, without a slash at the
// end.
func (s *Schema) Document(base string) map[string]any {
	return map[string]any{
		"schemas":     []any{SchemaURN},
		"id":          s.ID,
		"name":        s.Name,
		"description": s.Description,
		"attributes":  renderAttributes(s.Attributes),
		"meta":        map[string]any{"resourceType": "Schema", "location": base + "/Schemas/" + s.ID},
	}
}

// renderAttributes keeps the order of the table, which is that of the RFC.
func renderAttributes(attrs []Attribute) []any {
	out := make([]any, 0, len(attrs))
	for i := range attrs {
		out = append(out, attrs[i].render())
	}
	return out
}

// render leaves out what has no meaning for the type: caseExact is for text,
// uniqueness not for booleans and objects.
func (a *Attribute) render() map[string]any {
	doc := map[string]any{
		"name":        a.Name,
		"type":        string(a.Type),
		"multiValued": a.MultiValued,
		"description": a.Description,
		"required":    a.Required,
		"mutability":  or(a.Mutability, ReadWrite),
		"returned":    or(a.Returned, ReturnedDefault),
	}
	switch a.Type {
	case Complex:
		doc["subAttributes"] = renderAttributes(a.SubAttributes)
	case String, Reference, Binary, DateTime:
		doc["caseExact"] = a.CaseExact
		doc["uniqueness"] = or(a.Uniqueness, UniqueNone)
	case Integer, Decimal:
		doc["uniqueness"] = or(a.Uniqueness, UniqueNone)
	case Boolean:
	}
	if len(a.CanonicalValues) > 0 {
		doc["canonicalValues"] = texts(a.CanonicalValues)
	}
	if len(a.ReferenceTypes) > 0 {
		doc["referenceTypes"] = texts(a.ReferenceTypes)
	}
	return doc
}

// or fills in the default of a characteristic that a configured schema left
// out.
func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// texts makes a list as Decode would give it, so that a rendered document is
// like any other.
func texts(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
