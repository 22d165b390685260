package model_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
)

// entry is a row of the access table as a flat list holds it.
type entry struct {
	owner, login string
	site         int
	access       string
}

// flat is the access table as one list in the order of writing: the simplest thing that the model must agree with.
type flat struct {
	rows  []entry
	sites []int
}

// of lists the rows that match, as text.
func (f *flat) of(match func(entry) bool) []string {
	out := []string{}
	for _, e := range f.rows {
		if match(e) {
			out = append(out, fmt.Sprintf("%s %d %s", e.login, e.site, e.access))
		}
	}
	return out
}

// ofAccount lists the rows of an account on sites that exist, by site when the table is big.
func (f *flat) ofAccount(owner string) []string {
	sorted := flat{rows: slices.Clone(f.rows)}
	if len(f.rows) > 100 {
		slices.SortStableFunc(sorted.rows, func(a, b entry) int { return cmp.Compare(a.site, b.site) })
	}
	return sorted.of(func(e entry) bool { return e.owner == owner && slices.Contains(f.sites, e.site) })
}

func (f *flat) remove(match func(entry) bool) { f.rows = slices.DeleteFunc(f.rows, match) }

func rowTexts(rows []model.Row) []string {
	out := []string{}
	for _, r := range rows {
		out = append(out, fmt.Sprintf("%s %d %s", r.Login, r.Site, r.Access))
	}
	return out
}

// TestAccessTable_LikeAList: rows, sites and accounts come and go in any order, below and above the size from which
// the index decides about the order.
func TestAccessTable_LikeAList(t *testing.T) {
	owners := []string{"alice", "bob", "müller"}
	spelled := map[string][]string{"alice": {"alice", "ALICE", "Álice"}, "bob": {"bob"}, "müller": {"müller", "MULLER"}}
	words := []string{"view", "write", "admin", "tagmanager_write"}
	rapid.Check(t, func(t *rapid.T) {
		in, f := locked(), &flat{}
		for _, o := range owners {
			add(t, in, o)
		}
		owner, site := rapid.SampledFrom(owners), rapid.IntRange(1, 6)
		account := func(t *rapid.T) (string, *model.Account) {
			o := owner.Draw(t, "owner")
			a := in.Find(o)
			if a == nil {
				t.Skip("was deleted")
			}
			return o, a
		}
		t.Repeat(map[string]func(*rapid.T){
			"add rows": func(t *rapid.T) {
				o, a := account(t)
				for range rapid.SampledFrom([]int{1, 1, 2, 40}).Draw(t, "rows") {
					e := entry{o, rapid.SampledFrom(spelled[o]).Draw(t, "spelling"), site.Draw(t, "site"), rapid.SampledFrom(words).Draw(t, "word")}
					in.AddRow(a, e.login, e.site, e.access)
					f.rows = append(f.rows, e)
				}
			},
			"delete on sites": func(t *rapid.T) {
				o, a := account(t)
				ids := rapid.SliceOfN(site, 0, 3).Draw(t, "sites")
				in.DeleteAccess(a, ids...)
				f.remove(func(e entry) bool { return e.owner == o && (len(ids) == 0 || slices.Contains(ids, e.site)) })
			},
			"delete a word": func(t *rapid.T) {
				o, a := account(t)
				word := rapid.SampledFrom(words).Draw(t, "word")
				in.DeleteRows(a, func(r model.Row) bool { return r.Access == word })
				f.remove(func(e entry) bool { return e.owner == o && e.access == word })
			},
			"add a site": func(*rapid.T) { f.sites = append(f.sites, in.AddSite(model.Site{})) },
			"delete a site": func(t *rapid.T) {
				id := site.Draw(t, "site")
				existed := slices.Contains(f.sites, id)
				if in.DeleteSite(id) != existed {
					t.Fatalf("site %d existed: %v", id, existed)
				}
				if existed {
					f.sites = slices.DeleteFunc(f.sites, func(other int) bool { return other == id })
					f.remove(func(e entry) bool { return e.site == id })
				}
			},
			"delete an account": func(t *rapid.T) {
				o, a := account(t)
				in.Delete(a)
				f.remove(func(e entry) bool { return e.owner == o })
				add(t, in, o)
			},
			"": func(t *rapid.T) {
				for _, o := range owners {
					if diff := gocmp.Diff(f.ofAccount(o), rowTexts(in.RowsOf(in.Find(o)))); diff != "" {
						t.Fatalf("rows of %s (-want +got):\n%s", o, diff)
					}
				}
				for id := 1; id <= 6; id++ {
					want := f.of(func(e entry) bool { return e.site == id })
					if diff := gocmp.Diff(want, rowTexts(in.RowsOfSite(id))); diff != "" {
						t.Fatalf("rows of site %d (-want +got):\n%s", id, diff)
					}
				}
				if got := in.SiteIDs(); !slices.Equal(got, f.sites) {
					t.Fatalf("sites %v, want %v", got, f.sites)
				}
			},
		})
	})
}

