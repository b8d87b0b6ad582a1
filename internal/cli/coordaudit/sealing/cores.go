package sealing

import (
	"errors"
	"runtime"
)

// coresFlags bound what a command takes of a machine that it may share with the database.
type coresFlags struct {
	Cores int `placeholder:"N" help:"How many cores the program uses, at most. Defaults to half of the machine's, and so a database there and its writers have the others."`
}

func (f coresFlags) validate() error {
	if f.Cores < 0 {
		return errors.New("--cores must not be negative")
	}
	return nil
}

// limit bounds this process until the returned function is called.
func (f coresFlags) limit() (lift func()) {
	most := f.Cores
	if most == 0 {
		most = max(1, runtime.NumCPU()/2)
	}
	before := runtime.GOMAXPROCS(0) // which may be less already
	runtime.GOMAXPROCS(min(most, before))
	return func() { runtime.GOMAXPROCS(before) }
}
