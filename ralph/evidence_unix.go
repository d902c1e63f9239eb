//go:build !windows

package ralph

import "syscall"

// shortage reports whether the system lacks file descriptors, in the process or at
// all, memory or room on a disk.
func shortage(e syscall.Errno) bool {
	switch e {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.ENOSPC, syscall.EDQUOT:
		return true
	}
	return false
}

// noPort reports whether no port was free.
func noPort(e syscall.Errno) bool { return e == syscall.EADDRNOTAVAIL || e == syscall.EADDRINUSE }

// noProcess reports whether there may be no more processes, of an attempt to start one.
func noProcess(e syscall.Errno) bool { return e == syscall.EAGAIN }
