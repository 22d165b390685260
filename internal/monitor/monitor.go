// Package monitor is what an operator sees of the bridge as a whole: what runs, whether
// its configuration is the one on disk, which parts report that they are well, and how
// many people, groups, grants and credentials there are.
//
// Metrics of one room's own work (requests, passes, transactions) are that room's. Here is
// what no single room knows, and what is read from rows because several replicas share
// them. Labels are names of the configuration, names of credentials, and constants; never
// anything of a person.
package monitor

import (
	"crypto/fips140"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// prefix is that of every metric of the bridge.
const prefix = "scim_bridge_"

// shortHash is how many characters of a hash people compare.
const shortHash = 12

// What runs is told by one metric whose labels change with a deployment, so that a graph of
// anything else can be laid over it.

// BuildInfo is the metric that tells what runs: always 1, the facts are its labels.
func BuildInfo(version string) prometheus.Collector {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: prefix + "build_info", Help: "Always 1; the labels tell what runs.",
	}, []string{"version", "revision", "goversion", "fips"})
	g.WithLabelValues(version, revision(), runtime.Version(), strconv.FormatBool(fips140.Enabled())).Set(1)
	return g
}

// revision is the commit that the program was built from, empty when the build did not
// note it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return short(s.Value)
		}
	}
	return ""
}

// short is the beginning of a hash.
func short(hash string) string { return hash[:min(shortHash, len(hash))] }
