// Package interop tests the gRPC interceptors against gRPC's own interoperability
// suite, and beside other interceptors; a module of its own, so that those never
// enter your build.
package interop
