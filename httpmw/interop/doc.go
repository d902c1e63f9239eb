// Package interop tests the HTTP adapters against real frameworks and servers; a
// module of its own, so that those never enter your build.
package interop
