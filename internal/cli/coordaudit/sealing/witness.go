package sealing

import (
	"cmp"
	"errors"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/internal/cli"
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

// load reads the keys of the witnesses.
func (f *witnessFlags) load(tried string) (w witnesses, err error) {
	w.keys = make([]*seal.Witness, len(f.Witness))
	for i, key := range f.Witness {
		if w.keys[i], err = cli.LoadKey(tried, key, seal.LoadWitness); err != nil {
			return w, err
		}
	}
	w.quorum = cmp.Or(f.Quorum, len(w.keys))
	return w, nil
}

// witnesses are those of whom a quorum must have cosigned.
type witnesses struct {
	keys   []*seal.Witness
	quorum int
}

// check requires their cosignatures on a checkpoint, if there are any witnesses.
func (w witnesses) check(signed []byte, key note.Verifier) error {
	if len(w.keys) == 0 {
		return nil
	}
	checkpoint, err := sealer.OpenCheckpoint(signed, key)
	if err != nil {
		return err
	}
	_, _, err = seal.OpenCosigned(signed, checkpoint.Origin, key, w.quorum, w.keys...)
	return err
}
