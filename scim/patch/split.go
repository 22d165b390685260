package patch

import (
	"maps"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/patch/elements"
	"github.com/matomo-scim/bridge/scim/schema"
)

// MemberOpKind says what a MemberOp does.
type MemberOpKind string

// The kinds of change to the members of a group.
const (
	// ReplaceAll makes Members, which may be empty, the members of the group.
	ReplaceAll MemberOpKind = "replace_all"
	// Add adds Members; those who are members already stay as they are.
	Add MemberOpKind = "add"
	// Remove removes Members, of which only Value counts; those who are no
	// members are no error.
	Remove MemberOpKind = "remove"
	// RemoveWhere removes the members that satisfy Where.
	RemoveWhere MemberOpKind = "remove_where"
)

// MemberOp is one step of a change to the members of a group. Members are
// unique by Value. Where is canonical and names sub-attributes of members:
// value, type, display and $ref; evaluate it with filter.BindValues, or turn it
// into SQL.
type MemberOp struct {
	Kind    MemberOpKind
	Members []Member
	Where   filter.Expr
}

// Member is a member of a group as a client named it. Only Value is always
// there. DisplayName is no sub-attribute of a schema; like everything unknown it
// is kept.
type Member struct{ Value, Type, Display, Ref, DisplayName string }

// Split takes a PATCH of a group apart: head has the operations on everything
// but the members, for Apply; members are the steps for the store, in order.
// Neighbouring steps are joined where that changes nothing, and what a
// ReplaceAll overwrites is left out, so that removing all members and adding
// some is one ReplaceAll. The steps do not depend on who is a member: adding
// and removing are idempotent, and a replace of members[value eq "x"] becomes a
// removal and an addition even when x is no member. The fixups are those of the
// member operations; Apply gives those of the head.
//
// Errors are those of Apply: mutability for a path to a sub-attribute of
// members, invalidValue for a member without value.
func Split(rt *schema.ResourceType, req Request, mode schema.Mode) (Request, []MemberOp, []schema.Fixup, error) {
	s := splitter{Session: elements.Session{Mode: mode}, rt: rt}
	var head Request
	for i, op := range req.Operations {
		rest, ok, err := s.operation(op)
		if err != nil {
			return Request{}, nil, nil, numbered(i, op.Path, err)
		}
		if ok {
			head.Operations = append(head.Operations, rest)
		}
	}
	for i := range s.ops {
		s.ops[i].Members = unique(s.ops[i].Members)
	}
	return head, s.ops, s.Fixups, nil
}

// MembersOf reads the members of a canonical group document, of a POST or PUT,
// unique by Value. There too the list is a set: the first of two members with
// the same value counts.
func MembersOf(doc schema.Document) ([]Member, error) {
	list, _ := doc["members"].([]any)
	members, err := toMembers(list)
	return unique(members), err
}

// splitter collects the steps that the operations of one request come to. It
// never sees the group, so whatever depends on who is a member now is left to
// the store.
type splitter struct {
	elements.Session
	rt  *schema.ResourceType
	ops []MemberOp
}

// operation takes the member steps out of an operation and gives what is left
// of it, if anything.
//
//	{"op":"replace","value":{"displayName":"n","members":[...]}}
//
// becomes a step that replaces the members, and an operation that only renames.
// Keys that are no paths at all are left in the rest, where Apply deals with
// them.
func (s *splitter) operation(op Operation) (rest Operation, ok bool, err error) {
	if op.Path != "" {
		path, err := filter.ParsePath(op.Path, s.Options())
		if err != nil {
			return Operation{}, false, err
		}
		if ref, ok := s.members(path.Path); ok {
			return Operation{}, false, s.step(ref, path.Filter, op)
		}
		return op, true, nil
	}
	obj, isObject := op.Value.(map[string]any)
	if !isObject || op.Op == OpRemove {
		return op, true, nil
	}
	left := maps.Clone(obj)
	for _, key := range slices.Sorted(maps.Keys(obj)) {
		path, err := filter.ParsePath(key, filter.Options{Tolerant: true})
		if err != nil {
			continue
		}
		ref, ok := s.members(path.Path)
		if !ok {
			continue
		}
		if err := s.key(key, path); err != nil {
			return Operation{}, false, err
		}
		if err := s.step(ref, path.Filter, Operation{Op: op.Op, Value: obj[key]}); err != nil {
			return Operation{}, false, err
		}
		delete(left, key)
	}
	return Operation{Op: op.Op, Value: left}, len(left) > 0 || len(obj) == 0, nil
}

// members reports whether a name is that of the members, or of a sub-attribute
// of them. The name alone would not do: a schema of a configuration may have an
// attribute "members" of its own, under its URN.
func (s *splitter) members(p filter.Path) (schema.Ref, bool) {
	ref, ok := s.rt.Lookup(p.URN, p.Attr, p.Sub)
	return ref, ok && ref.Attr != nil && ref.Extension == nil && ref.Attr.Set()
}

// key notes names that only paths may have. See applier.spelling, which does
// the same for all other attributes.
func (s *splitter) key(key string, path filter.PatchPath) error {
	const problem = "inside a value, only the names of attributes and extensions are possible"
	switch {
	case strings.IndexByte(path.URN, ':') >= 0:
		return s.Tolerate(schema.FixURNKey, schema.InvalidPath, problem)
	case len(key) != len(path.Attr):
		return s.Tolerate(schema.FixDottedKey, schema.InvalidPath, problem)
	default:
		return nil
	}
}

