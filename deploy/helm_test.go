package deploy

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Kubernetes' own schemas are far larger than this repository. Those in helm/schemas are
// written for this chart: the fields that it uses and no others, each as strict as the
// Kubernetes API reference has it, or as the restricted Pod Security Standard does. A
// misspelt field fails, and a pod that is less closed does too.

const (
	chart    = "helm/matomo-scim-bridge"
	sqlite   = chart + "/ci/sqlite-values.yaml"
	postgres = chart + "/ci/postgres-values.yaml"
	all      = chart + "/ci/everything-values.yaml"
)

// object is a Kubernetes object, as far as these tests read them all.
type object struct {
	Kind     string
	Metadata struct {
		Name                string
		Labels, Annotations map[string]string
	}
	Data map[string]string
	Spec map[string]any
}

// pinned finds a tool at the version this project uses. Without it the test is skipped,
// unless CI is set: then it fails.
func pinned(t *testing.T, name string) string {
	t.Helper()
	found, err := exec.CommandContext(t.Context(), "../scripts/tool", "--find", name).Output()
	switch {
	case err == nil:
		return strings.TrimSpace(string(found))
	case os.Getenv("CI") != "":
		t.Fatalf("%s is missing: run make helm-test", name)
	}
	t.Skipf("%s is missing: run make helm-test", name)
	return ""
}

// helm runs helm and returns what it printed.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), pinned(t, "helm"), args...)
	// Nothing of the machine's own helm counts here.
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_CACHE_HOME="+t.TempDir(), "KUBECONFIG=/dev/null")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// render renders the chart with a set of values, at the oldest Kubernetes that it supports.
func render(t *testing.T, values string, args ...string) string {
	t.Helper()
	out, err := helm(t, append([]string{"template", "okta", chart, "--kube-version", "1.30.0", "--values", values}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// objects reads what was rendered, by kind and name; the name is that of the release when
// nothing follows it.
func objects(t *testing.T, rendered string) map[string]object {
	t.Helper()
	out := map[string]object{}
	for d := yaml.NewDecoder(strings.NewReader(rendered)); ; {
		var o object
		if err := d.Decode(&o); err != nil {
			if len(out) == 0 || err.Error() != "EOF" {
				t.Fatalf("%d objects, then %v", len(out), err)
			}
			return out
		}
		key := o.Kind + strings.TrimPrefix(o.Metadata.Name, "okta-matomo-scim-bridge")
		if _, twice := out[key]; twice {
			t.Errorf("%s is there twice", key)
		}
		out[key] = o
	}
}

// decode reads a part of an object into a type of the test's own.
func decode(t *testing.T, from, to any) {
	t.Helper()
	text, err := yaml.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, to); err != nil {
		t.Fatal(err)
	}
}

// What a Helm package takes from this folder has to lie in the chart's. These are copies.
func TestChart_Files(t *testing.T) {
	sources, err := filepath.Glob("grafana/dashboards/*.json")
	if err != nil || len(sources) == 0 {
		t.Fatalf("dashboards: %q, %v", sources, err)
	}
	copies := map[string]string{"prometheus/rules.yaml": chart + "/files/rules.yaml"}
	for _, s := range sources {
		copies[s] = chart + "/files/dashboards/" + filepath.Base(s)
	}
	for from, to := range copies {
		want, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not the copy of %s (%v): run make helm-files", to, from, err)
		}
	}
	theirs, err := filepath.Glob(chart + "/files/dashboards/*")
	if err != nil || len(theirs) != len(sources) {
		t.Errorf("%d dashboards and %d copies, %v", len(sources), len(theirs), err)
	}
}

func TestChart_Lint(t *testing.T) {
	for _, values := range []string{sqlite, postgres, all} {
		if out, err := helm(t, "lint", "--strict", chart, "--kube-version", "1.30.0", "--values", values); err != nil {
			t.Errorf("%s: %v\n%s", values, err, out)
		}
	}
}

// kubeconform checks rendered objects against the schemas in helm/schemas.
func kubeconform(t *testing.T, rendered string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), pinned(t, "kubeconform"),
		"-strict", "-summary", "-schema-location", "helm/schemas/{{.ResourceKind}}.json", "-")
	cmd.Stdin = strings.NewReader(rendered)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestChart_Schemas(t *testing.T) {
	kinds := map[string]bool{}
	for _, values := range []string{sqlite, postgres, all} {
		rendered := render(t, values)
		if out, err := kubeconform(t, rendered); err != nil {
			t.Errorf("%s: %v\n%s", values, err, out)
		}
		for _, o := range objects(t, rendered) {
			kinds[strings.ToLower(o.Kind)] = true
		}
	}
	schemas, err := filepath.Glob("helm/schemas/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range schemas {
		if kind := strings.TrimSuffix(filepath.Base(s), ".json"); kind != "common" && !kinds[kind] {
			t.Errorf("%s: no set of values renders this kind", s)
		}
	}
}

