package main

import (
	"context"
	"errors"
	"math/rand/v2"
)

// work is the function behind a breaker, in each shape that an API asks for, so
// that none pays for a wrapper. All three do the same.
type work struct {
	plain func() error
	value func() (int, error)
	ctx   func(context.Context) (int, error)
}

var (
	errFailed  = errors.New("the call failed")
	errRefused = errors.New("refused") // for APIs that refuse without an error
)

var (
	succeeding = work{plain: succeed, value: succeedValue, ctx: succeedCtx}
	mixed      = work{plain: mix, value: mixValue, ctx: mixCtx}
	failing    = work{plain: fail, value: failValue, ctx: failCtx}
)

//go:noinline
func succeed() error { return nil }

//go:noinline
func succeedValue() (int, error) { return 0, nil }

//go:noinline
func succeedCtx(context.Context) (int, error) { return 0, nil }

//go:noinline
func mix() error { return draw() }

//go:noinline
func mixValue() (int, error) { return 0, draw() }

//go:noinline
func mixCtx(context.Context) (int, error) { return 0, draw() }

//go:noinline
func fail() error { return errFailed }

//go:noinline
func failValue() (int, error) { return 0, errFailed }

//go:noinline
func failCtx(context.Context) (int, error) { return 0, errFailed }

// draw fails one call in a hundred. It draws each time: with every hundredth
// call instead, goroutines in step could make a run of failures.
func draw() error {
	if rand.Uint32()%100 == 0 {
		return errFailed
	}
	return nil
}
