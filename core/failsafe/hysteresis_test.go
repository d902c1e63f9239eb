package failsafe

import (
	"strings"
	"testing"
	"time"
)

// The severities are those of the readings: medium from the threshold, CPU high
// from 95 and critical from 99, memory and disk high from 95 and critical from 98.
func TestBands(t *testing.T) {
	for _, row := range []struct {
		value             float64
		cpu, memory, disk string
	}{
		{0, "none", "none", "none"},
		{89.999, "none", "none", "none"},
		{90, "medium", "medium", "medium"},
		{94.999, "medium", "medium", "medium"},
		{95, "high", "high", "high"},
		{97.999, "high", "high", "high"},
		{98, "high", "critical", "critical"},
		{98.999, "high", "critical", "critical"},
		{99, "critical", "critical", "critical"},
		{100, "critical", "critical", "critical"},
		{250, "critical", "critical", "critical"}, // clamped
		{-3, "none", "none", "none"},
	} {
		b := newBench(t, Config{Samples: 1})
		for _, d := range []*dial{&b.cpu, &b.memory, &b.disk} {
			d.set(row.value, nil)
		}
		b.read(t.Context())
		got := map[Type]string{CPU: "none", Memory: "none", Disk: "none"}
		for _, c := range b.Conditions() {
			got[c.Type] = c.Severity.String()
			if c.Threshold != 90 || c.Value != min(row.value, 100) || c.At.IsZero() || c.Metadata["source"] != "dial" || c.Message == "" {
				t.Errorf("at %v: %+v", row.value, c)
			}
			if _, isDisk := c.Metadata["path"]; isDisk != (c.Type == Disk) {
				t.Errorf("at %v: metadata of %s is %v", row.value, c.Type, c.Metadata)
			}
		}
		if got[CPU] != row.cpu || got[Memory] != row.memory || got[Disk] != row.disk {
			t.Errorf("at %v: %v, want cpu %s, memory %s, disk %s", row.value, got, row.cpu, row.memory, row.disk)
		}
		for _, r := range b.Readings() {
			if r.Value < 0 || r.Value > 100 {
				t.Errorf("at %v: %+v", row.value, r)
			}
		}
	}
}

// What is worst comes first, in a refusal too.
func TestWorstFirst(t *testing.T) {
	b := newBench(t, Config{Samples: 1})
	b.cpu.set(91, errEIO)
	b.memory.set(96, nil)
	b.disk.set(98, nil)
	b.read(t.Context())
	if got, want := severities(b.Conditions()), "disk:critical memory:high cpu:medium sensor:low"; got != want {
		t.Errorf("conditions %q, want %q", got, want)
	}
	if got, want := severities(refused(t, b).Conditions), "disk:critical memory:high cpu:medium"; got != want {
		t.Errorf("refused for %q, want %q", got, want)
	}
}

// A threshold of one's own moves medium; high and critical never come before it.
func TestBandsOfOtherThresholds(t *testing.T) {
	for _, row := range []struct {
		threshold, value float64
		want             string
	}{
		{50, 49, ""},
		{50, 50, "cpu:medium"},
		{50, 95, "cpu:high"},
		{97, 96, ""},
		{97, 97, "cpu:high"},
		{100, 99.5, ""},
		{100, 100, "cpu:critical"},
	} {
		b := newBench(t, Config{CPU: row.threshold, Memory: -1, Disk: -1, Samples: 1})
		b.cpu.set(row.value, nil)
		b.read(t.Context())
		if got := severities(b.Conditions()); got != row.want {
			t.Errorf("threshold %v, value %v: %q, want %q", row.threshold, row.value, got, row.want)
		}
	}
}

