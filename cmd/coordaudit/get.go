package main

import (
	"context"
	"encoding/json"
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
	ID         string  `arg:"" help:"The record's audit id, a UUID."`
	Tenant     *string `xor:"scope" required:"" placeholder:"ID" help:"Look among this tenant's records."`
	NoTenant   bool    `xor:"scope" required:"" help:"Look among the records that belong to no tenant."`
	AllTenants bool    `xor:"scope" required:"" help:"Look among all records."`
	JSON       bool    `name:"json" help:"Print the record as one JSON object."`
}

func (c *getCommand) scope() audit.Scope {
	switch {
	case c.AllTenants:
		return audit.AllTenants()
	case c.NoTenant:
		return audit.NoTenant()
	default:
		return audit.Tenant(*c.Tenant)
	}
}

// Validate is called by kong.
func (c *getCommand) Validate() error {
	if c.Tenant != nil && *c.Tenant == "" {
		return errors.New("--tenant is empty; for records that belong to no tenant use --no-tenant")
	}
	return nil
}

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
	rec, err := store.Get(ctx, c.scope(), id)
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

// failed says the store's words again, and the next step with them.
func (c *getCommand) failed(id uuid.UUID, err error) error {
	shown := &failure{tried: fmt.Sprintf("getting audit record %s for %s", id, c.scope()), cause: err}
	if cause := errors.Unwrap(err); cause != nil {
		shown.cause = cause // err itself begins with what was tried
	}
	switch {
	case errors.Is(err, audit.ErrNotFound):
		shown.next = "check the id, and whose records it is looked for in"
	case errors.Is(err, audit.ErrUnavailable):
		shown.next = "check that the database runs and that its URL is right, and try again"
	}
	return shown
}

// recordJSON is the record's own JSON form and what the database added to it.
func recordJSON(rec audit.Record) (string, error) {
	content, err := json.Marshal(rec)
	if err != nil {
		return "", err
	}
	added, err := json.Marshal(struct {
		Seq       int64  `json:"seq"`
		CreatedAt string `json:"created_at"`
	}{rec.Seq, timeText(rec.CreatedAt)})
	if err != nil {
		return "", err
	}
	// Two objects, neither empty, become one.
	return string(content[:len(content)-1]) + "," + string(added[1:]) + "\n", nil
}

func recordText(rec audit.Record) string {
	var text strings.Builder
	for _, field := range []struct{ name, value string }{
		{"audit_id", rec.AuditID.String()},
		{"seq", strconv.FormatInt(rec.Seq, 10)},
		{"tenant_id", orNone(rec.TenantID)},
		{"envelope_id", rec.EnvelopeID},
		{"envelope_class", string(rec.EnvelopeClass)},
		{"decision", string(rec.Decision)},
		{"reason", rec.Reason},
		{"conflicting_envelope_id", orNone(rec.ConflictingEnvelopeID)},
		{"preempting_envelope_id", orNone(rec.PreemptingEnvelopeID)},
		{"active_envelopes_count", strconv.Itoa(int(rec.ActiveEnvelopesCount))},
		{"decision_timestamp", timeText(rec.DecisionTimestamp)},
		{"created_at", timeText(rec.CreatedAt)},
	} {
		const column = "\n                         "
		fmt.Fprintf(&text, "%-23s  %s\n", field.name, strings.ReplaceAll(printable(field.value), "\n", column))
	}
	return text.String()
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
