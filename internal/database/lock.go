package database

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Lock says whether this process may reconcile. A SQLite file has one reconciling process, the
// holder of an flock on "<file>.lock"; held is false when another process has it. The kernel gives
// the lock back when the holder dies. On PostgreSQL rows are leased one by one, so everyone holds.
// release is never nil.
func (db *DB) Lock() (held bool, release func(), err error) {
	if db.path == "" {
		return true, func() {}, nil
	}
	return LockFile(db.path)
}

// LockFile is Lock for a SQLite file that is not open, or cannot be opened.
func LockFile(path string) (held bool, release func(), err error) {
	release = func() {}
	name := path + ".lock"
	_, missing := os.Stat(name)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil && missing != nil {
		err = GiveToOwner(name)
	}
	if err != nil {
		return false, release, fmt.Errorf("lock database: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return false, release, f.Close()
	case err != nil:
		return false, release, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	// The file stays: removing it would let two processes lock two files of one name.
	return true, func() { _ = f.Close() }, nil
}
