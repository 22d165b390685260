package scim

import (
	"encoding/json"
	"maps"
	"net/http"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/patch"
	"github.com/matomo-scim/bridge/scim/render"
	"github.com/matomo-scim/bridge/scim/schema"
)

// A group is its head and its members, and the two never meet in memory: a PATCH is
// split into changes of the head and an ordered delta of members, which the
// directory runs as set operations. A group of 10,000 is read only by who asks for
// its members, and then streamed.

// createGroup is POST /Groups (RFC 7644 section 3.3). Members that nobody has yet are
// no error: one of them must not sink the whole push.
func (h *handler) createGroup(w http.ResponseWriter, r *http.Request, s *session) error {
	v, err := h.view(r, h.groups)
	if err != nil {
		return err
	}
	doc, err := h.resource(r, s, h.groups)
	if err != nil {
		return err
	}
	members, err := takeMembers(doc, directory.Add)
	if err != nil {
		return err
	}
	g, err := h.dir.CreateGroupWith(r.Context(), s.actor, doc, members)
	if err != nil {
		return err
	}
	h.countFixups(s, shared(g.LabelTaken))
	w.Header().Set("Location", v.GroupLocation(g.ID))
	return v.SendGroup(r.Context(), w, http.StatusCreated, g, h.dir.Members)
}

// takeMembers takes the members out of a document and returns what is to be done
// with them.
func takeMembers(doc schema.Document, kind directory.MemberOpKind) (directory.MemberOp, error) {
	members, err := patch.MembersOf(doc)
	delete(doc, "members")
	return memberOp(kind, members), err
}

// labelOf is what a client says about a member and gets back, "" for nothing. That a
// member is a user goes without saying.
func labelOf(m patch.Member) string {
	if m.Type == "User" {
		m.Type = ""
	}
	if m.Display+m.Type+m.DisplayName == "" {
		return ""
	}
	label, _ := json.Marshal(struct { //nolint:errchkjson // texts always encode
		Display     string `json:"display,omitempty"`
		Type        string `json:"type,omitempty"`
		DisplayName string `json:"displayName,omitempty"`
	}{m.Display, m.Type, m.DisplayName})
	return string(label)
}

// memberOp is a step over members.
func memberOp(kind directory.MemberOpKind, members []patch.Member) directory.MemberOp {
	op := directory.MemberOp{Kind: kind, Values: make([]string, len(members))}
	for i, m := range members {
		op.Values[i] = m.Value
		if label := labelOf(m); label != "" {
			if op.Labels == nil {
				op.Labels = map[string]string{}
			}
			op.Labels[m.Value] = label
		}
	}
	return op
}

// getGroup is GET /Groups/{id} (RFC 7644 section 3.4.1).
func (h *handler) getGroup(w http.ResponseWriter, r *http.Request, s *session) error {
	v, err := h.view(r, h.groups)
	if err != nil {
		return err
	}
	id, err := resourceID(r)
	if err != nil {
		return err
	}
	g, err := h.dir.Group(r.Context(), s.actor.Source, id)
	if err != nil {
		return err
	}
	if done, err := fresh(w, r, g.Version); done || err != nil {
		return err
	}
	return v.SendGroup(r.Context(), w, http.StatusOK, g, h.dir.Members)
}

// putGroup is PUT /Groups/{id} (RFC 7644 section 3.5.1): head and members are
// replaced, whoever stays a member is not touched.
func (h *handler) putGroup(w http.ResponseWriter, r *http.Request, s *session) error {
	v, err := h.view(r, h.groups)
	if err != nil {
		return err
	}
	id, err := resourceID(r)
	if err != nil {
		return err
	}
	doc, err := h.resource(r, s, h.groups)
	if err != nil {
		return err
	}
	members, err := takeMembers(doc, directory.ReplaceAll)
	if err != nil {
		return err
	}
	replace := func(_ directory.Group, before schema.Document) (schema.Document, error) {
		after := maps.Clone(doc)
		return after, h.groups.CheckImmutable(before, after)
	}
	ops := []directory.MemberOp{members}
	g, _, err := h.dir.UpdateGroup(r.Context(), s.actor, id, expect(r), replace, ops)
	if err != nil {
		return err
	}
	h.countFixups(s, shared(g.LabelTaken))
	return v.SendGroup(r.Context(), w, http.StatusOK, g, h.dir.Members)
}

// patchGroup is PATCH /Groups/{id} (RFC 7644 section 3.5.2). The members never
// come near this process: what the request says about them becomes statements
// over sets.
func (h *handler) patchGroup(w http.ResponseWriter, r *http.Request, s *session) error {
	v, err := h.view(r, h.groups)
	if err != nil {
		return err
	}
	id, err := resourceID(r)
	if err != nil {
		return err
	}
	req, fixups, err := h.patch(r, s)
	if err != nil {
		return err
	}
	// What concerns the members is taken apart before anything is read.
	head, members, split, err := patch.Split(h.groups, req, s.profile.mode())
	if err != nil {
		return err
	}
	var applied []schema.Fixup
	// Without operations on the head its document is not even decoded.
	var change func(directory.Group, schema.Document) (schema.Document, error)
	if len(head.Operations) > 0 {
		change = func(_ directory.Group, doc schema.Document) (schema.Document, error) {
			res, err := patch.Apply(h.groups, doc, head, s.profile.mode())
			applied = res.Fixups
			return res.Doc, err
		}
	}
	g, _, err := h.dir.UpdateGroup(r.Context(), s.actor, id, expect(r), change, memberOps(members))
	if err != nil {
		return err
	}
	h.countFixups(s, fixups, split, applied, shared(g.LabelTaken))
	// A body with ten thousand members helps nobody who has just sent them.
	if !s.profile.answersGroup() && !v.Projection.Given() {
		w.Header().Set("ETag", render.ETag(g.Version))
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return v.SendGroup(r.Context(), w, http.StatusOK, g, h.dir.Members)
}

// memberOps hands what a PATCH says about members to the directory.
func memberOps(ops []patch.MemberOp) []directory.MemberOp {
	kinds := map[patch.MemberOpKind]directory.MemberOpKind{
		patch.ReplaceAll: directory.ReplaceAll, patch.Add: directory.Add,
		patch.Remove: directory.Remove, patch.RemoveWhere: directory.RemoveWhere,
	}
	out := make([]directory.MemberOp, len(ops))
	for i, op := range ops {
		out[i] = memberOp(kinds[op.Kind], op.Members)
		out[i].Where = op.Where
	}
	return out
}

// deleteGroup is DELETE /Groups/{id} (RFC 7644 section 3.6). Its members stay, without
// what the group gave them.
func (h *handler) deleteGroup(w http.ResponseWriter, r *http.Request, s *session) error {
	id, err := resourceID(r)
	if err != nil {
		return err
	}
	if err := h.dir.DeleteGroup(r.Context(), s.actor, id, expect(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
