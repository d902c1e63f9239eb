package ralph

import "syscall"

// shortage reports whether the system lacks handles, memory or room on a disk. Package
// syscall has no names for what Windows really returns.
func shortage(e syscall.Errno) bool {
	const (
		errorTooManyOpenFiles  = 4
		errorNotEnoughMemory   = 8
		errorOutOfMemory       = 14
		errorHandleDiskFull    = 39
		errorDiskFull          = 112
		errorNoSystemResources = 1450
		errorCommitmentLimit   = 1455
		wsaEMFILE              = 10024
		wsaENOBUFS             = 10055
	)
	switch e {
	case errorTooManyOpenFiles, errorNotEnoughMemory, errorOutOfMemory, errorHandleDiskFull, errorDiskFull,
		errorNoSystemResources, errorCommitmentLimit, wsaEMFILE, wsaENOBUFS:
		return true
	}
	return false
}

// noPort reports whether no port was free.
func noPort(e syscall.Errno) bool {
	const wsaEADDRINUSE, wsaEADDRNOTAVAIL = 10048, 10049
	return e == wsaEADDRINUSE || e == wsaEADDRNOTAVAIL
}

// noProcess reports whether there may be no more processes; there is no number for it.
func noProcess(syscall.Errno) bool { return false }
