//go:build unix || js || wasip1

package presets

import "syscall"

// shortage reports whether the system lacks file descriptors, in the process or at
// all, a free port, or memory.
func shortage(e syscall.Errno) bool {
	switch e {
	case syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.ENOMEM, syscall.ENOBUFS:
		return true
	}
	return false
}
