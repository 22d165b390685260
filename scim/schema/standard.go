package schema

// The tables of RFC 7643 sections 3.1, 4.1, 4.2 and 4.3, with the
// characteristics of section 8.7.1. Where the text of the RFC and its schema
// documents differ, or this service is stricter, the tables tell what this
// service does (section 7 asks for the truth): references, binaries and ids of
// resources are compared exactly, displayName of a group is required and
// unique, addresses have primary, members have display.

// trait changes one characteristic of an attribute from its default.
type trait func(*Attribute)

// exact: values are compared with regard to case.
func exact(a *Attribute) { a.CaseExact = true }

// required: a resource without it is refused.
func required(a *Attribute) { a.Required = true }

// unique: no two resources of this service have the same value.
func unique(a *Attribute) { a.Uniqueness = UniqueServer }

// always: part of every answer, whatever was asked.
func always(a *Attribute) { a.Returned = ReturnedAlways }

// mutable says who may change the value, and how often.
func mutable(m string) trait { return func(a *Attribute) { a.Mutability = m } }

// canonical suggests values.
func canonical(values ...string) trait { return func(a *Attribute) { a.CanonicalValues = values } }

// to names what a reference points to: resource types, or "external" or "uri"
// (RFC 7643 section 7).
func to(types ...string) trait { return func(a *Attribute) { a.ReferenceTypes = types } }

// attr gives an attribute with the defaults of RFC 7643 section 2.2, changed by
// traits.
func attr(name string, t Type, description string, traits ...trait) Attribute {
	a := Attribute{
		Name: name, Type: t, Description: description,
		Mutability: ReadWrite, Returned: ReturnedDefault, Uniqueness: UniqueNone,
	}
	for _, change := range traits {
		change(&a)
	}
	return a
}

// text is an attribute of type string, compared without regard to case.
func text(name, description string, traits ...trait) Attribute {
	return attr(name, String, description, traits...)
}

// boolean is an attribute that is true or false.
func boolean(name, description string) Attribute { return attr(name, Boolean, description) }

// reference is a URI, compared exactly; what it points to is among the traits.
func reference(name, description string, traits ...trait) Attribute {
	return attr(name, Reference, description, append(traits, exact)...)
}

// object is a single-valued complex attribute.
func object(name, description string, sub ...Attribute) Attribute {
	return attr(name, Complex, description, func(a *Attribute) { a.SubAttributes = sub })
}

// list is a multi-valued complex attribute.
func list(name, description string, sub ...Attribute) Attribute {
	return attr(name, Complex, description, func(a *Attribute) { a.SubAttributes, a.MultiValued = sub, true })
}

// readOnly marks an attribute and its sub-attributes.
func readOnly(a Attribute) Attribute {
	a.Mutability = ReadOnly
	for i := range a.SubAttributes {
		a.SubAttributes[i].Mutability = ReadOnly
	}
	return a
}

// plural are the sub-attributes that RFC 7643 section 2.4 gives to most
// multi-valued attributes, after their own value.
func plural(value Attribute, types ...string) []Attribute {
	return []Attribute{
		value,
		text("display", "A human-readable name, primarily used for display purposes."),
		text("type", "A label indicating the attribute's function.", canonical(types...)),
		boolean("primary", "Whether this is the preferred value. The value true occurs at most once."),
	}
}

// commonAttributes are those of every resource (RFC 7643 section 3.1) and
// schemas. They are not part of any schema document.
func commonAttributes() []Attribute {
	schemas := reference("schemas", "The URIs of the schemas in use.", to("uri"), required, always)
	schemas.MultiValued = true
	return []Attribute{
		schemas,
		text("id", "The identifier this service gave to the resource.", exact, unique, mutable(ReadOnly), always),
		text("externalId", "The identifier the client gave to the resource.", exact),
		readOnly(object("meta", "What this service knows about the resource.",
			text("resourceType", "The name of the resource type.", exact),
			attr("created", DateTime, "When the resource was created."),
			attr("lastModified", DateTime, "When the resource was last changed."),
			reference("location", "The URI of the resource.", to("uri")),
			text("version", "The entity tag of the resource.", exact),
		)),
	}
}

