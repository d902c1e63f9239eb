package ralph_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// stored is a Config whose agents are kept in a new file.
func stored(t testing.TB) ralph.Config {
	cfg := plain()
	cfg.Path = filepath.Join(t.TempDir(), "ralph.db")
	return cfg
}

// reopen returns a supervisor that is closed when the test ends, at the latest: one
// that fails leaves no writer behind.
func reopen(t testing.TB, cfg ralph.Config) *ralph.Supervisor {
	t.Helper()
	s, err := ralph.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// written waits until all that has happened is in the file. It takes as long as it takes.
func written(s *ralph.Supervisor) {
	for s.Stats().Unsaved > 0 {
		time.Sleep(time.Millisecond)
	}
}

// The original claimed to persist its state, and did not.
func TestAgentsSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := stored(t)
		s := reopen(t, cfg)
		sure := 0.7
		work := func(a *ralph.Agent, n int) {
			for i := range n {
				step := fresh(i)
				step.Tokens, step.Cost, step.Confidence = 100, 0.25, &sure
				observe(t, a, step)
				if err := iterate(a, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		work(monitor(t, s, "running", ralph.Options{Name: "writer", Budget: detect.Budgets{Tokens: 1000}}), 4)
		monitor(t, s, "boss", ralph.Options{Name: "boss", Tree: detect.Budgets{Cost: 10}})
		child := monitor(t, s, "child", ralph.Options{Name: "helper", Parent: "boss"})
		work(child, 2)
		stall(t, monitor(t, s, "paused", ralph.Options{}))
		for range 5 {
			observe(t, monitor(t, s, "escalated", ralph.Options{}), doing("search", "{}"))
		}
		monitor(t, s, "stopped", ralph.Options{})
		if err := s.Stop("stopped", "eve", "done"); err != nil {
			t.Fatal(err)
		}
		stall(t, monitor(t, s, "recovering", ralph.Options{}))
		time.Sleep(20 * time.Second)
		stall(t, monitor(t, s, "recovering 2", ralph.Options{}))
		time.Sleep(11 * time.Second) // "paused" and "recovering" are resumed
		synctest.Wait()
		before := s.Statuses()
		closeNow(t, s)

		time.Sleep(5 * time.Second) // without a supervisor
		var told []ralph.Event
		cfg.OnEvent = func(e ralph.Event) { told = append(told, e) }
		s = reopen(t, cfg)
		defer closeNow(t, s)
		after := s.Statuses()
		if len(before) != len(after) {
			t.Fatalf("%d agents, then %d", len(before), len(after))
		}
		for i := range before {
			b, a := before[i], after[i]
			a.LastSeen, a.Breaker = b.LastSeen, b.Breaker // not kept
			a.Nudges = b.Nudges
			if !a.Since.Equal(b.Since) || !a.ResumeAt.Equal(b.ResumeAt) || !a.EscalateAt.Equal(b.EscalateAt) {
				t.Errorf("times of %s: %v %v %v, then %v %v %v", a.ID, b.Since, b.ResumeAt, b.EscalateAt, a.Since, a.ResumeAt, a.EscalateAt)
			}
			if fmt.Sprint(a) == "" || len(a.Events) != len(b.Events) {
				t.Errorf("events of %s: %v, then %v", a.ID, b.Events, a.Events)
			}
			for k := range a.Events {
				if a.Events[k].String() != b.Events[k].String() || a.Events[k].Seq != b.Events[k].Seq || !a.Events[k].At.Equal(b.Events[k].At) {
					t.Errorf("an event of %s: %v, then %v", a.ID, b.Events[k], a.Events[k])
				}
			}
			if a.Cause.String() != b.Cause.String() {
				t.Errorf("the cause of %s: %v, then %v", a.ID, b.Cause, a.Cause)
			}
			a.Since, a.ResumeAt, a.EscalateAt, a.Events, a.Cause = b.Since, b.ResumeAt, b.EscalateAt, b.Events, b.Cause
			if !reflect.DeepEqual(a, b) {
				t.Errorf("%s was\n%+v\nand is\n%+v", a.ID, b, a)
			}
		}
		// What was planned goes on, and budgets are what was left of them.
		time.Sleep(15 * time.Second)
		synctest.Wait()
		wantState(t, s, "recovering 2", ralph.Recovering)
		if len(told) != 1 || told[0].Kind != ralph.EventResumed || told[0].Seq < 2 {
			t.Errorf("told %v", told)
		}
		a := monitor(t, s, "running", ralph.Options{})
		for i := range 5 {
			observe(t, a, detect.Step{Tool: word(i), Tokens: 100})
		}
		wantState(t, s, "running", ralph.Running)
		observe(t, a, detect.Step{Tool: "last", Tokens: 100})
		wantState(t, s, "running", ralph.Escalated)
		if used := status(t, s, "child").TreeUsed; used == nil || used.Cost != 0.5 || used.Iterations != 2 {
			t.Errorf("the tree has used %+v", used)
		}
		err := monitor(t, s, "escalated", ralph.Options{}).AllowModelCall(t.Context())
		if r, ok := errors.AsType[*ralph.PausedError](err); !ok || r.State != ralph.Escalated || r.Cause.Rule != "repeat" {
			t.Errorf("%v", err)
		}
	})
}

// TestStoreOverdue: what became due while the program was down happens at once.
func TestStoreOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := stored(t)
		s := reopen(t, cfg)
		stall(t, monitor(t, s, "stuck", ralph.Options{}))
		monitor(t, s, "blocked", ralph.Options{})
		if err := s.Pause("blocked", detect.ReasonBlocked, "eve", "?"); err != nil {
			t.Fatal(err)
		}
		closeNow(t, s)
		time.Sleep(time.Hour)
		s = reopen(t, cfg)
		defer closeNow(t, s)
		synctest.Wait()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		wantState(t, s, "stuck", ralph.Recovering)
		wantState(t, s, "blocked", ralph.Escalated)
	})
}

