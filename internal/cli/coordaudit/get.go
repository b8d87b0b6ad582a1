package coordaudit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

const getTimeout = 15 * time.Second

type getCommand struct {
	ID    string     `arg:"" help:"The audit id of the record, a UUID."`
	Scope scopeFlags `embed:""`
	JSON  bool       `name:"json" help:"Print the record as one JSON object."`
}

// Validate is called by kong.
func (c *getCommand) Validate() error { return c.Scope.Validate() }

// Run is called by kong.
func (c *getCommand) Run(ctx context.Context, p *cli.Program, db *database) error {
	tried := "getting audit record " + c.ID
	id, err := audit.ParseAuditID(c.ID)
	if err != nil {
		return cli.Usage("reading the audit id", errors.New(format.Faults(format.FaultsOf(err))), "give it as 01890a5d-ac96-774b-bcce-b302099a8057")
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
		return p.Print(recordText(rec))
	}
	text, err := recordJSON(rec)
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	return p.Print(text)
}

func (c *getCommand) failed(id uuid.UUID, err error) error {
	tried := fmt.Sprintf("getting audit record %s for %s", id, c.Scope.scope())
	if errors.Is(err, audit.ErrNotFound) {
		return &cli.ShownError{Tried: tried, Cause: audit.ErrNotFound, Next: "check the id and the scope"}
	}
	return readFailed(tried, err)
}

// recordJSON is the JSON form of a record, with what the database added to it.
func recordJSON(rec audit.Record) (string, error) {
	text, err := recordObject(rec)
	return string(format.EscapeJSON(text)) + "\n", err
}

type shownField struct{ name, value string }

func recordText(rec audit.Record) string {
	var text strings.Builder
	for _, field := range shownFields(rec) {
		const column = "\n                         "
		fmt.Fprintf(&text, "%-23s  %s\n", field.name, strings.ReplaceAll(format.Printable(field.value), "\n", column))
	}
	return text.String()
}

// shownFields are the fields of a record, without the optional ones that it does not state.
// Records of earlier versions have none of those.
func shownFields(rec audit.Record) []shownField {
	fields := []shownField{
		{"audit_id", rec.AuditID.String()},
		{"seq", strconv.FormatInt(rec.Seq, 10)},
		{"tenant_id", format.OrNone(rec.TenantID)},
		{"envelope_id", rec.EnvelopeID},
		{"envelope_class", string(rec.EnvelopeClass)},
		{"decision", string(rec.Decision)},
		{"reason", rec.Reason},
		{"conflicting_envelope_id", format.OrNone(rec.ConflictingEnvelopeID)},
		{"preempting_envelope_id", format.OrNone(rec.PreemptingEnvelopeID)},
	}
	fields = append(fields, stated(
		shownField{"counterpart_class", string(rec.CounterpartClass)},
		shownField{"target_subsystem", rec.TargetSubsystem},
		shownField{"target_parameter", rec.TargetParameter})...)
	fields = append(fields,
		shownField{"active_envelopes_count", strconv.Itoa(int(rec.ActiveEnvelopesCount))},
		shownField{"decision_timestamp", format.Time(rec.DecisionTimestamp)},
		shownField{"created_at", format.Time(rec.CreatedAt)})
	return append(fields, stated(
		shownField{"reason_code", rec.ReasonCode},
		shownField{"policy_version", rec.PolicyVersion},
		shownField{"actor", rec.Actor},
		shownField{"caused_by", idText(rec.Links.CausedBy)},
		shownField{"corrects", idText(rec.Links.Corrects)},
		shownField{"correlation_id", rec.Links.CorrelationID},
		shownField{"trace_id", rec.Origin.TraceID.String()},
		shownField{"span_id", rec.Origin.SpanID.String()},
		shownField{"details", string(rec.Details)},
		shownField{"source_id", idText(rec.Origin.SourceID)},
		shownField{"source_seq", ordinalText(rec.Origin.SourceSeq)})...)
}

// stated leaves out the fields that are empty.
func stated(fields ...shownField) []shownField {
	return slices.DeleteFunc(fields, func(field shownField) bool { return field.value == "" })
}

// idText is empty if there is no id.
func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// ordinalText is empty if there is no ordinal. Ordinals begin at 1.
func ordinalText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
