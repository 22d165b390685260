// Package secret is a place where a secret is kept: a file or an environment variable.
// The configuration names places and never holds what is in them, so nothing that prints
// a configuration can show a secret, and a new one needs no restart.
package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Redacted is what a Secret shows of itself, whoever asks.
const Redacted = "[redacted]"

// MaxSize bounds a secret's file in bytes; what is larger is the wrong file.
const MaxSize = 64 << 10

// Secret is a place where a secret is kept: a file or an environment variable.
// It never holds the secret itself, so nothing that prints a Config can show
// one. The zero Secret is "none configured".
type Secret struct {
	file, env string
	getenv    func(string) string
}

// File is a secret in a file; path is absolute.
func File(path string) Secret { return Secret{file: path} }

// Env is a secret in an environment variable that getenv looks up.
func Env(name string, getenv func(string) string) Secret {
	return Secret{env: name, getenv: getenv}
}

// IsZero reports whether no place is configured.
func (s Secret) IsZero() bool { return s.file == "" && s.env == "" }

// Path is the file of a secret in a file; "" for any other.
func (s Secret) Path() string { return s.file }

// Source names the place for messages: "file /run/secrets/token".
func (s Secret) Source() string {
	switch {
	case s.file != "":
		return "file " + s.file
	case s.env != "":
		return "environment variable " + s.env
	default:
		return "nowhere"
	}
}

// Read fetches the secret from its place, anew each time, without the one line
// end that editors and echo leave. An empty secret is an error, as is the zero
// Secret. Errors name the place, never what is in it.
func (s Secret) Read() (string, error) {
	switch {
	case s.file != "":
		return s.readFile()
	case s.env != "":
		v := trimLineEnd(s.getenv(s.env))
		if v == "" {
			return "", fmt.Errorf("%s is not set, or empty", s.Source())
		}
		return v, nil
	default:
		return "", errors.New("no secret is configured")
	}
}

// readFile reads a bounded file and trims its line end.
func (s Secret) readFile() (string, error) {
	f, err := os.Open(s.file)
	if err != nil {
		return "", fmt.Errorf("%s: %s", s.Source(), PathError(err))
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return "", fmt.Errorf("%s: %s", s.Source(), PathError(err))
	}
	if len(data) > MaxSize {
		return "", fmt.Errorf("%s has more than %d bytes: that is no token or password", s.Source(), MaxSize)
	}
	v := trimLineEnd(string(data))
	if v == "" {
		return "", fmt.Errorf("%s is empty", s.Source())
	}
	return v, nil
}

// trimLineEnd removes one LF or CRLF from the end; more belongs to the secret.
func trimLineEnd(v string) string {
	if t, ok := strings.CutSuffix(v, "\n"); ok {
		return strings.TrimSuffix(t, "\r")
	}
	return v
}

// PathError words a file error without the path, which the caller names.
func PathError(err error) string {
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return "this user may not read it"
	case errors.As(err, &pe):
		return pe.Err.Error()
	default:
		return err.Error()
	}
}

// String redacts.
func (Secret) String() string { return Redacted }

// GoString redacts for %#v.
func (Secret) GoString() string { return Redacted }

// MarshalText redacts for YAML and every encoder that takes text.
func (Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON redacts for JSON, and so for zap's reflected fields.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }
