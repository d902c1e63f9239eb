package ralph_test

// jobs are what the test program does when a test starts it as another process.
var jobs = map[string]func() int{}
