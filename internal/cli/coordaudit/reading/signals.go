package reading

import (
	"context"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
)

// Signals is the command signals.
type Signals struct {
	Scope         shared.ScopeFlags  `embed:""`
	Window        shared.WeekFlags   `embed:"" set:"since_note= Defaults to 7d. An empty value is an open bound."`
	MinRecords    int                `default:"${min_records}" help:"The minimum number of records of a class for its rejection rate."`
	MinCycles     int                `default:"${min_cycles}" help:"The minimum number of cycles for an oscillation: an envelope is PREEMPTED and later APPLIED again."`
	MinConflicts  int                `default:"${min_conflicts}" help:"The minimum number of conflicts for friction: envelopes of one class lose to envelopes of another."`
	MinRejections int                `default:"${min_rejections}" help:"The minimum number of rejections of one envelope, or over one parameter, for repeated rejections."`
	Evidence      int                `default:"${evidence}" help:"The maximum number of audit ids behind each number, 1 to ${max_evidence}. They are printed with --json."`
	Trend         *int               `placeholder:"N" help:"Also show the rejection rates of N adjacent windows, of which this one is the last. --until then defaults to now."`
	Timeout       shared.TimeoutFlag `embed:""`
	Wide          shared.WideFlag    `embed:""`
	JSON          bool               `name:"json" help:"Print the signals as one JSON object."`
}

// Validate is called by kong. For the store 0 means its default, but a person who types 0
// means something else.
func (c *Signals) Validate() error {
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
	return shared.Together(errs...)
}

// Run is called by kong.
func (c *Signals) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	now := time.Now()
	window, err := c.Window.Window(now)
	if err != nil {
		return err
	}
	if c.Trend != nil && window.Until.IsZero() {
		window.Until = audit.Window{Until: now}.Normalized().Until
	}
	q := audit.SignalQuery{
		Scope:         c.Scope.Scope(),
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
	var hint string
	err = c.Timeout.Reading(ctx, p, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		if trend, err = c.trend(ctx, store, q); err != nil {
			return err
		}
		if found, err = store.Signals(ctx, q); err == nil && nothingFound(found) {
			hint = shared.Outside(ctx, store, q.Scope, q.Window, now)
		}
		return err
	})
	if err != nil {
		return err
	}
	defer func() { p.Hint(hint) }()
	if c.JSON {
		return p.PrintJSON(tried, signalsObject(found, trend))
	}
	return p.Page(SignalsText(q, found, trend, p.Screen(c.Wide.Wide)))
}

// trend is nil if it is not asked for.
func (c *Signals) trend(ctx context.Context, store *coordaudit.Store, q audit.SignalQuery) ([]audit.WindowRates, error) {
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

func nothingFound(s audit.Signals) bool {
	return len(s.RejectionRates) == 0 && len(s.Oscillations) == 0 && len(s.Friction) == 0 &&
		len(s.RepeatedRejections) == 0 && len(s.RepeatedParameterRejections) == 0 && s.PreemptionCycles.Total == 0
}
