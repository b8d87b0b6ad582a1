package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// exportProver writes a proof of each exported record.
type exportProver struct {
	pool     *pgxpool.Pool
	prover   *sealer.Prover
	out      io.Writer
	exported bool  // the proofs lead to an exported checkpoint
	unsealed int64 // records that the checkpoint does not cover
}

func openProver(ctx context.Context, db *shared.Database, under shared.Exported, out io.Writer, tried string) (*exportProver, error) {
	pool, err := db.OpenPool(ctx, tried)
	if err != nil {
		return nil, err
	}
	prover, err := under.OpenProver(ctx, pool)
	if err != nil {
		pool.Close()
		return nil, shared.FailedIn(tried, fmt.Errorf("proving the records: %w", err))
	}
	return &exportProver{pool: pool, prover: prover, out: out, exported: under.Verifier != nil}, nil
}

func (p *exportProver) close(ctx context.Context) {
	p.prover.Close(ctx)
	p.pool.Close()
}

// without says how many records have no proof.
func (p *exportProver) without() string {
	why := "not sealed yet"
	if p.exported {
		why = "not covered by the exported checkpoint"
	}
	return fmt.Sprintf("%s %s, and have no proof", format.Plural(p.unsealed, "record"), why)
}

func (p *exportProver) write(ctx context.Context, id uuid.UUID) error {
	proof, err := p.prover.Prove(ctx, id)
	if errors.Is(err, sealer.ErrNotSealed) {
		p.unsealed++
		return nil
	}
	if err != nil {
		return err
	}
	bundle, err := proof.MarshalText()
	if err != nil {
		return fmt.Errorf("proving record %s: %w", id, err)
	}
	line, err := json.Marshal(sealer.ProofLine{ProofOf: id, Bundle: string(bundle)})
	if err != nil {
		return fmt.Errorf("proving record %s: %w", id, err)
	}
	if _, err := p.out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing the proofs: %w", err)
	}
	return nil
}