// TestStoreClockSetBack: a pause lasts no longer than it was to, however the
// machine's clock was set meanwhile.
func TestStoreClockSetBack(t *testing.T) {
	for _, set := range []time.Duration{-48 * time.Hour, -time.Second, 0} {
		synctest.Test(t, func(t *testing.T) {
			cfg := stored(t)
			s := reopen(t, cfg)
			stall(t, monitor(t, s, "a", ralph.Options{}))
			time.Sleep(10 * time.Second)
			closeNow(t, s)
			cfg.Now = func() time.Time { return time.Now().Add(set).Round(0) }
			s = reopen(t, cfg)
			defer closeNow(t, s)
			time.Sleep(20*time.Second - 1)
			synctest.Wait()
			wantState(t, s, "a", ralph.Paused)
			time.Sleep(10 * time.Second) // what has passed since it was written is not known
			synctest.Wait()
			wantState(t, s, "a", ralph.Recovering)
		})
	}
}

// TestStoreForgets: an agent that was evicted is not in the file, and its successor is.
func TestStoreForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := stored(t)
		cfg.Idle = time.Minute
		s := reopen(t, cfg)
		for i := range 10 {
			monitor(t, s, fmt.Sprint("a", i), ralph.Options{})
		}
		time.Sleep(2 * time.Minute)
		monitor(t, s, "b", ralph.Options{})
		heir := monitor(t, s, "a3", ralph.Options{Name: "heir"})
		observe(t, heir, fresh(1))
		closeNow(t, s)
		s = reopen(t, cfg)
		defer closeNow(t, s)
		if all := s.Statuses(); len(all) != 2 || all[0].Name != "heir" || all[0].Totals.Steps != 1 || all[1].ID != "b" {
			t.Errorf("%+v", all)
		}
	})
}

