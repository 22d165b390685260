package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// onDisk is a machine whose temporary directory is no tmpfs and no secrets mount.
func onDisk(string) bool { return false }

// checked runs the file checks of minimal in a folder.
func checked(t *testing.T, dir, text string, rules fileRules, getenv func(string) string) Problems {
	t.Helper()
	c, r := parse("f", []byte(text))
	c.Dir = dir
	c.bindSecrets(getenv)
	c.checkFiles(r, rules)
	if err := r.err(); err != nil {
		return problemsOf(t, err)
	}
	return nil
}

func TestCheckFiles_SecretModes(t *testing.T) {
	const write, read = "can be changed by others", "can be read by others"
	for _, tc := range []struct {
		mode                  fs.FileMode
		plain, memory, secret string // what is wrong on disk, in memory, under the secrets folder
	}{
		{0o600, "", "", ""},
		{0o400, "", "", ""},
		{0o700, "", "", ""},
		{0o640, read, "", ""},
		{0o604, read, "", ""},
		{0o444, read, "", ""},
		{0o644, read, "", ""},
		{0o620, write, write, write},
		{0o602, write, write, write},
		{0o666, write, write, write},
		{0o777, write, write, write},
	} {
		dir, _ := project(t, minimal)
		token := filepath.Join(dir, "token")
		if err := os.Chmod(token, tc.mode); err != nil {
			t.Fatal(err)
		}
		inMemory := func(path string) bool { return path == token }
		for place, p := range map[string]struct {
			rules fileRules
			want  string
		}{
			"disk":    {fileRules{onDisk, "/nowhere"}, tc.plain},
			"memory":  {fileRules{inMemory, "/nowhere"}, tc.memory},
			"secrets": {fileRules{onDisk, dir}, tc.secret},
		} {
			t.Run(fmt.Sprintf("%04o on %s", tc.mode, place), func(t *testing.T) {
				got := checked(t, dir, minimal, p.rules, noEnv)
				if p.want == "" {
					if got != nil {
						t.Errorf("refused: %v", got)
					}
					return
				}
				if len(got) != 1 {
					t.Fatalf("problems = %v, want one", got)
				}
				msg := fmt.Sprintf("%s %s (mode %04o)", token, p.want, tc.mode)
				if got[0].Msg != msg || got[0].Hint != "chmod 600 "+token || got[0].Key != "targets[0].token_file" || got[0].Line != 6 {
					t.Errorf("problem = %+v, want %q at token_file on line 6, with chmod", got[0], msg)
				}
			})
		}
	}
}

// Kubernetes mounts a secret as a link to a link; the file behind it counts.
func TestCheckFiles_FollowsLinks(t *testing.T) {
	dir, _ := project(t, minimal)
	mount := t.TempDir()
	if err := os.Chmod(write(t, mount, "token", "x"), 0o644); err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(dir, "token")
	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(mount, "token"), token); err != nil {
		t.Fatal(err)
	}
	if got := checked(t, dir, minimal, fileRules{onDisk, mount}, noEnv); got != nil {
		t.Errorf("a link into the secrets folder is refused: %v", got)
	}
	// And a link out of it does not make a file safe.
	if got := checked(t, dir, minimal, fileRules{onDisk, dir}, noEnv); len(got) != 1 {
		t.Errorf("problems = %v, want one about the mode", got)
	}
}

