// Package rulefile reads the files that rules are written in, and writes them
// for storing. It knows the form of a rule and checks everything that follows
// from its text; sources, targets and who may confer superuser are the business
// of package mapping.
//
// There are two forms with the same keys and grants. INI is that of Matomo's
// config.ini.php, so that rules copied from there work as they stand; YAML is for
// those who generate rules:
//
//	[RoleMapping]
//	group@okta[Contractors] = "site:2:view until 2027-03-31" ; a comment
//
//	rules:
//	  - {group: Contractors, source: okta, grants: ["site:2:view until 2027-03-31"]}
//
// Every error names its file, line and column; all of them are found in one go,
// and nothing that cannot be read is passed over in silence: a rule that is
// skipped would take access away, or a noaccess with it.
package rulefile

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/mapping/grant"
)

// File is one rule file. Names ending in .yaml or .yml are read as YAML, all
// others as INI. The name is only shown and sorted by; nothing is opened.
type File struct {
	Name string
	Data []byte
}

// The kinds of rule.
const (
	KindGroup = "group" // matches the name of a group
	KindUser  = "user"  // matches attributes of the person
)

// Rule is what stands in a file, before its meaning is checked.
type Rule struct {
	File   string
	Line   int    // counted from 1
	Kind   string // KindGroup or KindUser
	Source string // empty: groups or people of every source
	Key    string // as written, with its quotes
	Text   string // the key without quotes
	Quoted bool
	Grants []Grant

	// KeyAt and SourceAt are the places of the parts, for errors of meaning.
	KeyAt, SourceAt Position
}

// Grant is a grant and its place in the file.
type Grant struct {
	Grant grant.Grant
	At    Position
}

// Stray is a line that looks like a rule but stands in a section that is not
// read. It is no error, because a config.ini.php has many sections.
type Stray struct {
	File    string
	Line    int
	Kind    string
	Text    string // the line
	Section string
}

// Sorted returns the files in order of their names, the order in which rules
// count as written. Files of the same name stay in the order given.
func Sorted(files []File) []File {
	return slices.SortedStableFunc(slices.Values(files), func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
}

// Read reads one file and adds to errs everything that is wrong with it. A rule
// with errors in its grants is among the results all the same, so that the
// caller can check its key; a file without any rule is an error, because it would
// take everybody's access away.
func Read(errs *Errors, f File) ([]Rule, []Stray) {
	before := errs.Len()
	var rules []Rule
	var strays []Stray
	if isYAML(f.Name) {
		rules = readYAML(errs, f)
	} else {
		rules, strays = readINI(errs, f)
	}
	if len(rules) == 0 && errs.Len() == before {
		errs.Add(f.Name, Position{1, 1}, "no rule in this file: rules stand in a section [RoleMapping], [LoginSAML_RoleMapping] or [LoginLdap_RoleMapping], in YAML under rules:")
	}
	return rules, strays
}

// isYAML tells the two forms apart, by the name alone: a file must not become
// another one because somebody edited its first line.
func isYAML(name string) bool {
	ext := strings.ToLower(path.Ext(name))
	return ext == ".yaml" || ext == ".yml"
}

// setKey takes a key as written. The message says what is wrong with it. In
// double quotes it is a literal text:
//
//	Team "A"      key Team "A"       a quote inside is plain
//	"Team {x}"    key Team {x}       no template
//	"a""b"        key a"b
func (r *Rule) setKey(key string) string {
	r.Key, r.Text = key, key
	switch {
	case key == "":
		return "the key is empty"
	case key[0] == ']':
		return `a key that begins with "]" stands in double quotes`
	case key[0] != '"':
		return ""
	}
	text, rest, ok := cutQuoted(key)
	if !ok || rest != "" {
		return `a key that begins with a double quote must end with one (a quote inside is doubled)`
	}
	r.Text, r.Quoted = text, true
	if text == "" {
		return "the key is empty"
	}
	return ""
}

// cutQuoted reads a text in double quotes at the start of s, in which a quote is
// doubled, and returns what follows it.
func cutQuoted(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), s[i+1:], true
	}
	return "", "", false
}
