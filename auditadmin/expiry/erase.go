package expiry

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Text is a text of a record that can be erased.
type Text string

// The texts.
const (
	Reason  Text = "reason"
	Details Text = "details"
)

// Erase replaces a text of a sealed record by its digest, which the record's leaf holds too,
// and puts that on record in the same transaction. why says for what. It returns the seq of the
// event. A text that is erased already stays so.
//
// The leaf must be in a full tile of the checkpoint: see [sealer.ErrNotSealed] otherwise. The
// error matches [ErrHeld] if a hold names the record, and [ErrNoSuch] if there is no such
// record or it has no such text.
func Erase(ctx context.Context, config Config, id uuid.UUID, text Text, why string) (event int64, err error) {
	event, err = erase(ctx, config, id, text, why)
	if err != nil {
		return 0, fmt.Errorf("erasing the %s of record %s: %w", text, id, explained(err))
	}
	return event, nil
}

func erase(ctx context.Context, config Config, id uuid.UUID, text Text, why string) (int64, error) {
	if text != Reason && text != Details {
		return 0, errors.New("only reason and details can be erased")
	}
	if why == "" {
		return 0, errors.New("say why: it is put on record")
	}
	s, err := open(ctx, config, sealdriver.Eraser)
	if err != nil {
		return 0, err
	}
	defer s.close(ctx)
	retention, err := s.conn.Retention(ctx)
	if err != nil {
		return 0, err
	}
	if err := enabled(retention, "eraser"); err != nil {
		return 0, err
	}
	proof, err := sealer.Prove(ctx, config.Pool, config.Schema, id) // what was tampered with stays as it is
	if err != nil {
		return 0, err
	}
	if full := s.at.Size - s.at.Size%seal.TileWidth; proof.Index >= full {
		return 0, fmt.Errorf("%w: its leaf is %d, and the full tiles of the checkpoint cover %d: wait until %d more rows are sealed, and take the checkpoint of then",
			sealer.ErrNotSealed, proof.Index, full, proof.Index/seal.TileWidth*seal.TileWidth+seal.TileWidth-s.at.Size)
	}
	return s.conn.Erase(ctx, id, string(text), *s.at, why)
}
