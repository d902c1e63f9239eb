package detect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	gitTimeout   = 10 * time.Second
	maxUntracked = 10_000
	wholeFile    = 1 << 20 // larger files that are not tracked are read at both ends
)

// GitFingerprint is a fingerprint for [Run.Progress] of the work tree that dir is in: a hash of
// HEAD, the status, the differences to HEAD and the contents of files that are not
// tracked and not ignored. A commit, a new file and a change of one make another
// fingerprint; undoing a change makes the one of before again.
//
// It runs git, for at most 10 s or as long as ctx lasts if that is less, and is not
// cheap: once an iteration, not once a step. It takes no lock of the repository and
// runs none of its hooks. The error is ctx.Err() if ctx has ended, and says otherwise
// what git said. Without git, and where no work tree is, there is no fingerprint, which is
// not to be taken for no progress; see [Run.ProgressUnknown]. Of files of more than 1 MiB that are not tracked,
// both ends and the size count; with more than 10,000 such files there is no fingerprint. A
// nil ctx is [context.Background].
func GitFingerprint(ctx context.Context, dir string) (string, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	g := git{ctx: ctx, dir: dir, sum: sha256.New()}
	var root bytes.Buffer
	if err := g.run(&root, "rev-parse", "--show-toplevel"); err != nil {
		return "", err
	}
	g.dir = strings.TrimSuffix(root.String(), "\n")
	// Before the first commit there is no HEAD; then all files are in the status.
	born := g.run(g.sum, "rev-parse", "--verify", "--quiet", "HEAD") == nil
	var status bytes.Buffer
	if err := g.run(io.MultiWriter(&status, g.sum), "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames"); err != nil {
		return "", err
	}
	diff := []string{"diff", "--no-ext-diff", "--no-textconv", "--no-color", "--binary", "--no-renames"}
	if born {
		diff = append(diff, "HEAD")
	}
	if err := g.run(g.sum, append(diff, "--")...); err != nil {
		return "", err
	}
	if err := g.untracked(status.String(), born); err != nil {
		return "", err
	}
	return hex.EncodeToString(g.sum.Sum(nil)), nil
}

type git struct {
	ctx context.Context //nolint:containedctx // for one call of GitFingerprint
	dir string
	sum hash.Hash
}

// run writes what git answers to out, in the order of the calls.
func (g *git) run(out io.Writer, args ...string) error {
	all := append([]string{"--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "core.quotePath=false"}, args...)
	cmd := exec.CommandContext(g.ctx, "git", all...) //nolint:gosec // the arguments are constants
	cmd.Dir = g.dir
	// Where git has started this program, it has told it about another repository.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return name == "GIT_DIR" || name == "GIT_WORK_TREE" || name == "GIT_INDEX_FILE" || name == "GIT_PREFIX"
	})
	cmd.Env = append(cmd.Env, "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
	said, err := g.read(cmd, out)
	if err != nil {
		if done := context.Cause(g.ctx); done != nil {
			return fmt.Errorf("detect: git %s in %q: %w", args[0], g.dir, done)
		}
		if text := strings.TrimSpace(said); text != "" {
			err = errors.New(text)
		}
		return fmt.Errorf("detect: git %s in %q: %w", args[0], g.dir, err)
	}
	_, err = io.WriteString(g.sum, "\x00") // keeps the answers apart
	return err
}

// read runs cmd and copies what it writes to out; it returns the beginning of what it
// complains of. What git has started, and does not end with it, may hold the pipes
// open: they are read until ctx is done, and not a moment less, since a busy machine
// may be late to read what was written long ago.
func (g *git) read(cmd *exec.Cmd, out io.Writer) (said string, err error) {
	stdout, err1 := cmd.StdoutPipe()
	stderr, err2 := cmd.StderrPipe()
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stop := context.AfterFunc(g.ctx, func() { _, _ = stdout.Close(), stderr.Close() }) // ends the reading
	defer stop()
	var text bytes.Buffer
	complained := make(chan struct{})
	go func() {
		defer close(complained)
		_, _ = io.Copy(&limited{&text, 1024}, stderr) // as much as there is
	}()
	_, err = io.Copy(out, stdout)
	<-complained
	err = errors.Join(cmd.Wait(), err)
	return text.String(), err
}

// untracked adds the contents of files that the differences do not show.
func (g *git) untracked(status string, born bool) error {
	n := 0
	for entry := range strings.SplitSeq(status, "\x00") {
		if len(entry) < 4 || !strings.HasPrefix(entry, "??") && born {
			continue
		}
		if n++; n > maxUntracked {
			return fmt.Errorf("detect: there are more than %d untracked files in %q: let git ignore those that are not the agent's work", maxUntracked, g.dir)
		}
		if err := g.ctx.Err(); err != nil {
			return fmt.Errorf("detect: reading untracked files in %q: %w", g.dir, err)
		}
		if err := g.file(filepath.Join(g.dir, filepath.FromSlash(entry[3:]))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("detect: reading an untracked file: %w", err)
		}
	}
	return nil
}

// file adds the content of a file, the target of a link, and nothing of anything
// else: a pipe would never end.
func (g *git) file(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(g.sum, "\x00%v %d\x00", info.Mode(), info.Size())
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		_, _ = io.WriteString(g.sum, target)
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path) //nolint:gosec // git has named it
	if err != nil {
		return err
	}
	defer f.Close()
	if info.Size() <= wholeFile {
		_, err = io.Copy(g.sum, io.LimitReader(f, wholeFile))
		return err
	}
	for _, at := range [...]int64{0, info.Size() - wholeFile/2} {
		if _, err := io.Copy(g.sum, io.NewSectionReader(f, at, wholeFile/2)); err != nil {
			return err
		}
	}
	return nil
}

// limited keeps the first bytes written to it.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}
