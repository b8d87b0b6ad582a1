package reading

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

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
	id, err := audit.ParseAuditID(c.ID)
	if err != nil {
		return cli.Usage("reading the audit id", errors.New(format.Faults(format.FaultsOf(err))), "give it as 01890a5d-ac96-774b-bcce-b302099a8057")
	}
	store, err := db.Open(ctx, tried, GetTimeout)
	if err != nil {
		return err
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(ctx, GetTimeout)
	defer cancel()
	rec, err := store.Get(ctx, c.Scope.Scope(), id)
	if err != nil {
		return c.failed(id, err)
	}
	if !c.JSON {
		return p.Print(shared.RecordText(rec))
	}
	text, err := recordJSON(rec)
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	return p.Print(text)
}

func (c *Get) failed(id uuid.UUID, err error) error {
	tried := fmt.Sprintf("getting audit record %s for %s", id, c.Scope.Scope())
	if errors.Is(err, audit.ErrNotFound) {
		return &cli.ShownError{Tried: tried, Cause: audit.ErrNotFound, Next: "check the id and the scope"}
	}
	return shared.ReadFailed(tried, err)
}

// recordJSON is the JSON form of a record, with what the database added to it.
func recordJSON(rec audit.Record) (string, error) {
	text, err := shared.RecordObject(rec)
	return string(format.EscapeJSON(text)) + "\n", err
}
