package config

import "syscall"

// The file systems that live in memory, by the number statfs gives them.
const (
	tmpfsMagic = 0x01021994
	ramfsMagic = 0x858458f6
)

// memoryOnly reports whether a file is on tmpfs or ramfs, where Kubernetes,
// Docker and systemd mount secrets.
func memoryOnly(path string) bool {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return false
	}
	// The field's type differs between platforms.
	kind := uint32(st.Type) //nolint:gosec // the magic numbers have 32 bits
	return kind == tmpfsMagic || kind == ramfsMagic
}
