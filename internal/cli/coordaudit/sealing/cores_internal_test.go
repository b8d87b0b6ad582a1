package sealing

import (
	"runtime"
	"testing"
)

// The number of cores belongs to the process, so no other test may run meanwhile.
func TestCoresAreBoundedAndGivenBack(t *testing.T) { //nolint:paralleltest // see above
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	for flag, want := range map[int]int{0: min(2, max(1, runtime.NumCPU()/2)), 1: 1, 2: 2, 3: 2} {
		lift := coresFlags{Cores: flag}.limit()
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("--cores %d: %d, want %d", flag, got, want)
		}
		lift()
		if got := runtime.GOMAXPROCS(0); got != 2 {
			t.Errorf("--cores %d: %d are left", flag, got)
		}
	}
}
