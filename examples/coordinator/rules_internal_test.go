package coordinator

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestDecideStatesWhyAndByWhom(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	fast := active{"fast", audit.Performance, "cache", "ttl", uuid.New()}
	safe := active{"safe", audit.Safety, "cache", "ttl", uuid.New()}
	cheap := Envelope{ID: "cheap", TenantID: "acme", Class: audit.Cost, Subsystem: "cache", Parameter: "ttl"}
	tests := map[string]struct {
		env     Envelope
		now     situation
		code    string
		cause   uuid.UUID
		details audit.Details
	}{
		"Free":          {cheap, situation{}, ParameterFree, uuid.Nil, ""},
		"Renewed":       {cheap, situation{active: []active{{"cheap", audit.Cost, "cache", "ttl", uuid.New()}}}, Renewed, uuid.Nil, ""},
		"SameParameter": {cheap, situation{active: []active{safe}}, SameParameter, safe.AppliedBy, `{"rank": 3, "holder_rank": 1}`},
		"HoldsAnother": {
			Envelope{ID: "fast", Class: audit.Performance, Subsystem: "cache", Parameter: "size"},
			situation{active: []active{fast}},
			HoldsAnother, fast.AppliedBy, "",
		},
		"NoClass":    {Envelope{ID: "mystery", Subsystem: "cache", Parameter: "ttl"}, situation{}, NoClassDeclared, uuid.Nil, ""},
		"KillSwitch": {cheap, situation{killedAt: &at}, KillSwitchOn, uuid.Nil, ""},
		"Outranks":   {cheap, situation{active: []active{fast}}, OutranksHolder, uuid.Nil, `{"rank": 3, "holder_rank": 4}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records := decide(test.env, test.now, round{id: "round-7", at: at, actor: "coordinator-1"})
			for _, rec := range records {
				if err := rec.Validate(); err != nil {
					t.Error(err)
				}
				if rec.AuditID == uuid.Nil || rec.PolicyVersion != PolicyVersion || rec.Actor != "coordinator-1" || rec.Links.CorrelationID != "round-7" {
					t.Errorf("record %+v", rec)
				}
				if rec.Details != rec.Normalized().Details {
					t.Errorf("details %s are stored as %s", rec.Details, rec.Normalized().Details)
				}
			}
			own := records[len(records)-1]
			got := []any{own.ReasonCode, own.Links.CausedBy, own.Details}
			if diff := cmp.Diff([]any{test.code, test.cause, test.details}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPreemptionIsCausedByWhatTookItsPlace(t *testing.T) {
	t.Parallel()
	fast := active{"fast", audit.Performance, "cache", "ttl", uuid.New()}
	cheap := Envelope{ID: "cheap", Class: audit.Cost, Subsystem: "cache", Parameter: "ttl"}
	records := decide(cheap, situation{active: []active{fast}}, newRound(Config{}.withDefaults()))
	if len(records) != 2 {
		t.Fatalf("%d records, want 2", len(records))
	}
	ends, takes := records[0], records[1]
	if ends.Links.CausedBy != takes.AuditID || takes.Links.CausedBy != uuid.Nil || ends.AuditID == takes.AuditID {
		t.Errorf("%s is caused by %s, %s by %s", ends.AuditID, ends.Links.CausedBy, takes.AuditID, takes.Links.CausedBy)
	}
	if ends.ReasonCode != Outranked || ends.Links.CorrelationID != takes.Links.CorrelationID || ends.Details != takes.Details || ends.Actor == "" {
		t.Errorf("record %+v", ends)
	}
}
