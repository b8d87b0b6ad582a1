package sealing

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Prove is the command prove.
type Prove struct {
	ID         string `arg:"" help:"The audit id of the record, a UUID."`
	Archive    string `placeholder:"DIR" help:"Prove it from an archive of expire archive, without a database and without a key, under the checkpoint of the archive."`
	Out        string `default:"-" placeholder:"FILE" help:"Where the bundle goes. - is the standard output."`
	Checkpoint string `placeholder:"FILE" and:"exported" help:"Prove it under this exported checkpoint, with the cosignatures that it has, or under the last one of a directory. Defaults to the last one that the database stores."`
	Key        string `placeholder:"KEY" and:"exported" help:"${key_help}"`
}

// Help is shown below the command's usage.
func (c *Prove) Help() string {
	return "A bundle is about one kilobyte: the record, its place in the log, and a signed checkpoint. Verify it anywhere with coordaudit verify bundle."
}

// Validate is called by kong.
func (c *Prove) Validate() error {
	if c.Archive != "" && c.Key != "" {
		return errors.New("--archive has a checkpoint of its own: leave --checkpoint and --key out")
	}
	return nil
}

// Run is called by kong.
func (c *Prove) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	tried := "proving audit record " + audit.Printable(c.ID)
	id, err := shared.ParseAuditID(c.ID)
	if err != nil {
		return err
	}
	proof, err := c.prove(ctx, p, db, tried, id)
	if err != nil {
		return err
	}
	text, err := proof.MarshalText()
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	if c.Out == "-" {
		return p.Print(string(text))
	}
	if err := os.WriteFile(c.Out, text, 0o644); err != nil { //nolint:gosec // a proof is to be shown around
		return &cli.ShownError{Tried: tried, Cause: fmt.Errorf("writing the bundle: %w", err)}
	}
	return nil
}

func (c *Prove) prove(ctx context.Context, p *cli.Program, db *shared.Database, tried string, id uuid.UUID) (proof seal.Proof, err error) {
	if c.Archive != "" {
		progress := p.Progress(tried)
		proof, err = expiry.ProveArchived(ctx, c.Archive, id)
		progress.Stop()
		if err != nil {
			return proof, shared.Failed(err)
		}
		return proof, nil
	}
	var signed []byte
	var key note.Verifier // nil: the proof leads to the last stored checkpoint
	if c.Key != "" {
		if signed, key, err = Exported(ctx, c.Checkpoint, c.Key, tried); err != nil {
			return proof, err
		}
	}
	pool, err := db.OpenPool(ctx, tried)
	if err != nil {
		return proof, err
	}
	defer pool.Close()
	progress := p.Progress(tried)
	proof, err = prove(ctx, pool, signed, key, id)
	progress.Stop()
	if err != nil {
		return proof, shared.Failed(err)
	}
	return proof, nil
}

func prove(ctx context.Context, pool *pgxpool.Pool, signed []byte, key note.Verifier, id uuid.UUID) (seal.Proof, error) {
	if key == nil {
		return sealer.Prove(ctx, pool, "", id)
	}
	prover, err := sealer.OpenProverAt(ctx, pool, "", signed, key)
	if err != nil {
		return seal.Proof{}, fmt.Errorf("proving record %s: %w", id, err)
	}
	defer prover.Close(ctx)
	return prover.Prove(ctx, id)
}
