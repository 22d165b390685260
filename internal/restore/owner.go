package restore

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Files that root leaves in a folder of the service are the classic of restores: everything
// looks right, and the service refuses to start at three in the morning.

// giveToService makes files that root has just written belong to whom their folder belongs
// to: a restore is run by root, and the service, which is not, must be able to write what
// was restored. Files that are not there are passed over.
func giveToService(files ...string) error {
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
