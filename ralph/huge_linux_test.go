package ralph_test

import (
	"runtime/debug"
	"syscall"
	"testing"
	"unsafe"

	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// hollow returns a text of 64 MiB that begins and ends with words, and whose middle
// cannot be read: a test that touches it panics.
func hollow(t *testing.T, words string) string {
	t.Helper()
	const size, edge = 64 << 20, 16 << 10
	data, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(data); err != nil {
			t.Error(err)
		}
	})
	for i := range edge {
		data[i], data[size-edge+i] = words[i%len(words)], words[i%len(words)]
	}
	if err := syscall.Mprotect(data[edge:size-edge], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return unsafe.String(&data[0], size)
}

// TestHugeTextsAreNotRead: of a text, the head and the tail are looked at, however it
// comes in.
func TestHugeTextsAreNotRead(t *testing.T) {
	for name, words := range map[string]string{
		"words":    "ba ce di fo gu ",
		"numbers":  "12 1234567 deadbeef 12:30 ",
		"a word":   "x",
		"paths":    "/tmp/go-build123/x ",
		"brackets": `{"a":[1,{"b":"`,
		"a string": `"`,
		"spaces":   " ",
		"not text": "\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			debug.SetPanicOnFault(true) // of this goroutine, which ends with the test
			s, _ := supervise(t, plain())
			a := monitor(t, s, "a", ralph.Options{})
			monitor(t, s, "b", ralph.Options{})
			text := hollow(t, words)
			for i, step := range []detect.Step{
				{Tool: "x", Args: text},
				{Tool: "x", ArgsBytes: unsafe.Slice(unsafe.StringData(text), len(text))},
				{Tool: "x", Output: text},
				{Tool: "x", OutputBytes: unsafe.Slice(unsafe.StringData(text), len(text))},
				{Tool: "x", Err: text},
				{Tool: text},
				{Output: text},
				{OutputBytes: unsafe.Slice(unsafe.StringData(text), len(text))},
				{Output: text, Reasoning: true},
				{Output: text, Own: true},
				{Err: text},
			} {
				for range 3 {
					if _, err := a.Observe(step); err != nil {
						t.Errorf("step %d: %v", i, err)
					}
				}
			}
			monitor(t, s, "c", ralph.Options{})
			for _, pair := range [][2]string{{"a", "b"}, {"c", "b"}, {"c", "a"}} { // from one that is paused, and to one
				if _, err := s.Handoff(pair[0], pair[1], text); err != nil && !refusedByAgent(err) {
					t.Error(err)
				}
			}
			if err := a.AllowTool(t.Context(), "x", text); err != nil && !refusedByAgent(err) {
				t.Error(err)
			}
			a.Nudge()
			_ = a.Explain()
		})
	}
}