// A schema that lets everything through would never be noticed otherwise.
func TestChart_SchemasRefuse(t *testing.T) {
	rendered := render(t, all)
	for from, to := range map[string]string{
		"readOnlyRootFilesystem: true":           "readOnlyRootFilesystem: false",
		"drop: [ALL]":                            "drop: [NET_RAW]",
		"runAsNonRoot: true":                     "runAsNonRoot: false",
		"seccompProfile: {type: RuntimeDefault}": "seccompProfile: {type: Unconfined}",
		"automountServiceAccountToken: false":    "automountServiceAccountToken: true",
		"path: /readyz":                          "paht: /readyz",
		"maxUnavailable: 1\n":                    "maxUnavailable: one\n",
		"policyTypes: [Ingress, Egress]":         "policyTypes: [Ingress]",
		"pathType: Prefix":                       "pathType: prefix",
		"averageUtilization: 70":                 "averageUtilisation: 70",
		"targetLabel: job":                       "target_label: job",
		"alert: ScimBridgeDown":                  "alarm: ScimBridgeDown",
		"kind: ServiceAccount\n":                 "kind: ServiceAcount\n",
	} {
		broken := strings.ReplaceAll(rendered, from, to)
		if broken == rendered {
			t.Errorf("%q is not rendered", from)
		}
		if out, err := kubeconform(t, broken); err == nil {
			t.Errorf("%s passed:\n%s", to, out)
		}
	}
}

// oldCluster is helm's argument for a cluster that is too old.
const oldCluster = "--kube-version=1.29.0"

