package reading

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/sealstate"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Explain is the command explain.
type Explain struct {
	ID       string             `arg:"" help:"The audit id of the record, a UUID. coordaudit list --ids shows it."`
	Scope    shared.ScopeFlags  `embed:""`
	TraceURL string             `name:"trace-url" placeholder:"URL" help:"The address of a trace in your tracing system, with {trace_id} in the place of its id."`
	Key      string             `placeholder:"KEY" help:"Verify the proof of the record with this key. ${key_help}"`
	Timeout  shared.TimeoutFlag `embed:""`
	JSON     bool               `name:"json" help:"Print the explanation as one JSON object, with every record that it rests on and the proof."`
}

// Help is shown below the command's usage.
func (c *Explain) Help() string {
	return "It finds the other envelope's own decision by caused_by, or else by a rule, and says which. It shows records of the scope only: what lies outside is absent, as if it were not stored.\n\n" +
		"Exit status: 0 explained, 1 the command failed, or the record is not as it was sealed, 2 wrong usage."
}

// Validate is called by kong.
func (c *Explain) Validate() error {
	errs := []error{c.Scope.Validate(), c.Timeout.Validate()}
	if c.TraceURL != "" && !strings.Contains(c.TraceURL, "{trace_id}") {
		errs = append(errs, errors.New("--trace-url must contain {trace_id}"))
	}
	return shared.Together(errs...)
}

// Run is called by kong.
func (c *Explain) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	id, err := shared.ParseAuditID(c.ID)
	if err != nil {
		return err
	}
	scope := c.Scope.Scope()
	tried := fmt.Sprintf("explaining audit record %s for %s", id, scope)
	var key note.Verifier
	if c.Key != "" {
		if key, err = cli.LoadKey(tried, c.Key, seal.LoadVerifier); err != nil {
			return err
		}
	}
	var e audit.Explanation
	err = c.Timeout.Reading(ctx, p, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		e, err = store.Explain(ctx, scope, id)
		return err
	})
	if err != nil {
		return err
	}
	progress := p.Progress(fmt.Sprintf("proving audit record %s by the sealed log", id))
	sealed, err := c.sealed(ctx, db, id, key, tried)
	progress.Stop()
	if err != nil {
		return err
	}
	if err := c.print(p, tried, e, sealed); err != nil {
		return err
	}
	if sealed.State == sealstate.Tampered {
		return cli.ErrReported
	}
	return nil
}

func (c *Explain) print(p *cli.Program, tried string, e audit.Explanation, sealed sealstate.State) error {
	if c.JSON {
		object, err := explanationObject(e, sealed)
		if err != nil {
			return &cli.ShownError{Tried: tried, Cause: err}
		}
		return p.PrintJSON(tried, object)
	}
	on := p.Screen(false)
	var text strings.Builder
	for _, line := range format.Explanation(e, format.Explained{
		ScopeFlags: format.ScopeFlags(c.Scope.Scope()), TraceURL: c.TraceURL, Sealed: sealed.Text(e.Record.AuditID),
	}) {
		text.WriteString(on.Hang(fmt.Sprintf("%-9s  ", line.Label), line.Text))
	}
	return p.Page(text.String())
}

// sealed proves the record by the stored log, at another moment than the explanation. Only an
// interruption is an error: an explanation is an answer without the seal as well.
func (c *Explain) sealed(ctx context.Context, db *shared.Database, id uuid.UUID, key note.Verifier, tried string) (sealstate.State, error) {
	bounded, cancel := context.WithTimeout(ctx, min(c.Timeout.Timeout, 15*time.Second))
	defer cancel()
	pool, err := db.OpenPool(bounded, tried)
	if err != nil {
		return sealstate.State{State: sealstate.Unread, Detail: format.OneLine(err)}, nil
	}
	defer pool.Close()
	sealed := sealstate.Of(bounded, pool, id, key)
	if ctx.Err() != nil {
		return sealstate.State{}, &cli.ShownError{Tried: tried, Cause: cli.ErrInterrupted}
	}
	return sealed, nil
}