func TestCheckFiles_SecretsFolderIsNoPrefix(t *testing.T) {
	dir, _ := project(t, minimal)
	if err := os.Chmod(filepath.Join(dir, "token"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := checked(t, dir, minimal, fileRules{onDisk, strings.TrimSuffix(dir, dir[len(dir)-1:])}, noEnv); len(got) != 1 {
		t.Errorf("problems = %v, want one: the folder only starts like the secrets folder", got)
	}
}

func TestCheckFiles_Missing(t *testing.T) {
	rules := fileRules{onDisk, "/nowhere"}
	dir := t.TempDir()
	text := strings.Replace(minimal, "login:", "password_file: sub\n    login:", 1) + "database: {url: 'postgres://h/d', password_env: PGPW}\n"
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"5:20 targets[0].password_file: " + dir + "/sub: is a folder",
		"7:17 targets[0].token_file: " + dir + "/token: there is no such file",
		"9:11 mapping.files[0]: " + dir + "/mapping.ini: there is no such file",
		"10:49 database.password_env: environment variable PGPW is not set, or empty",
	}
	if diff := cmp.Diff(want, brief(checked(t, dir, text, rules, noEnv))); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}

	write(t, dir, "token", "")
	if err := os.Mkdir(filepath.Join(dir, "mapping.ini"), 0o700); err != nil {
		t.Fatal(err)
	}
	want = []string{
		"6:17 targets[0].token_file: file " + dir + "/token is empty",
		"8:11 mapping.files[0]: " + dir + "/mapping.ini is a folder",
	}
	if diff := cmp.Diff(want, brief(checked(t, dir, minimal, rules, noEnv))); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestCheckFiles_Environment(t *testing.T) {
	dir, _ := project(t, minimal)
	text := strings.Replace(minimal, "token_file: token", "token_env: TOKEN", 1)
	if got := checked(t, dir, text, fileRules{onDisk, "/nowhere"}, env("TOKEN", "x")); got != nil {
		t.Errorf("problems = %v", got)
	}
	got := checked(t, dir, text, fileRules{onDisk, "/nowhere"}, noEnv)
	if len(got) != 1 || got[0].Hint != "set it for the bridge's process, or use token_file" {
		t.Errorf("problems = %+v, want one with a hint", got)
	}
}

// A problem of the text hides nothing about the files, and is not said twice.
func TestCheckFiles_NotTwice(t *testing.T) {
	text := strings.Replace(minimal, "token_file: token", "token_file: 0123456789abcdef0123456789abcdef", 1)
	got := checked(t, t.TempDir(), text, fileRules{onDisk, "/nowhere"}, noEnv)
	if len(got) != 2 || got[0].Msg != "this looks like the token itself" || got[1].Key != "mapping.files[0]" {
		t.Errorf("problems = %v, want the token and the rule file", got)
	}
}

func TestMemoryOnly(t *testing.T) {
	if memoryOnly(filepath.Join(t.TempDir(), "none")) {
		t.Error("a file that is not there lives in memory")
	}
	if runtime.GOOS != "linux" {
		return
	}
	if memoryOnly("/proc/self/status") {
		t.Error("/proc counts as memory")
	}
	f, err := os.CreateTemp("/dev/shm", "scim-bridge-test")
	if err != nil {
		t.Skipf("no tmpfs to try: %v", err)
	}
	defer func() { _, _ = f.Close(), os.Remove(f.Name()) }()
	if !memoryOnly(f.Name()) {
		t.Error("/dev/shm does not count as memory")
	}
}

// The journal is beside the database, and beside the configuration when the database is elsewhere.
func TestLoad_JournalHasAPlace(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "bridge.db.audit-journal",
		"database: {url: 'sqlite:state/b.db'}": "state/b.db.audit-journal",
		"database: {url: 'postgres://u@h/d'}":  "audit-journal.jsonl",
		"audit: {journal_file: j}":             "j",
	} {
		dir, path := project(t, "")
		write(t, dir, "bridge.yaml", minimal+text+"\n")
		c, err := Load(path, noEnv)
		if err != nil {
			t.Fatal(err)
		}
		if c.Audit.JournalFile != filepath.Join(dir, want) {
			t.Errorf("%s: journal %s, want %s", text, c.Audit.JournalFile, want)
		}
	}
}

func TestLoad_SigningKeyIsASecret(t *testing.T) {
	dir, path := project(t, minimal+"audit: {checkpoint_file: notes, signing_key_file: key.pem}\n")
	if _, err := Load(path, noEnv); err == nil || !strings.Contains(err.Error(), "audit.signing_key_file") {
		t.Errorf("without the key: %v", err)
	}
	write(t, dir, "key.pem", "x\n")
	if err := os.Chmod(filepath.Join(dir, "key.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, noEnv); err == nil || !strings.Contains(err.Error(), "can be read by others") {
		t.Errorf("with a key that others can read: %v", err)
	}
	if err := os.Chmod(filepath.Join(dir, "key.pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, noEnv)
	if err != nil || c.Audit.CheckpointFile != filepath.Join(dir, "notes") || c.Audit.SigningKey.IsZero() {
		t.Fatalf("audit of %+v: %v", c, err)
	}
}

// Commands that want the database alone look at its password and at no other file.
func TestLoadForDatabase(t *testing.T) {
	dir, path := project(t, minimal+"database: {url: 'postgres://bridge@db/bridge', password_file: database_password}\n")
	for _, name := range []string{"token", "mapping.ini"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := LoadForDatabase(path, noEnv)
	if ps := problemsOf(t, err); len(ps) != 1 || ps[0].Key != "database.password_file" {
		t.Errorf("without a password: %v", ps)
	}
	write(t, dir, "database_password", "s3cret")
	if _, err := LoadForDatabase(path, noEnv); err != nil {
		t.Error(err)
	}
	if _, err := Load(path, noEnv); err == nil {
		t.Error("the whole configuration does without a token")
	}
}
