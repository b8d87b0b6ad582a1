//go:build race

package race

// Detector says that the race detector watches.
const Detector = true
