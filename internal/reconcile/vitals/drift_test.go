package vitals

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/matomo"
)

func TestDriftOf(t *testing.T) {
	for name, tc := range map[string]struct {
		steps []matomo.Step
		want  []string
	}{
		"nothing":        {nil, nil},
		"new account":    {[]matomo.Step{{Kind: matomo.AddUser}, {Kind: matomo.SetAccess}}, []string{"missing_grant", "missing_grant"}},
		"less than now":  {[]matomo.Step{{Kind: matomo.SetAccess, Reduces: true}}, []string{"wrong_role"}},
		"too much":       {[]matomo.Step{{Kind: matomo.Demote}, {Kind: matomo.RemoveAccess}}, []string{"extra_grant", "extra_grant"}},
		"no access step": {[]matomo.Step{{Kind: matomo.SetEmail}, {Kind: matomo.RevokeTokens}, {Kind: matomo.Logout}}, nil},
	} {
		got := DriftOf(matomo.Plan{Steps: tc.steps})
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, kind := range got {
			if !slices.Contains(Drifts(), kind) {
				t.Errorf("%s: %q is no kind that the metric is initialised with", name, kind)
			}
		}
	}
}
