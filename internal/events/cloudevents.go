package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// CloudEventType is the type attribute of every event.
const CloudEventType = "com.github.hoc-analytics.coordaudit.decision"

// cloudEvent is a CloudEvent 1.0 with the extensions for correlation and distributed
// tracing. An attribute without a value, or with one that the specification does not allow, is
// left out. The data has it.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time,omitempty"`
	DataContentType string          `json:"datacontenttype"`
	CorrelationID   string          `json:"correlationid,omitempty"`
	CausationID     string          `json:"causationid,omitempty"`
	TraceParent     string          `json:"traceparent,omitempty"`
	Sequence        string          `json:"sequence"`
	Late            bool            `json:"late,omitempty"`
	Repeated        bool            `json:"repeated,omitempty"`
	Data            json.RawMessage `json:"data"`
}

// CloudEvent writes a record as a CloudEvent. source and the record's id together are unique.
func CloudEvent(rec *audit.Followed, source string) ([]byte, error) {
	data, err := json.Marshal(rec.Record)
	if err != nil {
		return nil, fmt.Errorf("writing record %s as a CloudEvent: %w", rec.AuditID, err)
	}
	event := cloudEvent{
		SpecVersion: "1.0", ID: rec.AuditID.String(), Source: source, Type: CloudEventType,
		Subject: attribute(rec.EnvelopeID), Time: timeOf(rec.DecisionTimestamp), DataContentType: "application/json",
		CorrelationID: attribute(rec.Links.CorrelationID), TraceParent: traceParent(rec.Origin), Sequence: fmt.Sprintf("%020d", rec.Seq),
		Late: rec.Late, Repeated: rec.Repeated, Data: data,
	}
	if rec.Links.CausedBy != uuid.Nil {
		event.CausationID = rec.Links.CausedBy.String()
	}
	text, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("writing record %s as a CloudEvent: %w", rec.AuditID, err)
	}
	return text, nil
}

// attribute is a text as a CloudEvents String, or empty if it holds what that must not hold:
// control characters and noncharacters.
func attribute(text string) string {
	forbidden := func(r rune) bool {
		return unicode.IsControl(r) || r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe
	}
	if strings.IndexFunc(text, forbidden) >= 0 {
		return ""
	}
	return text
}

// ErrSource says what the source of an event must be.
var ErrSource = errors.New("must be a URI reference, such as //audit.example/plant-7")

// CheckSource checks that a text may be the source of a CloudEvent: a URI reference by RFC 3986.
func CheckSource(text string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?#[]@!$&'()*+,;=%"
	_, escapes := url.PathUnescape(text) // url.Parse does not look at those of the query
	parsed, err := url.Parse(text)
	if err != nil || escapes != nil || strings.Trim(text, allowed) != "" || text == "" || strings.Count(text, "#") > 1 || strings.ContainsAny(strings.Replace(text, parsed.Host, "", 1), "[]") {
		return ErrSource
	}
	return nil
}

// timeOf is empty for times that RFC 3339 cannot write: those before year 0 or after 9999,
// and infinite ones.
func timeOf(at time.Time) string {
	if audit.IsInfinite(at) || at.Year() < 0 || at.Year() > 9999 {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// traceParent is the W3C trace context. Whether the trace was sampled is not on record, so its
// flags are zero. It is empty unless both ids are stated.
func traceParent(origin audit.Origin) string {
	if origin.TraceID == (audit.TraceID{}) || origin.SpanID == (audit.SpanID{}) {
		return ""
	}
	return fmt.Sprintf("00-%s-%s-00", origin.TraceID, origin.SpanID)
}
