package bulk

import (
	"maps"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/scim/schema"
)

// References stand wherever an id can stand:
//
//	"value": "bulkId:ada"                        in data
//	"$ref":  "../Users/bulkId:ada"               in data, at the end of a URI
//	"path":  "members[value eq \"bulkId:ada\"]"  in the filter of a PATCH
//	"path":  "/Users/bulkId:ada"                 in the path of the operation

// prefix begins a reference (RFC 7644 section 3.7.2). No id of ours begins so.
const prefix = "bulkId:"

// need is a reference that an operation has.
type need struct {
	bulkID string
	// key is the member of the data in which it stands, "" for the path.
	key string
}

// reference is the bulkId that a text refers to. The prefix is taken in any case: a reference that is taken for an
// ordinary value would be stored as such and never be found again.
func reference(text string) (bulkID string, ok bool) {
	if len(text) < len(prefix) || !schema.EqualName(text[:len(prefix)], prefix) {
		return "", false
	}
	return text[len(prefix):], true
}

// references lists what an operation refers to, once for each member of its data. What a client cannot say anyway, such
// as the groups of a user, refers to nothing.
func (op *Operation) references() []need {
	var out []need
	if id, ok := reference(op.target); ok {
		out = append(out, need{bulkID: id})
	}
	for _, key := range slices.Sorted(maps.Keys(op.Data)) {
		if ref, ok := op.kind.LookupName(key); ok && op.Method != patch && ref.ReadOnly() {
			continue
		}
		seen := map[string]bool{}
		_, _ = replace(op.Data[key], "", func(id string) (string, error) {
			if !seen[id] {
				seen[id] = true
				out = append(out, need{bulkID: id, key: key})
			}
			return "", nil
		})
	}
	return out
}

// replace gives a copy of v in which every reference is what resolve makes of it. name is the name of the member that v
// is. The first error ends it.
func replace(v any, name string, resolve func(bulkID string) (string, error)) (any, error) {
	switch t := v.(type) {
	case string:
		return replaceText(t, name, resolve)
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			var err error
			if out[i], err = replace(e, name, resolve); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(t))
		for k, e := range t {
			var err error
			if out[k], err = replace(e, k, resolve); err != nil {
				return nil, err
			}
		}
		return out, nil
	default:
		return v, nil
	}
}

// replaceText is replace for a text.
func replaceText(text, name string, resolve func(bulkID string) (string, error)) (string, error) {
	if id, ok := reference(text); ok {
		return resolve(id)
	}
	if i := strings.LastIndexByte(text, '/'); i >= 0 && schema.EqualName(name, "$ref") {
		if id, ok := reference(text[i+1:]); ok {
			made, err := resolve(id)
			return text[:i+1] + made, err
		}
	}
	if !schema.EqualName(name, "path") {
		return text, nil
	}
	// In a filter, an id stands between quotes. Ids with quotes of their own are not looked for.
	var out strings.Builder
	for part, last := text, false; !last; {
		head, rest, found := strings.Cut(part, `"`)
		out.WriteString(head)
		if !found {
			break
		}
		out.WriteByte('"')
		inner, after, closed := strings.Cut(rest, `"`)
		if id, ok := reference(inner); ok && closed {
			made, err := resolve(id)
			if err != nil {
				return "", err
			}
			inner = made
		}
		out.WriteString(inner)
		if closed {
			out.WriteByte('"')
		}
		part, last = after, !closed
	}
	return out.String(), nil
}

// resolver knows what became of the operations that others refer to.
type resolver struct {
	ids    map[string]string // of the resources that are there, by bulkId
	failed map[string]string // why there is none
}

// id is the id of the resource that a reference means, or a *ReferenceError.
func (r *resolver) id(bulkID string) (string, error) {
	if id, ok := r.ids[bulkID]; ok {
		return id, nil
	}
	why, ok := r.failed[bulkID]
	if !ok {
		why = "no operation of this request has it"
	}
	return "", &ReferenceError{BulkID: bulkID, Why: why}
}

// path is the path of an operation with its reference resolved.
func (r *resolver) path(op *Operation) (string, error) {
	id, isRef := reference(op.target)
	if !isRef {
		return strings.TrimSuffix(op.Path, "/"), nil
	}
	id, err := r.id(id)
	return op.kind.Endpoint + "/" + id, err
}

// data is the data of an operation with references resolved: the members of the given names alone, or with rest all
// others.
func (r *resolver) data(op *Operation, keys []string, rest bool) (schema.Document, error) {
	if len(op.needs) == 0 || op.Data == nil {
		return op.Data, nil
	}
	out := make(schema.Document, len(op.Data))
	for _, key := range slices.Sorted(maps.Keys(op.Data)) {
		if slices.Contains(keys, key) == rest {
			continue
		}
		// A member that nothing is needed of is taken as it is, whatever it looks like.
		if !slices.ContainsFunc(op.needs, func(n need) bool { return n.key == key }) {
			out[key] = op.Data[key]
			continue
		}
		v, err := replace(op.Data[key], key, r.id)
		if err != nil {
			return nil, err
		}
		out[key] = v
	}
	return out, nil
}
