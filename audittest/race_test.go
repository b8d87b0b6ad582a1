//go:build race

package audittest_test

// raceDetector says that the race detector watches, which makes everything several times slower.
const raceDetector = true
