//go:build !race

package presets_test

const raceDetector = false
