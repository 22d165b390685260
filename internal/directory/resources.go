package directory

import (
	"context"
	"fmt"
	"slices"

	"github.com/matomo-scim/bridge/internal/directory/listing"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Resource is one of User and Group.
type Resource struct {
	User  *User
	Group *Group
}

// placed is a resource and where it stands among those of all types.
type placed struct {
	Resource
	listing.Position
}

// Resources returns a page of the resources of all types in one order. The two
// queries differ in nothing but what filter and order were bound to. Without an
// order users come before groups. With one, a page that begins further on than
// Options.ScanLimit is refused with tooMany, because the resources before it have
// to be read; a cursor has no such limit.
func (s *Store) Resources(ctx context.Context, users, groups Query) (Page[Resource], error) {
	if !users.Order.Given() {
		return s.oneByOne(ctx, users, groups)
	}
	return s.merged(ctx, users, groups)
}

// typeKey is the key of a place among users or groups when nothing is sorted by:
// the type stands in for it, so that a cursor knows how far the walk has come.
func typeKey(isGroup bool) filter.Key { return filter.BoolKey(isGroup) }

// within is a place among resources of all types as one among those of its own,
// which know no key.
func within(p *Position) *Position {
	if p == nil {
		return nil
	}
	return &Position{Key: filter.Key{Missing: true}, ID: p.ID}
}

// oneByOne gives the users and, where they end, the groups.
func (s *Store) oneByOne(ctx context.Context, users, groups Query) (page Page[Resource], err error) {
	place := users.After
	if place != nil && place.Key == typeKey(true) {
		groups.After = within(place)
		page.Total = -1 // the users were counted on the pages before
		err = s.addGroups(ctx, &page, groups)
		return page, err
	}
	users.After = within(place)
	found, err := s.Users(ctx, users)
	if err != nil {
		return page, err
	}
	page.Total = found.Total
	for i := range found.Items {
		page.Items = append(page.Items, Resource{User: &found.Items[i]})
	}
	if found.Next != nil {
		page.Next = &Position{Key: typeKey(false), ID: found.Next.ID}
		err = s.countGroups(ctx, &page, groups)
		return page, err
	}
	groups.After = nil
	groups.Start = max(1, users.Start-found.Total)
	groups.Count -= len(page.Items)
	err = s.addGroups(ctx, &page, groups)
	return page, err
}

// countGroups adds the groups to the total of a page that has none of them.
func (s *Store) countGroups(ctx context.Context, page *Page[Resource], groups Query) error {
	if page.Total < 0 {
		return nil // they alone would be no total
	}
	// By cursor, because then a filter that is too costly to count is not refused.
	groups.After, groups.Count = nil, 1
	found, err := s.Groups(ctx, groups)
	if page.Total += found.Total; found.Total < 0 {
		page.Total = -1
	}
	return err
}

// addGroups fills a page up with groups.
func (s *Store) addGroups(ctx context.Context, page *Page[Resource], groups Query) error {
	wanted := groups.Count
	if groups.Cursor {
		// A page that is full already asks for one, to learn whether there is any.
		groups.Count = max(1, wanted)
	}
	found, err := s.Groups(ctx, groups)
	if err != nil {
		return err
	}
	if found.Total < 0 || page.Total < 0 {
		page.Total = -1
	} else {
		page.Total += found.Total
	}
	if wanted == 0 && groups.Cursor {
		if len(found.Items) > 0 || found.Next != nil {
			page.Next = &Position{Key: typeKey(true)} // before the first group
		}
		return nil
	}
	for i := range found.Items {
		page.Items = append(page.Items, Resource{Group: &found.Items[i]})
	}
	if found.Next != nil {
		page.Next = &Position{Key: typeKey(true), ID: found.Next.ID}
	}
	return nil
}

// merged reads as many of each type as could be on the page, and takes the first of
// both together.
func (s *Store) merged(ctx context.Context, users, groups Query) (page Page[Resource], err error) {
	wanted, first := users.Count, 0
	if !users.Cursor && wanted > 0 {
		// How many of the resources before the page are users is not known, so all of
		// them are read.
		first = users.Start - 1
		if first+wanted > s.opt.ScanLimit {
			return page, schema.Errorf(schema.TooMany, "startIndex",
				"across resource types only the first %d can be paged by index; use a cursor, or one type", s.opt.ScanLimit)
		}
		users.Count, groups.Count = first+wanted, first+wanted
	}
	users.Start, groups.Start = 1, 1
	u, err := s.Users(ctx, users)
	if err != nil {
		return page, err
	}
	g, err := s.Groups(ctx, groups)
	if err != nil {
		return page, err
	}
	if page.Total = u.Total + g.Total; u.Total < 0 || g.Total < 0 {
		page.Total = -1
	}
	all, err := join(u, g, users, groups)
	if err != nil {
		return page, fmt.Errorf("sort resources: %w", err)
	}
	descending := users.Order.Descending
	slices.SortFunc(all, func(a, b placed) int { return a.Compare(b.Position, descending) })
	// What lies behind the end of either list may not be the next: the list may go
	// on before it.
	if end := earlier(u.Next, g.Next, descending); end != nil {
		all = slices.DeleteFunc(all, func(p placed) bool { return p.Compare(*end, descending) > 0 })
		page.Next = end
	}
	all = all[min(first, len(all)):]
	if len(all) > wanted {
		if all = all[:wanted]; users.Cursor {
			page.Next = &all[wanted-1].Position
		}
	}
	for _, p := range all {
		page.Items = append(page.Items, p.Resource)
	}
	return page, nil
}

// join puts the resources of both types into one list, each with its place.
func join(u Page[User], g Page[Group], users, groups Query) ([]placed, error) {
	all := make([]placed, 0, len(u.Items)+len(g.Items))
	// By index: the pointers are into the pages, which stay as they are.
	for i := range u.Items {
		p, err := userNoun(users).Place(u.Items[i], users.Order)
		if err != nil {
			return nil, err
		}
		all = append(all, placed{Resource{User: &u.Items[i]}, p})
	}
	for i := range g.Items {
		p, err := groupNoun(groups).Place(g.Items[i], groups.Order)
		if err != nil {
			return nil, err
		}
		all = append(all, placed{Resource{Group: &g.Items[i]}, p})
	}
	return all, nil
}

// earlier is the first of two places, nil being none.
func earlier(a, b *Position, descending bool) *Position {
	switch {
	case a == nil:
		return b
	case b == nil || a.Compare(*b, descending) < 0:
		return a
	}
	return b
}
