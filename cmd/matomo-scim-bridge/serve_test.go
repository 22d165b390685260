package main

import (
	"strings"
	"syscall"
	"testing"
)

// A hangup reloads and does not end the service, also when what is on disk is wrong.
func TestServe_HangupReloads(t *testing.T) {
	w := newCrashWorld(t)
	stop := w.start()
	defer stop()
	hangup := func(until string) {
		t.Helper()
		if err := w.process.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			if strings.Contains(w.metrics(), "\n"+until+"\n") {
				return
			}
			pause()
		}
		t.Fatalf("after the hangup %s did not come", until)
	}
	w.write("rules.ini", "[RoleMapping]\ngroup[Analysts] = \"site:nothing\"\n")
	hangup("scim_bridge_config_last_reload_successful 0")
	w.write("rules.ini", "[RoleMapping]\ngroup[A] = \"site:1:view\"\ngroup[B] = \"site:2:view\"\ngroup[C] = \"site:3:view\"\n")
	hangup("scim_bridge_config_last_reload_successful 1")
}
