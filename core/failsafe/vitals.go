package failsafe

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Vitals is a [core.Gate] that refuses calls while the machine, or the container,
// is short of processor time, memory or disk space. It is made by [New] and fed by
// [Vitals.Run]. It is safe for concurrent use.
type Vitals struct {
	config Config
	gauges []gauge       // belong to the goroutine that has turn
	turn   chan struct{} // is full while a goroutine reads
	epoch  time.Time
	known  atomic.Pointer[known]
}

// known is what one reading of all gauges has brought. It does not change.
type known struct {
	conditions []Condition // worst first
	readings   []Reading
	refusal    *Error        // nil admits
	blind      *Error        // refuses from the end on; nil admits
	at, end    time.Duration // when it was read and from when on that is too long ago, since the epoch
}

const forever time.Duration = math.MaxInt64

// New returns vitals that know nothing yet; it reads nothing and starts nothing.
// Until [Vitals.Run] has read them for the first time they admit every call, but
// for a Config that refuses for [Low]. The error is that of Config.Validate, or
// of a working directory that cannot be told.
func New(cfg Config) (*Vitals, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	for i, path := range cfg.DiskPaths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("failsafe: the path of a disk: %w", err)
		}
		cfg.DiskPaths[i] = abs
	}
	return newOn(cfg, os.DirFS("/")), nil
}

// newOn makes the vitals of this machine and of the control groups below files.
func newOn(cfg Config, files fs.FS) *Vitals {
	c := &cgroups{files: files, longest: cfg.MaxAge}
	return newVitals(cfg, tighter(hostCPU(cfg.MaxAge), c.cpuUse), tighter(hostMemory(files), c.memoryUse), hostDisk)
}

// newVitals makes the gauges of a Config with its defaults filled in.
func newVitals(cfg Config, cpu, memory sense, disk func(path string) sense) *Vitals {
	v := &Vitals{config: cfg, turn: make(chan struct{}, 1), epoch: time.Now()}
	add := func(t Type, path string, threshold float64, s sense) {
		if threshold > 0 {
			v.gauges = append(v.gauges, gauge{
				Reading: Reading{Type: t, Path: path, Threshold: threshold},
				sense:   s, marks: newMarks(t, threshold, cfg.Margin),
			})
		}
	}
	add(CPU, "", cfg.CPU, cpu)
	add(Memory, "", cfg.Memory, memory)
	for _, path := range cfg.DiskPaths {
		add(Disk, path, cfg.Disk, disk(path))
	}

	k := &known{end: forever, readings: v.readings()}
	if len(v.gauges) > 0 {
		k.conditions = []Condition{{
			Type: Sensor, Severity: Low, Threshold: cfg.MaxAge.Seconds(), At: v.epoch,
			Message: "the vitals have not been read yet, which is for Vitals.Run to do",
		}}
	}
	k.refusal = v.refuse(k.conditions, time.Time{})
	v.known.Store(k)
	return v
}

