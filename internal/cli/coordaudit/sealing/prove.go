package sealing

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Prove is the command prove.
type Prove struct {
	ID      string            `arg:"" help:"The audit id of the record, a UUID."`
	Archive string            `placeholder:"DIR" help:"Prove it from an archive of expire archive, without a database and without a key, under the checkpoint of the archive."`
	Out     string            `default:"-" placeholder:"FILE" help:"Where the bundle goes. - is the standard output."`
	Under   shared.ProofFlags `embed:""`
}

// Help is shown below the command's usage.
func (c *Prove) Help() string {
	return "A bundle is about one kilobyte: the record, its place in the log, and a signed checkpoint. Verify it anywhere with coordaudit verify bundle."
}

// Validate is called by kong.
func (c *Prove) Validate() error {
	if c.Archive != "" && c.Under.Key != "" {
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
	log, err := c.Under.Load(ctx, tried)
	if err != nil {
		return proof, err
	}
	pool, err := db.OpenPool(ctx, tried)
	if err != nil {
		return proof, err
	}
	defer pool.Close()
	progress := p.Progress(tried)
	proof, err = prove(ctx, pool, log, id)
	progress.Stop()
	if err != nil {
		return proof, shared.Failed(err)
	}
	return proof, nil
}

func prove(ctx context.Context, pool *pgxpool.Pool, under shared.Exported, id uuid.UUID) (seal.Proof, error) {
	prover, err := under.OpenProver(ctx, pool)
	if err != nil {
		return seal.Proof{}, fmt.Errorf("proving record %s: %w", id, err)
	}
	defer prover.Close(ctx)
	return prover.Prove(ctx, id)
}
