package sealing

import (
	"cmp"
	"errors"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// witnessFlags name those whose cosignatures a checkpoint must have.
type witnessFlags struct {
	Witness []string `sep:"none" placeholder:"KEY" help:"The public key of a witness that must have cosigned the checkpoint: its .pub file, or its text. May be repeated."`
	Quorum  int      `placeholder:"N" help:"How many of the witnesses must have cosigned it. Defaults to all."`
}

func (f *witnessFlags) validate() error {
	if f.Quorum < 0 || f.Quorum > len(f.Witness) {
		return errors.New("--quorum must be 1 to the number of --witness")
	}
	return nil
}

// cosigned requires the cosignatures of the witnesses that were named.
func (f *witnessFlags) cosigned(signed []byte, key note.Verifier) error {
	if len(f.Witness) == 0 {
		return nil
	}
	witnesses := make([]*seal.Witness, len(f.Witness))
	for i, key := range f.Witness {
		var err error
		if witnesses[i], err = seal.LoadWitness(key); err != nil {
			return err
		}
	}
	checkpoint, err := sealer.OpenCheckpoint(signed, key)
	if err != nil {
		return err
	}
	_, _, err = seal.OpenCosigned(signed, checkpoint.Origin, key, cmp.Or(f.Quorum, len(witnesses)), witnesses...)
	return err
}