func TestStoreRefuses(t *testing.T) {
	cfg := stored(t)
	s := reopen(t, cfg)
	for i := range 5 {
		stall(t, monitor(t, s, fmt.Sprint("a", i), ralph.Options{}))
	}
	closeNow(t, s)
	good, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	alter := func(change func(tx *bbolt.Tx) error) func(path string) error {
		return func(path string) error {
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				return err
			}
			return errors.Join(db.Update(change), db.Close())
		}
	}
	record := func(change func(value []byte) []byte) func(path string) error {
		return alter(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("agents"))
			return b.Put([]byte("a2"), change(bytes.Clone(b.Get([]byte("a2")))))
		})
	}
	write := func(data []byte) func(path string) error {
		return func(path string) error { return os.WriteFile(path, data, 0o600) }
	}
	for name, c := range map[string]struct {
		change func(path string) error
		want   string // in the error, which always names the file
	}{
		"newer":            {alter(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("3")) }), "written by another version"},
		"another program":  {alter(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("meta")) }), "another program"},
		"no number":        {alter(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("schema")) }), "corrupt"},
		"a record is gone": {alter(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("agents")).Delete([]byte("a2")) }), "4 agents of 5"},
		"one too many": {alter(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("agents"))
			return b.Put([]byte("a9"), b.Get([]byte("a2")))
		}), "there are more than 5 agents"},
		"no agents":        {alter(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("agents")) }), "there are no agents"},
		"no events":        {alter(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("events")) }), "there are no events"},
		"events are gone":  {alter(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("events")).Delete([]byte("a2")) }), "4 events of 5"},
		"agents uncounted": {alter(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("agents")) }), "the number of agents is missing"},
		"events uncounted": {alter(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("events"), make([]byte, 7)) }), "the number of events is missing"},
		"another format":   {alter(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte("x")) }), "another program"},
		"damaged events": {alter(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("events")).Put([]byte("a2"), []byte("12345678"))
		}), `the record of "a2" is damaged`},
		"a flipped bit": {record(func(v []byte) []byte { v[20] ^= 1; return v }), `the record of "a2" is damaged`},
		"an empty one":  {record(func([]byte) []byte { return nil }), "damaged"},
		"swapped": {alter(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("agents"))
			return b.Put([]byte("a2"), bytes.Clone(b.Get([]byte("a1"))))
		}), "damaged"},
		"empty":           {write(nil), "is empty"},
		"text":            {write([]byte(strings.Repeat("not a store\n", 5000))), "not a store"},
		"cut to a page":   {write(good[:4096]), "corrupt"},
		"cut to the half": {write(good[:len(good)/2]), "corrupt"},
		"a directory":     {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := cfg
			bad.Path = filepath.Join(t.TempDir(), "bad.db")
			if err := errors.Join(os.WriteFile(bad.Path, good, 0o600), c.change(bad.Path)); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(bad.Path)
			s, err := ralph.New(bad)
			if err == nil {
				closeNow(t, s)
				t.Fatal("it was taken")
			}
			if e, ok := errors.AsType[*ralph.StoreError](err); !ok || e.Path != bad.Path || !strings.Contains(err.Error(), bad.Path) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q in it", err, c.want)
			}
			if after, _ := os.ReadFile(bad.Path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
	t.Run("too many", func(t *testing.T) {
		few := cfg
		few.MaxAgents = 4
		if _, err := ralph.New(few); err == nil || !strings.Contains(err.Error(), "MaxAgents is 4") {
			t.Errorf("%v", err)
		}
	})
	t.Run("no such directory", func(t *testing.T) {
		none := cfg
		none.Path = filepath.Join(t.TempDir(), "none", "ralph.db")
		if _, err := ralph.New(none); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), none.Path) {
			t.Errorf("%v", err)
		}
	})
	t.Run("in use", func(t *testing.T) {
		s := reopen(t, cfg)
		defer closeNow(t, s)
		if _, err := ralph.New(cfg); err == nil || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("%v", err)
		}
	})
}

