package tokendb

import (
	"slices"
	"strings"
)

// A user that may do more than the bridge needs is a way into Matomo that nobody
// watches: with INSERT one makes a superuser's token, with SELECT on the hashes one
// attacks them. So what the server grants is read and compared with what is needed.
// MariaDB and MySQL write the lines alike but for spaces and quotes; what is not
// understood counts as too much, because a warning too many costs a look and one too
// few costs the instance.

// grant is one line of SHOW GRANTS.
type grant struct {
	privileges []string // as written, such as "SELECT (`login`, `description`)"
	on         string   // such as "*.*" or "`matomo`.`matomo_user_token_auth`"
	role       string   // a role that was granted, instead of the above
	grantable  bool     // WITH GRANT OPTION
}

// parseGrant reads one line; ok is false for lines that give nothing, such as a
// default role.
func parseGrant(line string) (g grant, ok bool) {
	rest, ok := strings.CutPrefix(line, "GRANT ")
	if !ok {
		return grant{}, false
	}
	what, after, ok := cutOutside(rest, " ON ")
	if !ok { // GRANT `role` TO `user`
		role, _, ok := cutOutside(rest, " TO ")
		return grant{role: role}, ok
	}
	g.on, after, ok = cutOutside(after, " TO ")
	if !ok {
		return grant{}, false
	}
	g.on = strings.TrimPrefix(g.on, "TABLE ")
	g.grantable = strings.Contains(after, "WITH GRANT OPTION")
	for what != "" {
		var p string
		p, what, _ = cutOutside(what, ", ")
		g.privileges = append(g.privileges, strings.TrimSpace(p))
	}
	return g, true
}

// cutOutside cuts s at the first sep that stands in no parentheses and no quotes:
// names of databases, tables and users may hold anything, " ON " and " TO " too.
func cutOutside(s, sep string) (before, after string, found bool) {
	depth, quoted := 0, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted != 0:
			if c == quoted {
				quoted = 0 // a doubled one opens again at once
			}
		case c == '`' || c == '\'' || c == '"':
			quoted = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		case depth == 0 && strings.HasPrefix(s[i:], sep):
			return s[:i], s[i+len(sep):], true
		}
	}
	return s, "", false
}

// split separates a privilege from the columns it is limited to.
func split(privilege string) (name string, columns []string) {
	name, list, ok := strings.Cut(privilege, "(")
	name = strings.ToUpper(strings.TrimSpace(name))
	if !ok {
		return name, nil
	}
	for c := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(list), ")"), ",") {
		columns = append(columns, strings.ToLower(strings.Trim(strings.TrimSpace(c), "`\"")))
	}
	return name, columns
}

// excess tells what the user may do beyond what the bridge needs, a line each. It
// errs on the side of telling: what it does not understand is named.
func excess(lines []string, t Table, a Action) []string {
	var out []string
	for _, line := range lines {
		g, ok := parseGrant(line)
		switch {
		case !ok:
			continue
		case g.role != "":
			out = append(out, "role "+g.role)
			continue
		case !onTable(g.on, t):
			for _, p := range g.privileges {
				if name, _ := split(p); name != "USAGE" {
					out = append(out, p+" on "+g.on)
				}
			}
		default:
			for _, p := range g.privileges {
				if !neededPrivilege(p, a) {
					out = append(out, p+" on "+g.on)
				}
			}
		}
		if g.grantable {
			out = append(out, "GRANT OPTION on "+g.on)
		}
	}
	return out
}

// onTable reports whether a grant is for the table alone.
func onTable(on string, t Table) bool {
	on = strings.ToLower(strings.NewReplacer("`", "", `"`, "").Replace(on))
	return on == strings.ToLower(t.Schema+"."+t.Name)
}

// neededPrivilege reports whether the bridge needs a privilege on the table. One
// to read that is not limited to columns shows the hashes too; one to change more
// than the date of expiry could make tokens.
func neededPrivilege(privilege string, a Action) bool {
	name, columns := split(privilege)
	switch name {
	case "USAGE":
		return true
	case "SELECT":
		return len(columns) > 0 && !slices.Contains(columns, "password")
	case "DELETE":
		return a == Delete
	case "UPDATE":
		return a == Expire && slices.Equal(columns, []string{"date_expired"})
	default:
		return false
	}
}

// Statements are what an administrator runs to give user the rights that action
// needs on t, and no more.
func Statements(t Table, user string, a Action) []string {
	read := "SELECT (" + strings.Join(needed, ", ") + ")"
	write := "DELETE"
	if a == Expire {
		write = "UPDATE (date_expired)"
	}
	return []string{"GRANT " + read + ", " + write + " ON " + t.quoted() + " TO " + user}
}
