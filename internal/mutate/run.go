package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// memory is how much address space the tests of a mutant may take, in KiB: one
// that appends for ever must not take the machine down.
const memory = 12 << 20

// binary is the test binary of a package with some mutants in it.
type binary struct {
	path, dir string
	built     bool
	output    []byte // of the compiler, if it is not built
}

// build makes the test binary of the package in which some files have another
// source.
func (p *pkg) build(ctx context.Context, o options, dir string, sources map[string][]byte) (binary, error) {
	dir, err := os.MkdirTemp(dir, "")
	if err != nil {
		return binary{}, err
	}
	replace := make(map[string]string)
	for name, source := range sources {
		planted := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(planted, source, 0o600); err != nil {
			return binary{}, err
		}
		replace[name] = planted
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return binary{}, err
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		return binary{}, err
	}
	b := binary{path: filepath.Join(dir, "mutants.test.exe"), dir: p.dir} // the ending that every system takes
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", b.path, "-vet=off", "-ldflags=-s -w", "-tags="+o.tags, "-overlay="+overlayFile, ".")
	cmd.Dir = p.dir
	b.output, err = cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); failed && ctx.Err() == nil {
		return b, nil
	}
	b.built = err == nil
	return b, err
}

// run runs the tests with the mutant of a number, which is 0 for none.
func (b binary) run(ctx context.Context, o options, number int) (verdict, []byte, error) {
	limit := o.timeout
	if limit == 0 {
		limit = 10 * time.Minute
	}
	args := []string{b.path, "-test.short", "-test.failfast", "-test.paniconexit0", "-test.timeout=" + limit.String()}
	if o.run != "" {
		args = append(args, "-test.run="+o.run)
	}
	if runtime.GOOS != "windows" {
		args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, memory)}, args...)
	}
	// The tests end themselves by -timeout; this is for what even that cannot end.
	last, cancel := context.WithTimeout(ctx, limit+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(last, args[0], args[1:]...)
	cmd.Dir, cmd.WaitDelay = b.dir, 10*time.Second
	cmd.Env = append(os.Environ(), variable+"="+strconv.Itoa(number))
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return killed, out, ctx.Err()
	case err == nil:
		return survived, out, nil
	case last.Err() != nil, bytes.Contains(out, []byte("panic: test timed out after")):
		return timedOut, out, nil
	}
	return killed, out, nil
}