// TestStoreFreePages: a page that is in use and listed as free would be written
// over, some time.
func TestStoreFreePages(t *testing.T) {
	cfg := stored(t)
	s := reopen(t, cfg)
	for i := range 40 {
		stall(t, monitor(t, s, fmt.Sprint("a", i), ralph.Options{}))
	}
	written(s)
	for i := range 40 {
		if err := s.Resume(fmt.Sprint("a", i), "eve", ""); err != nil {
			t.Fatal(err)
		}
	}
	closeNow(t, s)
	data, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	bad := cfg
	bad.Path = filepath.Join(t.TempDir(), "bad.db")
	order, refused := binary.NativeEndian, 0
	const page = 4096
	for list := range len(data) / page {
		if order.Uint16(data[list*page+8:]) != 0x10 || order.Uint16(data[list*page+10:]) == 0 {
			continue
		}
		for used := 2; used < len(data)/page; used++ {
			if flags := order.Uint16(data[used*page+8:]); flags != 1 && flags != 2 {
				continue
			}
			copied := bytes.Clone(data)
			order.PutUint64(copied[list*page+16:], uint64(used))
			if err := os.WriteFile(bad.Path, copied, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := ralph.New(bad)
			if err == nil { // the list, or the page, is an old one
				closeNow(t, s)
				continue
			}
			if strings.Contains(err.Error(), "listed as free") {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was found")
	}
}

// TestStoreFlippedBytes: whatever byte is not what it was, the file is refused, or
// what is in it is what was written last, or, where a page with the root was hit, by
// the transaction before.
func TestStoreFlippedBytes(t *testing.T) {
	cfg := stored(t)
	all := func(s *ralph.Supervisor) string {
		var b strings.Builder
		for _, st := range s.Statuses() {
			fmt.Fprintln(&b, st.ID, st.Name, st.State, st.Cause, st.Totals, st.Used, len(st.Events), st.Events)
		}
		return b.String()
	}
	var good []string
	for round := range 2 {
		s := reopen(t, cfg)
		for i := range 60 {
			a := monitor(t, s, fmt.Sprint("a", i), ralph.Options{})
			for k := range 5 {
				if round == 0 {
					observe(t, a, fresh(k))
				} else {
					observe(t, a, doing("search", "{}")) // escalates
				}
			}
		}
		good = append(good, all(s))
		closeNow(t, s)
	}
	data, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	bad := cfg
	bad.Path = filepath.Join(t.TempDir(), "bad.db")
	r := rand.New(rand.NewPCG(1, 2))
	refused, n := 0, 300
	if testing.Short() {
		n = 100
	}
	for i := range n {
		at := r.IntN(len(data))
		if i%3 == 0 { // where the structure is
			at = at/4096*4096 + r.IntN(64)
		}
		copied := bytes.Clone(data)
		copied[at] ^= byte(1 + r.IntN(255))
		if err := os.WriteFile(bad.Path, copied, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := ralph.New(bad)
		if err != nil {
			refused++
			if e, ok := errors.AsType[*ralph.StoreError](err); !ok || e.Path != bad.Path {
				t.Errorf("byte %d: %v", at, err)
			}
			continue
		}
		if got := all(s); got != good[1] && got != good[0] {
			t.Errorf("byte %d changed what was taken:\n%s", at, got)
		}
		closeNow(t, s)
	}
	t.Logf("%d of %d refused", refused, n)
	if refused < n/10 {
		t.Errorf("only %d of %d refused", refused, n)
	}
}

func init() { //nolint:gochecknoinits // see TestMain
	jobs["work"] = func() int {
		cfg := plain()
		cfg.Path = os.Getenv("RALPH_TEST_PATH")
		s, err := ralph.New(cfg)
		if err != nil {
			fmt.Println("error", err)
			return 1
		}
		a, err := s.Monitor("worker", ralph.Options{})
		if err != nil {
			fmt.Println("error", err)
			return 1
		}
		base := int(a.Status().Totals.Steps)
		for i := base; ; i++ {
			if _, err := a.Observe(fresh(i)); err != nil {
				fmt.Println("error", err)
				return 1
			}
			id := fmt.Sprint("p", i)
			if _, err := s.Monitor(id, ralph.Options{}); err != nil {
				fmt.Println("error", err)
				return 1
			}
			if err := s.Pause(id, detect.ReasonBlocked, "the job", "for good"); err != nil {
				fmt.Println("error", err)
				return 1
			}
			if i%3 > 0 { // the rest is written while more happens
				written(s)
				fmt.Println(i + 1)
			}
		}
	}
}

// TestStoreKilled: a process that is killed at any moment loses nothing of what it was
// told is written. The same file goes through all of it. What is written, and not yet
// said to be, may be there or not.
func TestStoreKilled(t *testing.T) {
	cfg := stored(t)
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	cfg.EscalationTimeout = -1
	last := 0
	for round := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), "RALPH_TEST_JOB=work", "RALPH_TEST_PATH="+cfg.Path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		want, lines := last, rand.IntN(6)
		kill := func() { time.AfterFunc(time.Duration(rand.IntN(250))*time.Millisecond, cancel) }
		if round == 0 {
			cancel() // while the file is made
		} else if lines == 0 {
			kill()
		}
		for scan := bufio.NewScanner(out); scan.Scan(); lines-- {
			n, err := strconv.Atoi(scan.Text())
			if err != nil || n < want {
				t.Fatalf("round %d: it says %q after %d", round, scan.Text(), want)
			}
			want = n
			if lines == 1 {
				kill()
			}
		}
		_ = cmd.Wait() // it was killed
		s := reopen(t, cfg)
		got := 0
		if st, err := s.Status("worker"); err == nil {
			got = int(st.Totals.Steps)
		}
		if got < want {
			t.Errorf("round %d: %d steps, want %d at least", round, got, want)
		}
		for n := range want {
			st, err := s.Status(fmt.Sprint("p", n))
			if err != nil || st.State != ralph.Paused || len(st.Events) != 1 || st.Events[0].Note != "for good" {
				t.Fatalf("round %d: p%d is %+v, %v", round, n, st, err)
			}
		}
		last = got
		closeNow(t, s)
		t.Logf("round %d: %d steps, %d of them said to be written", round, got, want)
	}
	if last == 0 {
		t.Error("nothing was ever written")
	}
	if leftovers, _ := filepath.Glob(cfg.Path + ".new*"); len(leftovers) > 1 {
		t.Errorf("left behind %v", leftovers)
	}
}

// TestStoreIsSoonWritten: a change is in the file within the second, without Close.
func TestStoreIsSoonWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := stored(t)
		s := reopen(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for i := range 50 {
			observe(t, a, fresh(i))
		}
		if st := s.Stats(); st.Unsaved != 1 {
			t.Errorf("%d agents are said not to be written", st.Unsaved)
		}
		time.Sleep(time.Second) // of the bubble: none of it passes while the writer writes
		synctest.Wait()
		data, err := os.ReadFile(cfg.Path) // the lock is only for those who ask
		if err != nil {
			t.Fatal(err)
		}
		cfg.Path = filepath.Join(t.TempDir(), "copy.db")
		if err := os.WriteFile(cfg.Path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s2 := reopen(t, cfg)
		defer closeNow(t, s2)
		if got := status(t, s2, "a").Totals.Steps; got != 50 {
			t.Errorf("%d steps in the file", got)
		}
		if st := s.Stats(); st.Unsaved != 0 || st.StoreError != "" {
			t.Errorf("%+v", st)
		}
	})
}

// TestCloseWaitsForTheWriter: however many call it, and if the first one had no time.
func TestCloseWaitsForTheWriter(t *testing.T) {
	cfg := stored(t)
	for round := range 20 {
		s := reopen(t, cfg)
		for i := range 20 {
			observe(t, monitor(t, s, fmt.Sprint("a", i), ralph.Options{}), fresh(i))
		}
		done, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Close(done); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if err := s.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if n := s.Stats().Unsaved; n > 0 {
					t.Errorf("Close has returned, and %d agents are not written", n)
				}
			})
		}
		all.Wait()
		if err := s.Close(done); err != nil && !errors.Is(err, context.Canceled) { // nothing is left to wait for
			t.Error(err)
		}
		again := reopen(t, cfg)
		if got := status(t, again, "a19").Totals.Steps; got != uint64(round+1) {
			t.Fatalf("%d steps in the file, want %d", got, round+1)
		}
		closeNow(t, again)
	}
}
