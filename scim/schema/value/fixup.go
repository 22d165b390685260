package value

import "slices"

// Mode says how much is forgiven. The zero value is tolerant: every Fixup is
// applied and reported. Strict refuses them.
type Mode struct{ Strict bool }

// Fixup names a tolerance: something a client sent that the RFC does not allow
// and that was understood all the same. The caller counts the kinds
// (scim_bridge_compat_fixups_total). In strict mode each of them is an error
// instead, except where its comment says otherwise.
type Fixup string

// Every tolerance there is.
const (
	// FixStringBool is a boolean sent as a string: active "False" (Entra,
	// OneLogin).
	FixStringBool Fixup = "string_bool"
	// FixSingleValue is a multi-valued attribute sent as one value: emails as
	// an object (OneLogin).
	FixSingleValue Fixup = "single_value"
	// FixBareValue is a complex value sent as its plain "value": manager "id"
	// (Entra), roles ["admin"].
	FixBareValue Fixup = "bare_value"
	// FixSingletonArray is a single-valued complex attribute sent as a list of
	// one: manager [{...}] (Entra).
	FixSingletonArray Fixup = "singleton_array"
	// FixManagerID is manager {"managerId": ...} (OneLogin).
	FixManagerID Fixup = "manager_id"
	// FixEmptyValue is "" where no string can be, or a manager whose value is
	// "": unassigned (OneLogin, Entra).
	FixEmptyValue Fixup = "empty_value"
	// FixNullElement is null inside a list: left out.
	FixNullElement Fixup = "null_element"
	// FixTwoPrimaries is more than one primary value in a list: the first
	// stays.
	FixTwoPrimaries Fixup = "two_primaries"
	// FixUnknownAttribute is an attribute of no schema: kept as sent.
	FixUnknownAttribute Fixup = "unknown_attribute"
	// FixUnknownSchema is a schema this service does not know: its data are
	// kept, its name alone is dropped (Entra).
	FixUnknownSchema Fixup = "unknown_schema"
	// FixSchemasMissing is a body whose schemas do not name the core schema.
	FixSchemasMissing Fixup = "schemas_missing"
	// FixSchemaUnlisted is data of an extension that schemas does not name.
	FixSchemaUnlisted Fixup = "schema_unlisted"
	// FixDottedKey is a key such as "name.givenName" in a body or in a
	// path-less PATCH value (Entra).
	FixDottedKey Fixup = "dotted_key"
	// FixURNKey is a key such as "urn:...:User:department" in a body or in a
	// path-less PATCH value (Entra).
	FixURNKey Fixup = "urn_key"
	// FixShortExtension is an extension attribute named without its URN: path
	// "manager" (Entra).
	FixShortExtension Fixup = "short_extension"
	// FixOpCase is a PATCH op that is not in lower case (Entra). Strict mode
	// accepts it too (PA30).
	FixOpCase Fixup = "op_case"
	// FixValueArrayRemove is PATCH remove with a value: only those values are
	// removed, not all (Entra, JumpCloud, authentik).
	FixValueArrayRemove Fixup = "value_array_remove"
	// FixReadOnlyIgnored is a read-only attribute in a path-less PATCH value
	// that differs from what is stored (Okta sends id).
	FixReadOnlyIgnored Fixup = "readonly_ignored"
	// FixFilteredCreate is PATCH replace under a filter that matches nothing:
	// the value is created (Entra).
	FixFilteredCreate Fixup = "filtered_create"
	// FixPutWithoutActive is a PUT of a user without active. The RFC would clear
	// it, which would bring a leaver back (idp-scim-sync leaves out what is
	// false): the stored value stays, in strict mode too.
	FixPutWithoutActive Fixup = "put_without_active"
	// FixUnquotedValue is a filter value without quotes: userName eq ada
	// (authentik, Entra).
	FixUnquotedValue Fixup = "unquoted_value"
	// FixValuePathSuffix is a filter emails[type eq "work"].value eq "x"
	// (Entra).
	FixValuePathSuffix Fixup = "value_path_suffix"
	// FixBulkIDMissing is a POST in a bulk request without bulkId: nothing can
	// refer to it, and nothing is lost.
	FixBulkIDMissing Fixup = "bulkid_missing"
	// FixSharedExternalID is an externalId that another resource of the source
	// has: kept and shown, but only the first is found by it. The profile entra
	// grants it (Microsoft's tests), all others answer 409.
	FixSharedExternalID Fixup = "shared_external_id"
	// FixEndpointName is an endpoint in another case, or by the name that it has
	// in Microsoft's reference: /users, /serviceConfiguration.
	FixEndpointName Fixup = "endpoint_name"
)

// Kinds lists every tolerance, for a metric that starts at zero and for the
// documentation, which is held against it.
func Kinds() []Fixup {
	return []Fixup{
		FixStringBool, FixSingleValue, FixBareValue, FixSingletonArray, FixManagerID, FixEmptyValue, FixNullElement,
		FixTwoPrimaries, FixUnknownAttribute, FixUnknownSchema, FixSchemasMissing, FixSchemaUnlisted, FixDottedKey,
		FixURNKey, FixShortExtension, FixOpCase, FixValueArrayRemove, FixReadOnlyIgnored, FixFilteredCreate,
		FixPutWithoutActive, FixUnquotedValue, FixValuePathSuffix, FixBulkIDMissing, FixSharedExternalID, FixEndpointName,
	}
}

// Fixups collects kinds, each once, in the order of their first appearance. One
// request counts once for each kind, however often it needed it.
type Fixups []Fixup

// Add records a kind.
func (f *Fixups) Add(kinds ...Fixup) {
	for _, k := range kinds {
		if !slices.Contains(*f, k) {
			*f = append(*f, k)
		}
	}
}
