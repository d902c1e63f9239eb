package detect_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// repo is a work tree of git's.
type repo struct {
	t   *testing.T
	dir string
}

func clone(t *testing.T) *repo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	r := &repo{t: t, dir: t.TempDir()}
	r.git("init", "-q")
	return r
}

func (r *repo) git(args ...string) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", append([]string{"-C", r.dir, "-c", "user.name=a", "-c", "user.email=a@b"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (r *repo) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *repo) fingerprint() string {
	r.t.Helper()
	return patiently(r.t, r.dir)
}

// patiently returns the fingerprint however long git takes on a busy machine.
func patiently(t *testing.T, dir string) string {
	t.Helper()
	for {
		fingerprint, err := detect.GitFingerprint(t.Context(), dir)
		if err == nil {
			return fingerprint
		}
		if t.Context().Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
}

func TestGitToken(t *testing.T) {
	r := clone(t)
	run := drive(t, detect.Rules{}).run
	changes := func(what string, want bool, do func()) {
		t.Helper()
		before := r.fingerprint()
		do()
		if after := r.fingerprint(); (after != before) != want {
			t.Errorf("%s: changed %v, want %v", what, after != before, want)
		}
	}
	changes("nothing, before the first commit", false, func() {})
	changes("a file before the first commit", true, func() { r.write("a.txt", "one") })
	changes("its content before the first commit", true, func() { r.write("a.txt", "two") })
	changes("staged before the first commit", true, func() { r.git("add", "a.txt") })
	changes("staged, and changed", true, func() { r.write("a.txt", "three") })
	changes("a commit", true, func() { r.git("add", "-A"); r.git("commit", "-q", "-m", "x") })
	changes("nothing", false, func() {})
	changes("a tracked file", true, func() { r.write("a.txt", "four") })
	changes("a tracked file again", true, func() { r.write("a.txt", "five") })
	changes("an untracked file", true, func() { r.write("new/b \"q\"\n.txt", "one") })
	changes("its content, with the same size", true, func() { r.write("new/b \"q\"\n.txt", "two") })
	changes("one with a short name", true, func() { r.write("b", "one") })
	changes("its content", true, func() { r.write("b", "two") })
	changes("a big one", true, func() { r.write("big", strings.Repeat("x", 3<<20)) })
	changes("its end", true, func() { r.write("big", strings.Repeat("x", 3<<20-1)+"y") })
	changes("an ignored file", false, func() {
		r.write(".git/info/exclude", "ignored\n")
		r.write("ignored", "x")
	})
	changes("a link", true, func() {
		if err := os.Symlink("/nowhere", filepath.Join(r.dir, "link")); err != nil {
			t.Fatal(err) // a skip would hide all that follows
		}
	})
	changes("a file in a directory below", true, func() { r.write("deep/er/c", "x") })
	changes("the time of a file", false, func() {
		if err := os.Chtimes(filepath.Join(r.dir, "deep/er/c"), time.Now(), time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
	})
	if patiently(t, filepath.Join(r.dir, "deep/er")) != r.fingerprint() {
		t.Error("from below, it is another")
	}

	// Work that is undone comes back to an old fingerprint.
	run.Progress(r.fingerprint(), start())
	r.write("a.txt", "six")
	if !run.Progress(r.fingerprint(), start()) {
		t.Error("a change is progress")
	}
	r.write("a.txt", "five")
	if run.Progress(r.fingerprint(), start()) {
		t.Error("undoing it is progress")
	}
	r.write("a.txt", "six")
	if run.Progress(r.fingerprint(), start()) {
		t.Error("doing it again is progress")
	}
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "y")
	if !run.Progress(r.fingerprint(), start()) {
		t.Error("a commit is progress")
	}
}

func TestGitTokenRunsNothingOfTheRepository(t *testing.T) {
	r := clone(t)
	r.write("a", "x")
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "x")
	marker := filepath.Join(t.TempDir(), "ran")
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntouch '"+marker+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("config", "core.fsmonitor", script)
	r.git("config", "diff.external", script)
	r.git("config", "diff.x.textconv", script)
	r.write(".gitattributes", "* diff=x\n")
	r.write("a", "y")
	r.fingerprint()
	if _, err := os.Stat(marker); err == nil {
		t.Error("a program of the repository's ran")
	}
}

