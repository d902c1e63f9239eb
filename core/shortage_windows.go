package core

import "syscall"

// lacks reports whether the system is out of handles or memory. Package syscall has
// no names for what Windows really returns.
func lacks(e syscall.Errno) bool {
	const (
		errorTooManyOpenFiles  = 4
		errorNotEnoughMemory   = 8
		errorOutOfMemory       = 14
		errorNoSystemResources = 1450
		errorCommitmentLimit   = 1455
		wsaEMFILE              = 10024
		wsaENOBUFS             = 10055
	)
	switch e {
	case errorTooManyOpenFiles, errorNotEnoughMemory, errorOutOfMemory, errorNoSystemResources, errorCommitmentLimit, wsaEMFILE, wsaENOBUFS:
		return true
	}
	return false
}

// noPort reports whether no port was free.
func noPort(e syscall.Errno) bool {
	const wsaEADDRINUSE, wsaEADDRNOTAVAIL = 10048, 10049
	return e == wsaEADDRINUSE || e == wsaEADDRNOTAVAIL
}
