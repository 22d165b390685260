package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/care"
	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/demo"
	"github.com/matomo-scim/bridge/internal/app"
	"github.com/matomo-scim/bridge/internal/testserver"
)

// TestMain makes the test binary the program as well: scripts and the crash
// test run "matomo-scim-bridge" and get what main does.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"matomo-scim-bridge": main})
}

// TestScripts runs the commands as people do; each script in testdata/script is
// input files, commands, and what they print.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("NO_COLOR", "1")
			env.Setenv("MATOMO_ADDR", testserver.FreeAddress(t))
			env.Setenv("SCIM_ADDR", testserver.FreeAddress(t))
			env.Setenv("METRICS_ADDR", testserver.FreeAddress(t))
			env.Setenv("TMPDIR", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"secret":  secretFile,
			"expand":  expandFile,
			"waitfor": waitForPort,
			"push":    pushPerson,

			"active":     setActive,
			"belongings": belongings,
			"sql":        sqlExec,

			"post":       postBody,
			"journaled":  waitForJournal,
			"until-down": untilDown,
		},
	})
}

// secretFile writes its second argument into the file of its first, readable
// for the owner only.
func secretFile(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(args[1]+"\n"), 0o600))
}

// expandFile replaces $VAR in files.
func expandFile(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// waitForPort waits until something answers at an address, or the script's
// time is over.
func waitForPort(ts *testscript.TestScript, _ bool, args []string) {
	for range 2000 {
		c, err := net.Dial("tcp", args[0])
		if err == nil {
			_ = c.Close()
			return
		}
		pause()
	}
	ts.Fatalf("nobody listens at %s", args[0])
}

// pushPerson sends what an identity provider does: a user, and a group with
// that user. Arguments: the file with the secret, userName, group.
func pushPerson(ts *testscript.TestScript, _ bool, args []string) {
	idp := demo.NewProvider("test", "http://"+ts.Getenv("SCIM_ADDR")+"/scim/v2", strings.TrimSpace(ts.ReadFile(args[0])), nil)
	id, err := idp.Create(context.Background(), "", "/Users", map[string]any{"userName": args[1], "active": true})
	ts.Check(err)
	_, err = idp.Create(context.Background(), "", "/Groups", map[string]any{
		"displayName": args[2], "members": []any{map[string]any{"value": id}},
	})
	ts.Check(err)
}

// untilDown waits until /health says that a part is down.
func untilDown(ts *testscript.TestScript, _ bool, _ []string) {
	for range 2000 {
		page, err := care.Ask(context.Background(), ts.Getenv("METRICS_ADDR"))
		if err == nil && page.Status == app.StateDown {
			return
		}
		pause()
	}
	ts.Fatalf("nothing is down")
}

// postBody sends a body and checks the status of the answer, whose request id becomes
// $REQUEST_ID. Arguments: the file with the secret, status, path, body.
func postBody(ts *testscript.TestScript, _ bool, args []string) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
		"http://"+ts.Getenv("SCIM_ADDR")+"/scim/v2"+args[2], strings.NewReader(args[3]))
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[0])))
	resp, err := new(http.Client).Do(r)
	ts.Check(err)
	_ = resp.Body.Close()
	if got := strconv.Itoa(resp.StatusCode); got != args[1] {
		ts.Fatalf("POST %s: status %s, want %s", args[2], got, args[1])
	}
	ts.Setenv("REQUEST_ID", resp.Header.Get("X-Request-Id"))
}

// waitForJournal waits until so many requests are in the journal, or the script's time
// is over. Arguments: the number.
func waitForJournal(ts *testscript.TestScript, _ bool, args []string) {
	for range 2000 {
		ts.Check(ts.Exec("matomo-scim-bridge", "requests", "--json"))
		if strconv.Itoa(strings.Count(ts.ReadFile("stdout"), `"request_id"`)) == args[0] {
			return
		}
		pause()
	}
	ts.Fatalf("the journal never had %s requests", args[0])
}
