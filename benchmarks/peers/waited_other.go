//go:build !linux

package main

import "time"

func waitedForCore() (waited time.Duration, known bool) { return 0, false }
