package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// tampering is what the demo shows about sealing.
type tampering struct {
	leaves int64
	found  []sealer.Finding
}

// tamper seals the trail, edits one record behind the guards as the owner can, verifies, and
// puts the record back. The database is the demo's own.
func tamper(ctx context.Context, pool *pgxpool.Pool, edited uuid.UUID) (_ *tampering, err error) {
	dir, err := os.MkdirTemp("", "coordaudit-demo-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for checkpoints: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	private, public, err := seal.GenerateKey(rand.Reader, "demo.example/trail")
	if err != nil {
		return nil, err
	}
	signer, signErr := note.NewSigner(private)
	verifier, verifyErr := note.NewVerifier(public)
	if err := errors.Join(signErr, verifyErr); err != nil {
		return nil, fmt.Errorf("reading the new key: %w", err)
	}
	export := sealer.Directory(dir)
	sealing, err := sealer.New(pool, sealer.Config{Signer: signer, Export: export, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	if _, err := sealing.Once(ctx); err != nil {
		return nil, err
	}
	signed, err := export.Last(ctx)
	if err != nil {
		return nil, err
	}
	if err := editBehindGuards(ctx, pool, edited, "reason || ' '"); err != nil {
		return nil, err
	}
	result, err := sealer.Verify(ctx, pool, sealer.VerifyConfig{Checkpoint: signed, Verifier: verifier})
	if err != nil {
		return nil, err
	}
	if err := editBehindGuards(ctx, pool, edited, "left(reason, -1)"); err != nil {
		return nil, err
	}
	return &tampering{leaves: result.Checkpoint.Size, found: result.Findings}, nil
}

func editBehindGuards(ctx context.Context, pool *pgxpool.Pool, id uuid.UUID, reason string) error {
	const guard = "coordination_audit_refuse_update_delete"
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "ALTER TABLE coordination_audit_records DISABLE TRIGGER "+guard); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE coordination_audit_records SET reason = "+reason+" WHERE audit_id = $1", id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER "+guard)
		return err
	})
	if err != nil {
		return fmt.Errorf("editing a record of the demo behind the guards: %w", err)
	}
	return nil
}

func (t *tampering) text(on term.Screen) string {
	lines := []string{fmt.Sprintf("one space in one of %s sealed rows; verify finds", format.Thousands(t.leaves))}
	for _, finding := range t.found {
		lines = append(lines, fmt.Sprintf("%s %s %s", strings.ToUpper(string(finding.Fault)), finding.Kind, finding.ID))
	}
	return fact(on, "Edited past the triggers:", strings.Join(lines, "\n"))
}
