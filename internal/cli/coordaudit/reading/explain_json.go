package reading

import (
	"encoding/json"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/sealstate"
)

// ExplanationJSON is what scripts depend on. Keys are only added, at the end of an object.
type ExplanationJSON struct {
	Record          json.RawMessage   `json:"record"`
	Cause           audit.Cause       `json:"cause"`
	Counterpart     *counterpartJSON  `json:"counterpart"` // null if the record names none
	Causes          []json.RawMessage `json:"causes"`
	CausesEnd       audit.CausesEnd   `json:"causes_end"`
	Displaced       []json.RawMessage `json:"displaced"`
	MoreDisplaced   bool              `json:"more_displaced"`
	Next            json.RawMessage   `json:"next"` // null if there is none
	Meetings        meetingsJSON      `json:"meetings"`
	Corrections     []json.RawMessage `json:"corrections"`
	MoreCorrections bool              `json:"more_corrections"`
	Corrected       json.RawMessage   `json:"corrected"` // likewise
	Losses          lossesJSON        `json:"losses"`
	Seal            sealstate.State   `json:"seal"`
	NextStep        audit.NextStep    `json:"next_step"`
}

type counterpartJSON struct {
	EnvelopeID    string              `json:"envelope_id"`
	EnvelopeClass audit.EnvelopeClass `json:"envelope_class"` // "" if it is not known
	Record        json.RawMessage     `json:"record"`         // null if it is absent
	FoundBy       audit.FoundBy       `json:"found_by"`
}

type meetingsJSON struct {
	Preempted      int64 `json:"preempted"`
	Rejected       int64 `json:"rejected"`
	PreemptedOther int64 `json:"preempted_other"`
	RejectedOther  int64 `json:"rejected_other"`
	AtLeast        bool  `json:"at_least"`
}

type lossesJSON struct {
	Gaps         []nearbyGapJSON `json:"gaps"`
	GapsRead     bool            `json:"gaps_read"`
	Ordinals     []int64         `json:"ordinals"`
	OrdinalsRead bool            `json:"ordinals_read"`
}

type nearbyGapJSON struct {
	GapID   uuid.UUID `json:"gap_id"`
	From    string    `json:"from"`
	Until   string    `json:"until"`
	Records int64     `json:"records"`
	Cause   string    `json:"cause"`
}

func explanationObject(e audit.Explanation, sealed sealstate.State) (ExplanationJSON, error) {
	objects := objectMaker{}
	object := ExplanationJSON{
		Record: objects.one(&e.Record), Cause: e.Cause, Causes: objects.all(e.Causes), CausesEnd: e.CausesEnd,
		Displaced: objects.all(e.Displaced.Records), MoreDisplaced: e.Displaced.More, Next: objects.one(e.Next), Meetings: meetingsJSON(e.Meetings),
		Corrections: objects.all(e.Corrections.Records), MoreCorrections: e.Corrections.More, Corrected: objects.one(e.Corrected),
		Losses: lossesJSON{
			Gaps: []nearbyGapJSON{}, GapsRead: !e.Losses.GapsUnread,
			Ordinals: append([]int64{}, e.Losses.Ordinals...), OrdinalsRead: !e.Losses.OrdinalsUnread,
		},
		Seal: sealed, NextStep: e.NextStep,
	}
	for _, gap := range e.Losses.Gaps {
		object.Losses.Gaps = append(object.Losses.Gaps, nearbyGapJSON{
			GapID: gap.GapID, From: format.Time(gap.From), Until: format.Time(gap.Until), Records: gap.Records, Cause: gap.Cause,
		})
	}
	if of := e.Counterpart; of.EnvelopeID != "" {
		object.Counterpart = &counterpartJSON{EnvelopeID: of.EnvelopeID, EnvelopeClass: of.EnvelopeClass, Record: objects.one(of.Record), FoundBy: of.FoundBy}
	}
	return object, objects.err
}

// objectMaker makes the JSON forms of records, and keeps the first error.
type objectMaker struct{ err error }

func (m *objectMaker) one(rec *audit.Record) json.RawMessage {
	if rec == nil {
		return json.RawMessage("null")
	}
	text, err := shared.RecordObject(*rec)
	if m.err == nil {
		m.err = err
	}
	return text
}

func (m *objectMaker) all(recs []audit.Record) []json.RawMessage {
	objects := make([]json.RawMessage, len(recs))
	for i := range recs {
		objects[i] = m.one(&recs[i])
	}
	return objects
}