func TestGitTokenOfAnotherRepository(t *testing.T) {
	r, other := clone(t), clone(t)
	want := r.fingerprint()
	t.Setenv("GIT_DIR", filepath.Join(other.dir, ".git")) // as in a hook
	other.write("x", "y")
	if got := r.fingerprint(); got != want {
		t.Error("the environment leads elsewhere")
	}
}

func TestNoGitToken(t *testing.T) {
	r := clone(t)
	nowhere := t.TempDir()
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(nowhere))
	for name, dir := range map[string]string{"no repository": nowhere, "no directory": filepath.Join(nowhere, "x")} {
		if fingerprint, err := detect.GitFingerprint(t.Context(), dir); err == nil || fingerprint != "" || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %q, %v", name, fingerprint, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if fingerprint, err := detect.GitFingerprint(ctx, r.dir); !errors.Is(err, context.Canceled) || fingerprint != "" {
		t.Errorf("%q, %v", fingerprint, err)
	}
}

// program puts a program of that name before all others, and returns where it may
// leave notes.
func program(t *testing.T, name, script string) (notes string) {
	t.Helper()
	dir := t.TempDir()
	notes = filepath.Join(dir, "notes")
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nnotes='"+notes+"'\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return notes
}

// TestGitTokenOfAGitThatHangs: ctx ends it, also where what git has started holds on
// to its output.
func TestGitTokenOfAGitThatHangs(t *testing.T) {
	for name, script := range map[string]string{
		"itself":                  "exec sleep 1000",
		"what it started":         "sleep 1000 & echo $! >$notes; exit 0",
		"what it started, mutely": "sleep 1000 >/dev/null & echo $! >$notes; exit 0", // holds stderr
	} {
		t.Run(name, func(t *testing.T) {
			notes := program(t, "git", script)
			defer func() {
				if pid, err := os.ReadFile(notes); err == nil {
					_ = exec.Command("kill", strings.TrimSpace(string(pid))).Run()
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if fingerprint, err := detect.GitFingerprint(ctx, t.TempDir()); fingerprint != "" || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%q, %v", fingerprint, err)
			}
		})
	}
}

// TestGitTokenSaysWhatGitSaid: the beginning of it, or else how it ended.
func TestGitTokenSaysWhatGitSaid(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"much":    {"head -c 100000 /dev/zero | tr '\\0' x >&2; exit 3", strings.Repeat("x", 1024)},
		"nothing": {"exit 3", "exit status 3"},
		"a fault": {"echo ' the disk is on fire ' >&2; exit 3", ": the disk is on fire"},
	} {
		t.Run(name, func(t *testing.T) {
			program(t, "git", c.script)
			dir := t.TempDir()
			_, err := detect.GitFingerprint(t.Context(), dir)
			if err == nil || !strings.HasSuffix(err.Error(), c.want) || !strings.Contains(err.Error(), dir) || len(err.Error()) > 2000 {
				t.Errorf("%.3000v\nwant %.100s in the end", err, c.want)
			}
		})
	}
	t.Run("no git", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		if _, err := detect.GitFingerprint(t.Context(), t.TempDir()); !errors.Is(err, exec.ErrNotFound) {
			t.Error(err)
		}
	})
}

// TestGitTokenAsksQuietly: git is told not to ask for passwords, to speak English, and
// to take no lock.
func TestGitTokenAsksQuietly(t *testing.T) {
	notes := program(t, "git", `echo "$GIT_TERMINAL_PROMPT $LC_ALL $GIT_DIR$GIT_WORK_TREE$GIT_INDEX_FILE$GIT_PREFIX$KEPT $*" >>"$notes"; pwd`)
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "KEPT"} {
		t.Setenv(name, "of "+name)
	}
	if _, err := detect.GitFingerprint(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(notes)
	if err != nil {
		t.Fatal(err)
	}
	calls := strings.Split(strings.TrimSpace(string(said)), "\n")
	if len(calls) != 4 {
		t.Errorf("git was called %d times:\n%s", len(calls), said)
	}
	for _, call := range calls {
		if !strings.HasPrefix(call, "0 C of KEPT --no-optional-locks -c core.fsmonitor=false -c core.hooksPath="+os.DevNull) {
			t.Errorf("git was called as %s", call)
		}
	}
}
