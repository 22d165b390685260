// Package mapping reads the rules that say which group, or which person, gets
// which access in Matomo, and decides for one person what follows from them.
//
// The way of the data is Parse (text to Rules, once per change of the files) and
// Decide (Rules, a person and the sites of one Matomo to a Decision, very often):
//
//	files -> rulefile -> raw rules -> compile -> Rules
//	Rules + Subject + sites + now -> Decide -> Decision
//
// The package does no I/O, keeps no state and reads no clock: a Decision is a
// function of its arguments, and neither the order of the files nor the order of
// the groups changes the access it gives. What is not known for certain (a site
// that cannot be found, an attribute that is absent) never grants anything.
//
// Three packages below know one part each and nothing of the others' business:
// rulefile reads the files, grant is one grant and the sites it means, match
// compares names and attributes. Here is what needs all of them: what a rule may
// say in this configuration, and what the rules together give to one person.
//
// The language itself is described for administrators in docs/mapping.md.
package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/matomo-scim/bridge/mapping/grant"
	"github.com/matomo-scim/bridge/mapping/match"
	"github.com/matomo-scim/bridge/mapping/rulefile"
)

// The words of the rooms below that callers of this package need.
type (
	// File is one rule file: a name, which is never opened, and its content.
	File = rulefile.File
	// ParseError is one thing wrong with one rule file, with its place.
	ParseError = rulefile.Error
	// ErrorList is everything that Parse found wrong.
	ErrorList = rulefile.ErrorList
	// Grant is one symbolic grant of a rule, such as site:3:view.
	Grant = grant.Grant
	// Selector is the part of a Grant that names its sites.
	Selector = grant.Selector
)

// The kinds of rule, RuleRef.Kind.
const (
	KindGroup = rulefile.KindGroup // matches the name of a group
	KindUser  = rulefile.KindUser  // matches attributes of the person
	KindExtra = "extra"            // no rule at all: a grant given in Subject.Extra
)

// Options is what Parse has to know about the configuration to check the rules.
type Options struct {
	// Targets are the names of the Matomo instances; at least one.
	Targets []string
	// DefaultTarget is where a grant without a target prefix goes. Empty: the
	// only target, or an error for such a grant when there are several.
	DefaultTarget string
	// Sources are the names of all sources of people and groups. With more than
	// one, a rule for superuser or for admin on every site must name its source.
	Sources []string
	// SuperuserSources are the sources whose groups may confer superuser. Nil
	// means the only source; an empty list that is not nil means none.
	SuperuserSources []string
}

// RuleRef names a rule in a way that people can find and machines can compare.
type RuleRef struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // counted from 1
	Kind   string `json:"kind"`
	Source string `json:"source,omitempty"` // empty: groups of every source
	Key    string `json:"key"`              // as it stands in the file
	// ID is a hash of kind, source, key and grants that does not depend on file or
	// line. In a Rule it covers all its grants. In a Reason, a Problem or an
	// UnknownGrant it covers the one grant, with captures filled in: a grant that
	// stays as it is keeps its ID while others in its line change, and two groups
	// that match one template with different captures have two IDs.
	ID string `json:"id"`
}

// String is "mapping.ini:12 group@okta[Admins]".
func (r RuleRef) String() string {
	if r.Kind == KindExtra {
		return "extra grant " + r.Key
	}
	source := r.Source
	if source != "" {
		source = "@" + source
	}
	return r.File + ":" + strconv.Itoa(r.Line) + " " + r.Kind + source + "[" + r.Key + "]"
}

// Rule is one line of mapping: who it matches and what it grants.
type Rule struct {
	Ref    RuleRef
	Grants []Grant
}

// Rules is a set of rules that was read and checked. It never changes, so any
// number of goroutines may use it.
type Rules struct {
	files  []File
	opt    Options
	rules  []rule
	strays []rulefile.Stray

	// Rules over groups are found through the index, by their place in rules; those
	// over attributes have to be asked one by one.
	index match.Index
	users []int
}

// rule is a Rule with everything computed that deciding needs.
type rule struct {
	Rule
	key    match.Key     // of a group rule
	filter *match.Filter // of a user rule, else nil
	grants []boundGrant
}

// boundGrant is a Grant with its own reference and text, so that decisions can
// point at them instead of making them.
type boundGrant struct {
	Grant
	ref  RuleRef
	text string
}

// Parse reads all files and returns their rules. The error is an *ErrorList with
// everything that is wrong, each with its place; there is no partial result. A
// file without a rule is an error, as is having no file, because an empty set
// of rules would take everybody's access away.
func Parse(files []File, opt Options) (*Rules, error) {
	errs := &rulefile.Errors{}
	opt = opt.complete(errs)
	r := &Rules{files: rulefile.Sorted(files), opt: opt}
	if len(files) == 0 {
		errs.Add("", rulefile.Position{}, "no rule file is given")
	}
	for _, f := range r.files {
		raws, strays := rulefile.Read(errs, f)
		r.strays = append(r.strays, strays...)
		for _, raw := range raws {
			if c, ok := compile(errs, raw, opt); ok {
				r.add(c)
			}
		}
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	return r, nil
}

// add puts a compiled rule into the list and the index.
func (r *Rules) add(c rule) {
	if c.filter != nil {
		r.users = append(r.users, len(r.rules))
	} else {
		r.index.Add(len(r.rules), c.key)
	}
	r.rules = append(r.rules, c)
}

// All returns every rule, in the order of file name and line.
func (r *Rules) All() []Rule {
	out := make([]Rule, len(r.rules))
	for i := range r.rules {
		out[i] = r.rules[i].Rule
	}
	return out
}

// Matches returns the rules that a group's name matches, in order. A group
// without source is looked at as a group of any source.
func (r *Rules) Matches(group GroupRef) []Rule {
	var found []int
	r.index.Each(group.Name, func(i int, _ match.Captures) {
		if group.Source == "" || r.rules[i].of(group.Source) {
			found = append(found, i)
		}
	})
	slices.Sort(found)
	out := make([]Rule, len(found))
	for j, i := range found {
		out[j] = r.rules[i].Rule
	}
	return out
}

// of reports whether the rule is about groups of this source.
func (r *rule) of(source string) bool { return r.Ref.Source == "" || r.Ref.Source == source }

// Text is Marshal of the files that the rules were read from.
func (r *Rules) Text() (string, error) { return Marshal(r.files) }

// Hash identifies the content of the files: their names and what Marshal keeps
// of them. Order of the files, line endings and other sections do not matter.
func (r *Rules) Hash() string { return rulefile.Hash(r.files) }

// Marshal writes files as one JSON text for storing, from which Unmarshal makes
// files that parse to the same rules with the same references. What an INI file
// holds outside its rule sections (passwords, in a config.ini.php) is left out.
func Marshal(files []File) (string, error) { return rulefile.Marshal(files) }

// Unmarshal reads what Marshal wrote; the error says why it cannot be that.
func Unmarshal(text string) ([]File, error) { return rulefile.Unmarshal(text) }

// hashOf is a short hash of parts that cannot run into each other: each is
// preceded by its length.
func hashOf(parts ...string) string {
	var buf [512]byte
	b := buf[:0]
	for _, p := range parts {
		b = strconv.AppendInt(b, int64(len(p)), 10)
		b = append(b, ':')
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}
