package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

type statsCommand struct {
	Scope   scopeFlags  `embed:""`
	Window  windowFlags `embed:""`
	Timeout timeoutFlag `embed:""`
	JSON    bool        `name:"json" help:"Print the counts as one JSON object."`
}

// Validate is called by kong.
func (c *statsCommand) Validate() error { return together(c.Scope.Validate(), c.Timeout.Validate()) }

// Run is called by kong.
func (c *statsCommand) Run(ctx context.Context, p *program, db *database) error {
	window, err := c.Window.window(time.Now())
	if err != nil {
		return err
	}
	scope := c.Scope.scope()
	tried := fmt.Sprintf("counting the audit records for %s", scope)
	var found audit.Breakdown
	err = c.Timeout.reading(ctx, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		found, err = store.Breakdown(ctx, audit.BreakdownQuery{Scope: scope, Window: window})
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return p.printJSON(tried, statsObject(found))
	}
	return p.print(statsText(scope, found, painter(p.colourful())))
}

// statsJSON is what scripts depend on: keys are added to its end alone.
type statsJSON struct {
	Window             windowJSON                                       `json:"window"`
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
}

type parameterJSON struct {
	Class           audit.EnvelopeClass `json:"class"`
	TargetSubsystem string              `json:"target_subsystem"`
	TargetParameter string              `json:"target_parameter"`
	Applied         int64               `json:"APPLIED"`
	Rejected        int64               `json:"REJECTED"`
	Preempted       int64               `json:"PREEMPTED"`
}

// statsObject holds every decision of a class that occurs, and no null but a time
// that there is not.
func statsObject(found audit.Breakdown) statsJSON {
	stats := statsJSON{
		Window:             windowObject(found.Window),
		Total:              found.Total,
		ByClassDecision:    make(map[audit.EnvelopeClass]map[audit.Decision]int64, len(found.ByClassDecision)),
		ByTenant:           orEmpty(found.ByTenant),
		ByDay:              make(map[string]int64, len(found.ByDay)),
		ByReason:           orEmpty(found.ByReason),
		OtherReasons:       found.OtherReasons,
		FirstSeen:          timeOrNull(found.FirstSeen),
		LastSeen:           timeOrNull(found.LastSeen),
		MaxActiveEnvelopes: found.MaxActiveEnvelopes,
		ByParameter:        make([]parameterJSON, len(found.ByParameter)),
	}
	for class, counts := range found.ByClassDecision {
		stats.ByClassDecision[class] = make(map[audit.Decision]int64)
		for _, decision := range audit.Decisions() {
			stats.ByClassDecision[class][decision] = counts[decision]
		}
	}
	for _, day := range found.ByDay {
		stats.ByDay[day.Day.Format(time.DateOnly)] = day.Total()
	}
	for i, count := range found.ByParameter {
		stats.ByParameter[i] = parameterJSON{
			Class:           count.EnvelopeClass,
			TargetSubsystem: count.TargetSubsystem,
			TargetParameter: count.TargetParameter,
			Applied:         count.ByDecision[audit.Applied],
			Rejected:        count.ByDecision[audit.Rejected],
			Preempted:       count.ByDecision[audit.Preempted],
		}
	}
	return stats
}

// orEmpty: scripts are not to meet null where they look for keys.
func orEmpty[K comparable](counts map[K]int64) map[K]int64 {
	if counts == nil {
		return make(map[K]int64)
	}
	return counts
}
