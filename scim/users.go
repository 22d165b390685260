package scim

import (
	"maps"
	"net/http"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/patch"
	"github.com/matomo-scim/bridge/scim/render"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Users as RFC 7644 section 3 has them. A PATCH runs inside the directory's
// transaction, on the document as it is there, so that two at once lose nothing;
// and what it makes is validated as a whole, never only the change.

// createUser is POST /Users (RFC 7644 section 3.3). The answer always has the whole
// body, since Okta takes an empty 201 for a failure.
func (h *handler) createUser(w http.ResponseWriter, r *http.Request, s *session) error {
	v, err := h.view(r, h.users)
	if err != nil {
		return err
	}
	doc, err := h.resource(r, s, h.users)
	if err != nil {
		return err
	}
	// There is no look-up before: the unique indexes decide, so that of two equal
	// requests at the same time exactly one wins.
	u, err := h.dir.CreateUser(r.Context(), s.actor, doc)
	if err != nil {
		return err
	}
	h.countFixups(s, shared(u.LabelTaken))
	w.Header().Set("Location", v.UserLocation(u.ID))
	return v.SendUser(w, http.StatusCreated, u)
}

// getUser is GET /Users/{id} (RFC 7644 section 3.4.1). An inactive user is shown like
// any other: identity providers must find whom they deactivated.
func (h *handler) getUser(w http.ResponseWriter, r *http.Request, s *session) error {
	v, err := h.view(r, h.users)
	if err != nil {
		return err
	}
	id, err := resourceID(r)
	if err != nil {
		return err
	}
	u, err := h.dir.User(r.Context(), s.actor.Source, id, v.Projection.Wants("groups"))
	if err != nil {
		return err
	}
	if done, err := fresh(w, r, u.Version); done || err != nil {
		return err
	}
	return v.SendUser(w, http.StatusOK, u)
}

// putUser is PUT /Users/{id} (RFC 7644 section 3.5.1). A body without active
// keeps the stored value: a client that leaves out what is false must not bring a
// leaver back.
func (h *handler) putUser(w http.ResponseWriter, r *http.Request, s *session) error {
	v, err := h.view(r, h.users)
	if err != nil {
		return err
	}
	id, err := resourceID(r)
	if err != nil {
		return err
	}
	doc, err := h.resource(r, s, h.users)
	if err != nil {
		return err
	}
	_, active := doc["active"]
	replace := func(old directory.User, before schema.Document) (schema.Document, error) {
		after := maps.Clone(doc) // runs again when the transaction does
		if !active {
			after["active"] = old.Active
		}
		return after, h.users.CheckImmutable(before, after)
	}
	u, _, err := h.dir.UpdateUser(r.Context(), s.actor, id, expect(r), replace)
	if err != nil {
		return err
	}
	if !active {
		h.metrics.fixed(s.actor.Source, schema.FixPutWithoutActive)
	}
	h.countFixups(s, shared(u.LabelTaken))
	return h.sendChanged(w, r, s, v, u)
}

// patchUser is PATCH /Users/{id} (RFC 7644 section 3.5.2). It is atomic: all
// operations take effect or none.
func (h *handler) patchUser(w http.ResponseWriter, r *http.Request, s *session) error {
	v, err := h.view(r, h.users)
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
	// The operations run on the stored document inside the transaction. They run
	// again when the transaction does, so what they report is set, never added to.
	var applied []schema.Fixup
	change := func(_ directory.User, doc schema.Document) (schema.Document, error) {
		res, err := patch.Apply(h.users, doc, req, s.profile.mode())
		applied = res.Fixups
		return res.Doc, err
	}
	u, _, err := h.dir.UpdateUser(r.Context(), s.actor, id, expect(r), change)
	if err != nil {
		return err
	}
	h.countFixups(s, fixups, applied, shared(u.LabelTaken))
	// RFC 7644 section 3.5.2: with attributes asked for the answer is 200.
	if !s.profile.answersUser() && !v.Projection.Given() {
		w.Header().Set("ETag", render.ETag(u.Version))
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return h.sendChanged(w, r, s, v, u)
}

// deleteUser is DELETE /Users/{id} (RFC 7644 section 3.6). The second one is 404, which
// clients that repeat a request after a time-out understand.
func (h *handler) deleteUser(w http.ResponseWriter, r *http.Request, s *session) error {
	id, err := resourceID(r)
	if err != nil {
		return err
	}
	if err := h.dir.DeleteUser(r.Context(), s.actor, id, expect(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// sendChanged answers a PUT or PATCH with the user as it is now, groups included
// when they are wanted.
func (h *handler) sendChanged(w http.ResponseWriter, r *http.Request, s *session, v render.View, u directory.User) error {
	if v.Projection.Wants("groups") {
		groups, err := h.dir.GroupsOf(r.Context(), s.actor.Source, u.ID)
		if err != nil {
			return err
		}
		u.Groups = groups
	}
	return v.SendUser(w, http.StatusOK, u)
}

// patch reads the body of a PATCH.
func (h *handler) patch(r *http.Request, s *session) (patch.Request, []schema.Fixup, error) {
	doc, err := decodeBody(r)
	if err != nil {
		return patch.Request{}, nil, err
	}
	// Counted before they are parsed: parsing is what a long list would cost.
	if list, ok := operations(doc); ok && len(list) > h.limits.Operations {
		return patch.Request{}, nil, &tooManyOperations{what: "a PATCH", max: h.limits.Operations}
	}
	return patch.FromDocument(doc, s.profile.mode())
}

// operations finds the list before it is read in full.
func operations(doc schema.Document) ([]any, bool) {
	for name, v := range doc {
		if schema.EqualName(name, "Operations") {
			list, ok := v.([]any)
			return list, ok
		}
	}
	return nil, false
}

// shared is the tolerance of an externalId that somebody else has.
func shared(taken bool) []schema.Fixup {
	if !taken {
		return nil
	}
	return []schema.Fixup{schema.FixSharedExternalID}
}

// countFixups counts each kind once a request, however many steps needed it.
func (h *handler) countFixups(s *session, lists ...[]schema.Fixup) {
	var all schema.Fixups
	for _, list := range lists {
		all.Add(list...)
	}
	h.metrics.fixed(s.actor.Source, all...)
}
