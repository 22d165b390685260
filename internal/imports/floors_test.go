package imports

import (
	"fmt"
	"os"
	"regexp"
	"testing"
)

// floors are the versions below which a module has a known hole, by advisory. A module that
// is no longer required needs no line.
var floors = map[string]struct {
	version  [3]int
	advisory string
}{
	"github.com/go-jose/go-jose/v4": {[3]int{4, 1, 4}, "GO-2026-4945"},
}

// TestFloors reads go.mod itself: what stands there is what is built.
func TestFloors(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for module, floor := range floors {
		m := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(module) + ` v(\S+)`).FindSubmatch(text)
		if m == nil {
			t.Errorf("%s is not in go.mod: take it out of floors", module)
			continue
		}
		var have [3]int
		if _, err := fmt.Sscanf(string(m[1]), "%d.%d.%d", &have[0], &have[1], &have[2]); err != nil {
			t.Errorf("%s: version %q: %v", module, m[1], err)
		}
		for i := range have {
			if have[i] != floor.version[i] {
				if have[i] < floor.version[i] {
					t.Errorf("%s %s is below %v (%s)", module, m[1], floor.version, floor.advisory)
				}
				break
			}
		}
	}
}
