package scim

import (
	"bytes"
	"context"
	"maps"
	"net/http"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/patch"
	"github.com/matomo-scim/bridge/scim/schema"
)

// A group is its head and its members, and the two never meet in memory: a PATCH is
// split into changes of the head and an ordered delta of members, which the
// directory runs as set operations. A group of 10,000 is read only by who asks for
// its members, and then streamed.

// streamChunk is how much of an answer is collected before it is sent. A group
// without many members is one piece.
const streamChunk = 64 << 10

// writeMembers writes the members of a group and the closing brace of the group,
// sending on the way when there are many.
func (h *handler) writeMembers(ctx context.Context, w http.ResponseWriter, b *bytes.Buffer, v view, id string) error {
	if v.projection.Wants("members") {
		first := true
		err := h.dir.Members(ctx, id, func(m directory.Member) error {
			mark := b.Len()
			if first {
				b.WriteString(`,"members":[`)
			} else {
				b.WriteByte(',')
			}
			start := b.Len()
			if err := v.member(b, m); err != nil {
				return err
			}
			if b.Len() == start { // nothing of it is wanted
				b.Truncate(mark)
				return nil
			}
			first = false
			return flush(w, b, streamChunk)
		})
		if err != nil {
			return err
		}
		if !first {
			b.WriteByte(']')
		}
	}
	b.WriteByte('}')
	return nil
}

// sendGroup answers with one group. The head is read before the members: when
// they change in between, the version in the answer is older than its content,
// and a client that relies on it is told so.
func (h *handler) sendGroup(w http.ResponseWriter, r *http.Request, status int, v view, g directory.Group) error {
	b := buffer()
	defer release(b)
	if err := v.group(b, g); err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", ContentType)
	header.Set("ETag", etag(g.Version))
	if err := h.writeMembers(r.Context(), statusWriter{w, status}, b, v, g.ID); err != nil {
		return err
	}
	_, err := statusWriter{w, status}.Write(b.Bytes())
	return err
}

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
	members, err := takeMembers(doc)
	if err != nil {
		return err
	}
	g, err := h.dir.CreateGroup(r.Context(), s.actor, doc, members)
	if err != nil {
		return err
	}
	w.Header().Set("Location", v.groupMeta(g).location)
	return h.sendGroup(w, r, http.StatusCreated, v, g)
}

// takeMembers takes the members out of a document and returns their values.
func takeMembers(doc schema.Document) ([]string, error) {
	members, err := patch.MembersOf(doc)
	delete(doc, "members")
	return memberValues(members), err
}

// memberValues returns the values of members.
func memberValues(members []patch.Member) []string {
	values := make([]string, len(members))
	for i, m := range members {
		values[i] = m.Value
	}
	return values
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
	if unmodified(r, g.Version) {
		w.Header().Set("ETag", etag(g.Version))
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return h.sendGroup(w, r, http.StatusOK, v, g)
}

// listGroups is GET /Groups (RFC 7644 section 3.4.2). Entra and many others ask with
// excludedAttributes=members; then no member is read.
func (h *handler) listGroups(w http.ResponseWriter, r *http.Request, s *session) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	v := view{base: h.baseURL(r), projection: projection(h.groups, q)}
	ask, err := h.listQuery(q, s, h.groups)
	if err != nil {
		return err
	}
	page, err := h.dir.Groups(r.Context(), ask)
	if err != nil {
		return err
	}
	// The heads of the page are in memory, the members come while the answer is on
	// its way: a page of large groups would not fit.
	b := buffer()
	defer release(b)
	w.Header().Set("Content-Type", ContentType)
	listHead(b, page.Total, ask.Start, len(page.Items))
	for i, g := range page.Items {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := v.group(b, g); err != nil {
			return err
		}
		if err := h.writeMembers(r.Context(), w, b, v, g.ID); err != nil {
			return err
		}
	}
	b.WriteString("]}")
	_, err = w.Write(b.Bytes())
	return err
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
	members, err := takeMembers(doc)
	if err != nil {
		return err
	}
	replace := func(_ directory.Group, before schema.Document) (schema.Document, error) {
		after := maps.Clone(doc)
		return after, h.groups.CheckImmutable(before, after)
	}
	ops := []directory.MemberOp{{Kind: directory.ReplaceAll, Values: members}}
	g, _, err := h.dir.UpdateGroup(r.Context(), s.actor, id, expect(r), replace, ops)
	if err != nil {
		return err
	}
	return h.sendGroup(w, r, http.StatusOK, v, g)
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
	h.countFixups(s, fixups, split, applied)
	// A body with ten thousand members helps nobody who has just sent them.
	if !s.profile.answersGroup() && !v.projection.Given() {
		w.Header().Set("ETag", etag(g.Version))
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return h.sendGroup(w, r, http.StatusOK, v, g)
}

// memberOps hands what a PATCH says about members to the directory.
func memberOps(ops []patch.MemberOp) []directory.MemberOp {
	kinds := map[patch.MemberOpKind]directory.MemberOpKind{
		patch.ReplaceAll: directory.ReplaceAll, patch.Add: directory.Add,
		patch.Remove: directory.Remove, patch.RemoveWhere: directory.RemoveWhere,
	}
	out := make([]directory.MemberOp, len(ops))
	for i, op := range ops {
		out[i] = directory.MemberOp{Kind: kinds[op.Kind], Values: memberValues(op.Members), Where: op.Where}
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
