// Package testserver runs a database server of a test process's own: a program of
// this machine in a directory of its own, which goes with the process however that
// ends. It knows no database; databasetest and tokendbtest do. And it knows addresses for
// programs that have to be told where to listen.
package testserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// ErrMissing means that this machine has no such server to start.
var ErrMissing = errors.New("the server's programs were not found")

// Server is a running server and its directory.
type Server struct {
	Dir    string
	exited chan struct{}
}

// frame keeps the script's server running for as long as standard input is open. The
// test process holds the other end.
const frame = `
%s &
cat >/dev/null
kill -%s $!
wait $!
rm -rf "$1"
`

// Start runs script in a new directory, which is its $1; args follow. Its last command
// is the server, and signal is how that ends at once. What it writes belongs into
// files *.log. Servers refuse to be root: then it runs as the first of owners that
// exists, who owns the directory.
func Start(script, signal string, owners []string, args ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "srv")
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(frame, script, signal)
	// Not CommandContext: the server outlives the test that started it.
	cmd := exec.Command("/bin/sh", append([]string{"-c", text, "sh", dir}, args...)...) //nolint:noctx,gosec // see above; the scripts are ours
	cmd.Dir = dir
	if err := asOwner(cmd, dir, owners); err != nil {
		return nil, err
	}
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(s.exited)
	}()
	return s, nil
}

// asOwner makes cmd run as a user that the server accepts, who owns dir.
func asOwner(cmd *exec.Cmd, dir string, owners []string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var who *user.User
	var err error
	for _, name := range owners {
		if who, err = user.Lookup(name); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return os.Chown(dir, int(uid), int(gid))
}

// Await returns when ping succeeds; an error says what the server wrote.
func (s *Server) Await(ctx context.Context, ping func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return fmt.Errorf("the server ended: %s", s.logs())
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w\n%s", err, s.logs())
		}
	}
}

// logs is what the script and the server wrote.
func (s *Server) logs() []byte {
	var all [][]byte
	names, _ := filepath.Glob(filepath.Join(s.Dir, "*.log"))
	for _, name := range names {
		text, _ := os.ReadFile(name)
		all = append(all, text)
	}
	return bytes.Join(all, []byte("\n"))
}

// Need ends the test where there is no server: with CI set it fails, else a machine
// that lacks the programs skips it.
func Need(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case errors.Is(err, ErrMissing) && os.Getenv("CI") == "":
		tb.Skipf("SKIP: %v (set CI to make this a failure)", err)
	case err != nil:
		tb.Fatal(err)
	}
}
