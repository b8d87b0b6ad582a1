package sealer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Description is what a database says about its own log. It is a claim: someone who can
// change rows can change this as well. Compare it with an exported checkpoint.
type Description struct {
	HasTables bool      // false if the schema is older than sealing, or they were dropped
	Size      int64     // of the log, as of its last checkpoint; 0 if none is stored
	Epoch     int64     // of the last checkpoint, like all that follows
	Origin    string    // "" if the checkpoint cannot be read
	Root      seal.Hash // of the log
	MadeAt    time.Time // by the clock of the database

	// Note is the signed text of the last checkpoint, as it is stored. Whether the key of the
	// log signed it, and whether it says the same as the fields above, is not checked.
	Note string

	// Unsealed counts the committed records that wait to be sealed, up to [MaxUnsealed]. A
	// record that was inserted among sealed ones does not wait: [Verify] finds it.
	Unsealed int64
}

// MaxUnsealed bounds what [Describe] counts.
const MaxUnsealed = 1_000_000

// Describe reads what the database says about its own log. It needs SELECT on the tables of
// the records and of the checkpoints. schema may be empty.
func Describe(ctx context.Context, pool *pgxpool.Pool, schema string) (Description, error) {
	conn, err := sealdriver.Open(ctx, pool, schema, sealdriver.Reader)
	if err != nil {
		return Description{}, fmt.Errorf("describing the sealed log: %w", err)
	}
	defer conn.Close(ctx)
	log, hasTables, err := conn.DescribeLog(ctx, MaxUnsealed)
	if err != nil {
		return Description{}, fmt.Errorf("describing the sealed log: %w", err)
	}
	described := Description{HasTables: hasTables}
	if log != nil {
		described.Size, described.Epoch, described.Root, described.MadeAt = log.Size, log.Epoch, log.Root, log.MadeAt
		described.Unsealed = min(log.Unsealed, MaxUnsealed)
		described.Note = log.Note
		if checkpoint, err := readText(log.Note); err == nil {
			described.Origin = checkpoint.Origin
		}
	}
	return described, nil
}

// CompareRoot compares the log in the database with a checkpoint. It computes the root of as
// many leaves as the checkpoint covers, from the stored tiles and from the rows after the last
// full one, and returns what differs. Without findings the database has the log that was
// signed. Whether its rows are still those that were sealed, only [Verify] finds out.
//
// The error says that comparing was not possible. It matches an error of package seal if the
// checkpoint is not one of this log, signed by this key.
func CompareRoot(ctx context.Context, pool *pgxpool.Pool, config VerifyConfig) (seal.Checkpoint, []Finding, error) {
	v, err := newVerifier(ctx, pool, config)
	if err != nil {
		return seal.Checkpoint{}, nil, fmt.Errorf("comparing the log with the checkpoint: %w", err)
	}
	defer v.conn.Close(ctx)
	if err := v.compareRoot(ctx); err != nil {
		return seal.Checkpoint{}, nil, fmt.Errorf("comparing the log with the checkpoint: %w", err)
	}
	return v.result.Checkpoint, v.result.Findings, nil
}

// tailHashes takes the hashes of the tail from its tile, if the log has grown since: then its
// records may have expired.
func (v *verifier) tailHashes(ctx context.Context) ([]seal.Hash, error) {
	hashes, err := v.conn.TileHashes(ctx, v.result.Epoch, 0, v.size/tileWidth)
	if err != nil || len(hashes) < len(v.tail) || !v.isStored(v.size/tileWidth) {
		return rehash(ctx, v.conn, v.tail) // which also fails if the connection does
	}
	return hashes[:len(v.tail)], nil
}

func (v *verifier) compareRoot(ctx context.Context) error {
	if err := v.findTail(ctx); err != nil {
		return err
	}
	signed := v.result.Checkpoint
	if v.size != signed.Size {
		return nil // findTail found why
	}
	hashes, err := v.tailHashes(ctx)
	if errors.Is(err, ErrTampered) {
		v.find(Finding{Fault: Missing, Text: err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	edge, err := storedEdge(ctx, v.conn, v.result.Epoch, v.size, hashes)
	if err != nil {
		return err
	}
	tree, err := seal.ResumeTree(v.size, edge)
	if err != nil {
		v.find(Finding{Fault: Damaged, Text: fmt.Sprintf("the log of %d leaves cannot be put together: %v", v.size, err)})
		return nil
	}
	v.tree = *tree
	return v.judgeRoot()
}
