package scim

import (
	"bytes"
	"context"
	"net/http"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/render"
	"github.com/matomo-scim/bridge/scim/schema"
	"github.com/matomo-scim/bridge/scim/search"
)

// A listing is asked for by GET with a query string, or by POST .search with a body
// (RFC 7644 sections 3.4.2 and 3.4.3), which keeps names of people out of URLs. Both
// come to the same Request, and from there on nothing tells them apart.

// list makes an endpoint of a listing: ask reads what is wanted, answer finds and
// writes it.
func (h *handler) list(ask func(*http.Request, *session) (search.Request, error),
	answer func(http.ResponseWriter, *http.Request, *session, search.Request) error,
) serveFunc {
	return func(w http.ResponseWriter, r *http.Request, s *session) error {
		want, err := ask(r, s)
		if err != nil {
			return err
		}
		return answer(w, r, s, want)
	}
}

// fromQuery reads the query string of a GET. Parameters that are none of ours are
// passed over, as RFC 7644 section 3.4.2 wants it of a service provider.
func (h *handler) fromQuery(r *http.Request, _ *session) (search.Request, error) {
	q, err := query(r)
	if err != nil {
		return search.Request{}, err
	}
	return search.FromQuery(q, h.searchLimits())
}

// fromBody reads the body of a POST .search. What its URL says besides is not
// looked at.
func (h *handler) fromBody(r *http.Request, s *session) (search.Request, error) {
	doc, err := decodeBody(r)
	if err != nil {
		return search.Request{}, err
	}
	return search.FromBody(doc, h.searchLimits(), s.profile.mode())
}

// searchLimits are the limits of listings.
func (h *handler) searchLimits() search.Limits {
	return search.Limits{Page: h.limits.Page, Filter: h.limits.Filter, Cursors: !h.noCursors}
}

// bind makes a query of the directory: filter and order are bound to the resource
// type. The place where the page begins is left to begin. A tolerance that binding
// needed is added to seen and counted once, however many types it is bound to.
func (h *handler) bind(r *http.Request, s *session, rt *schema.ResourceType, want search.Request, seen *schema.Fixups) (directory.Query, error) {
	out := directory.Query{Source: s.actor.Source, Base: h.baseURL(r), Start: want.Start, Count: want.Count, Cursor: want.ByCursor}
	opt := filter.Options{
		Tolerant: !s.profile.mode().Strict, MaxLen: h.limits.Filter, OnFixup: func(k schema.Fixup) { seen.Add(k) },
	}
	// Parsed for each type anew: the grammar is cheap, and a filter that is bound to
	// one type says nothing about another.
	if want.Filter != "" {
		expr, err := filter.Parse(want.Filter, opt)
		if err != nil {
			return out, err
		}
		bound, err := filter.Bind(expr, rt, opt)
		if err != nil {
			return out, err
		}
		out.Filter = &bound
	}
	var err error
	out.Order, err = filter.BindOrder(rt, want.SortBy, want.Descending, opt)
	return out, err
}

// listing is one listing on its way: what was asked, of which resources, and what
// the cursor has kept from the pages before, nil on the first.
type listing struct {
	query search.Query
	want  search.Request
	mark  *search.Mark
}

// begin opens the cursor and has the queries go on from there. What binding them
// needed is counted now that nothing the client sent can be wrong any more.
func (h *handler) begin(ctx context.Context, s *session, of string, want search.Request, seen schema.Fixups,
	queries ...*directory.Query,
) (l listing, err error) {
	l = listing{query: search.Query{Source: s.actor.Source, Resource: of}, want: want}
	if l.mark, err = h.cursors.Open(ctx, l.query, want); err != nil {
		return l, err
	}
	if l.mark != nil {
		for _, q := range queries {
			q.After, q.Counted = &l.mark.Position, true
		}
	}
	h.metrics.fixed(s.actor.Source, seen...)
	return l, nil
}

// viewOf is how the resources of a type are shown in a listing.
func (h *handler) viewOf(r *http.Request, rt *schema.ResourceType, want search.Request) render.View {
	return render.View{Base: h.baseURL(r), Projection: schema.ParseProjection(rt, want.Attributes, want.Excluded)}
}

