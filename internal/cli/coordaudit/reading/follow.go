package reading

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Follow is the command follow.
type Follow struct {
	Scope      shared.ScopeFlags  `embed:""`
	Filters    shared.FilterFlags `embed:""`
	From       string             `default:"now" placeholder:"WHERE" help:"Where to begin if there is no cursor: now, beginning, or what was stored at a time or later. A time has the forms of list --since."`
	Cursor     string             `placeholder:"FILE" help:"Keep the place in this file, and go on from there if the file exists. Scope and filters must stay the same."`
	ResumeFork bool               `help:"After a failover or a restore, go on after the newest record of the cursor that is still there. Some records come again."`
	Once       bool               `help:"End when there is nothing more."`
	Format     string             `enum:"text,json,cloudevents,ecs" default:"text" placeholder:"FORMAT" help:"text, json (one object a line), cloudevents (1.0, structured mode) or ecs (Elastic Common Schema)."`
	JSON       bool               `name:"json" help:"The same as --format json."`
	Source     string             `name:"event-source" default:"coordaudit" placeholder:"URI" help:"The source of the CloudEvents."`
	Poll       time.Duration      `default:"1s" help:"The time between two looks when there is nothing more."`
	Patience   time.Duration      `default:"1s" help:"How long to wait for open transactions. Then their records come later, when they commit."`
}

// Help is shown below the command's usage.
func (c *Follow) Help() string {
	return "Prints each record once it is committed, in the order of seq, until it is stopped. It goes on over restarts of the database. " +
		"A record is never skipped. With --cursor, what was printed since the cursor was written may come again after a kill: at least once.\n\n" +
		"Exit status: 0 stopped or, with --once, at the end; 1 failed; 2 wrong usage."
}

// Validate is called by kong.
func (c *Follow) Validate() error {
	errs := []error{c.Scope.Validate(), c.Filters.Validate(), shared.CheckEventSource(c.Source)}
	if c.Poll <= 0 || c.Patience < 0 {
		errs = append(errs, errors.New("--poll must be positive, and --patience not negative"))
	}
	return shared.Together(errs...)
}

// Run is called by kong.
func (c *Follow) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	if c.JSON {
		c.Format = "json"
	}
	q, err := c.query(time.Now())
	if err != nil {
		return err
	}
	tried := fmt.Sprintf("following audit records for %s", q.Scope)
	store, err := db.Open(ctx, tried, 0) // no page has a time limit: it may wait for open transactions
	if err != nil {
		return err
	}
	defer store.Close()
	f := follower{command: c, program: p, store: store, query: q, tried: tried}
	return f.run(ctx)
}

func (c *Follow) query(now time.Time) (audit.FollowQuery, error) {
	of := audit.Query{Scope: c.Scope.Scope()}
	if err := c.Filters.Set(&of); err != nil {
		return audit.FollowQuery{}, err
	}
	q := audit.FollowQuery{
		Scope: of.Scope, EnvelopeIDs: of.EnvelopeIDs, EnvelopeClasses: of.EnvelopeClasses, Decisions: of.Decisions,
		ConflictingEnvelopeID: of.ConflictingEnvelopeID, PreemptingEnvelopeID: of.PreemptingEnvelopeID,
		TargetSubsystem: of.TargetSubsystem, TargetParameter: of.TargetParameter, ReasonContains: of.ReasonContains,
		ReasonCode: of.ReasonCode, PolicyVersion: of.PolicyVersion, Actor: of.Actor, CausedBy: of.CausedBy, Corrects: of.Corrects,
		CorrelationID: of.CorrelationID, TraceID: of.TraceID,
		Limit: audit.MaxPageSize, PollInterval: c.Poll, Patience: c.Patience,
	}
	if c.Patience == 0 {
		q.Patience = -1 // none, where 0 would be the default
	}
	var err error
	if q.From, err = c.start(now); err != nil {
		return q, err
	}
	return q, nil
}

// start is the place in the cursor's file, or else --from.
func (c *Follow) start(now time.Time) (audit.Start, error) {
	if c.Cursor != "" {
		text, err := os.ReadFile(c.Cursor)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return audit.Start{}, &cli.ShownError{Tried: "reading the cursor", Cause: err}
		}
		if cursor := strings.TrimSpace(string(text)); cursor != "" {
			return audit.FromCursor(audit.Cursor(cursor)), nil
		}
		if err == nil {
			return audit.Start{}, &cli.ShownError{Tried: "reading the cursor", Cause: fmt.Errorf("%s is empty", format.Printable(c.Cursor)), Next: "remove it to begin at --from"}
		}
	}
	switch c.From {
	case "now":
		return audit.FromNow(), nil
	case "beginning":
		return audit.Start{}, nil
	}
	at, err := shared.ParseBound("--from", c.From, now)
	if err == nil && at.IsZero() {
		err = errors.New("--from is empty; say now, beginning, or a time")
	}
	if err != nil {
		return audit.Start{}, cli.Misused("reading where to begin", err)
	}
	return audit.FromTime(at), nil
}
