//go:build !linux && !darwin && !freebsd && !dragonfly

package failsafe

// readOnly cannot tell on this system, where a full file system that is read-only
// is one that is full.
func readOnly(string) (bool, error) { return false, nil }
