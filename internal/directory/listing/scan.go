package listing

import (
	"context"
	"errors"
	"slices"

	"github.com/matomo-scim/bridge/internal/directory/membership"
	"github.com/matomo-scim/bridge/internal/directory/sqlfilter"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// matching calls fn for each resource that the filter chooses, in the order of the
// database, behind a place. It stops without an error when fn returns errEnough;
// stopped then says so. What the database cannot answer is evaluated on the
// documents; end is the place of the last resource that was looked at when the
// limit was reached, else nil.
func (f *finder[T]) matching(ctx context.Context, after *Position, fn func(T, schema.Document) error) (end *Position, err error) {
	read := 0
	// Small pages, each behind the one before and not at an offset: no row is read
	// twice, and no statement stays open while documents are evaluated.
	for {
		where, args := f.from(after)
		size := min(scanPage, f.ScanLimit+1-read)
		limit, args := sqlfilter.Limit(size, 0, args)
		items, err := f.rows(ctx, f.noun.Full, where+f.order.By()+limit, args)
		if err != nil {
			return nil, err
		}
		members, err := f.members(ctx, items)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			if read++; read > f.ScanLimit {
				return after, nil
			}
			doc, err := f.noun.Document(item)
			if err != nil {
				return nil, err
			}
			if f.matches(f.noun.ID(item), doc, members) {
				if err := fn(item, doc); err != nil {
					return nil, err
				}
			}
			after = &Position{Key: f.reading.Key(doc), ID: f.noun.ID(item)}
		}
		if len(items) < size {
			return nil, nil
		}
	}
}

// members asks the database what the filter wants to know about the members of
// these groups: for each question the groups for which it holds.
func (f *finder[T]) members(ctx context.Context, items []T) (map[filter.Expr]map[string]bool, error) {
	if len(f.cond.Members) == 0 || len(items) == 0 {
		return nil, nil
	}
	ids := make([]string, len(items))
	for i, item := range items {
		ids[i] = f.noun.ID(item)
	}
	// One statement a question and page, never one a group. The same part of a
	// filter is the same question, wherever it stands: expressions are comparable.
	dia := f.DB.Dialect()
	out := map[filter.Expr]map[string]bool{}
	for _, question := range f.cond.Members {
		if _, ok := out[question]; ok {
			continue
		}
		cond, args := sqlfilter.Compile(dia, f.noun.Table, f.q.Base, question, []any{dia.Strings(ids)})
		found, err := membership.Strings(ctx, f.DB.Reader(),
			"SELECT r.id FROM "+string(f.noun.Table)+" r WHERE "+dia.In("r.id", "$1")+" AND "+cond.SQL, args...)
		if err != nil {
			return nil, err
		}
		holds := make(map[string]bool, len(found))
		for _, id := range found {
			holds[id] = true
		}
		out[question] = holds
	}
	return out, nil
}

// matches evaluates what the database has left of the filter.
func (f *finder[T]) matches(id string, doc schema.Document, members map[filter.Expr]map[string]bool) bool {
	if f.cond.Rest == nil {
		return true
	}
	// A bound filter is a value, and the scope of its names stays the same.
	rest := *f.q.Filter
	rest.Expr = f.cond.Rest
	if members != nil {
		rest.Expr = sqlfilter.Resolve(rest.Expr, func(e filter.Expr) bool { return members[e][id] })
	}
	return rest.Match(doc)
}

// scanned reads what the database can narrow down and evaluates the filter here.
func (f *finder[T]) scanned(ctx context.Context) (Page[T], error) {
	if f.q.Cursor {
		return f.scannedBehind(ctx)
	}
	var page Page[T]
	end, err := f.matching(ctx, nil, func(item T, _ schema.Document) error {
		page.Total++
		if page.Total >= f.q.Start && len(page.Items) < f.q.Count {
			page.Items = append(page.Items, item)
		}
		return nil
	})
	if end != nil {
		return Page[T]{}, tooMany("filter", f.ScanLimit)
	}
	return page, err
}

// scannedBehind fills a page from a place on. It may come out short, even empty,
// when little was found within the limit: the next page goes on from there, and no
// filter is refused.
func (f *finder[T]) scannedBehind(ctx context.Context) (Page[T], error) {
	page := Page[T]{Total: -1}
	end, err := f.matching(ctx, f.q.After, func(item T, _ schema.Document) error {
		if len(page.Items) == f.q.Count {
			return errEnough
		}
		page.Items = append(page.Items, item)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = f.next(&page)
		return page, err
	}
	page.Next = end
	return page, err
}

// sorted reads everything that the filter chooses, sorts it by what no column
// holds, and reads the page again by id: only keys are kept meanwhile.
func (f *finder[T]) sorted(ctx context.Context) (Page[T], error) {
	var found []Position
	by := f.q.Order
	end, err := f.matching(ctx, nil, func(item T, doc schema.Document) error {
		found = append(found, Position{Key: by.Key(doc), ID: f.noun.ID(item)})
		return nil
	})
	switch {
	case err != nil:
		return Page[T]{}, err
	case end != nil:
		return Page[T]{}, tooMany("order", f.ScanLimit)
	}
	// By key and id, so that the order has no ties and need not be a stable one.
	slices.SortFunc(found, func(a, b Position) int { return a.Compare(b, by.Descending) })
	page := Page[T]{Total: len(found)}
	first := min(f.q.Start-1, len(found))
	if f.q.Cursor {
		// The resource that the place was behind may be gone: the first one that comes
		// after it is looked for, not the place itself.
		first = 0
		if after := f.q.After; after != nil {
			first, _ = slices.BinarySearchFunc(found, *after, func(a, b Position) int {
				if a.Compare(b, by.Descending) <= 0 {
					return -1
				}
				return 1
			})
		}
	}
	chosen := found[first:min(first+f.q.Count, len(found))]
	if page.Items, err = f.load(ctx, chosen); err != nil || !f.q.Cursor || first+len(chosen) == len(found) {
		return page, err
	}
	page.Next = &chosen[len(chosen)-1]
	return page, nil
}

// load reads resources by id and returns them in the order given. Who was deleted
// meanwhile is left out.
func (f *finder[T]) load(ctx context.Context, chosen []Position) ([]T, error) {
	if len(chosen) == 0 {
		return nil, nil
	}
	rank := make(map[string]int, len(chosen))
	ids := make([]string, len(chosen))
	for i, p := range chosen {
		ids[i], rank[p.ID] = p.ID, i
	}
	dia := f.DB.Dialect()
	items, err := f.rows(ctx, f.noun.Columns, dia.In("r.id", "$1")+" AND r.source = $2", []any{dia.Strings(ids), f.q.Source})
	slices.SortFunc(items, func(a, b T) int { return rank[f.noun.ID(a)] - rank[f.noun.ID(b)] })
	return items, err
}
