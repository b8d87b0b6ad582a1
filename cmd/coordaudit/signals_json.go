package main

import (
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// signalsJSON is what scripts depend on: keys are added to an object's end alone.
type signalsJSON struct {
	Window                      windowJSON               `json:"window"`
	RejectionRates              []rateJSON               `json:"rejection_rates"`
	Oscillations                []oscillationJSON        `json:"oscillations"`
	Friction                    []frictionJSON           `json:"friction"`
	SelfConflicts               int64                    `json:"self_conflicts"`
	RepeatedRejections          []rejectionsJSON         `json:"repeated_rejections"`
	RepeatedParameterRejections []parameterRejectionJSON `json:"repeated_parameter_rejections"`
	SelfConflictEvidence        evidenceJSON             `json:"self_conflict_evidence"`
	Trend                       []trendJSON              `json:"trend,omitempty"` // if asked for
}

type evidenceJSON struct {
	AuditIDs []uuid.UUID `json:"audit_ids"`
	Records  int64       `json:"records"`
}

type rateJSON struct {
	Class     audit.EnvelopeClass `json:"class"`
	Rejected  int64               `json:"rejected"`
	Total     int64               `json:"total"`
	Rate      float64             `json:"rate"`
	FirstSeen string              `json:"first_seen"`
	LastSeen  string              `json:"last_seen"`
	Evidence  evidenceJSON        `json:"evidence"`
}

type oscillationJSON struct {
	TenantID            string           `json:"tenant_id"`
	EnvelopeID          string           `json:"envelope_id"`
	Cycles              int64            `json:"cycles"`
	PreemptingEnvelopes map[string]int64 `json:"preempting_envelopes"`
	FirstPreempted      string           `json:"first_preempted"`
	LastReapplied       string           `json:"last_reapplied"`
	Evidence            evidenceJSON     `json:"evidence"`
}

type frictionJSON struct {
	Class            audit.EnvelopeClass `json:"class"`
	CounterpartClass audit.EnvelopeClass `json:"counterpart_class"`
	Conflicts        int64               `json:"conflicts"`
	Rejected         int64               `json:"rejected"`
	Preempted        int64               `json:"preempted"`
	Evidence         evidenceJSON        `json:"evidence"`
}

type rejectionsJSON struct {
	TenantID   string       `json:"tenant_id"`
	EnvelopeID string       `json:"envelope_id"`
	Rejections int64        `json:"rejections"`
	FirstSeen  string       `json:"first_seen"`
	LastSeen   string       `json:"last_seen"`
	Evidence   evidenceJSON `json:"evidence"`
}

type parameterRejectionJSON struct {
	TenantID           string                        `json:"tenant_id"`
	TargetSubsystem    string                        `json:"target_subsystem"`
	TargetParameter    string                        `json:"target_parameter"`
	Rejections         int64                         `json:"rejections"`
	CounterpartClasses map[audit.EnvelopeClass]int64 `json:"counterpart_classes"`
	FirstSeen          string                        `json:"first_seen"`
	LastSeen           string                        `json:"last_seen"`
	Evidence           evidenceJSON                  `json:"evidence"`
}

type trendJSON struct {
	Window         windowJSON `json:"window"`
	RejectionRates []rateJSON `json:"rejection_rates"`
}

func signalsObject(found audit.Signals, trend []audit.WindowRates) signalsJSON {
	return signalsJSON{
		Window:         windowObject(found.Window),
		RejectionRates: each(found.RejectionRates, rateObject),
		Oscillations: each(found.Oscillations, func(o audit.Oscillation) oscillationJSON {
			return oscillationJSON{
				o.TenantID, o.EnvelopeID, o.Cycles, orEmpty(o.PreemptingEnvelopes),
				timeText(o.FirstPreempted), timeText(o.LastReapplied), evidenceObject(o.Evidence),
			}
		}),
		Friction: each(found.Friction, func(f audit.Friction) frictionJSON {
			return frictionJSON{f.EnvelopeClass, f.CounterpartClass, f.Conflicts, f.Rejected, f.Preempted, evidenceObject(f.Evidence)}
		}),
		SelfConflicts: found.SelfConflicts.Conflicts,
		RepeatedRejections: each(found.RepeatedRejections, func(r audit.RepeatedRejection) rejectionsJSON {
			return rejectionsJSON{r.TenantID, r.EnvelopeID, r.Rejections, timeText(r.FirstSeen), timeText(r.LastSeen), evidenceObject(r.Evidence)}
		}),
		RepeatedParameterRejections: each(found.RepeatedParameterRejections, func(r audit.RepeatedParameterRejection) parameterRejectionJSON {
			return parameterRejectionJSON{
				r.TenantID, r.TargetSubsystem, r.TargetParameter, r.Rejections, orEmpty(r.CounterpartClasses),
				timeText(r.FirstSeen), timeText(r.LastSeen), evidenceObject(r.Evidence),
			}
		}),
		SelfConflictEvidence: evidenceObject(found.SelfConflicts.Evidence),
		Trend: each(trend, func(rates audit.WindowRates) trendJSON {
			return trendJSON{windowObject(rates.Window), each(rates.RejectionRates, rateObject)}
		}),
	}
}

func rateObject(r audit.RejectionRate) rateJSON {
	return rateJSON{r.EnvelopeClass, r.Rejected, r.Total, r.Rate(), timeText(r.FirstSeen), timeText(r.LastSeen), evidenceObject(r.Evidence)}
}

func evidenceObject(e audit.Evidence) evidenceJSON {
	return evidenceJSON{append(make([]uuid.UUID, 0, len(e.AuditIDs)), e.AuditIDs...), e.Records}
}

// each is never nil, so that its JSON is never null.
func each[From, To any](all []From, convert func(From) To) []To {
	converted := make([]To, len(all))
	for i, one := range all {
		converted[i] = convert(one)
	}
	return converted
}
