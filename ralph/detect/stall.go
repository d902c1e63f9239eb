package detect

// What may fill the bucket of weak signs.
const (
	byRefusal = 1 << iota
	byVaried
	byErrors
	byDecline
	byDoubt
)

// drainEvery is after how many steps without a weak sign the bucket loses one.
const drainEvery = 20

// weak fills the bucket by one.
func (r *Run) weak(by uint8) {
	s := &r.s
	bump(&s.Bucket, 1)
	s.BucketBy |= by
	s.BucketAt = uint32(s.Totals.Steps)
	lim := r.d.rules.Stall
	if s.BucketBy&(s.BucketBy-1) == 0 && s.BucketBy != byRefusal {
		lim.Trip = never // one weak sign alone
	}
	r.count(RuleStall, lim, uint32(s.Bucket))
}

// leak empties the bucket by one.
func (r *Run) leak() {
	s := &r.s
	s.BucketAt = uint32(s.Totals.Steps)
	if s.Bucket > 0 {
		s.Bucket--
	}
	if s.Bucket == 0 {
		s.BucketBy = 0
	}
	if lim := r.d.rules.Stall; lim.Nudge < 0 || int(s.Bucket) < lim.Nudge {
		s.Marks.forget(RuleStall)
	}
}

// drain empties it when nothing has filled it for a while.
func (r *Run) drain() {
	if r.s.Bucket > 0 && uint32(r.s.Totals.Steps)-r.s.BucketAt >= drainEvery {
		r.leak()
	}
}