// head begins the answer to a listing.
func (h *handler) head(ctx context.Context, b *bytes.Buffer, l listing, total, count int, next *directory.Position) (err error) {
	// A walk tells the same total on all its pages. It may be out of date at the end,
	// as any total is by the time it is read.
	if l.mark != nil {
		total = l.mark.Total
	}
	head := render.Head{Total: total, Start: l.want.Start, Count: count, ByCursor: l.want.ByCursor}
	if next != nil {
		if head.Next, err = h.cursors.Seal(ctx, l.query, l.want, search.Mark{Position: *next, Total: total}); err != nil {
			return err
		}
	}
	render.ListHead(b, head)
	return nil
}

// listUsers answers a listing of users. Nothing found is 200 with an empty list; a 404
// here makes Entra quarantine the whole job.
func (h *handler) listUsers(w http.ResponseWriter, r *http.Request, s *session, want search.Request) error {
	var seen schema.Fixups
	ask, err := h.bind(r, s, h.users, want, &seen)
	if err != nil {
		return err
	}
	l, err := h.begin(r.Context(), s, labelUsers, want, seen, &ask)
	if err != nil {
		return err
	}
	v := h.viewOf(r, h.users, want)
	// Decided before anything is read: most look-ups ask for one attribute.
	ask.Groups = v.Projection.Wants("groups")
	page, err := h.dir.Users(r.Context(), ask)
	if err != nil {
		return err
	}
	b := render.Buffer()
	defer render.Release(b)
	if err := h.head(r.Context(), b, l, page.Total, len(page.Items), page.Next); err != nil {
		return err
	}
	for i, u := range page.Items {
		render.Comma(b, i)
		if err := v.User(b, u); err != nil {
			return err
		}
	}
	render.ListEnd(b)
	return render.Send(w, http.StatusOK, b)
}

// listGroups answers a listing of groups. Entra and many others ask with
// excludedAttributes=members; then no member is read.
func (h *handler) listGroups(w http.ResponseWriter, r *http.Request, s *session, want search.Request) error {
	var seen schema.Fixups
	ask, err := h.bind(r, s, h.groups, want, &seen)
	if err != nil {
		return err
	}
	l, err := h.begin(r.Context(), s, labelGroups, want, seen, &ask)
	if err != nil {
		return err
	}
	page, err := h.dir.Groups(r.Context(), ask)
	if err != nil {
		return err
	}
	v := h.viewOf(r, h.groups, want)
	b := render.Buffer()
	defer render.Release(b)
	if err := h.head(r.Context(), b, l, page.Total, len(page.Items), page.Next); err != nil {
		return err
	}
	// The heads of the page are in memory, the members come while the answer is on
	// its way: a page of large groups would not fit.
	w.Header().Set("Content-Type", ContentType)
	for i, g := range page.Items {
		render.Comma(b, i)
		if err := v.Group(r.Context(), w, b, g, h.dir.Members); err != nil {
			return err
		}
	}
	render.ListEnd(b)
	_, err = w.Write(b.Bytes())
	return err
}

// listAll answers a query at the root, over the resources of all types (RFC 7644
// section 3.4.2.1). Filter and order are bound to each type: a name that only one
// of them has counts as absent in the other.
func (h *handler) listAll(w http.ResponseWriter, r *http.Request, s *session, want search.Request) error {
	var seen schema.Fixups
	users, err := h.bind(r, s, h.users, want, &seen)
	if err != nil {
		return err
	}
	groups, err := h.bind(r, s, h.groups, want, &seen)
	if err != nil {
		return err
	}
	// A cursor of /Users is none of the root: what comes next would be another thing.
	l, err := h.begin(r.Context(), s, labelAll, want, seen, &users, &groups)
	if err != nil {
		return err
	}
	// Each type has a projection of its own: members of an unknown name in one are
	// attributes of the other.
	userView, groupView := h.viewOf(r, h.users, want), h.viewOf(r, h.groups, want)
	users.Groups = userView.Projection.Wants("groups")
	page, err := h.dir.Resources(r.Context(), users, groups)
	if err != nil {
		return err
	}
	b := render.Buffer()
	defer render.Release(b)
	if err := h.head(r.Context(), b, l, page.Total, len(page.Items), page.Next); err != nil {
		return err
	}
	w.Header().Set("Content-Type", ContentType)
	for i, one := range page.Items {
		render.Comma(b, i)
		if one.User != nil {
			err = userView.User(b, *one.User)
		} else {
			err = groupView.Group(r.Context(), w, b, *one.Group, h.dir.Members)
		}
		if err != nil {
			return err
		}
	}
	render.ListEnd(b)
	_, err = w.Write(b.Bytes())
	return err
}
