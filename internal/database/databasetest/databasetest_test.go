package databasetest_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

func names() []string {
	var all []string
	for _, e := range databasetest.Engines() {
		all = append(all, e.Name)
	}
	return all
}

func TestEngines_AreChosenByTheEnvironment(t *testing.T) {
	for value, want := range map[string][]string{
		"":                 {"sqlite", "postgres"},
		"sqlite":           {"sqlite"},
		"postgres":         {"postgres"},
		"postgres, sqlite": {"sqlite", "postgres"},
		"mysql":            nil,
	} {
		t.Setenv("TEST_ENGINES", value)
		if got := names(); !slices.Equal(got, want) {
			t.Errorf("TEST_ENGINES=%q: %v, want %v", value, got, want)
		}
	}
}

func TestRun_GivesEachTestAStoreOfItsOwn(t *testing.T) {
	for range 2 {
		databasetest.Run(t, func(t *testing.T, db *database.DB) {
			err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
				var n int
				if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM subjects`).Scan(&n); err != nil || n != 0 {
					t.Errorf("%d subjects, %v", n, err)
				}
				_, err := tx.Exec(ctx, `INSERT INTO subjects (id, created_at) VALUES ('one', 1)`)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// printServer makes the test process one that only starts a server and says where.
const printServer = "DATABASETEST_PRINT_SERVER"

// The server and its directory go when the test process goes, killed or not.
func TestServer_EndsWithTheProcess(t *testing.T) {
	postgres := databasetest.Engine{}
	for _, e := range databasetest.Engines() {
		if e.Name == "postgres" {
			postgres = e
		}
	}
	if postgres.Name == "" {
		t.Skip("TEST_ENGINES leaves PostgreSQL out")
	}
	address := postgres.Address(t)
	if os.Getenv(printServer) != "" {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(os.Stdout, "server "+u.Query().Get("host"))
		if err := exec.Command("kill", "-9", fmt.Sprint(os.Getpid())).Run(); err != nil {
			t.Fatal(err)
		}
		select {} // until the signal arrives
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestServer_EndsWithTheProcess$")
	child.Env = append(os.Environ(), printServer+"=1")
	out, _ := child.Output() // it was killed
	_, line, found := strings.Cut(string(out), "server ")
	dir := strings.TrimSpace(line)
	if !found || dir == "" {
		t.Fatalf("output = %s", out)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the server's directory is still there")
		}
	}
}
