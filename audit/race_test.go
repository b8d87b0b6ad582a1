//go:build race

package audit_test

// raceDetector moves values to the heap that are on the stack otherwise.
const raceDetector = true
