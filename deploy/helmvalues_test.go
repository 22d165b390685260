package deploy

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a cluster's administrators want to say of every pod they run: whose it is, whom it runs
// as, by which proxy it goes out. The chart takes that, and gives up nothing of its own for it.

// podSpec is what these tests read of a pod.
type podSpec struct {
	SecurityContext map[string]any `yaml:"securityContext"`
	Containers      []struct {
		Env []struct {
			Name, Value string
			ValueFrom   map[string]map[string]string `yaml:"valueFrom"`
		}
	}
}

// podOf reads the pod that was rendered.
func podOf(t *testing.T, rendered string) podSpec {
	t.Helper()
	var d struct{ Template struct{ Spec podSpec } }
	decode(t, objects(t, rendered)["Deployment"].Spec, &d)
	return d.Template.Spec
}

// The user may be another, or the cluster's to choose; that it is not root stays.
func TestChart_RunsAs(t *testing.T) {
	fixed := map[string]any{
		"runAsNonRoot": true, "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": map[string]any{"type": "RuntimeDefault"},
	}
	with := func(more map[string]any) map[string]any {
		maps.Copy(more, fixed)
		return more
	}
	for name, tc := range map[string]struct {
		values string
		args   []string
		want   map[string]any
	}{
		"by itself": {postgres, nil, with(map[string]any{"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532})},
		"another": {all, nil, with(map[string]any{
			"runAsUser": 10001, "runAsGroup": 65532, "fsGroup": 65532, "supplementalGroups": []any{2000},
		})},
		"the cluster's": {postgres, []string{
			"--set", "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null,podSecurityContext.fsGroup=null",
		}, with(map[string]any{})},
	} {
		rendered := render(t, tc.values, tc.args...)
		if diff := cmp.Diff(tc.want, podOf(t, rendered).SecurityContext); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if out, err := kubeconform(t, rendered); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	for _, root := range []string{"podSecurityContext.runAsUser=0", "podSecurityContext.runAsNonRoot=false", "podSecurityContext.fsGroup=0"} {
		if out, err := helm(t, "template", "okta", chart, "--kube-version", "1.30.0", "--values", postgres, "--set", root); err == nil {
			t.Errorf("%s was rendered:\n%s", root, out)
		}
	}
}

// A proxy's address may hold a password, so it may come from a Secret. The chart's own variable stays.
func TestChart_ExtraEnv(t *testing.T) {
	env := podOf(t, render(t, all)).Containers[0].Env
	if len(env) != 3 || env[0].Name != "SCIM_BRIDGE_CONFIG" || env[1].ValueFrom["secretKeyRef"]["key"] != "url" || env[2].Value != "/run/secrets/extra/postgres-ca.pem" {
		t.Errorf("variables %+v", env)
	}
	for _, wrong := range []string{"extraEnv[0].name=SCIM_BRIDGE_CONFIG,extraEnv[0].value=x", "extraEnv[0].name=HTTPS_PROXY", "extraEnv[0].name=A B,extraEnv[0].value=x"} {
		if out, err := helm(t, "template", "okta", chart, "--kube-version", "1.30.0", "--values", postgres, "--set", wrong); err == nil {
			t.Errorf("%s was rendered:\n%s", wrong, out)
		}
	}
}

// Labels for all are on all, and take nothing from what finds the pods.
func TestChart_CommonLabels(t *testing.T) {
	const label = "example.com/cost-center"
	rendered := render(t, all)
	for name, o := range objects(t, rendered) {
		if o.Metadata.Labels[label] != "4711" || o.Metadata.Labels["app.kubernetes.io/instance"] != "okta" {
			t.Errorf("%s has the labels %v", name, o.Metadata.Labels)
		}
	}
	var d struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
		}
	}
	decode(t, objects(t, rendered)["Deployment"].Spec, &d)
	if d.Template.Metadata.Labels[label] != "4711" || d.Selector.MatchLabels[label] != "" {
		t.Errorf("pods have the labels %v and are found by %v", d.Template.Metadata.Labels, d.Selector.MatchLabels)
	}
	if out, err := helm(t, "template", "okta", chart, "--kube-version", "1.30.0", "--values", postgres,
		"--set", `commonLabels.app\.kubernetes\.io/name=other`); err == nil {
		t.Errorf("a label that finds the pods was rendered:\n%s", out)
	}
}

// Address blocks are a load balancer's; any other type would refuse the field.
func TestChart_SourceRanges(t *testing.T) {
	for kind, want := range map[string][]any{"LoadBalancer": {"198.51.100.0/24", "2001:db8::/32"}, "NodePort": nil, "ClusterIP": nil} {
		got, _ := objects(t, render(t, all, "--set", "service.type="+kind))["Service"].Spec["loadBalancerSourceRanges"].([]any)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
}
