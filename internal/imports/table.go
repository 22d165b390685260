package imports

// row is what one package may import.
type row struct {
	// imports lists packages of this module, direct imports only.
	imports []string
	// all allows every package of this module that is not for tests alone.
	all bool
	// pure packages think and do no I/O; libraries are what they may use
	// besides the standard library.
	pure      bool
	libraries []string
	// testing marks packages that exist for tests, and may use their tools.
	testing bool
}

// table is the layering: imports point down only, on the same level only where
// a row says so. A package without a row fails the test, a row without a package
// waits for it.
//
// Three rows name more than their layer's neighbours, because words are shared:
// a filter's errors and types are the schema's; reconcile holds access values
// and opens transactions that span directory, bindings and audit.
var table = map[string]row{
	// 0: words and tools that know nothing of each other.
	"scim/schema": {pure: true, imports: []string{
		"scim/schema/attribute", "scim/schema/jsonobject", "scim/schema/projection", "scim/schema/value",
	}},
	"scim/filter":       {pure: true, imports: []string{"scim/filter/grammar", "scim/schema"}},
	"matomo/access":     {pure: true},
	"internal/database": {},
	"internal/web":      {},
	"internal/listen":   {},
	"internal/sheet":    {},
	// The configuration declares schemas, and checks them by the tables they extend;
	// how sources sign in, and where secrets are, are rooms of their own.
	"config":             {imports: []string{"config/certificate", "config/extension", "config/secret", "config/source", "config/spelling"}},
	"config/certificate": {},
	"config/changes":     {imports: []string{"config"}},
	"config/extension":   {pure: true, imports: []string{"scim/schema"}},
	"config/secret":      {},
	"config/source":      {pure: true},
	"config/spelling":    {pure: true},

	// What the SCIM words are made of. Only schema, filter and patch see these.
	"scim/schema/jsonobject": {pure: true},
	"scim/schema/attribute":  {pure: true},
	"scim/schema/value":      {pure: true, imports: []string{"scim/schema/attribute", "scim/schema/jsonobject"}},
	"scim/schema/projection": {pure: true, imports: []string{"scim/schema/attribute"}},
	"scim/filter/grammar":    {pure: true, imports: []string{"scim/schema"}},
	"scim/patch/elements":    {pure: true, imports: []string{"scim/filter", "scim/schema"}},

	// What rules are made of: names, then grants, then files of grants. Only mapping
	// sees these.
	"mapping/match": {pure: true, libraries: []string{"github.com/go-ldap/ldap/v3", "github.com/go-asn1-ber/asn1-ber"}},
	"mapping/grant": {pure: true, imports: []string{"mapping/match", "matomo/access"}},
	"mapping/rulefile": {
		pure: true, imports: []string{"mapping/grant", "mapping/match"}, libraries: []string{"go.yaml.in/yaml/v3"},
	},

	// What the Matomo client is made of: thinking, talking, reading.
	"matomo/plan":              {pure: true, imports: []string{"matomo/access"}},
	"matomo/internal/wire":     {},
	"matomo/internal/ways":     {imports: []string{"matomo/internal/wire", "matomo/plan"}},
	"matomo/internal/snapshot": {imports: []string{"matomo/access", "matomo/internal/wire", "matomo/plan"}},
	"matomo/internal/restore":  {imports: []string{"matomo/access", "matomo/internal/snapshot", "matomo/internal/wire", "matomo/plan"}},

	// 1: what can be said with those words. The rules know sites and roles but
	// no Matomo; the client knows Matomo but no rules.
	"scim/bulk":  {pure: true, imports: []string{"scim/schema"}},
	"scim/patch": {pure: true, imports: []string{"scim/filter", "scim/patch/elements", "scim/schema"}},
	"mapping": {pure: true, imports: []string{
		"mapping/grant", "mapping/match", "mapping/rulefile", "matomo/access",
	}},
	"matomo": {imports: []string{
		"matomo/access", "matomo/internal/restore", "matomo/internal/snapshot", "matomo/internal/ways", "matomo/internal/wire",
		"matomo/plan",
	}},
	"matomo/tokendb":    {imports: []string{"matomo"}},
	"internal/audit":    {imports: []string{"internal/database", "internal/sheet"}},
	"internal/bindings": {imports: []string{"internal/database"}},
	"internal/journal":  {imports: []string{"internal/database", "internal/web"}},

	// 2: the truth about people. It marks bindings as due and writes the audit
	// row in the transaction of the change, so it stands above both.
	// Its rooms below are nobody else's: what callers need of them it re-exports.
	"internal/directory": {imports: []string{
		"internal/audit", "internal/bindings", "internal/database",
		"internal/directory/credentials", "internal/directory/listing", "internal/directory/membership",
		"internal/directory/sqlfilter", "scim/filter", "scim/schema",
	}},
	"internal/directory/listing": {imports: []string{
		"internal/database", "internal/directory/membership", "internal/directory/sqlfilter", "scim/filter", "scim/schema",
	}},
	"internal/directory/sqlfilter": {imports: []string{"internal/database", "scim/filter", "scim/schema"}},
	"internal/directory/membership": {imports: []string{
		"internal/database", "internal/directory/sqlfilter", "scim/filter", "scim/schema",
	}},
	"internal/directory/credentials": {imports: []string{
		"internal/audit", "internal/database", "internal/directory/membership",
	}},

	// 3: the doors, which know no Matomo, and the loop, which knows no door.
	"scim": {imports: []string{
		"internal/directory", "internal/journal", "internal/web", "scim/auth", "scim/bulk", "scim/discovery", "scim/filter",
		"scim/patch", "scim/render", "scim/schema", "scim/search",
	}},
	// Rooms of the SCIM front: who comes in, what it says about itself, how resources
	// look, and what a client wants of a listing.
	"scim/auth":           {imports: []string{"internal/directory", "scim/discovery"}},
	"internal/app/signin": {imports: []string{"config", "config/source", "internal/directory", "scim/auth"}},
	"scim/search":         {imports: []string{"internal/directory", "scim/filter", "scim/schema"}},
	"scim/discovery":      {pure: true, imports: []string{"scim/schema"}},
	"scim/render":         {imports: []string{"internal/directory", "internal/web", "scim/schema"}},
	"internal/samlsp":     {imports: []string{"internal/directory", "internal/web"}},
	"internal/ldapsource": {imports: []string{"internal/directory"}},
	"internal/reconcile/course": {imports: []string{
		"internal/bindings", "internal/directory", "mapping", "matomo", "matomo/access",
	}},
	"internal/reconcile/vitals": {imports: []string{
		"internal/bindings", "internal/reconcile/course", "matomo",
	}},
	"internal/reconcile/lease":   {},
	"internal/reconcile/ruleset": {imports: []string{"internal/bindings", "mapping"}},
	"internal/reconcile/trail": {imports: []string{
		"internal/audit", "internal/bindings", "internal/database", "internal/reconcile/course", "matomo", "matomo/access",
	}},
	"internal/reconcile": {imports: []string{
		"internal/bindings", "internal/database", "internal/directory", "internal/reconcile/course", "internal/reconcile/lease",
		"internal/reconcile/ruleset", "internal/reconcile/trail", "internal/reconcile/vitals", "mapping", "matomo", "matomo/access",
	}},

	"internal/tokenage": {imports: []string{"internal/audit", "internal/bindings", "internal/database", "matomo"}},

	"internal/leavers": {imports: []string{
		"internal/audit", "internal/bindings", "internal/database", "internal/directory", "matomo", "matomo/access",
	}},
	"internal/review": {imports: []string{
		"internal/bindings", "internal/directory", "internal/reconcile/course", "internal/sheet", "mapping", "matomo", "matomo/access",
	}},

	// 4: the pages, and the numbers of the whole, look at everything and own nothing.
	"internal/restore": {imports: []string{"internal/audit", "internal/database"}},
	"internal/monitor": {imports: []string{"internal/audit", "internal/bindings", "internal/directory", "mapping"}},
	"internal/console": {imports: []string{
		"internal/audit", "internal/bindings", "internal/directory", "internal/reconcile", "internal/samlsp", "internal/web",
	}},

	// 5 and 6: wiring. The program's entry sees the wiring alone.
	"internal/app": {all: true},
	"cmd/matomo-scim-bridge/internal/terminal":  {},
	"cmd/matomo-scim-bridge/internal/demo":      {imports: []string{"cmd/matomo-scim-bridge/internal/terminal", "config", "internal/app"}},
	"cmd/matomo-scim-bridge/internal/care":      {imports: []string{"cmd/matomo-scim-bridge/internal/terminal", "config", "internal/app"}},
	"cmd/matomo-scim-bridge/internal/arguments": {},
	"cmd/matomo-scim-bridge/internal/papers":    {imports: []string{"cmd/matomo-scim-bridge/internal/terminal", "internal/app"}},
	"cmd/matomo-scim-bridge/internal/door":      {imports: []string{"cmd/matomo-scim-bridge/internal/terminal", "config", "internal/app"}},
	"cmd/matomo-scim-bridge": {imports: []string{
		"cmd/matomo-scim-bridge/internal/arguments", "cmd/matomo-scim-bridge/internal/care", "cmd/matomo-scim-bridge/internal/door",
		"cmd/matomo-scim-bridge/internal/demo", "cmd/matomo-scim-bridge/internal/papers", "cmd/matomo-scim-bridge/internal/terminal", "config", "internal/app",
	}},

	// What tests stand on. The stand-in is in the program too: demo and simulate.
	// Inside it the layers are PHP's habits, the state, the API around it, and
	// the methods.
	"matomo/matomotest/internal/php":   {testing: true},
	"matomo/matomotest/internal/model": {testing: true, imports: []string{"matomo/access", "matomo/matomotest/internal/php"}},
	"matomo/matomotest/internal/api": {testing: true, imports: []string{
		"matomo/access", "matomo/matomotest/internal/model", "matomo/matomotest/internal/php",
	}},
	"matomo/matomotest/internal/methods": {testing: true, imports: []string{
		"matomo/access", "matomo/matomotest/internal/api", "matomo/matomotest/internal/model", "matomo/matomotest/internal/php",
	}},
	"matomo/matomotest": {testing: true, imports: []string{
		"matomo", "matomo/access", "matomo/matomotest/internal/api", "matomo/matomotest/internal/methods",
		"matomo/matomotest/internal/model", "matomo/matomotest/internal/php",
	}},
	"internal/testserver":            {testing: true},
	"matomo/tokendb/tokendbtest":     {testing: true, imports: []string{"internal/testserver"}},
	"internal/database/databasetest": {testing: true, imports: []string{"internal/database", "internal/testserver"}},
	"internal/imports":               {},

	// What is shipped beside the program, tried with the programs that read it.
	"deploy": {all: true, testing: true},
}