// TestRowsOf_IndexedFrom: the order changes with the hundred and first row of the table, whoever's it is.
func TestRowsOf_IndexedFrom(t *testing.T) {
	in := locked()
	a, b := add(t, in, "alice"), add(t, in, "bob")
	for range 2 {
		in.AddSite(model.Site{})
	}
	in.AddRow(a, "alice", 2, "view")
	in.AddRow(a, "alice", 1, "view")
	for range 98 {
		in.AddRow(b, "bob", 1, "view")
	}
	written := []string{"alice 2 view", "alice 1 view"}
	if got := rowTexts(in.RowsOf(a)); !slices.Equal(got, written) {
		t.Errorf("100 rows: %v", got)
	}
	in.AddRow(b, "bob", 9, "view")
	if got := rowTexts(in.RowsOf(a)); !slices.Equal(got, []string{"alice 1 view", "alice 2 view"}) {
		t.Errorf("101 rows: %v", got)
	}
	in.Delete(b) // its rows go, and the table is small again
	if got := rowTexts(in.RowsOf(a)); !slices.Equal(got, written) {
		t.Errorf("2 rows: %v", got)
	}
}

// TestOn_FirstRole: of two role rows, which parallel writers leave behind (trap 7), Matomo shows the first.
func TestOn_FirstRole(t *testing.T) {
	for _, rows := range [][]string{{"view", "admin"}, {"admin", "view"}, {"tagmanager_write", "write", "view"}, {"tagmanager_write"}, {}} {
		in := locked()
		a := add(t, in, "alice")
		wantRole, wantCapabilities := "", []string{}
		for _, word := range rows {
			in.AddRow(a, "alice", 1, word)
			in.AddRow(a, "alice", 2, "admin")
			if model.RankOf(word) == 0 {
				wantCapabilities = append(wantCapabilities, word)
			} else if wantRole == "" {
				wantRole = word
			}
		}
		if role, capabilities := a.On(1); role != wantRole || !slices.Equal(capabilities, wantCapabilities) {
			t.Errorf("%v is %q %v", rows, role, capabilities)
		}
	}
}

// TestTracks_Who: write and admin on the site, and superusers, may set an address or a time; view may not.
func TestTracks_Who(t *testing.T) {
	in := locked()
	for _, word := range []string{"view", "write", "admin", "tagmanager_write", "superuser"} {
		a := add(t, in, word)
		if a.Superuser = word == "superuser"; !a.Superuser {
			in.AddRow(a, word, 1, word)
		}
		in.AddToken(a, &model.Token{Secret: "token of " + word})
	}
	for word, want := range map[string]bool{"view": false, "write": true, "admin": true, "tagmanager_write": false, "superuser": true, "nobody": false} {
		if got := in.Tracks("token of "+word, 1); got != want {
			t.Errorf("%s tracks on site 1: %v", word, got)
		}
		if got := in.Tracks("token of "+word, 2); got != (word == "superuser") {
			t.Errorf("%s tracks on site 2: %v", word, got)
		}
	}
}

// TestTracks_DoesNotNotice: what goes behind Matomo's back, as with strategy database, tracks on for 300 seconds,
// unless a write of the user management clears the cache.
func TestTracks_DoesNotNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := locked()
		a := add(t, in, "alice")
		in.AddRow(a, "alice", 1, "write")
		in.AddToken(a, &model.Token{Secret: "s"})
		in.Tracks("s", 1)
		in.DeleteTokens(a, 0)
		time.Sleep(299 * time.Second)
		if !in.Tracks("s", 1) {
			t.Error("the cache noticed that the token was deleted")
		}
		in.ClearTracker()
		if in.Tracks("s", 1) {
			t.Error("the token outlived the cache")
		}
		// A site that was not asked about has no cache, and one that has does not see a new token.
		in.AddToken(a, &model.Token{Secret: "new"})
		in.AddRow(a, "alice", 2, "write")
		if in.Tracks("new", 1) || !in.Tracks("new", 2) {
			t.Error("want the new token on site 2 alone")
		}
		time.Sleep(300 * time.Second)
		if !in.Tracks("new", 1) {
			t.Error("the cache is older than 300 seconds")
		}
	})
}

// TestTokens_OfOthers: IDs count through all accounts, and nobody's token goes by the ID of another's.
func TestTokens_OfOthers(t *testing.T) {
	in := locked()
	a, b := add(t, in, "alice"), add(t, in, "bob")
	for i, owner := range []*model.Account{a, b, a} {
		token := &model.Token{Secret: fmt.Sprint("s", i)}
		in.AddToken(owner, token)
		if token.ID != i+1 || token.Owner != owner || in.Token(token.Secret) != token {
			t.Errorf("token %d: %+v", i, token)
		}
	}
	if n := in.DeleteTokens(a, 2); n != 0 || !in.Token("s1").Alive() {
		t.Errorf("%d of bob's tokens went with alice's", n)
	}
	in.Delete(a)
	if in.Token("s0") != nil || in.Token("s2") != nil || !in.Token("s1").Alive() || in.Token("").Alive() {
		t.Error("want bob's token alone")
	}
}
