package main

import (
	"net/http"
	"runtime"
	"sort"
	"syscall"
	"testing"
	"fmt"
)

func cpuNow() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(1, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func TestCPU(t *testing.T) {
	runtime.LockOSThread()
	for _, kind := range []string{"empty", "body"} {
		body := noBody
		if kind == "body" {
			body = newReplay
		}
		var per = map[string][]float64{}
		for pass := 0; pass < 15; pass++ {
			for _, c := range clients() {
				if c.name != clientOurs && c.name != clientFailsafe && c.name != "bare transport" {
					continue
				}
				base, bind, _ := nowhere(body)()
				f := bind(c.wrap(base), succeeding)
				n := 100000
				if c.name == clientFailsafe { n = 20000 }
				for i := 0; i < 2000; i++ { _ = f() }
				a := cpuNow()
				for i := 0; i < n; i++ { _ = f() }
				per[c.name] = append(per[c.name], float64(cpuNow()-a)/float64(n))
			}
		}
		for k, v := range per { sort.Float64s(v); fmt.Println(kind, k, v[0], v[len(v)/2]) }
	}
	_ = http.NoBody
}
