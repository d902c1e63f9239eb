package presets

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// maxFile is how long a file may be.
const maxFile = 1 << 20

// Load reads a Fleet from a file; see [Decode]. Errors are [*FileError]s with
// its path.
func Load(path string) (*Fleet, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parse(data, path)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening: that of a pipe waits for its writer
	if err != nil {
		return nil, unreadable(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, &FileError{File: path, Problem: "the file is not a regular one"}
	}
	f, err := os.Open(path) //nolint:gosec // the caller's file is what is asked for
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	return readAll(f, path)
}

func readAll(r io.Reader, path string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, unreadable(path, err)
	case len(data) > maxFile:
		return nil, &FileError{File: path, Problem: fmt.Sprintf("the file is longer than %d bytes", maxFile)}
	}
	return data, nil
}

func unreadable(path string, err error) error {
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		err = pathErr.Err // the path is said already
	}
	return &FileError{File: path, Problem: "the file cannot be read: " + err.Error(), Err: err}
}
