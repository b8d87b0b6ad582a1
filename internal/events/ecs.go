package events

import (
	"encoding/json"
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
)

// ecsVersion is the version of the schema that the fields are of.
const ecsVersion = "8.11.0"

type ecsEvent struct {
	Timestamp    string            `json:"@timestamp,omitempty"`
	ECS          ecsSchema         `json:"ecs"`
	Event        ecsFields         `json:"event"`
	Message      string            `json:"message"`
	Organization *ecsID            `json:"organization,omitempty"`
	Trace        *ecsID            `json:"trace,omitempty"`
	Span         *ecsID            `json:"span,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Record       json.RawMessage   `json:"coordaudit"`
}

type ecsSchema struct {
	Version string `json:"version"`
}

type ecsID struct {
	ID string `json:"id"`
}

type ecsFields struct {
	ID       string   `json:"id"`
	Kind     string   `json:"kind"`
	Category []string `json:"category"`
	Type     []string `json:"type"`
	Action   string   `json:"action"`
	Outcome  string   `json:"outcome"`
	Dataset  string   `json:"dataset"`
	Provider string   `json:"provider"`
	Sequence int64    `json:"sequence"`
	Created  string   `json:"created,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Code     string   `json:"code,omitempty"`
}

// ECS writes a record in the Elastic Common Schema. The record is in the namespace
// coordaudit. An APPLIED decision is allowed and a success; the others are denied.
func ECS(rec *audit.Followed) ([]byte, error) {
	record, err := json.Marshal(rec.Record)
	if err != nil {
		return nil, fmt.Errorf("writing record %s for ECS: %w", rec.AuditID, err)
	}
	event := ecsEvent{
		Timestamp: timeOf(rec.DecisionTimestamp),
		ECS:       ecsSchema{Version: ecsVersion},
		Event: ecsFields{
			ID: rec.AuditID.String(), Kind: "event", Category: []string{"configuration"}, Type: []string{"denied"}, Action: actionOf(rec.Decision),
			Outcome: "failure", Dataset: "coordaudit.decision", Provider: "coordaudit", Sequence: rec.Seq, Created: timeOf(rec.CreatedAt),
			Reason: rec.Reason, Code: rec.ReasonCode,
		},
		Message: fmt.Sprintf("%s %s: %s", rec.Decision, rec.EnvelopeID, rec.Reason),
		Labels:  labelsOf(rec),
		Record:  record,
	}
	if rec.Decision == audit.Applied {
		event.Event.Type, event.Event.Outcome = []string{"allowed", "change"}, "success"
	}
	if rec.TenantID != "" {
		event.Organization = &ecsID{ID: rec.TenantID}
	}
	if rec.Origin.TraceID != (audit.TraceID{}) {
		event.Trace = &ecsID{ID: rec.Origin.TraceID.String()}
	}
	if rec.Origin.SpanID != (audit.SpanID{}) {
		event.Span = &ecsID{ID: rec.Origin.SpanID.String()}
	}
	text, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("writing record %s for ECS: %w", rec.AuditID, err)
	}
	return text, nil
}

func actionOf(decision audit.Decision) string {
	switch decision {
	case audit.Applied:
		return "envelope-applied"
	case audit.Rejected:
		return "envelope-rejected"
	case audit.Preempted:
		return "envelope-preempted"
	default:
		return "envelope-decided"
	}
}

// labelsOf are what people filter by.
func labelsOf(rec *audit.Followed) map[string]string {
	labels := map[string]string{"envelope_id": rec.EnvelopeID, "envelope_class": string(rec.EnvelopeClass)}
	for name, value := range map[string]string{
		"actor": rec.Actor, "policy_version": rec.PolicyVersion, "correlation_id": rec.Links.CorrelationID,
		"preempting_envelope_id": rec.PreemptingEnvelopeID, "conflicting_envelope_id": rec.ConflictingEnvelopeID,
	} {
		if value != "" {
			labels[name] = value
		}
	}
	if rec.Late {
		labels["late"] = "true"
	}
	if rec.Repeated {
		labels["repeated"] = "true"
	}
	return labels
}
