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
	// 0
	"scim/schema":       {pure: true},
	"scim/filter":       {pure: true, imports: []string{"scim/schema"}},
	"matomo/access":     {pure: true},
	"internal/database": {},
	"internal/web":      {},
	"config":            {},

	// 1
	"scim/patch": {pure: true, imports: []string{"scim/filter", "scim/schema"}},
	"mapping": {pure: true, imports: []string{"matomo/access"}, libraries: []string{
		"go.yaml.in/yaml/v3", "github.com/go-ldap/ldap/v3", "github.com/go-asn1-ber/asn1-ber",
	}},
	"matomo":            {imports: []string{"matomo/access"}},
	"matomo/tokendb":    {imports: []string{"matomo"}},
	"internal/audit":    {imports: []string{"internal/database"}},
	"internal/bindings": {imports: []string{"internal/database"}},

	// 2
	"internal/directory": {imports: []string{
		"internal/audit", "internal/bindings", "internal/database", "scim/filter", "scim/schema",
	}},

	// 3
	"scim": {imports: []string{
		"internal/directory", "internal/web", "scim/filter", "scim/patch", "scim/schema",
	}},
	"internal/samlsp":     {imports: []string{"internal/directory", "internal/web"}},
	"internal/ldapsource": {imports: []string{"internal/directory"}},
	"internal/reconcile": {imports: []string{
		"internal/audit", "internal/bindings", "internal/database", "internal/directory", "mapping", "matomo", "matomo/access",
	}},

	// 4
	"internal/console": {imports: []string{
		"internal/audit", "internal/bindings", "internal/directory", "internal/reconcile", "internal/samlsp", "internal/web",
	}},

	// 5 and 6
	"internal/app":           {all: true},
	"cmd/matomo-scim-bridge": {imports: []string{"config", "internal/app"}},

	// What tests stand on. The stand-in is in the program too: demo and simulate.
	"matomo/matomotest":              {testing: true, imports: []string{"matomo", "matomo/access"}},
	"internal/database/databasetest": {testing: true, imports: []string{"internal/database"}},
	"internal/imports":               {},
}

// testPackages may be imported by every test.
var testPackages = []string{"matomo/matomotest", "internal/database/databasetest"}

// impure packages touch the world outside the process, or its log.
var impure = []string{
	"net", "net/http/...", "net/rpc/...", "net/smtp", "net/textproto", "database/sql/...",
	"os/...", "syscall", "io/fs", "io/ioutil", "embed", "plugin", "log/...", "go.uber.org/zap/...",
}

// unsteady packages give another answer each time.
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
	ldapUsers  = []string{"mapping/dn.go", "mapping/ldapfilter.go"}
	ldapClient = "internal/ldapsource"
)