// One letter for each reading: . none, m medium, H high, C critical.
func TestHysteresis(t *testing.T) {
	letters := map[string]string{"": ".", "cpu:medium": "m", "cpu:high": "H", "cpu:critical": "C"}
	for _, row := range []struct {
		name   string
		cfg    Config
		values []float64
		want   string
	}{
		{"two in a row begin it, two in a row end it", Config{}, []float64{91, 91, 91, 80, 80, 80}, ".mmm.."},
		{"one alone is nothing", Config{}, []float64{100, 10, 100, 10, 100, 10}, "......"},
		{"nor is one that interrupts", Config{}, []float64{92, 92, 10, 92, 10, 92}, ".mmmmm"},
		{"about the threshold it holds", Config{}, []float64{91, 91, 89, 86, 89.9, 85, 90, 88}, ".mmmmmmm"},
		{"about the end of it, it is over", Config{}, []float64{91, 91, 84.9, 84.9, 86, 89.9, 86}, ".mm...."},
		{"what lies between breaks a row", Config{}, []float64{91, 91, 84, 87, 84, 87, 84, 84}, ".mmmmmm."},
		{"on the way up too", Config{}, []float64{91, 89, 91, 89, 91, 91}, ".....m"},
		{"severities rise", Config{}, []float64{91, 96, 99.5, 99.5, 99.5}, ".mHCC"},
		{"the worst at once when it lasts", Config{}, []float64{100, 100}, ".C"},
		{"severities fall by the same rule", Config{}, []float64{99, 99, 95, 95, 93, 93, 89, 89, 84, 84}, ".CCCCHHmm."},
		{"from critical to none", Config{}, []float64{99, 99, 0, 0}, ".CC."},
		{"one reading is enough", Config{Samples: 1}, []float64{90, 89, 84.9, 90, 84}, "mm.m."},
		{"three readings", Config{Samples: 3}, []float64{90, 90, 90, 0, 0, 90, 0, 0, 0}, "..mmmmmm."},
		{"no margin", Config{Samples: 1, Margin: -1}, []float64{90, 89.999, 90}, "m.m"},
		{"a wide margin", Config{Samples: 1, Margin: 40}, []float64{90, 51, 50, 49.9}, "mmm."},
		{"off", Config{CPU: -1}, []float64{100, 100, 100}, "..."},
		// A thousand readings that jump to and fro over the threshold by 4 points.
		{"flapping", Config{}, zigzag(1000), "." + strings.Repeat("m", 999)},
	} {
		bubble(t, row.name, func(t *testing.T) {
			row.cfg.Memory, row.cfg.Disk = -1, -1
			b := newBench(t, row.cfg)
			got := ""
			for _, value := range row.values {
				b.cpu.set(value, nil)
				b.read(t.Context())
				letter := letters[severities(b.Conditions())]
				got += letter
				if _, err := b.Allow(bg); (err != nil) != (letter != ".") {
					t.Errorf("after %v: Allow = %v", value, err)
				}
				time.Sleep(b.config.Interval)
			}
			if got != row.want {
				t.Errorf("%v\n gave %s\n want %s", row.values, got, row.want)
			}
		})
	}
}

func zigzag(n int) []float64 {
	values := []float64{94, 94}
	for len(values) < n {
		values = append(values, 86, 94)
	}
	return values[:n]
}

// RetryAt is the reading that could end all that refuses: not sooner, and if the
// values stay low, not later.
func TestRetryAt(t *testing.T) {
	bubble(t, "counts the readings that are missing", func(t *testing.T) {
		const every = 10 * time.Second
		b := newBench(t, Config{Samples: 3, Interval: every, Disk: -1})
		for i, row := range []struct {
			cpu, memory float64
			left        int // readings until calls can be admitted; 0 if they are
		}{
			{92, 50, 0},
			{92, 92, 0},
			{92, 92, 3},
			{10, 92, 3},
			{10, 10, 2},
			{10, 10, 1},
			{10, 10, 0},
			{92, 92, 0},
			{92, 92, 0},
			{92, 92, 3},
			{92, 10, 3},
			{10, 10, 2},
			{10, 10, 1},
			{10, 10, 0},
		} {
			b.cpu.set(row.cpu, nil)
			b.memory.set(row.memory, nil)
			b.read(t.Context())
			if row.left == 0 {
				admitted(t, b)
			} else {
				refusal := refused(t, b)
				if got, want := refusal.RetryAfter(), time.Duration(row.left)*every; got != want || time.Until(refusal.RetryAt) != want {
					t.Errorf("reading %d: RetryAfter = %v, want %v", i, got, want)
				}
			}
			time.Sleep(every)
		}
	})
	bubble(t, "of the severity that refuses", func(t *testing.T) {
		const every = 10 * time.Second
		b := newBench(t, Config{Refuse: High, Interval: every, Disk: -1, Memory: -1})
		for i, row := range []struct {
			cpu  float64
			left int
		}{{92, 0}, {92, 0}, {96, 0}, {96, 2}, {89, 1}, {89, 0}} {
			b.cpu.set(row.cpu, nil)
			b.read(t.Context())
			if row.left == 0 {
				admitted(t, b)
			} else if got, want := refused(t, b).RetryAfter(), time.Duration(row.left)*every; got != want {
				t.Errorf("reading %d: RetryAfter = %v, want %v", i, got, want)
			}
			if i > 0 && only(t, b.Conditions()).Type != CPU {
				t.Errorf("reading %d: the condition that does not refuse is not told: %v", i, b.Conditions())
			}
			time.Sleep(every)
		}
	})
	bubble(t, "in the past it asks for no wait", func(t *testing.T) {
		b := newBench(t, Config{Samples: 1})
		b.memory.set(99, nil)
		b.read(t.Context())
		refusal := refused(t, b)
		time.Sleep(time.Hour)
		if got := refusal.RetryAfter(); got != 0 {
			t.Errorf("RetryAfter = %v, want 0", got)
		}
		if got := (&Error{}).RetryAfter(); got != 0 {
			t.Errorf("RetryAfter of an unknown end = %v, want 0", got)
		}
	})
}
