package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// launch starts a program that serves on addresses, which start is given free
// ones for, and waits until it answers at the last one's path. It ends with the
// test, and its output is shown if that failed.
func launch(t *testing.T, name, path string, addresses int, start func(at []string) *exec.Cmd) (at []string) {
	t.Helper()
	var failure error
	for range 3 { // another process may have been faster to take an address
		at = free(t, addresses)
		cmd := start(at)
		exited := run(t, name, cmd)
		if failure = answers("http://"+at[addresses-1]+path, exited); failure == nil {
			return at
		}
	}
	t.Fatalf("%s does not answer: %v", name, failure)
	return nil
}

// run starts cmd, which ends with the test; exited is closed when it has.
func run(t *testing.T, name string, cmd *exec.Cmd) (exited <-chan struct{}) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = log
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s wrote:\n%s", name, text[max(0, len(text)-4000):])
		}
		log.Close()
	})
	return done
}

// free returns addresses on loopback without a listener. Their ports are
// below those that systems give to outgoing connections, which would take them
// again at once.
func free(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	for tries := 0; len(out) < n; tries++ {
		at := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", at)
		switch {
		case err == nil:
			defer l.Close() // all at once, so that they differ
			out = append(out, at)
		case tries > 1000:
			t.Fatal(err)
		}
	}
	return out
}

// answers waits for a good answer of url.
func answers(url string, exited <-chan struct{}) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := get(ctx, url)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("in %v: %w", patience, err)
		case <-exited:
			return errors.New("it has ended")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// eventually repeats check until it finds nothing wrong.
func eventually(t *testing.T, patience time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("after %v: %v", patience, err)
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// built returns the path of the program in a directory of this module.
func built(t *testing.T, dir string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), filepath.Base(dir))
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin, dir)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("go build %s: %v\n%s", dir, err, &out)
	}
	return bin
}
