package failsafe

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Detector answers at once what is wrong, beside or without [Vitals] that run: each
// check takes less than a second, begins from nothing and leaves nothing running.
// The zero Detector looks at the machine's resources, with their defaults, and at
// confidences. Of tasks that are stuck the agents' supervisor knows, see package
// ralph. It is safe for concurrent use.
type Detector struct {
	// Config has the thresholds of the resources. Interval, Samples, Margin,
	// MaxAge and Refuse are not looked at: one reading decides, and nothing is refused.
	Config
	// Errors are the limits of what the breakers have counted.
	Errors ErrorLimits
	// Breakers are whose errors are looked at; [core.Registry.All] is such a list.
	// Nil means none.
	Breakers iter.Seq2[string, *core.Breaker]
	// Confidence is the threshold of CheckConfidence, in (0, 1]. Zero means 0.3,
	// negative means that no confidence is too low.
	Confidence float64
}

const (
	defaultConfidence = 0.3
	highConfidence    = 0.1 // from where down it is high

	// cpuTime is how long the use of the CPU is measured by a check.
	cpuTime = 250 * time.Millisecond
	// checkTime is how long a check of resources waits for what hangs.
	checkTime = 900 * time.Millisecond
	// maxHanging is how many checks of the process may hang on a file system.
	maxHanging = 8
)

// hanging holds one value for each check that has a reading under way.
var hanging = make(chan struct{}, maxHanging) //nolint:gochecknoglobals // a limit of the process

// Validate reports every fault of d at once, joined; each is a [*core.ConfigError].
func (d Detector) Validate() error {
	var fault error
	if !(d.Confidence <= 1) { // NaN, too
		fault = &core.ConfigError{Field: "Confidence", Value: d.Confidence, Allowed: "in (0, 1]; 0 for 0.3, negative for off"}
	}
	return errors.Join(d.once().Validate(), d.Errors.Validate(), fault)
}

// once is Config for a single reading.
func (d Detector) once() Config {
	cfg := d.Config
	cfg.Interval, cfg.Samples, cfg.Margin, cfg.MaxAge, cfg.Refuse = 0, 1, -1, 0, 0
	return cfg
}

// CheckAll is CheckResources and CheckErrors, worst first. The error is theirs.
func (d Detector) CheckAll(ctx context.Context) ([]Condition, error) {
	all, err := d.CheckResources(ctx)
	if err != nil {
		return nil, err
	}
	counted, err := d.CheckErrors()
	if err != nil {
		return nil, err
	}
	all = append(all, counted...)
	worstFirst(all)
	return all, nil
}

// CheckResources reads CPU, memory and disks once and returns what is wrong, worst
// first; nil if nothing is. The use of the CPU is measured over a quarter of a
// second. What cannot be read, or hangs, is a condition of the type [Sensor]. The
// error is that of Validate, or of a ctx that ends first.
func (d Detector) CheckResources(ctx context.Context) ([]Condition, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	vitals, err := New(d.once())
	if err != nil {
		return nil, err
	}
	return vitals.once(ctx)
}

// once reads vitals that do not run.
func (v *Vitals) once(ctx context.Context) ([]Condition, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case hanging <- struct{}{}:
	default:
		return v.notRead("earlier checks still wait for a file system or another sensor that hangs"), nil
	}
	limited, cancel := context.WithTimeout(ctx, checkTime)
	read := make(chan struct{})
	go func() {
		defer func() { <-hanging }()
		defer cancel()
		defer close(read)
		v.read(limited)
		if v.config.CPU > 0 { // what it has used since
			select {
			case <-time.After(cpuTime):
				v.read(limited)
			case <-limited.Done():
			}
		}
	}()
	select {
	case <-read:
		return v.Conditions(), ctx.Err()
	case <-limited.Done():
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-read:
		return v.Conditions(), nil
	default:
		return v.notRead(fmt.Sprintf("the vitals could not be read within %v: a file system or another sensor hangs", checkTime)), nil
	}
}

func (*Vitals) notRead(why string) []Condition {
	return []Condition{{
		Type: Sensor, Severity: Low, Threshold: checkTime.Seconds(), Value: checkTime.Seconds(), At: time.Now(), Message: why,
	}}
}

// CheckErrors returns what is wrong by the counts of Breakers, see
// [ErrorLimits.Conditions], worst first; nil if nothing is. The error is that of
// Validate.
func (d Detector) CheckErrors() ([]Condition, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	var all []Condition
	if d.Breakers != nil {
		for _, b := range d.Breakers {
			all = append(all, d.Errors.Conditions(b.Snapshot())...)
		}
	}
	worstFirst(all)
	return all, nil
}

// CheckConfidence returns what is wrong with a confidence from 0 to 1: a condition
// of the type [Confidence] below the threshold, medium, and high from 0.1 down; nil
// if it is high enough. The error is that of Validate, or a [*core.ConfigError] for a
// confidence that is none.
func (d Detector) CheckConfidence(confidence float64) ([]Condition, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if !(confidence >= 0 && confidence <= 1) {
		return nil, &core.ConfigError{Field: "confidence", Value: confidence, Allowed: "0 to 1"}
	}
	threshold := or(d.Confidence, defaultConfidence)
	if confidence >= threshold {
		return nil, nil
	}
	severity := Medium
	if confidence <= highConfidence {
		severity = High
	}
	return []Condition{{
		Type: Confidence, Severity: severity, Threshold: threshold, Value: confidence, At: time.Now(),
		Message: fmt.Sprintf("a confidence of %.3g, and below %.3g is too little", confidence, threshold),
	}}, nil
}
