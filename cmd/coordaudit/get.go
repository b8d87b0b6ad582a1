package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

const getTimeout = 15 * time.Second

type getCommand struct {
	ID    string     `arg:"" help:"The record's audit id, a UUID."`
	Scope scopeFlags `embed:""`
	JSON  bool       `name:"json" help:"Print the record as one JSON object."`
}

// Validate is called by kong.
func (c *getCommand) Validate() error { return c.Scope.Validate() }

// Run is called by kong.
func (c *getCommand) Run(ctx context.Context, p *program, db *database) error {
	tried := "getting audit record " + c.ID
	id, err := audit.ParseAuditID(c.ID)
	if err != nil {
		return usage("reading the audit id", errors.New(describeFaults(faultsOf(err))), "give it as 01890a5d-ac96-774b-bcce-b302099a8057")
	}
	store, err := db.open(ctx, tried, getTimeout)
	if err != nil {
		return err
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	rec, err := store.Get(ctx, c.Scope.scope(), id)
	if err != nil {
		return c.failed(id, err)
	}
	if !c.JSON {
		return p.print(recordText(rec))
	}
	text, err := recordJSON(rec)
	if err != nil {
		return &failure{tried: tried, cause: err}
	}
	return p.print(text)
}

func (c *getCommand) failed(id uuid.UUID, err error) error {
	tried := fmt.Sprintf("getting audit record %s for %s", id, c.Scope.scope())
	if errors.Is(err, audit.ErrNotFound) {
		return &failure{tried: tried, cause: audit.ErrNotFound, next: "check the id, and whose records it is looked for in"}
	}
	return readFailed(tried, err)
}

// recordJSON is the record's own JSON form and what the database added to it.
func recordJSON(rec audit.Record) (string, error) {
	text, err := recordObject(rec)
	return string(text) + "\n", err
}

type shownField struct{ name, value string }

func recordText(rec audit.Record) string {
	var text strings.Builder
	for _, field := range shownFields(rec) {
		const column = "\n                         "
		fmt.Fprintf(&text, "%-23s  %s\n", field.name, strings.ReplaceAll(printable(field.value), "\n", column))
	}
	return text.String()
}

// shownFields are all of a record but what it does not state of its context:
// records from before there was one have none.
func shownFields(rec audit.Record) []shownField {
	fields := []shownField{
		{"audit_id", rec.AuditID.String()},
		{"seq", strconv.FormatInt(rec.Seq, 10)},
		{"tenant_id", orNone(rec.TenantID)},
		{"envelope_id", rec.EnvelopeID},
		{"envelope_class", string(rec.EnvelopeClass)},
		{"decision", string(rec.Decision)},
		{"reason", rec.Reason},
		{"conflicting_envelope_id", orNone(rec.ConflictingEnvelopeID)},
		{"preempting_envelope_id", orNone(rec.PreemptingEnvelopeID)},
	}
	for _, context := range []shownField{
		{"counterpart_class", string(rec.CounterpartClass)},
		{"target_subsystem", rec.TargetSubsystem},
		{"target_parameter", rec.TargetParameter},
	} {
		if context.value != "" {
			fields = append(fields, context)
		}
	}
	return append(fields,
		shownField{"active_envelopes_count", strconv.Itoa(int(rec.ActiveEnvelopesCount))},
		shownField{"decision_timestamp", timeText(rec.DecisionTimestamp)},
		shownField{"created_at", timeText(rec.CreatedAt)})
}

func timeText(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

func orNone(id string) string {
	if id == "" {
		return "(none)"
	}
	return id
}

// printable keeps a record's text from steering the terminal that shows it. Line
// breaks stay.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsGraphic(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}
