package shared

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/ownfile"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Exported is what tells about the log from outside of the database: a signed checkpoint and the
// public key. Its zero value is none.
type Exported struct {
	Signed   []byte
	Verifier note.Verifier
}

// LoadExported reads a key, and a checkpoint as LoadCheckpoint does.
func LoadExported(ctx context.Context, checkpoint, key, tried string) (log Exported, err error) {
	if log.Verifier, err = cli.LoadKey(tried, key, seal.LoadVerifier); err != nil {
		return Exported{}, err
	}
	if log.Signed, err = LoadCheckpoint(ctx, checkpoint, log.Verifier, tried); err != nil {
		return Exported{}, err
	}
	return log, nil
}

// LoadCheckpoint reads a checkpoint, as ReadCheckpoint does. It refuses one that is not of the
// key's log, or not signed by it.
func LoadCheckpoint(ctx context.Context, path string, key note.Verifier, tried string) ([]byte, error) {
	signed, err := ReadCheckpoint(ctx, path)
	if err != nil {
		return nil, &cli.ShownError{Tried: tried, Cause: err}
	}
	if _, _, err := seal.OpenLog(signed, key); err != nil {
		next := "get it again from where the checkpoints are exported"
		if errors.Is(err, seal.ErrOrigin) {
			next = "give the public key of that log, or a checkpoint of this key's log"
		}
		return nil, &cli.ShownError{Tried: tried, Cause: fmt.Errorf("the checkpoint %s: %w", audit.Printable(path), err), Next: next}
	}
	return signed, nil
}

// ProofFlags name the exported checkpoint that proofs lead to. A command sets proven.
type ProofFlags struct {
	Checkpoint string `placeholder:"FILE" and:"exported" help:"Prove ${proven} under this exported checkpoint, with the cosignatures that it has, or under the last one of a directory. Defaults to the last one that the database stores."`
	Key        string `placeholder:"KEY" and:"exported" help:"${key_help}"`
}

// Load reads what the flags name. It returns none if they name none.
func (f ProofFlags) Load(ctx context.Context, tried string) (Exported, error) {
	if f.Key == "" {
		return Exported{}, nil
	}
	return LoadExported(ctx, f.Checkpoint, f.Key, tried)
}

// OpenProver opens a prover under the checkpoint, or under the last stored one if there is none.
// The caller closes it.
func (e Exported) OpenProver(ctx context.Context, pool *pgxpool.Pool) (*sealer.Prover, error) {
	if e.Verifier == nil {
		return sealer.OpenProver(ctx, pool, "")
	}
	return sealer.OpenProverAt(ctx, pool, "", e.Signed, e.Verifier)
}

// ReadCheckpoint reads a checkpoint from a file, or the last one of a directory.
func ReadCheckpoint(ctx context.Context, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return lastCheckpoint(ctx, path)
	}
	return readCheckpointFile(path)
}

// maxCheckpointFile is the size of a checkpoint with its signatures, as docs/seal-format.md bounds it.
const maxCheckpointFile = 64 << 10

func readCheckpointFile(path string) ([]byte, error) {
	signed, err := ownfile.Bytes(path, ownfile.Kind{
		Noun: "checkpoint", Not: "is not a checkpoint", Max: maxCheckpointFile,
		Else: "give the directory that coordaudit seal --checkpoints exports to, or a file in it",
	})
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint %s: %w", audit.Printable(path), err)
	}
	return signed, nil
}

// lastCheckpoint takes the directory of all checkpoints, that of an epoch, or that of a day.
func lastCheckpoint(ctx context.Context, dir string) ([]byte, error) {
	signed, err := sealer.Directory(dir).Last(ctx)
	if err != nil || signed != nil {
		return signed, err
	}
	for _, pattern := range []string{"*.checkpoint", "????-??-??/*.checkpoint"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err == nil && len(names) > 0 {
			signed, err = readCheckpointFile(names[len(names)-1]) // sorted: days and sizes have one length each
		}
		if err != nil {
			return nil, err
		}
		if signed != nil {
			return signed, nil
		}
	}
	return nil, fmt.Errorf("%s holds no checkpoint: give the directory that coordaudit seal --checkpoints had, or one of its epochs or days", audit.Printable(dir))
}