// Values that cannot work are refused with what is wrong and what to do, and all of it.
func TestChart_Refuses(t *testing.T) {
	for name, tc := range map[string]struct {
		values string
		set    []string
		want   []string
	}{
		"nothing": {os.DevNull, nil, []string{
			"image.repository is not set", "database.url is not set: postgres://USER@HOST/NAME, or sqlite:", "targets is empty", "there are no rules",
		}},
		"replicas on SQLite": {sqlite, []string{"replicaCount=3"}, []string{
			"replicaCount is 3 and the database is SQLite, which one process uses: set replicaCount to 1, or database.url to PostgreSQL",
		}},
		"autoscaling on SQLite": {sqlite, []string{"autoscaling.enabled=true"}, []string{"autoscaling.enabled and the database is SQLite"}},
		"password for SQLite":   {sqlite, []string{"database.passwordSecret.name=x"}, []string{"database.passwordSecret is PostgreSQL's"}},
		"fewest above most":     {postgres, []string{"autoscaling.enabled=true", "autoscaling.minReplicas=9"}, []string{"minReplicas is more than"}},
		"no secrets": {postgres, []string{"database.passwordSecret.name=", "targets[0].tokenSecret.name="}, []string{
			"database.passwordSecret.name is not set", "targets[0].tokenSecret.name is not set: name a Secret with the token_auth of bridge",
		}},
		"password in the URL": {postgres, []string{"database.url=postgres://bridge:hunter2@postgres/bridge"}, []string{
			"database.url holds a password",
		}},
		"no rules":         {postgres, []string{"rules.files=null"}, []string{"there are no rules: write rules.files"}},
		"rules twice":      {postgres, []string{"rules.existingConfigMap.name=x"}, []string{"rules.files and rules.existingConfigMap are both set"}},
		"rules unnamed":    {all, []string{"rules.existingConfigMap.keys=null"}, []string{"rules.existingConfigMap.keys is empty"}},
		"target twice":     {all, []string{"targets[1].name=eu", "targets[1].url=https://a", "targets[1].login=b", "targets[1].tokenSecret.name=x"}, []string{"targets[1].name: eu is there twice"}},
		"no host":          {all, []string{"ingress.host="}, []string{"ingress.host is not set"}},
		"unknown value":    {postgres, []string{"replicas=3"}, []string{"additional properties 'replicas' not allowed"}},
		"unknown in depth": {postgres, []string{"networkPolicy.dns=x"}, []string{"'/networkPolicy'", "'dns' not allowed"}},
		"unknown key of the bridge": {postgres, []string{"config.guards.max_superuser=3"}, []string{
			"'/config/guards'", "'max_superuser' not allowed",
		}},
		"a key that is the chart's": {postgres, []string{"config.listen.scim=:80"}, []string{"'/config/listen'", "'scim' not allowed"}},
		"a secret's value":          {postgres, []string{"targets[0].tokenSecret.value=x"}, []string{"'value' not allowed"}},
		"a database elsewhere":      {sqlite, []string{"database.url=sqlite:/data/bridge.db"}, []string{"'/database/url'"}},
		"a rule file that is none":  {postgres, []string{`rules.files.bridge\.yaml=x`}, []string{"'/rules/files'"}},
		"a type":                    {postgres, []string{"replicaCount=many"}, []string{"'/replicaCount'"}},
		"an old cluster":            {postgres, []string{oldCluster}, []string{"kubeVersion: >=1.30.0-0"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"template", "okta", chart, "--values", tc.values, "--kube-version", "1.30.0"}
			for _, s := range tc.set {
				if s == oldCluster {
					args = append(args, s)
				} else {
					args = append(args, "--set", s)
				}
			}
			out, err := helm(t, args...)
			if err == nil {
				t.Fatalf("rendered:\n%s", out)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in:\n%s", want, out)
				}
			}
			if strings.Contains(out, "hunter2") {
				t.Errorf("a password is shown:\n%s", out)
			}
		})
	}
}

// Which objects there are is a decision of the values.
func TestChart_Objects(t *testing.T) {
	bare := []string{"ConfigMap", "ConfigMap-rules", "Deployment", "Service", "Service-metrics"}
	always := append([]string{"NetworkPolicy", "ServiceAccount"}, bare...)
	for name, tc := range map[string]struct {
		values string
		args   []string
		want   []string
	}{
		"SQLite":        {sqlite, nil, append([]string{"PersistentVolumeClaim"}, always...)},
		"SQLite, claim": {sqlite, []string{"--set", "persistence.existingClaim=x"}, always},
		"PostgreSQL":    {postgres, nil, always},
		"replicas":      {postgres, []string{"--set", "replicaCount=3"}, append([]string{"PodDisruptionBudget"}, always...)},
		"scaled from 1": {postgres, []string{"--set", "autoscaling.enabled=true,autoscaling.minReplicas=1"}, append([]string{"HorizontalPodAutoscaler"}, always...)},
		"own account":   {postgres, []string{"--set", "serviceAccount.existingName=x,networkPolicy.enabled=false"}, bare},
		"everything": {all, nil, []string{
			"ConfigMap", "ConfigMap-dashboards", "Deployment", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "PodDisruptionBudget",
			"PrometheusRule", "Service", "Service-metrics", "ServiceAccount", "ServiceMonitor",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			want := slices.Sorted(slices.Values(tc.want))
			if got := slices.Sorted(maps.Keys(objects(t, render(t, tc.values, tc.args...)))); !slices.Equal(got, want) {
				t.Errorf("objects are %q, want %q", got, want)
			}
		})
	}
}
