//go:build race

package reconcile_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets properties try fewer values under the race detector, which looks at
// what happens at the same time and not at what is drawn, and is ten times slower.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
