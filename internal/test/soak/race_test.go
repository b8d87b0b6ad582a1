//go:build race

package soak_test

// raceDetector takes memory of its own, several times what the program takes.
const raceDetector = true
