package reporting

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/report"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// exportedFlags name an exported checkpoint, to compare the stored log with.
type exportedFlags struct {
	Checkpoint string `placeholder:"FILE" help:"Compare the stored log with a signed checkpoint: the file, or the directory of checkpoints, whose last one is taken. It needs --key."`
	Key        string `placeholder:"KEY" help:"${key_help}"`
}

// Validate is called by the command's own Validate.
func (f exportedFlags) Validate() error {
	if (f.Checkpoint == "") != (f.Key == "") {
		return errors.New("--checkpoint and --key need each other")
	}
	return nil
}

// load reads the checkpoint and the key before anything else. It returns nil if none is given.
func (f exportedFlags) load(ctx context.Context, tried string) (*sealer.VerifyConfig, error) {
	if f.Checkpoint == "" {
		return nil, nil //nolint:nilnil // none is given
	}
	log, err := shared.LoadExported(ctx, f.Checkpoint, f.Key, tried)
	if err != nil {
		return nil, err
	}
	return &sealer.VerifyConfig{Checkpoint: log.Signed, Verifier: log.Verifier}, nil
}

// collectSealing reads what the database says about its log at the moment. The report is
// written all the same if that cannot be read, but not if a checkpoint was to be compared.
func (c *Collector) collectSealing(ctx context.Context, at moment) error {
	pool, err := c.DB.OpenPoolWith(ctx, c.Tried, 1, at.enter)
	if err != nil {
		return err
	}
	defer pool.Close()
	described, err := sealer.Describe(ctx, pool, "")
	switch {
	case err == nil:
	case ctx.Err() != nil || c.Exported != nil:
		return err
	default:
		c.data.SealingUnread = format.OneLine(format.Cause(err))
		return nil
	}
	c.data.Sealing = &report.Sealing{
		Size: described.Size, Origin: described.Origin, Epoch: described.Epoch, Root: base64.StdEncoding.EncodeToString(described.Root[:]),
		MadeAt: described.MadeAt, Unsealed: described.Unsealed, MoreUnsealed: described.Unsealed == sealer.MaxUnsealed,
	}
	if c.Exported == nil {
		return nil
	}
	c.data.Sealing.Compared, err = compareSealing(ctx, pool, *c.Exported, described.HasTables)
	return err
}

func compareSealing(ctx context.Context, pool *pgxpool.Pool, exported sealer.VerifyConfig, hasTables bool) (*report.SealComparison, error) {
	checkpoint, err := sealer.OpenCheckpoint(exported.Checkpoint, exported.Verifier)
	if err != nil {
		return nil, err
	}
	compared := &report.SealComparison{Origin: checkpoint.Origin, Size: checkpoint.Size, Root: base64.StdEncoding.EncodeToString(checkpoint.Root[:])}
	if !hasTables {
		compared.Differences = []string{fmt.Sprintf("the checkpoint covers %d leaves, and the database has no tables of the seal", checkpoint.Size)}
		return compared, nil
	}
	_, findings, err := sealer.CompareRoot(ctx, pool, exported)
	if err != nil {
		return nil, err
	}
	for _, finding := range findings {
		compared.Differences = append(compared.Differences, finding.Text)
	}
	return compared, nil
}

// warnOfSealing says on the standard error what the report says, and reports whether the log
// differs from the exported checkpoint.
func warnOfSealing(p *cli.Program, found *report.Sealing) (differs bool) {
	if found == nil || found.Compared == nil || len(found.Compared.Differences) == 0 {
		return false
	}
	for _, difference := range found.Compared.Differences {
		p.Warn("the log differs from the exported checkpoint of %s: %s", audit.Printable(found.Compared.Origin), difference)
	}
	return true
}
