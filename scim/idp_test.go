package scim_test

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/scim"
)

// complaints are the 25 that come back most about SCIM servers, by number, and what shows that none can be made here.
var complaints = map[int][]line{
	1:  {patchLines["PA35"]},
	2:  {patchLines["PA37"], patchLines["PA30"]},
	3:  {leavers},
	4:  {patchLines["PA42"]},
	5:  {unknownMember},
	6:  {partialReplace},
	7:  {manyMembers},
	8:  {patchLines["PA01"], patchLines["PA07"], patchLines["PA13"]},
	9:  {putLines["U01"], putLines["U03"]},
	10: {partialReplace, robustLines["M02"], authLines["A02"]},
	11: {emptyGroup},
	12: {filterLines["F22"], filterLines["F34"]},
	13: {filterLines["F35"]},
	14: {ownName, putLines["U05"]},
	15: {patchLines["PA20"]},
	16: {patchLines["PA12"], patchLines["PA14"], patchLines["PA21"]},
	17: {memberSet},
	18: {createLines["C05"], filterLines["F21"]},
	19: {oddBodies},
	20: {pageLines["P03"], pageLines["P04"], pageLines["P05"], pageLines["P07"]},
	21: {passwords},
	22: {honest, discoveryLines["D01"]},
	23: {reactivation},
	24: {onTheWire},
	25: {explained},
}

// rules are those that suit all identity providers, by number. 22 (429 with Retry-After) and 23 (several tokens) are
// TestRateLimit and TestAuth_RotationAndRevocation.
var rules = map[int][]line{
	1:  {patchLines["PA30"], filterLines["F18"], filterLines["F19"]},
	2:  {patchLines["PA37"], leavers},
	3:  {patchLines["PA35"], patchLines["PA34"]},
	4:  {memberSet},
	5:  {patchLines["PA38"], patchLines["PA02"], partialReplace},
	6:  {patchLines["PA19"], patchLines["PA20"]},
	7:  {createLines["C03"], putLines["U02"], patchLines["PA22"]},
	8:  {managers},
	9:  {oddBodies},
	10: {createLines["C14"], oddBodies, patchLines["PA39"]},
	11: {answers},
	12: {filterLines["F35"]},
	13: {lookUps, createLines["C05"], ownName},
	14: {onTheWire, createLines["C10"], filterLines["F36"]},
	15: {leavers, reactivation, deleteLines["L02"], deleteLines["L03"]},
	16: {ids, deleteLines["L02"]},
	17: {filterLines["F22"], apart},
	18: {createLines["C07"], passwords},
	19: {pageLines["P03"], pageLines["P05"], pageLines["P08"]},
	20: {withoutMembers, readLines["R06"]},
	21: {patchLines["PA21"], patchLines["PA42"]},
	24: {manyMembers},
	25: {honest},
}

func TestComplaints(t *testing.T) { eachNumber(t, complaints) }

func TestRules(t *testing.T) { eachNumber(t, rules) }

// eachNumber runs numbered lists of lines, each list on a server of its own.
func eachNumber(t *testing.T, all map[int][]line) {
	t.Helper()
	for _, n := range slices.Sorted(maps.Keys(all)) {
		t.Run(fmt.Sprintf("%02d", n), func(t *testing.T) {
			databasetest.Run(t, func(t *testing.T, db *database.DB) {
				s := newServer(t, db)
				front := httptest.NewServer(s)
				t.Cleanup(front.Close)
				c := &client{base: front.URL + scim.DefaultBasePath, token: s.tokens["okta"], source: "okta", s: s}
				for _, l := range all[n] {
					l(t, c)
				}
			})
		})
	}
}

// TestProfiles_Answers holds rule 11 for each profile.
func TestProfiles_Answers(t *testing.T) {
	for _, source := range []string{"okta", "entra", "strict"} {
		t.Run(source, func(t *testing.T) {
			s := newServer(t, databasetest.SQLite(t))
			front := httptest.NewServer(s)
			t.Cleanup(front.Close)
			answers(t, &client{base: front.URL + scim.DefaultBasePath, token: s.tokens[source], source: source, s: s})
		})
	}
}
