package reading

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Stats is the command stats.
type Stats struct {
	Scope   shared.ScopeFlags  `embed:""`
	Window  shared.WindowFlags `embed:""`
	Timeout shared.TimeoutFlag `embed:""`
	Wide    shared.WideFlag    `embed:""`
	JSON    bool               `name:"json" help:"Print the counts as one JSON object."`
}

// Validate is called by kong.
func (c *Stats) Validate() error {
	return shared.Together(c.Scope.Validate(), c.Timeout.Validate())
}

// Run is called by kong.
func (c *Stats) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	now := time.Now()
	window, err := c.Window.Window(now)
	if err != nil {
		return err
	}
	scope := c.Scope.Scope()
	tried := fmt.Sprintf("counting the audit records for %s", scope)
	var found audit.Breakdown
	var hint string
	err = c.Timeout.Reading(ctx, p, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		found, err = store.Breakdown(ctx, audit.BreakdownQuery{Scope: scope, Window: window})
		if err == nil && found.Total == 0 {
			hint = shared.Outside(ctx, store, scope, window, now)
		}
		return err
	})
	if err != nil {
		return err
	}
	defer func() { p.Hint(hint) }()
	if c.JSON {
		return p.PrintJSON(tried, statsObject(found))
	}
	return p.Page(StatsText(scope, found, p.Screen(c.Wide.Wide)))
}

// StatsJSON is what scripts depend on. Keys are only added, at its end.
type StatsJSON struct {
	Window             shared.WindowJSON                                `json:"window"`
	Total              int64                                            `json:"total"`
	ByClassDecision    map[audit.EnvelopeClass]map[audit.Decision]int64 `json:"by_class_decision"`
	ByTenant           map[string]int64                                 `json:"by_tenant"`
	ByDay              map[string]int64                                 `json:"by_day"`
	ByReason           map[string]int64                                 `json:"by_reason"`
	OtherReasons       int64                                            `json:"other_reasons"`
	FirstSeen          *string                                          `json:"first_seen"`
	LastSeen           *string                                          `json:"last_seen"`
	MaxActiveEnvelopes int32                                            `json:"max_active_envelopes"`
	ByParameter        []parameterJSON                                  `json:"by_parameter"`
	ByReasonCode       map[string]map[audit.Decision]int64              `json:"by_reason_code"`
	OtherReasonCodes   int64                                            `json:"other_reason_codes"`
}

type parameterJSON struct {
	Class           audit.EnvelopeClass `json:"class"`
	TargetSubsystem string              `json:"target_subsystem"`
	TargetParameter string              `json:"target_parameter"`
	Applied         int64               `json:"APPLIED"`
	Rejected        int64               `json:"REJECTED"`
	Preempted       int64               `json:"PREEMPTED"`
	Other           int64               `json:"other,omitempty"` // decisions, of adopted rows
}

// statsObject has all three decisions for each class that occurs. Only a time that does
// not exist is null.
func statsObject(found audit.Breakdown) StatsJSON {
	stats := StatsJSON{
		Window:             shared.WindowObject(found.Window),
		Total:              found.Total,
		ByClassDecision:    make(map[audit.EnvelopeClass]map[audit.Decision]int64, len(found.ByClassDecision)),
		ByTenant:           shared.OrEmpty(found.ByTenant),
		ByDay:              make(map[string]int64, len(found.ByDay)),
		ByReason:           shared.OrEmpty(found.ByReason),
		OtherReasons:       found.OtherReasons,
		FirstSeen:          shared.TimeOrNull(found.FirstSeen),
		LastSeen:           shared.TimeOrNull(found.LastSeen),
		MaxActiveEnvelopes: found.MaxActiveEnvelopes,
		ByParameter:        make([]parameterJSON, len(found.ByParameter)),
		ByReasonCode:       shared.OrEmpty(found.ByReasonCode),
		OtherReasonCodes:   found.OtherReasonCodes,
	}
	for class, counts := range found.ByClassDecision {
		stats.ByClassDecision[class] = make(map[audit.Decision]int64)
		for _, decision := range audit.Decisions() {
			stats.ByClassDecision[class][decision] = counts[decision]
		}
		maps.Copy(stats.ByClassDecision[class], counts) // with what else an adopted row may hold
	}
	for _, day := range found.ByDay {
		stats.ByDay[format.Day(day.Day)] = day.Total()
	}
	for i, count := range found.ByParameter {
		stats.ByParameter[i] = parameterJSON{
			Class:           count.EnvelopeClass,
			TargetSubsystem: count.TargetSubsystem,
			TargetParameter: count.TargetParameter,
			Applied:         count.ByDecision[audit.Applied],
			Rejected:        count.ByDecision[audit.Rejected],
			Preempted:       count.ByDecision[audit.Preempted],
			Other:           otherDecisions(count.ByDecision),
		}
	}
	return stats
}
