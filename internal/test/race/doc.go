// Package race tells tests whether the race detector watches. It takes several times the
// memory and the time of the program, and allocates.
package race
