//go:build linux || darwin || freebsd || dragonfly

package failsafe

import "syscall"

// readOnly reports whether nothing can be written by way of a path, be it that the
// file system is read-only or that it is mounted so here.
func readOnly(path string) (bool, error) {
	const readOnlyFlag = 1 // ST_RDONLY of statfs(2), MNT_RDONLY where it is from BSD
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return false, err
	}
	return st.Flags&readOnlyFlag != 0, nil
}
