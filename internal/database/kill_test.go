package database_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// killAddress makes the test process the victim of TestI8_SurvivesKill.
const killAddress = "DATABASE_KILL_ADDRESS"

// I8: what was answered before the process was killed is there afterwards, and the file is whole.
func TestI8_SurvivesKill(t *testing.T) {
	if address := os.Getenv(killAddress); address != "" {
		writeUntilKilled(t, address)
		return
	}
	for _, e := range databasetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			address := e.Address(t)
			victim := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestI8_SurvivesKill$")
			victim.Env = append(os.Environ(), killAddress+"="+address)
			out, err := victim.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := victim.Start(); err != nil {
				t.Fatal(err)
			}
			var answered []string
			lines := bufio.NewScanner(out)
			for len(answered) < 300 && lines.Scan() {
				answered = append(answered, lines.Text())
			}
			if err := victim.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() {
				answered = append(answered, lines.Text())
			}
			_ = victim.Wait()
			if len(answered) < 300 {
				t.Fatalf("the victim answered only %d: %v", len(answered), answered)
			}

			db := databasetest.Open(t, address, database.Options{})
			for _, id := range answered {
				if len(id) == 36 && !has(t, db.Reader(), id) { // the last line may be cut off
					t.Errorf("%s was answered and is gone", id)
				}
			}
			if e.Name != "sqlite" {
				return
			}
			if got := strs(t, db.Reader(), `PRAGMA integrity_check`); len(got) != 1 || got[0] != "ok" {
				t.Errorf("integrity check: %v", got)
			}
		})
	}
}

// writeUntilKilled prints the id of each subject once its transaction is answered.
func writeUntilKilled(t *testing.T, address string) {
	t.Helper()
	db, err := database.Open(t.Context(), address, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ids := make(chan string)
	for range 8 {
		go func() {
			for {
				id := database.NewID()
				if db.InTx(context.Background(), put(id)) == nil {
					ids <- id
				}
			}
		}()
	}
	for id := range ids {
		fmt.Fprintln(os.Stdout, id)
	}
}
