package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// waitedForCore is how long the threads of the process have been ready to run
// without a core, in all: the second number of each thread's schedstat.
func waitedForCore() (waited time.Duration, known bool) {
	files, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		return 0, false
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		fields := bytes.Fields(text)
		if len(fields) < 2 {
			return 0, false
		}
		ns, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return 0, false
		}
		waited += time.Duration(ns)
		known = true
	}
	return waited, known
}