// testPackages may be imported by every test.
var testPackages = []string{"matomo/matomotest", "matomo/tokendb/tokendbtest", "internal/database/databasetest", "internal/testserver"}

// impure packages touch the world outside the process, or its log. Parsing an
// address is neither: net/url, net/netip and net/mail are not in the list.
var impure = []string{
	"net", "net/http/...", "net/rpc/...", "net/smtp", "net/textproto", "database/sql/...",
	"os/...", "syscall", "io/fs", "io/ioutil", "embed", "plugin", "log/...", "go.uber.org/zap/...",
}

// unsteady packages give another answer each time. A plan must not: the same
// account and the same wish have to give the same steps.
var unsteady = []string{"crypto/rand", "math/rand/..."}

// testOnly packages are tools of tests.
var testOnly = []string{
	"testing/...", "net/http/httptest", "github.com/google/go-cmp/...", "pgregory.net/rapid/...",
	"go.uber.org/goleak/...", "github.com/rogpeppe/go-internal/...", "go.uber.org/zap/zaptest/...",
	"github.com/jimlambrt/gldap/...", "github.com/chromedp/...", "github.com/stretchr/testify/...",
}

// ldap parses names and filters in the two files of ldapUsers, and is a client
// in ldapClient; nothing else touches it, so that it stays exchangeable.
var (
	ldap       = []string{"github.com/go-ldap/ldap/v3/...", "github.com/go-asn1-ber/asn1-ber/..."}
	ldapUsers  = []string{"mapping/match/dn.go", "mapping/match/ldapfilter.go"}
	ldapClient = "internal/ldapsource"
)
