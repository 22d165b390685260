package imports

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updateDocs = flag.Bool("update-docs", false, "write docs/licences.md")

// licencesPage is where the result stands, for people and for the SBOM.
const licencesPage = "../../docs/licences.md"

const licencesHead = `# Licences of what is linked in

The bridge is under Apache-2.0. Its binaries hold these modules, and Go's own library (BSD-3-Clause). The table is made from the
modules' files by ` + "`make licences-page`" + `; a test fails when a module comes in whose licence is not known and allowed: Apache-2.0, MIT, ISC,
BSD, and MPL-2.0 for modules that are linked as they are. The identifiers are those of SPDX, and the SBOM of a release has them too. The
texts are in every archive and in the container image, in ` + "`LICENSES.txt`" + `.

| module | licence |
|---|---|
`

// licences are the licences that may be linked in, by what their texts say; every phrase must
// be there. Texts are compared in lower case, with single spaces.
var licences = map[string][]string{
	"Apache-2.0":   {"apache license, version 2.0"},
	"MIT":          {"permission is hereby granted, free of charge, to any person obtaining a copy", `the software is provided "as is"`},
	"ISC":          {"permission to use, copy, modify, and/or distribute this software for any purpose", "the author disclaims all warranties"},
	"BSD-2-Clause": {"redistributions of source code must retain", "redistributions in binary form must reproduce"},
	"MPL-2.0":      {"mozilla public license version 2.0", "secondary license"},
	// What SPDX calls SQLite's dedication to the public domain, after the words in its sources.
	"blessing": {"sqlite is public domain", "dedicated to the public domain by the authors"},
}

// aside are files that look like a module's licence and are about something else.
var aside = map[string]string{
	"modernc.org/memory LICENSE-LOGO":         "the address of a picture, which is not linked in",
	"modernc.org/sqlite LICENSE-3RD-PARTY.md": "every module that it is built and tested with; those that are linked in have rows of their own",
}

// stricter are the licences whose texts hold those of another, and a word more.
var stricter = map[string]struct{ than, phrase string }{
	"BSD-3-Clause": {"BSD-2-Clause", "neither the name"},
}

// refused are words of licences that a binary under Apache-2.0 cannot be linked with, or that
// forbid uses. MPL-2.0 names some of them as licences that it can be combined with.
var refused = regexp.MustCompile(`gnu (affero |lesser |library )?general public license|server side public license|business source license|commons clause|all advertising materials|non-?commercial (use|purpose)`)

// licence names the licences in one text, in order; an error when there is none or one that
// is refused.
func licence(text string) ([]string, error) {
	text = strings.ToLower(strings.Join(strings.Fields(strings.NewReplacer("“", `"`, "”", `"`, "``", `"`, "''", `"`).Replace(text)), " "))
	// The title of the whole text has no comma, that of its short form has one.
	text = strings.ReplaceAll(text, "apache license version 2.0", "apache license, version 2.0")
	var found []string
	for id, phrases := range licences {
		if !slices.ContainsFunc(phrases, func(p string) bool { return !strings.Contains(text, p) }) {
			found = append(found, id)
		}
	}
	for id, s := range stricter {
		if i := slices.Index(found, s.than); i >= 0 && strings.Contains(text, s.phrase) {
			found[i] = id
		}
	}
	slices.Sort(found)
	if word := refused.FindString(text); word != "" && !slices.Contains(found, "MPL-2.0") {
		return nil, fmt.Errorf("it says %q", word)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("its licence is not known")
	}
	return found, nil
}

// linked are the modules in the binaries that are handed out, with their folders.
func linked(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, system := range []string{"linux", "darwin"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}\t{{.Dir}}{{end}}", "./cmd/matomo-scim-bridge")
		cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system)
		text, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for line := range strings.Lines(string(text)) {
			if path, dir, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && path != Module {
				out[path] = dir
			}
		}
	}
	if len(out) < 20 {
		t.Fatalf("only %d modules", len(out))
	}
	return out
}

// Nothing is linked in whose licence nobody has looked at.
func TestLicences(t *testing.T) {
	// What go list reads does not count for the cache of results; what is read here does.
	module(t)
	for _, file := range []string{"../../go.mod", "../../go.sum"} {
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	modules := linked(t)
	var page strings.Builder
	page.WriteString(licencesHead)
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		ids, err := licencesIn(path, modules[path])
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		fmt.Fprintf(&page, "| `%s` | %s |\n", path, strings.Join(ids, " AND "))
	}
	if *updateDocs {
		if err := os.WriteFile(licencesPage, []byte(page.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(licencesPage); err != nil || string(have) != page.String() {
		t.Errorf("docs/licences.md is not what is linked in (%v): look at what came in, then run make licences-page", err)
	}
}

// licencesIn names every licence in a module's top folder. PATENTS and NOTICE files grant or
// tell something besides, and are no licences.
func licencesIn(path, dir string) ([]string, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, f := range files {
		if !regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)`).MatchString(f.Name()) || aside[path+" "+f.Name()] != "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		ids, err := licence(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		for _, id := range ids {
			all[id] = true
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("it has no licence")
	}
	return slices.Sorted(maps.Keys(all)), nil
}

func TestLicence_Names(t *testing.T) {
	const (
		bsd = "Redistributions of source code must retain x. Redistributions in binary form must\n  reproduce y."
		mit = "Permission is hereby granted, free of charge, to any person\nobtaining a copy ... THE SOFTWARE IS PROVIDED “AS IS”"
	)
	for text, want := range map[string]string{
		mit:                                 "MIT",
		bsd:                                 "BSD-2-Clause",
		bsd + " Neither the name of Google": "BSD-3-Clause",
		"                  Apache License\n           Version 2.0, January 2004":                                         "Apache-2.0",
		mit + "\nLicensed under the Apache License, Version 2.0":                                                         "Apache-2.0 AND MIT",
		"Mozilla Public License Version 2.0 ... 1.12. \"Secondary License\" means either the GNU General Public License": "MPL-2.0",
		bsd + " All advertising materials mentioning features":                                                           "",
		"GNU LESSER GENERAL PUBLIC LICENSE":                                                                              "",
		mit + " \"Commons Clause\" License Condition v1.0":                                                               "",
		"GNU Affero\nGeneral Public License":                                                                             "",
		"SQLite Is Public Domain: all of it has been dedicated to the public\ndomain by the authors, for any purpose, commercial or non-commercial": "blessing",
		mit + " for non-commercial use":                     "",
		"Do what you want.":                                 "",
		"Permission is hereby granted, free of charge, not": "",
	} {
		got, err := licence(text)
		if strings.Join(got, " AND ") != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}

// A module without a licence is nobody's to hand out.
func TestLicence_None(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("MIT"), 0o600); err != nil {
		t.Fatal(err)
	}
	if ids, err := licencesIn("example.com/m", dir); err == nil {
		t.Errorf("licences are %q", ids)
	}
	if ids, err := licencesIn("example.com/m", filepath.Join(dir, "none")); err == nil {
		t.Errorf("licences are %q", ids)
	}
}