// userSchema is RFC 7643 section 4.1.
func userSchema() *Schema {
	password := text("password", "Accepted and dropped: this service never uses, stores or returns a password.", mutable(WriteOnly))
	password.Returned = ReturnedNever
	attrs := []Attribute{
		text("userName", "The unique name the person signs in with.", required, unique),
		object("name", "The parts of the person's name.",
			text("formatted", "The full name, formatted for display."),
			text("familyName", "The family name, or last name."),
			text("givenName", "The given name, or first name."),
			text("middleName", "The middle names."),
			text("honorificPrefix", "The prefix or title, such as Ms."),
			text("honorificSuffix", "The suffix, such as III."),
		),
		text("displayName", "The name of the person, suitable for display."),
		text("nickName", "The casual way to address the person."),
		reference("profileUrl", "A page that represents the person's online profile.", to("external")),
		text("title", "The person's title, such as Vice President."),
		text("userType", "The relationship between the organization and the person, such as Contractor."),
		text("preferredLanguage", "The preferred languages, as in the Accept-Language header."),
		text("locale", "The person's location for purposes of localization, such as en-US."),
		text("timezone", "The time zone in the Olson format, such as America/Los_Angeles."),
		boolean("active", "Whether the person may use the service."),
		password,
	}
	return &Schema{ID: UserURN, Name: "User", Description: "User Account", Attributes: append(attrs, userLists()...)}
}

// userLists are the multi-valued attributes of a user (RFC 7643 section 4.1.2).
func userLists() []Attribute {
	certificate := attr("value", Binary, "A DER-encoded X.509 certificate in base64.", exact)
	return []Attribute{
		list("emails", "E-mail addresses.", plural(text("value", "The e-mail address."), "work", "home", "other")...),
		list("phoneNumbers", "Phone numbers.",
			plural(text("value", "The phone number."), "work", "home", "mobile", "fax", "pager", "other")...),
		list("ims", "Instant messaging addresses.",
			plural(text("value", "The address."), "aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo")...),
		list("photos", "URLs of photos.", plural(reference("value", "The URL of the photo.", to("external")), "photo", "thumbnail")...),
		list("addresses", "Physical mailing addresses.",
			text("formatted", "The full address, formatted for display."),
			text("streetAddress", "The street address, which may have several lines."),
			text("locality", "The city."),
			text("region", "The state or region."),
			text("postalCode", "The postal code."),
			text("country", "The country, as a two-letter code."),
			text("type", "A label indicating the attribute's function.", canonical("work", "home", "other")),
			boolean("primary", "Whether this is the preferred address. The value true occurs at most once."),
		),
		readOnly(list("groups", "The groups the person is a member of, kept through the Group resource.",
			text("value", "The id of the group.", exact),
			reference("$ref", "The URI of the group.", to("User", "Group")),
			text("display", "The name of the group."),
			text("type", "Whether the membership is direct or through another group.", canonical("direct", "indirect")),
		)),
		list("entitlements", "Entitlements of the person.", plural(text("value", "The value of the entitlement."))...),
		list("roles", "Roles of the person.", plural(text("value", "The value of the role."))...),
		list("x509Certificates", "Certificates of the person.", plural(certificate)...),
	}
}

// enterpriseSchema is RFC 7643 section 4.3. manager.value is compared exactly
// because it is the id of a user where the client knows it.
func enterpriseSchema() *Schema {
	return &Schema{
		ID: EnterpriseURN, Name: "EnterpriseUser", Description: "Enterprise User",
		Attributes: []Attribute{
			text("employeeNumber", "An identifier given by the organization."),
			text("costCenter", "The name of the cost center."),
			text("organization", "The name of the organization."),
			text("division", "The name of the division."),
			text("department", "The name of the department."),
			object("manager", "The person's manager.",
				text("value", "The id of the manager.", exact),
				reference("$ref", "The URI of the manager.", to("User")),
				text("displayName", "The name of the manager.", mutable(ReadOnly)),
			),
		},
	}
}

// groupSchema is RFC 7643 section 4.2. The values of members are immutable: a
// member is removed and another one added, never changed.
func groupSchema() *Schema {
	return &Schema{
		ID: GroupURN, Name: "Group", Description: "Group",
		Attributes: []Attribute{
			text("displayName", "The name of the group.", required, unique),
			list("members", "The members of the group.",
				text("value", "The id of the member.", exact, required, mutable(Immutable)),
				reference("$ref", "The URI of the member.", to("User", "Group"), mutable(Immutable)),
				text("type", "The kind of the member.", canonical("User", "Group"), mutable(Immutable)),
				text("display", "The name of the member.", mutable(Immutable)),
			),
		},
	}
}
