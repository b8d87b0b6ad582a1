package sealing

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
)

// Erase is the command erase.
type Erase struct {
	ID   string   `arg:"" help:"The audit id of the record, a UUID."`
	Log  logFlags `embed:""`
	Text string   `required:"" enum:"reason,details" placeholder:"reason|details" help:"Which text to erase."`
	Why  string   `required:"" placeholder:"TEXT" help:"What it is erased for. It is put on record, and read by everyone who may read the trail."`
}

// Help is shown below the command's usage.
func (c *Erase) Help() string {
	return "Replaces one text of a sealed record by its digest, which keeps the record provable and a retry of it no conflict. " +
		"Who has the digest can try out short texts. Backups, archives, proofs, logs of changes, standbys and spools keep the text. docs/expiry.md says what else to do."
}

// Run is called by kong.
func (c *Erase) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	tried := "erasing the " + c.Text + " of audit record " + audit.Printable(c.ID)
	id, err := shared.ParseAuditID(c.ID)
	if err != nil {
		return err
	}
	config, pool, err := c.Log.open(ctx, db, tried)
	if err != nil {
		return err
	}
	defer pool.Close()
	progress := p.Progress(tried)
	event, err := expiry.Erase(ctx, config, id, expiry.Text(c.Text), c.Why)
	progress.Stop()
	if err != nil {
		return shared.Failed(err)
	}
	return p.Print(fmt.Sprintf("erased, on record as event %d\n", event))
}
