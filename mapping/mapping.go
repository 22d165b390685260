// Package mapping reads the rules that say which group, or which person, gets
// which access in Matomo, and decides for one person what follows from them.
//
// The way of the data is Parse (text to Rules, once per change of the files) and
// Decide (Rules, a person and the sites of one Matomo to a Decision, very often):
//
//	files -> INI or YAML reader -> raw rules -> compile -> Rules
//	Rules + Subject + sites + now -> Decide -> Decision
//
// The package does no I/O, keeps no state and reads no clock: a Decision is a
// function of its arguments, and neither the order of the files nor the order of
// the groups changes the access it gives. What is not known for certain (a site
// that cannot be found, an attribute that is absent) never grants anything.
//
// The language itself is described for administrators in docs/mapping.md.
package mapping

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strconv"
	"strings"
)

// File is one rule file. Names ending in .yaml or .yml are read as YAML, all
// others as INI. The name is only shown and sorted by; nothing is opened.
type File struct {
	Name string
	Data []byte
}

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

// The kinds of rule, RuleRef.Kind.
const (
	KindGroup = "group" // matches the name of a group
	KindUser  = "user"  // matches attributes of the person
	KindExtra = "extra" // no rule at all: a grant given in Subject.Extra
)

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
	strays []stray

	// The index that spares Decide from asking every rule about every group.
	exact     map[string][]int // folded text -> rules
	dns       map[string][]int // key of a DN -> rules
	templates []int            // rules with captures in a text
	dnForms   []int            // rules with captures in a DN
	users     []int            // rules over attributes
}

// rule is a Rule with everything computed that deciding needs.
type rule struct {
	Rule
	match  matcher
	grants []boundGrant
}

// boundGrant is a Grant with its own reference.
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
	d := &diag{}
	opt = checkOptions(d, opt)
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	if len(files) == 0 {
		d.add("", position{}, "no rule file is given")
	}
	r := &Rules{files: files, opt: opt, exact: map[string][]int{}, dns: map[string][]int{}}
	for _, f := range files {
		before := len(d.errs)
		raws, strays := readFile(d, f)
		if len(raws) == 0 && len(d.errs) == before {
			d.add(f.Name, position{1, 1}, "no rule in this file: rules stand in a section [RoleMapping], [LoginSAML_RoleMapping] or [LoginLdap_RoleMapping], in YAML under rules:")
		}
		r.strays = append(r.strays, strays...)
		for _, raw := range raws {
			if c, ok := compile(d, raw, opt); ok {
				r.add(c)
			}
		}
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return r, nil
}

// readFile picks the reader by the file's name.
func readFile(d *diag, f File) ([]rawRule, []stray) {
	switch strings.ToLower(path.Ext(f.Name)) {
	case ".yaml", ".yml":
		return readYAML(d, f), nil
	default:
		return readINI(d, f)
	}
}

// add puts a compiled rule into the list and the index.
func (r *Rules) add(c rule) {
	i := len(r.rules)
	r.rules = append(r.rules, c)
	switch c.match.kind {
	case matchText:
		r.exact[c.match.text] = append(r.exact[c.match.text], i)
	case matchDN:
		r.dns[c.match.text] = append(r.dns[c.match.text], i)
	case matchTemplate:
		r.templates = append(r.templates, i)
	case matchDNTemplate:
		r.dnForms = append(r.dnForms, i)
	case matchFilter:
		r.users = append(r.users, i)
	}
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
	r.eachMatch(group, group.Source == "", func(i int, _ captures) { found = append(found, i) })
	slices.Sort(found)
	out := make([]Rule, len(found))
	for j, i := range found {
		out[j] = r.rules[i].Rule
	}
	return out
}

// hashOf is a short hash of parts that cannot run into each other.
func hashOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(strconv.AppendInt(nil, int64(len(p)), 10))
		h.Write([]byte{':'})
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}
