package ralph

import "syscall"

// diskFull reports whether there is no room on a disk. Package syscall has no names
// for what Windows returns.
func diskFull(e syscall.Errno) bool {
	const errorHandleDiskFull, errorDiskFull = 39, 112
	return e == errorHandleDiskFull || e == errorDiskFull
}

// noProcess reports whether there may be no more processes; there is no number for it.
func noProcess(syscall.Errno) bool { return false }
