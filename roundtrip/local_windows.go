package roundtrip

import "syscall"

// shortage reports whether the system lacks something: handles, a free port,
// memory. Package syscall has no names for what Windows really returns.
func shortage(e syscall.Errno) bool {
	const (
		errorTooManyOpenFiles  = 4
		errorNotEnoughMemory   = 8
		errorOutOfMemory       = 14
		errorNoSystemResources = 1450
		errorCommitmentLimit   = 1455
		wsaEMFILE              = 10024
		wsaEADDRINUSE          = 10048
		wsaEADDRNOTAVAIL       = 10049
		wsaENOBUFS             = 10055
	)
	switch e {
	case errorTooManyOpenFiles, errorNotEnoughMemory, errorOutOfMemory, errorNoSystemResources, errorCommitmentLimit,
		wsaEMFILE, wsaEADDRINUSE, wsaEADDRNOTAVAIL, wsaENOBUFS:
		return true
	}
	return false
}