// step turns one operation on the members into steps.
//
// A remove without a value empties the group (PA34). A remove with one removes
// only those members, whatever a literal reading of section 3.5.2.2 would say:
// Entra, JumpCloud and authentik mean that (PA35), and emptying a group by
// mistake would take the access of everybody in it.
func (s *splitter) step(ref schema.Ref, where filter.Expr, op Operation) error {
	switch {
	case ref.Sub != nil:
		return schema.Errorf(schema.Mutability, ref.String(), "the attribute is immutable; remove the member and add another")
	case where != nil:
		return s.filtered(ref.Attr, where, op)
	case op.Op == OpRemove && op.Value == nil:
		s.push(MemberOp{Kind: ReplaceAll})
		return nil
	case op.Op == OpRemove:
		values, err := s.ToRemove(ref.Attr, op.Value)
		if err != nil {
			return err
		}
		return s.pushMembers(Remove, values)
	}
	v, err := schema.CanonicalValue(ref.Attr, op.Value, s.Mode, &s.Fixups)
	if err != nil {
		return err
	}
	values, _ := v.([]any)
	if op.Op == OpReplace {
		return s.pushMembers(ReplaceAll, values)
	}
	return s.pushMembers(Add, values)
}

// filtered turns an operation on members[...] into steps.
//
//	remove  members[value eq "1" or value eq "2"]            Remove 1, 2
//	remove  members[type eq "Group"]                         RemoveWhere
//	add     members[value eq "1"]  {"type":"User"}           Add 1
//	replace members[value eq "1"]  {"value":"2"}             Remove 1, Add 2
//
// An add or replace must say which member is meant, for a filter that matches
// whom it likes cannot be answered without reading the group.
func (s *splitter) filtered(attr *schema.Attribute, where filter.Expr, op Operation) error {
	b, err := filter.BindValues(where, attr, s.Options())
	if err != nil {
		return err
	}
	ids, plain := valuesOf(b.Expr)
	if op.Op == OpRemove || op.Value == nil && op.Op == OpReplace {
		if !plain {
			s.push(MemberOp{Kind: RemoveWhere, Where: b.Expr})
			return nil
		}
		s.push(MemberOp{Kind: Remove, Members: ids})
		return nil
	}
	made := map[string]any{}
	if !elements.Seed(b.Expr, made) || made["value"] == nil {
		return schema.Errorf(schema.NoTarget, "", "the path does not say which member is meant; use members[value eq \"...\"]")
	}
	l := elements.List{Session: &s.Session, Ref: schema.Ref{Attr: attr}}
	next, err := l.Element(op.Value)
	if err != nil {
		return err
	}
	if op.Op == OpReplace {
		s.push(MemberOp{Kind: Remove, Members: ids})
	}
	return s.pushMembers(Add, []any{elements.Merge(attr, made, next)})
}

// valuesOf gives the members that a filter names one by one: value eq "a", or
// several of these joined by or. Those can be removed by their keys, without a
// filter in SQL.
func valuesOf(e filter.Expr) ([]Member, bool) {
	switch t := e.(type) {
	case filter.Or:
		l, ok := valuesOf(t.L)
		r, ok2 := valuesOf(t.R)
		return append(l, r...), ok && ok2
	case filter.Compare:
		id, ok := t.Value.(string)
		return []Member{{Value: id}}, ok && t.Op == filter.Eq && t.Path == filter.Path{Attr: "value"}
	default:
		return nil, false
	}
}

// pushMembers appends a step for values in canonical form.
func (s *splitter) pushMembers(kind MemberOpKind, values []any) error {
	members, err := toMembers(values)
	if err != nil {
		return err
	}
	s.push(MemberOp{Kind: kind, Members: members})
	return nil
}

// push appends a step, joined with the last one where the two do what one can.
// authentik sends one operation for each member; a thousand of them come to one
// step.
func (s *splitter) push(op MemberOp) {
	if op.Kind == ReplaceAll { // whatever came before is overwritten
		s.ops = append(s.ops[:0], op)
		return
	}
	if op.Kind != RemoveWhere && len(op.Members) == 0 {
		return
	}
	if n := len(s.ops); n > 0 && op.Kind != RemoveWhere {
		last := &s.ops[n-1]
		if last.Kind == op.Kind || last.Kind == ReplaceAll && op.Kind == Add {
			last.Members = append(last.Members, op.Members...)
			return
		}
	}
	s.ops = append(s.ops, op)
}

// toMembers reads members; only the value is required (RFC 7643 section 4.2),
// and it must not be blank. The ids are not looked up here: the store knows who
// exists, and remembers those who do not exist yet.
func toMembers(values []any) ([]Member, error) {
	members := make([]Member, 0, len(values))
	for _, v := range values {
		m := Member{
			Value: elements.Text(v, "value"), Type: elements.Text(v, "type"), Display: elements.Text(v, "display"),
			Ref: elements.Text(v, "$ref"), DisplayName: elements.Text(v, "displayName"),
		}
		if strings.TrimSpace(m.Value) == "" {
			return nil, schema.Errorf(schema.InvalidValue, "members.value", "the sub-attribute is required")
		}
		members = append(members, m)
	}
	return members, nil
}

// unique keeps the first member of each value.
func unique(members []Member) []Member {
	if len(members) < 2 {
		return members
	}
	seen := make(map[string]bool, len(members))
	return slices.DeleteFunc(members, func(m Member) bool {
		before := seen[m.Value]
		seen[m.Value] = true
		return before
	})
}
