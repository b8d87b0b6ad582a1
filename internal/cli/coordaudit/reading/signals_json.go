package reading

import (
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// SignalsJSON is what scripts depend on. Keys are only added, at the end of an object.
type SignalsJSON struct {
	Window                      shared.WindowJSON        `json:"window"`
	RejectionRates              []rateJSON               `json:"rejection_rates"`
	Oscillations                []oscillationJSON        `json:"oscillations"`
	Friction                    []frictionJSON           `json:"friction"`
	SelfConflicts               int64                    `json:"self_conflicts"`
	RepeatedRejections          []rejectionsJSON         `json:"repeated_rejections"`
	RepeatedParameterRejections []parameterRejectionJSON `json:"repeated_parameter_rejections"`
	SelfConflictEvidence        EvidenceJSON             `json:"self_conflict_evidence"`
	Trend                       []trendJSON              `json:"trend,omitempty"` // if asked for
	SelfConflictTopReasonCode   *TopCodeJSON             `json:"self_conflict_top_reason_code,omitempty"`
	PreemptionCycles            preemptionCyclesJSON     `json:"preemption_cycles"`
}

type preemptionCyclesJSON struct {
	Heaviest []preemptionCycleJSON `json:"heaviest"`
	Total    int64                 `json:"total"`
	AtLeast  bool                  `json:"at_least"`
}

type preemptionCycleJSON struct {
	TenantID string               `json:"tenant_id"`
	Turns    int64                `json:"turns"`
	Steps    []PreemptionStepJSON `json:"steps"`
}

// PreemptionStepJSON is one step of a cycle.
type PreemptionStepJSON struct {
	EnvelopeID  string       `json:"envelope_id"`
	Preemptions int64        `json:"preemptions"`
	FirstSeen   string       `json:"first_seen"`
	LastSeen    string       `json:"last_seen"`
	Evidence    EvidenceJSON `json:"evidence"`
}

// EvidenceJSON is the records behind a number.
type EvidenceJSON struct {
	AuditIDs []uuid.UUID `json:"audit_ids"`
	Records  int64       `json:"records"`
}

// TopCodeJSON is left out where no record states a code.
type TopCodeJSON struct {
	ReasonCode string `json:"reason_code"`
	Records    int64  `json:"records"`
}

type rateJSON struct {
	Class         audit.EnvelopeClass `json:"class"`
	Rejected      int64               `json:"rejected"`
	Total         int64               `json:"total"`
	Rate          float64             `json:"rate"`
	FirstSeen     string              `json:"first_seen"`
	LastSeen      string              `json:"last_seen"`
	Evidence      EvidenceJSON        `json:"evidence"`
	TopReasonCode *TopCodeJSON        `json:"top_reason_code,omitempty"`
}

type oscillationJSON struct {
	TenantID            string           `json:"tenant_id"`
	EnvelopeID          string           `json:"envelope_id"`
	Cycles              int64            `json:"cycles"`
	PreemptingEnvelopes map[string]int64 `json:"preempting_envelopes"`
	FirstPreempted      string           `json:"first_preempted"`
	LastReapplied       string           `json:"last_reapplied"`
	Evidence            EvidenceJSON     `json:"evidence"`
}

type frictionJSON struct {
	Class            audit.EnvelopeClass `json:"class"`
	CounterpartClass audit.EnvelopeClass `json:"counterpart_class"`
	Conflicts        int64               `json:"conflicts"`
	Rejected         int64               `json:"rejected"`
	Preempted        int64               `json:"preempted"`
	Evidence         EvidenceJSON        `json:"evidence"`
	TopReasonCode    *TopCodeJSON        `json:"top_reason_code,omitempty"`
}

type rejectionsJSON struct {
	TenantID      string       `json:"tenant_id"`
	EnvelopeID    string       `json:"envelope_id"`
	Rejections    int64        `json:"rejections"`
	FirstSeen     string       `json:"first_seen"`
	LastSeen      string       `json:"last_seen"`
	Evidence      EvidenceJSON `json:"evidence"`
	TopReasonCode *TopCodeJSON `json:"top_reason_code,omitempty"`
}

type parameterRejectionJSON struct {
	TenantID           string                        `json:"tenant_id"`
	TargetSubsystem    string                        `json:"target_subsystem"`
	TargetParameter    string                        `json:"target_parameter"`
	Rejections         int64                         `json:"rejections"`
	CounterpartClasses map[audit.EnvelopeClass]int64 `json:"counterpart_classes"`
	FirstSeen          string                        `json:"first_seen"`
	LastSeen           string                        `json:"last_seen"`
	Evidence           EvidenceJSON                  `json:"evidence"`
	TopReasonCode      *TopCodeJSON                  `json:"top_reason_code,omitempty"`
}

type trendJSON struct {
	Window         shared.WindowJSON `json:"window"`
	RejectionRates []rateJSON        `json:"rejection_rates"`
}

func signalsObject(found audit.Signals, trend []audit.WindowRates) SignalsJSON {
	return SignalsJSON{
		Window:         shared.WindowObject(found.Window),
		RejectionRates: each(found.RejectionRates, rateObject),
		Oscillations: each(found.Oscillations, func(o audit.Oscillation) oscillationJSON {
			return oscillationJSON{
				o.TenantID, o.EnvelopeID, o.Cycles, shared.OrEmpty(o.PreemptingEnvelopes),
				format.Time(o.FirstPreempted), format.Time(o.LastReapplied), evidenceObject(o.Evidence),
			}
		}),
		Friction: each(found.Friction, func(f audit.Friction) frictionJSON {
			return frictionJSON{f.EnvelopeClass, f.CounterpartClass, f.Conflicts, f.Rejected, f.Preempted, evidenceObject(f.Evidence), topCodeObject(f.TopReasonCode)}
		}),
		SelfConflicts: found.SelfConflicts.Conflicts,
		RepeatedRejections: each(found.RepeatedRejections, func(r audit.RepeatedRejection) rejectionsJSON {
			return rejectionsJSON{
				r.TenantID, r.EnvelopeID, r.Rejections,
				format.Time(r.FirstSeen), format.Time(r.LastSeen), evidenceObject(r.Evidence), topCodeObject(r.TopReasonCode),
			}
		}),
		RepeatedParameterRejections: each(found.RepeatedParameterRejections, func(r audit.RepeatedParameterRejection) parameterRejectionJSON {
			return parameterRejectionJSON{
				r.TenantID, r.TargetSubsystem, r.TargetParameter, r.Rejections, shared.OrEmpty(r.CounterpartClasses),
				format.Time(r.FirstSeen), format.Time(r.LastSeen), evidenceObject(r.Evidence), topCodeObject(r.TopReasonCode),
			}
		}),
		SelfConflictEvidence: evidenceObject(found.SelfConflicts.Evidence),
		Trend: each(trend, func(rates audit.WindowRates) trendJSON {
			return trendJSON{shared.WindowObject(rates.Window), each(rates.RejectionRates, rateObject)}
		}),
		SelfConflictTopReasonCode: topCodeObject(found.SelfConflicts.TopReasonCode),
		PreemptionCycles: preemptionCyclesJSON{
			Heaviest: each(found.PreemptionCycles.Heaviest, func(c audit.PreemptionCycle) preemptionCycleJSON {
				return preemptionCycleJSON{c.TenantID, c.Turns, each(c.Steps, func(s audit.PreemptionStep) PreemptionStepJSON {
					return PreemptionStepJSON{s.EnvelopeID, s.Preemptions, format.Time(s.FirstSeen), format.Time(s.LastSeen), evidenceObject(s.Evidence)}
				})}
			}),
			Total: found.PreemptionCycles.Total, AtLeast: found.PreemptionCycles.AtLeast,
		},
	}
}

func rateObject(r audit.RejectionRate) rateJSON {
	return rateJSON{
		r.EnvelopeClass, r.Rejected, r.Total, r.Rate(),
		format.Time(r.FirstSeen), format.Time(r.LastSeen), evidenceObject(r.Evidence), topCodeObject(r.TopReasonCode),
	}
}

func evidenceObject(e audit.Evidence) EvidenceJSON {
	return EvidenceJSON{append(make([]uuid.UUID, 0, len(e.AuditIDs)), e.AuditIDs...), e.Records}
}

func topCodeObject(top audit.TopReasonCode) *TopCodeJSON {
	if top.Records == 0 {
		return nil
	}
	return &TopCodeJSON{top.ReasonCode, top.Records}
}

// each never returns nil, so that its JSON is never null.
func each[From, To any](all []From, convert func(From) To) []To {
	converted := make([]To, len(all))
	for i, one := range all {
		converted[i] = convert(one)
	}
	return converted
}