// Run reads the vitals at once and then every Config.Interval, until ctx is done,
// and calls no hook. It is meant for a goroutine of its own:
//
//	go vitals.Run(ctx)
//
// The use of the CPU is known from the second reading on. When Run has ended, what
// was read last holds until it is older than Config.MaxAge. Of several calls one
// reads, and the others wait for it to end. A read of a file system that hangs
// keeps Run from ending, too.
func (v *Vitals) Run(ctx context.Context) {
	if ctx == nil {
		ctx = context.Background()
	}
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return
	}
	ticker := time.NewTicker(v.config.Interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		v.read(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// read reads every gauge and makes it known.
func (v *Vitals) read(ctx context.Context) {
	for i := range v.gauges {
		v.gauges[i].read(ctx, v.config.Samples, v.config.MaxAge)
	}
	if ctx.Err() != nil { // which may be why a gauge could not be read
		return
	}
	now := time.Now()
	k := &known{readings: v.readings(), at: now.Sub(v.epoch)}
	k.end = k.at + v.config.MaxAge
	if len(v.gauges) == 0 {
		k.end = forever
	}
	left := 1
	for i := range v.gauges {
		g := &v.gauges[i]
		k.conditions = append(k.conditions, g.conditions(now, v.config.MaxAge)...)
		if g.severity() >= v.config.Refuse {
			left = max(left, g.left(v.config.Refuse, v.config.Samples))
		}
	}
	worstFirst(k.conditions)
	k.refusal = v.refuse(k.conditions, now.Add(time.Duration(left)*v.config.Interval))
	k.blind = v.refuse([]Condition{v.tooOld(k, v.config.MaxAge)}, time.Time{})
	v.known.Store(k)
}

func (v *Vitals) readings() []Reading {
	all := make([]Reading, len(v.gauges))
	for i := range all {
		all[i] = v.gauges[i].Reading
	}
	return all
}

// refuse makes the refusal for those of the conditions that matter; nil for none.
func (v *Vitals) refuse(conditions []Condition, retryAt time.Time) *Error {
	var matter []Condition
	for _, c := range conditions {
		if c.Severity >= v.config.Refuse {
			matter = append(matter, c)
		}
	}
	if matter == nil {
		return nil
	}
	return &Error{Conditions: matter, RetryAt: retryAt}
}

// tooOld is the condition of what is known when it is of that age.
func (v *Vitals) tooOld(k *known, age time.Duration) Condition {
	return Condition{
		Type: Sensor, Severity: Low, Threshold: v.config.MaxAge.Seconds(), Value: age.Seconds(), At: v.epoch.Add(k.at + age),
		Message: fmt.Sprintf("the vitals were read too long ago, at %s, which counts for %v: Vitals.Run has ended or hangs",
			v.epoch.Add(k.at).Format(time.RFC3339), v.config.MaxAge),
	}
}

func (v *Vitals) now() time.Duration { return time.Since(v.epoch) }

// Allow implements [core.Gate]: it admits the call, with a permit that does
// nothing, or returns an [*Error]. It allocates nothing and never reads a sensor.
// If ctx is already done it returns ctx.Err(). A nil ctx is [context.Background].
func (v *Vitals) Allow(ctx context.Context) (core.Permit, error) {
	if ctx != nil {
		if err := ctx.Err(); err != nil {
			return core.Permit{}, err
		}
	}
	k := v.known.Load()
	if k.refusal == nil && k.blind == nil {
		return core.Permit{}, nil
	}
	err := k.refusal
	if v.now() >= k.end {
		err = k.blind
	}
	if err == nil {
		return core.Permit{}, nil
	}
	return core.Permit{}, err
}

// Conditions returns what is wrong now, worst first, also what refuses no call.
// When the last reading is too old, that is all that is wrong. The caller may keep
// and change what it gets.
func (v *Vitals) Conditions() []Condition {
	k := v.known.Load()
	if now := v.now(); now >= k.end {
		return []Condition{v.tooOld(k, now-k.at)}
	}
	return copied(k.conditions)
}

// Readings returns what is known of each of the vitals: CPU, memory, and the disks
// in their order, without those that are switched off. It may be old, see At.
func (v *Vitals) Readings() []Reading {
	return slices.Clone(v.known.Load().readings)
}

// String tells a person, in one paragraph, whether calls are admitted, what is
// wrong and what to do about it, and what was read; see [Reading.Explain].
func (v *Vitals) String() string {
	conditions, readings := v.Conditions(), v.Readings()
	var s strings.Builder
	if refusal := v.refuse(conditions, time.Time{}); refusal != nil {
		s.WriteString("refuses calls")
	} else {
		s.WriteString("admits calls")
	}
	for _, c := range conditions {
		fmt.Fprintf(&s, "; %v: %s", c.Severity, c.Message)
	}
	if len(readings) > 0 {
		s.WriteString("; read last: " + texts(readings))
	}
	return s.String()
}
