// Package sealstate tells how a record stands in the sealed log: sealed, not yet, not as it was
// sealed, or not known. The command explain and the console share it.
package sealstate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// The states of a record in the sealed log.
const (
	Sealed   = "SEALED"
	Not      = "NOT_SEALED"
	Tampered = "TAMPERED"
	Unread   = "UNREAD"
)

// State says whether a record is sealed.
type State struct {
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"` // why it is not known, or what is wrong
	Origin string `json:"origin,omitempty"`
	Index  *int64 `json:"index,omitempty"` // the place in the log
	Size   int64  `json:"size,omitempty"`  // of the log under the checkpoint

	// Erased names the texts of which only a digest is proven, as after an erasure.
	Erased []string `json:"erased,omitempty"`

	// Unread is why it is not known; nil if it is.
	Unread error `json:"-"`

	// Verified says that the proof was verified with the key.
	Verified bool   `json:"verified"`
	Proof    string `json:"proof,omitempty"`
}

// Text is the state in one line.
func (s State) Text(id uuid.UUID) string {
	switch s.State {
	case Sealed:
		text := fmt.Sprintf("leaf %d of %s, under its checkpoint of %s", *s.Index, s.Origin, format.Plural(s.Size, "row"))
		if len(s.Erased) > 0 {
			text += ", of its " + strings.Join(s.Erased, " and ") + " only a digest is proven, and coordaudit verify tells whether its erasure is on record"
		}
		if s.Verified {
			return text + ", proof verified"
		}
		return text + fmt.Sprintf(": coordaudit prove %s writes the proof", id)
	case Not:
		return "not sealed yet"
	case Tampered:
		return "NOT AS IT WAS SEALED: " + s.Detail
	default:
		return "not known: " + s.Detail
	}
}

// Of proves a record by the stored log. key may be nil: then a proof is what the database
// claims.
func Of(ctx context.Context, pool *pgxpool.Pool, id uuid.UUID, key note.Verifier) State {
	proof, err := sealer.Prove(ctx, pool, "", id)
	switch {
	case errors.Is(err, sealer.ErrNotSealed):
		return State{State: Not}
	case errors.Is(err, sealer.ErrTampered):
		return State{State: Tampered, Detail: Cause(err)}
	case err != nil:
		return State{State: Unread, Detail: Cause(err), Unread: err}
	}
	return proved(proof, key)
}

// Cause is the text of an error without what was tried.
func Cause(err error) string { return format.OneLine(format.Cause(err)) }

func proved(proof seal.Proof, key note.Verifier) State {
	bundle, err := proof.MarshalText()
	if err != nil {
		return State{State: Tampered, Detail: format.OneLine(err)}
	}
	var checkpoint seal.Checkpoint
	if key != nil {
		checkpoint, err = proof.Verify(key.Name(), key)
	} else {
		text, _, _ := bytes.Cut(proof.Checkpoint, []byte("\n\n"))
		checkpoint, err = seal.ParseCheckpointText(string(text) + "\n")
	}
	if err != nil {
		return State{State: Tampered, Detail: Cause(err)}
	}
	return State{
		State: Sealed, Origin: checkpoint.Origin, Index: &proof.Index, Size: checkpoint.Size, Verified: key != nil, Proof: string(bundle), Erased: erasedOf(proof.Row),
	}
}

// IsSigned reports whether the key signed the last checkpoint of a log, and its text says what its
// row says.
func IsSigned(log sealer.Description, key note.Verifier) bool {
	epoch, signed, err := seal.OpenLog([]byte(log.Note), key)
	return err == nil && epoch == log.Epoch && signed.Size == log.Size && signed.Root == log.Root
}

// erasedOf names the texts of a row that are digests.
func erasedOf(row seal.Row) (names []string) {
	columns := seal.Columns(row.Kind, row.Version)
	for i, digest := range row.Digests {
		if digest != nil {
			names = append(names, columns[i].Name)
		}
	}
	return names
}
