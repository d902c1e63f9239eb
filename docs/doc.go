// Package docs has no code: its tests compile, run and compare what the pages in this
// folder show.
package docs
