// Package report draws a window of the audit trail as one HTML file. The file is complete:
// it loads nothing over the network, and its content security policy allows no style or
// script but its own.
package report

import (
	"fmt"
	"io"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// The limits of what a report shows.
const (
	// MaxLanes is how many oscillating envelopes have a lane.
	MaxLanes = 12

	// MaxLaneRecords is how many records a lane shows.
	MaxLaneRecords = 500

	// MaxCycles is how many preemption cycles are drawn. They are the heaviest.
	MaxCycles = 12

	// MaxRepeated is how many rows each table of repeated rejections has.
	MaxRepeated = 20

	// MaxGaps is how many gaps are shown. They are the latest ones.
	MaxGaps = 20

	// MaxSources is how many sources are shown in the table of those worth a look, and
	// MaxFaults how many unexplained ranges and findings.
	MaxSources = 20
	MaxFaults  = 40

	// MaxReasonCodes is how many rows the table of reason codes has.
	MaxReasonCodes = 20

	// MaxReasonLength is how many characters of a reason are shown, and of details.
	MaxReasonLength = 400
)

// Data is what a report shows.
type Data struct {
	// Query has the scope, the window and the thresholds.
	Query audit.SignalQuery

	// Made is when the report was made.
	Made time.Time

	// Guards says whether someone could have edited history.
	Guards Guards

	// Breakdown and Signals are the answers for that scope and window.
	Breakdown audit.Breakdown
	Signals   audit.Signals

	// Hours, if not empty, are drawn instead of Breakdown.ByDay, for short windows.
	Hours []HourCount

	// Lanes are the oscillations to draw, at most [MaxLanes] of them.
	Lanes []Lane

	// Latest are the records to list, the newest first.
	Latest []audit.Record

	// Gaps are the gaps of the window, the latest first. They belong to all tenants,
	// because a gap has none. If there are more than [MaxGaps], the report says so.
	Gaps []audit.Gap

	// GapsUnread says that the gaps could not be read.
	GapsUnread bool

	// Completeness accounts for the sources that were at work since the window began. They
	// belong to all tenants, because a source has none. It is nil if it could not be read, and
	// CompletenessUnread then says why.
	Completeness       *audit.Completeness
	CompletenessUnread string

	// Sealing is what the database says about its sealed log. It belongs to all tenants,
	// because the log does. It is nil if it could not be read, and SealingUnread then says why.
	Sealing       *Sealing
	SealingUnread string

	// Later is how many records come after the window. If the window ends when the report
	// is made, they are of the future.
	Later int64
}

// HourCount counts the records of one hour.
type HourCount struct {
	// Hour is its beginning, UTC.
	Hour time.Time

	ByClass map[audit.EnvelopeClass]int64
}

// Lane is an oscillating envelope and its records.
type Lane struct {
	Oscillation audit.Oscillation

	// Records are decisions about the envelope in the window, the oldest first.
	Records []audit.Record

	// More says that the window has earlier ones, which are not drawn.
	More bool
}

// Write writes the report. The same data always makes the same file.
func Write(w io.Writer, data Data) error {
	data.Query = data.Query.WithDefaults()
	data.Lanes = data.Lanes[:min(len(data.Lanes), MaxLanes)]
	page, err := newPage(data)
	if err != nil {
		return fmt.Errorf("reading the report's template: %w", err)
	}
	tmpl, err := parseTemplates()
	if err != nil {
		return fmt.Errorf("reading the report's template: %w", err)
	}
	if err := tmpl.ExecuteTemplate(w, "report", page); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
