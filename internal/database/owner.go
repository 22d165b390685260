package database

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Files that root leaves in a folder of the service are a classic: everything looks right, and the
// service refuses to start. It happens in the first hour, when the first credential is made before
// the first start, and at three in the morning, after a restore.

// GiveToOwner makes files that root has just written belong to whom their folder belongs to: commands
// are run by root, and the service, which is not, must be able to write what they made. Files that
// are not there are passed over.
func GiveToOwner(files ...string) error {
	if os.Geteuid() != 0 {
		return nil // nobody else can give files away, and need not
	}
	var errs []error
	for _, name := range files {
		info, err := os.Stat(filepath.Dir(name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		owner, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			continue
		}
		if err := os.Chown(name, int(owner.Uid), int(owner.Gid)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
