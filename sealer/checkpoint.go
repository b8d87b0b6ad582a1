package sealer

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/seal"
)

// readCheckpoint reads a checkpoint of the log with a name, without checking its signature.
func readCheckpoint(signed, name string) (epoch int64, checkpoint seal.Checkpoint, err error) {
	checkpoint, err = readText(signed)
	if err != nil {
		return 0, checkpoint, err
	}
	epoch, err = seal.ParseOrigin(checkpoint.Origin, name)
	return epoch, checkpoint, err
}

// readText reads what a signed checkpoint says, without checking who says it.
func readText(signed string) (seal.Checkpoint, error) {
	text, _, _ := strings.Cut(signed, "\n\n")
	return seal.ParseCheckpointText(text + "\n")
}

// OpenCheckpoint reads a checkpoint of any epoch of the log of a key, and checks that the key
// signed it. The error matches one of package seal.
func OpenCheckpoint(signed []byte, key note.Verifier) (seal.Checkpoint, error) {
	_, checkpoint, err := seal.OpenLog(signed, key)
	return checkpoint, err
}

// ofAnotherKey reports whether a checkpoint has no signature by this sealer's key. Two keys may
// have one name. Whether the signature is valid is not checked.
func (n *session) ofAnotherKey(signed string) bool {
	_, err := note.Open([]byte(signed), note.VerifierList())
	unverified, ok := errors.AsType[*note.UnverifiedNoteError](err)
	signer := n.sealer.config.Signer
	return ok && !slices.ContainsFunc(unverified.Note.UnverifiedSigs, func(s note.Signature) bool {
		return s.Name == signer.Name() && s.Hash == signer.KeyHash()
	})
}

// read reads a checkpoint of this sealer's log.
func (n *session) read(signed string) (epoch int64, checkpoint seal.Checkpoint, err error) {
	return readCheckpoint(signed, n.sealer.config.Signer.Name())
}
