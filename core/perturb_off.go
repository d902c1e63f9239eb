//go:build !perturb

package core

// perturb marks a point between a load and the write that depends on it. It
// does nothing; with the build tag perturb it yields there now and then, which
// makes lost races some hundred times likelier under test.
func perturb() {}
