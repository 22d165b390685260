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

// typeKey is what resources of all types are sorted by when nothing else is asked
// for.
func typeKey(isGroup bool) filter.Key { return filter.BoolKey(isGroup) }

// oneByOne gives the users and, where they end, the groups.
func (s *Store) oneByOne(ctx context.Context, users, groups Query) (Page[Resource], error) {
	var page Page[Resource]
	wanted := users.Count
	among := users.After // the place among the groups, when the page begins there
	if users.Cursor && among != nil && among.Key == typeKey(true) {
		groups.After = &Position{Key: filter.Key{Missing: true}, ID: among.ID}
		page.Total = -1 // the users were counted on the pages before
	} else {
		if among != nil {
			users.After = &Position{Key: filter.Key{Missing: true}, ID: among.ID}
		}
		found, err := s.Users(ctx, users)
		if err != nil {
			return page, err
		}
		page.Total = found.Total
		for i := range found.Items {
			page.Items = append(page.Items, Resource{User: &found.Items[i]})
		}
		if found.Next != nil {
			page.Total = -1
			page.Next = &Position{Key: typeKey(false), ID: found.Next.ID}
			return page, nil
		}
		groups.After = nil
		groups.Start = max(1, users.Start-found.Total)
		wanted -= len(page.Items)
	}
	// A full page asks for one more all the same, to learn whether there is any.
	groups.Count = wanted
	if users.Cursor {
		groups.Count = max(1, wanted)
	}
	found, err := s.Groups(ctx, groups)
	if err != nil {
		return page, err
	}
	switch {
	case found.Total < 0 || page.Total < 0:
		page.Total = -1
	default:
		page.Total += found.Total
	}
	if users.Cursor && wanted == 0 {
		if len(found.Items) > 0 || found.Next != nil {
			page.Next = &Position{Key: typeKey(true)}
		}
		return page, nil
	}
	for i := range found.Items {
		page.Items = append(page.Items, Resource{Group: &found.Items[i]})
	}
	if found.Next != nil {
		page.Next = &Position{Key: typeKey(true), ID: found.Next.ID}
	}
	return page, nil
}

// merged reads as many of each type as could be on the page, and takes the first of
// both together.
func (s *Store) merged(ctx context.Context, users, groups Query) (Page[Resource], error) {
	var page Page[Resource]
	first, descending := 0, users.Order.Descending
	if !users.Cursor {
		first = users.Start - 1
		if users.Count > 0 && first+users.Count > s.opt.ScanLimit {
			return page, schema.Errorf(schema.TooMany, "startIndex",
				"across resource types only the first %d can be paged by index; use a cursor, or one type", s.opt.ScanLimit)
		}
		for _, q := range [...]*Query{&users, &groups} {
			if q.Start = 1; q.Count > 0 {
				q.Count += first
			}
		}
	}
	u, err := s.Users(ctx, users)
	if err != nil {
		return page, err
	}
	g, err := s.Groups(ctx, groups)
	if err != nil {
		return page, err
	}
	all, err := join(u, g, users.Order, groups.Order)
	if err != nil {
		return page, fmt.Errorf("sort resources: %w", err)
	}
	slices.SortFunc(all, func(a, b placed) int { return a.Compare(b.Position, descending) })
	// What lies behind the end of either list may not be the next: the list may go
	// on before it.
	if end := earlier(u.Next, g.Next, descending); end != nil {
		all = slices.DeleteFunc(all, func(p placed) bool { return p.Compare(*end, descending) > 0 })
		page.Next = end
	}
	wanted := users.Count - first
	if !users.Cursor {
		wanted = max(0, wanted)
		all = all[min(first, len(all)):]
	}
	if len(all) > wanted {
		all = all[:wanted]
		if users.Cursor {
			page.Next = &all[wanted-1].Position
		}
	}
	for _, p := range all {
		page.Items = append(page.Items, p.Resource)
	}
	if page.Total = u.Total + g.Total; u.Total < 0 || g.Total < 0 {
		page.Total = -1
	}
	return page, nil
}

// join puts the resources of both types into one list, each with its place.
func join(u Page[User], g Page[Group], users, groups filter.Order) ([]placed, error) {
	all := make([]placed, 0, len(u.Items)+len(g.Items))
	for i := range u.Items {
		p, err := userNoun(false).Place(u.Items[i], users)
		if err != nil {
			return nil, err
		}
		all = append(all, placed{Resource{User: &u.Items[i]}, p})
	}
	for i := range g.Items {
		p, err := groupNoun().Place(g.Items[i], groups)
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
