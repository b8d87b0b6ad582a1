package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

type signalsCommand struct {
	Scope         scopeFlags  `embed:""`
	Window        weekFlags   `embed:"" set:"since_note= Defaults to 7d; an empty one is an open bound."`
	MinRecords    int         `default:"${min_records}" help:"A class's rejection rate counts from so many records on."`
	MinCycles     int         `default:"${min_cycles}" help:"An envelope oscillates from so many cycles of PREEMPTED and APPLIED on."`
	MinConflicts  int         `default:"${min_conflicts}" help:"Two classes rub from so many conflicts on."`
	MinRejections int         `default:"${min_rejections}" help:"Rejections are repeated from so many on."`
	Evidence      int         `default:"${evidence}" help:"The most audit ids behind each number, 1 to ${max_evidence}, with --json."`
	Trend         *int        `placeholder:"N" help:"Show the rejection rates of N adjacent windows too, this one the last. --until then defaults to now."`
	Timeout       timeoutFlag `embed:""`
	JSON          bool        `name:"json" help:"Print the signals as one JSON object."`
}

// Validate is called by kong. To the store 0 is its default; who types it means
// something else.
func (c *signalsCommand) Validate() error {
	errs := []error{c.Scope.Validate(), c.Timeout.Validate()}
	for _, threshold := range []struct {
		flag  string
		value int
	}{
		{"--min-records", c.MinRecords},
		{"--min-cycles", c.MinCycles},
		{"--min-conflicts", c.MinConflicts},
		{"--min-rejections", c.MinRejections},
	} {
		if threshold.value < 1 {
			errs = append(errs, fmt.Errorf("%s must be 1 or more", threshold.flag))
		}
	}
	if c.Evidence < 1 || c.Evidence > audit.MaxEvidence {
		errs = append(errs, fmt.Errorf("--evidence must be 1 to %d", audit.MaxEvidence))
	}
	if c.Trend != nil && (*c.Trend < 1 || *c.Trend > audit.MaxTrendWindows) {
		errs = append(errs, fmt.Errorf("--trend must be 1 to %d", audit.MaxTrendWindows))
	}
	return together(errs...)
}

// Run is called by kong.
func (c *signalsCommand) Run(ctx context.Context, p *program, db *database) error {
	now := time.Now()
	window, err := c.Window.window(now)
	if err != nil {
		return err
	}
	if c.Trend != nil && window.Until.IsZero() {
		window.Until = audit.Window{Until: now}.Normalized().Until
	}
	q := audit.SignalQuery{
		Scope:         c.Scope.scope(),
		Window:        window,
		MinRecords:    c.MinRecords,
		MinCycles:     c.MinCycles,
		MinConflicts:  c.MinConflicts,
		MinRejections: c.MinRejections,
		MaxEvidence:   c.Evidence,
	}
	tried := fmt.Sprintf("looking for signals for %s", q.Scope)
	var found audit.Signals
	var trend []audit.WindowRates
	err = c.Timeout.reading(ctx, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		if trend, err = c.trend(ctx, store, q); err != nil {
			return err
		}
		found, err = store.Signals(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return p.printJSON(tried, signalsObject(found, trend))
	}
	return p.print(signalsText(q, found, trend, painter(p.colourful())))
}

// trend is nil where none is asked for.
func (c *signalsCommand) trend(ctx context.Context, store *coordaudit.Store, q audit.SignalQuery) ([]audit.WindowRates, error) {
	if c.Trend == nil {
		return nil, nil
	}
	return store.Trend(ctx, audit.TrendQuery{
		Scope:       q.Scope,
		Window:      q.Window,
		Windows:     *c.Trend,
		MinRecords:  q.MinRecords,
		MaxEvidence: q.MaxEvidence,
	})
}
