//go:build !windows

package ralph

import "syscall"

// diskFull reports whether there is no room on a disk.
func diskFull(e syscall.Errno) bool { return e == syscall.ENOSPC || e == syscall.EDQUOT }

// noProcess reports whether there may be no more processes, of an attempt to start one.
func noProcess(e syscall.Errno) bool { return e == syscall.EAGAIN }
