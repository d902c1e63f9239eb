//go:build race

package presets_test

// raceDetector makes everything slower and larger, by what factor nobody says.
const raceDetector = true
