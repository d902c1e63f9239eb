//go:build race

package presets_test

// raceDetector makes everything slower and larger, by a factor that is not documented.
const raceDetector = true
