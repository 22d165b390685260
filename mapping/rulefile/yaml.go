package rulefile

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/matomo-scim/bridge/mapping/grant"
)

// yamlReader reads the YAML form, which has the same keys and grants as the INI
// form in the same spelling:
//
//	rules:
//	  - group: Matomo-Admins
//	    source: okta
//	    grants: ["site:*:admin"]
//
// It walks over nodes instead of decoding into structs, so that every error has
// its place and nothing unknown is passed over.
type yamlReader struct {
	errs  *Errors
	file  string
	lines int // in the file
	rules []Rule
}

// readYAML reads a file in the YAML form.
func readYAML(errs *Errors, f File) []Rule {
	r := &yamlReader{errs: errs, file: f.Name, lines: 1 + bytes.Count(f.Data, []byte("\n"))}
	dec := yaml.NewDecoder(bytes.NewReader(f.Data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if err == nil {
		r.document(&doc)
		err = dec.Decode(&second)
		if err == nil {
			r.fail(&second, "a second document: one file holds one list of rules")
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.syntax(err)
	}
	return r.rules
}

// A quoted key has quotes twice in YAML, '"Team {x}"': those of YAML end the
// string, those of the language make it literal. Both are needed, or a generator
// could not write a name in braces.

// at is the place of a node. To YAML a lone CR and some characters of Unicode end
// a line too; editors count otherwise, so the last line is the limit.
func (r *yamlReader) at(n *yaml.Node) Position {
	return Position{min(max(n.Line, 1), r.lines), max(n.Column, 1)}
}

// fail notes an error at a node.
func (r *yamlReader) fail(n *yaml.Node, format string, args ...any) {
	r.errs.Add(r.file, r.at(n), format, args...)
}

// yamlLine finds the line in the text of a syntax error, which has no field for it.
var yamlLine = regexp.MustCompile(`line (\d+): `)

// syntax notes an error of the YAML parser.
func (r *yamlReader) syntax(err error) {
	msg, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = strings.Replace(msg, m[0], "", 1)
	}
	r.errs.Add(r.file, Position{min(max(line, 1), r.lines), 1}, "no YAML: %s", msg)
}

// document reads the outermost mapping.
func (r *yamlReader) document(doc *yaml.Node) {
	if len(doc.Content) == 0 {
		return
	}
	fields, ok := r.mapping(doc.Content[0], "rules")
	if !ok {
		return
	}
	list, ok := fields["rules"]
	if !ok {
		return
	}
	if list.Kind != yaml.SequenceNode || list.Tag != "!!seq" {
		r.fail(list, "rules must be a list")
		return
	}
	for _, item := range list.Content {
		r.rule(item)
	}
}

// Aliases, merge keys and tags of one's own are refused by the checks of kind and
// tag below: a generator has no need for them, and a rule should stand where it
// is written.

// mapping returns the fields of a mapping, all of which must be known and stand
// there once.
func (r *yamlReader) mapping(n *yaml.Node, known ...string) (map[string]*yaml.Node, bool) {
	if n.Kind != yaml.MappingNode || n.Tag != "!!map" {
		r.fail(n, "a mapping with %s is wanted here", strings.Join(known, ", "))
		return nil, false
	}
	fields := make(map[string]*yaml.Node, len(known))
	clean := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		_, twice := fields[key.Value]
		switch {
		case !slices.Contains(known, key.Value) || key.Kind != yaml.ScalarNode:
			r.fail(key, "unknown key %q: %s is wanted", key.Value, strings.Join(known, ", "))
			clean = false
		case twice:
			r.fail(key, "key %q stands here twice", key.Value)
			clean = false
		default:
			fields[key.Value] = value
		}
	}
	return fields, clean
}

// rule reads one item of the list.
func (r *yamlReader) rule(n *yaml.Node) {
	fields, ok := r.mapping(n, "group", "user", "source", "grants")
	if !ok {
		return
	}
	raw := Rule{File: r.file, Line: r.at(n).Line, Kind: KindGroup}
	group, user, grants := fields["group"], fields["user"], fields["grants"]
	if (group == nil) == (user == nil) {
		r.fail(n, "a rule needs either group or user")
		return
	}
	if user != nil {
		raw.Kind, group = KindUser, user
	}
	if grants == nil {
		r.fail(n, "a rule needs grants")
		return
	}
	ok = r.key(&raw, group)
	if source := fields["source"]; source != nil {
		raw.SourceAt = r.at(source)
		if raw.Source, ok = r.text(source, "source", ok); ok && !grant.IsName(raw.Source) {
			r.fail(source, "%q is no name of a source", raw.Source)
			ok = false
		}
	}
	r.grants(&raw, grants)
	if ok {
		r.rules = append(r.rules, raw)
	}
}

// key reads the value of group or user.
func (r *yamlReader) key(raw *Rule, n *yaml.Node) bool {
	raw.KeyAt = r.at(n)
	text, ok := r.text(n, raw.Kind, true)
	if !ok {
		return false
	}
	if msg := raw.setKey(strings.Trim(text, " \t")); msg != "" {
		r.fail(n, "%s", msg)
		return false
	}
	return true
}

// text returns a string; false if it is none, or if things were bad before.
func (r *yamlReader) text(n *yaml.Node, what string, ok bool) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		r.fail(n, "%s must be a text (put numbers, true, null and the like in quotes)", what)
		return "", false
	}
	return n.Value, ok
}

// grants reads the list of grants, one an item.
func (r *yamlReader) grants(raw *Rule, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode || n.Tag != "!!seq" {
		r.fail(n, "grants must be a list")
		return
	}
	if len(n.Content) == 0 {
		r.fail(n, "the list of grants is empty: a rule must grant something")
		return
	}
	for _, item := range n.Content {
		text, ok := r.text(item, "a grant", true)
		if !ok {
			continue
		}
		items, _, errs := grant.Parse(text, 0, false)
		for _, e := range errs {
			r.fail(item, "%s", e.Msg)
		}
		if len(errs) == 0 && len(items) != 1 {
			r.fail(item, "one grant an item: write %q as several", text)
		}
		if len(errs) > 0 || len(items) != 1 {
			continue
		}
		raw.Grants = append(raw.Grants, Grant{items[0].Grant, r.at(item)})
	}
}
