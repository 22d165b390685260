package monitor

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestReloads(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	r, err := NewReloads(reg)
	if err != nil {
		t.Fatal(err)
	}
	state := func(ok, differ string, info string) {
		t.Helper()
		want := `
# HELP scim_bridge_config_last_reload_successful 1 when the files on disk could be taken over the last time they were looked at, else 0.
# TYPE scim_bridge_config_last_reload_successful gauge
scim_bridge_config_last_reload_successful ` + ok + `
# HELP scim_bridge_mapping_files_differ 1 while this replica's rule files are not the rules that decide, else 0.
# TYPE scim_bridge_mapping_files_differ gauge
scim_bridge_mapping_files_differ ` + differ + "\n"
		if info != "" {
			want += `# HELP scim_bridge_config_info Always 1; hash is the beginning of the active rules' hash, version that of the configuration file's.
# TYPE scim_bridge_config_info gauge
` + info + "\n"
		}
		err := testutil.GatherAndCompare(reg, strings.NewReader(want), "scim_bridge_config_last_reload_successful",
			"scim_bridge_mapping_files_differ", "scim_bridge_config_info")
		if err != nil {
			t.Error(err)
		}
	}
	state("0", "0", "")
	r.Succeeded("0123456789abcdef", "fedcba9876543210")
	state("1", "0", `scim_bridge_config_info{hash="0123456789ab",version="fedcba987654"} 1`)
	if at := testutil.ToFloat64(r.at); at == 0 {
		t.Error("no time of the last success")
	}
	before := testutil.ToFloat64(r.at)
	r.Failed()
	r.Differ(true)
	state("0", "1", `scim_bridge_config_info{hash="0123456789ab",version="fedcba987654"} 1`)
	if testutil.ToFloat64(r.at) != before {
		t.Error("a failure moved the time of the last success")
	}
	r.Succeeded("aa", "bb")
	r.Differ(false)
	state("1", "0", `scim_bridge_config_info{hash="aa",version="bb"} 1`)
}

func TestNewReloads_Twice(t *testing.T) {
	reg := prometheus.NewRegistry()
	if _, err := NewReloads(reg); err != nil {
		t.Fatal(err)
	}
	if _, err := NewReloads(reg); err == nil {
		t.Error("a name that is taken is an error")
	}
}

func TestBuildInfo(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(BuildInfo("1.2.3"))
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 1 {
		t.Fatalf("families = %v, %v", families, err)
	}
	labels := map[string]string{}
	for _, l := range families[0].GetMetric()[0].GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	if labels["version"] != "1.2.3" || !strings.HasPrefix(labels["goversion"], "go") || labels["fips"] != "false" && labels["fips"] != "true" {
		t.Errorf("labels = %v", labels)
	}
}
