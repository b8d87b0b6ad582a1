package reading

import (
	"context"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// GetTimeout bounds the reading of one record.
const GetTimeout = 15 * time.Second

// Get is the command get.
type Get struct {
	ID    string            `arg:"" help:"The audit id of the record, a UUID."`
	Scope shared.ScopeFlags `embed:""`
	JSON  bool              `name:"json" help:"Print the record as one JSON object."`
}

// Validate is called by kong.
func (c *Get) Validate() error { return c.Scope.Validate() }

// Run is called by kong.
func (c *Get) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	tried := "getting audit record " + c.ID
	id, err := shared.ParseAuditID(c.ID)
	if err != nil {
		return err
	}
	store, err := db.Open(ctx, tried, GetTimeout)
	if err != nil {
		return err
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(ctx, GetTimeout)
	defer cancel()
	progress := p.Progress(tried)
	rec, err := store.Get(ctx, c.Scope.Scope(), id)
	progress.Stop()
	if err != nil {
		return shared.ReadFailed(fmt.Sprintf("getting audit record %s for %s", id, c.Scope.Scope()), err)
	}
	if !c.JSON {
		return p.Page(shared.RecordText(rec, p.Screen(false)))
	}
	text, err := recordJSON(rec)
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	return p.Print(text)
}

// recordJSON is the JSON form of a record, with what the database added to it.
func recordJSON(rec audit.Record) (string, error) {
	text, err := shared.RecordObject(rec)
	return string(format.EscapeJSON(text)) + "\n", err
}
