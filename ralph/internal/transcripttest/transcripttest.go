// Package transcripttest compares what a test has written down with a file in testdata.
//
// The transcripts say of some thousand events what is found and why, and of many texts
// what they are told apart by: who changes a rule, or what is compared, sees in the
// difference what else that changes. Hashes are in them because they are kept across
// restarts.
package transcripttest

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Update says that testdata is to be written anew.
var Update = flag.Bool("update", false, "write testdata anew; read the difference before it is committed")

// Compare compares what was written with a file in testdata.
func Compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *Update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	is, should := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(is), len(should)) {
		a, b := "the end", "the end"
		if i < len(is) {
			a = is[i]
		}
		if i < len(should) {
			b = should[i]
		}
		if a != b {
			t.Fatalf("%s:%d: got\n%s\nwant\n%s", path, i+1, a, b)
		}
	}
}
