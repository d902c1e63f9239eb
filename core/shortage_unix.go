//go:build unix || js || wasip1

package core

import "syscall"

// lacks reports whether the system is out of file descriptors or memory.
func lacks(e syscall.Errno) bool {
	switch e { //nolint:exhaustive // the others are no shortages
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS:
		return true
	}
	return false
}

// noPort reports whether no port was free.
func noPort(e syscall.Errno) bool { return e == syscall.EADDRNOTAVAIL || e == syscall.EADDRINUSE }
