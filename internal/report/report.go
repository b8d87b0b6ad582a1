// Package report draws what a window of the audit trail holds as one HTML file.
// The file is complete in itself: it asks for nothing over the network, and its
// content security policy lets no other style or script than its own take effect.
package report

import (
	"fmt"
	"io"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// The bounds of what a report shows.
const (
	// MaxLanes is how many oscillating envelopes have a lane.
	MaxLanes = 12

	// MaxLaneRecords is how many records a lane is drawn from.
	MaxLaneRecords = 500

	// MaxRepeated is how many rows each table of repeated rejections has.
	MaxRepeated = 20

	// MaxReasonLength is how many characters of a reason are shown.
	MaxReasonLength = 400
)

// Data is what a report shows.
type Data struct {
	// Query is what was asked: whose records, in which window, with which thresholds.
	Query audit.SignalQuery

	// Made is when the report was made.
	Made time.Time

	// Breakdown and Signals are the answers for that scope and window.
	Breakdown audit.Breakdown
	Signals   audit.Signals

	// Hours, if not empty, are drawn in the place of Breakdown.ByDay: for windows
	// that are short.
	Hours []HourCount

	// Lanes are the oscillations to draw, at most [MaxLanes] of them.
	Lanes []Lane

	// Latest are the records to list, the newest first.
	Latest []audit.Record
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

	// More says that there are earlier ones in the window, which are not drawn.
	More bool
}

// Write writes the report. The same data makes the same file.
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
