package console

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/sealstate"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// sealView is the page of the sealed log. The log belongs to all tenants, and holds digests
// alone.
type sealView struct {
	Unread   bool
	NoTables bool
	Size     int64
	Epoch    int64
	Origin   string
	Root     string
	MadeAt   time.Time
	Unsealed int64
	AtLeast  bool
	KeyName  string // of the key that proofs are verified with; empty if there is none
}

func (c *Console) seal(ctx context.Context, _ *visit) (view, error) {
	var page sealView
	if c.config.Verifier != nil {
		page.KeyName = c.config.Verifier.Name()
	}
	log, err := sealer.Describe(ctx, c.config.Pool, "")
	switch {
	case err != nil && ctx.Err() != nil:
		return view{}, err
	case err != nil:
		page.Unread = true
		c.logUnread(ctx, "coordination_console_seal_unread", sealstate.Cause(err))
	case !log.HasTables:
		page.NoTables = true
	default:
		page.Size, page.Epoch, page.Origin, page.MadeAt = log.Size, log.Epoch, log.Origin, log.MadeAt
		page.Unsealed, page.AtLeast = log.Unsealed, log.Unsealed == sealer.MaxUnsealed
		page.Root = base64.StdEncoding.EncodeToString(log.Root[:])
	}
	return view{Title: "Seal", Data: page}, nil
}
