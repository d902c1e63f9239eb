package main

import (
	"context"
	"errors"
	"time"

	"github.com/blackbox4/switchgear/core"
)

var errDown = errors.New("connection refused")

// traffic calls two dependencies for two seconds. From 0.5 s to 1.2 s payments is
// down.
func traffic(ctx context.Context, registry *core.Registry) error {
	begun := time.Now()
	for every := time.NewTicker(5 * time.Millisecond); ; {
		select {
		case <-every.C:
		case <-ctx.Done():
			every.Stop()
			return ctx.Err()
		}
		at := time.Since(begun)
		if at > 2*time.Second {
			every.Stop()
			return nil
		}
		down := at > 500*time.Millisecond && at < 1200*time.Millisecond
		for _, name := range []string{"orders", "payments"} {
			b, err := registry.Get(name)
			if err != nil {
				return err
			}
			_ = b.Do(ctx, func(ctx context.Context) error { return dependency(ctx, down && name == "payments") })
		}
	}
}

// dependency stands for something on the network.
func dependency(ctx context.Context, down bool) error {
	if down {
		return errDown
	}
	select {
	case <-time.After(time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
