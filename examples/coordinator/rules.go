package coordinator

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// PolicyVersion names these rules in their records. Change it with the rules, so that each
// decision can be explained by the rules of its time.
const PolicyVersion = "priority-1"

// The codes of the reasons, one for each rule. Programs count and filter by them. The
// reason is for people, and its words may change.
const (
	KillSwitchOn    = "KILL_SWITCH_ON"
	NoClassDeclared = "NO_CLASS_DECLARED"
	HoldsAnother    = "HOLDS_ANOTHER_PARAMETER"
	ParameterFree   = "PARAMETER_FREE"
	Renewed         = "RENEWED"
	OutranksHolder  = "OUTRANKS_HOLDER" // of the envelope that takes the parameter
	Outranked       = "OUTRANKED"       // of the envelope that loses it
	SameParameter   = "SAME_PARAMETER"
)

// situation is everything that a decision depends on besides the envelope itself.
type situation struct {
	killedAt *time.Time // nil: the kill switch is off
	active   []active
}

// active is an active envelope, and the parameter it holds.
type active struct {
	EnvelopeID string
	Class      audit.EnvelopeClass
	Subsystem  string
	Parameter  string
	AppliedBy  uuid.UUID // the record by which it holds it
}

// round is one call of Apply: what all of its records share.
type round struct {
	id    string
	at    time.Time
	actor string
}

func newRound(config Config) round {
	return round{id: newID().String(), at: config.Clock(), actor: config.Instance}
}

// newID makes an audit id. The store makes one for a record without, but a record that
// others name as their cause needs its id before it is stored.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// decide applies the rules and returns the records of the decision. The record of the
// requesting envelope is the last one. An envelope holds one parameter, and one
// envelope holds a parameter. The rules use only these two facts.
func decide(env Envelope, now situation, round round) []audit.Record {
	rec := audit.Record{
		AuditID:              newID(),
		EnvelopeID:           env.ID,
		EnvelopeClass:        env.Class.OrUnknown(),
		DecisionTimestamp:    round.at,
		ActiveEnvelopesCount: int32(len(now.active)),
		TenantID:             env.TenantID,
		TargetSubsystem:      env.Subsystem,
		TargetParameter:      env.Parameter,
		PolicyVersion:        PolicyVersion,
		Actor:                round.actor,
		Links:                audit.Links{CorrelationID: round.id},
	}
	holder, held := now.holderOf(env)
	elsewhere, holdsElsewhere := now.heldBy(env)
	switch {
	case now.killedAt != nil:
		return rejected(rec, KillSwitchOn, "Kill switch is on since "+now.killedAt.UTC().Format("2006-01-02 15:04:05 MST"))
	case rec.EnvelopeClass == audit.Unknown:
		return rejected(rec, NoClassDeclared, "No class declared: an envelope must say what it optimizes for")
	case holdsElsewhere:
		// Moving it silently would end its first hold without a trace. Holding both
		// would let one outlive a revert of the other.
		rec.Links.CausedBy = elsewhere.AppliedBy
		return rejected(rec, HoldsAnother, fmt.Sprintf("%s still holds %s.%s: revert it first", env.ID, elsewhere.Subsystem, elsewhere.Parameter))
	case !held:
		rec.ActiveEnvelopesCount++
		return applied(rec, ParameterFree, "Nothing else holds "+env.target())
	case holder.EnvelopeID == env.ID:
		return applied(rec, Renewed, fmt.Sprintf("Renewed: it holds %s already", env.target()))
	case outranks(env.Class, holder.Class):
		return preempting(rec, env, holder)
	default:
		return conflicting(rec, env, holder)
	}
}

func applied(rec audit.Record, code, reason string) []audit.Record {
	rec.Decision, rec.ReasonCode, rec.Reason = audit.Applied, code, reason
	return []audit.Record{rec}
}

func rejected(rec audit.Record, code, reason string) []audit.Record {
	rec.Decision, rec.ReasonCode, rec.Reason = audit.Rejected, code, reason
	return []audit.Record{rec}
}

// conflicting names the holder and, as the cause, the record by which it holds the
// parameter.
func conflicting(rec audit.Record, env Envelope, holder active) []audit.Record {
	rec.ConflictingEnvelopeID, rec.CounterpartClass = holder.EnvelopeID, holder.Class
	rec.Links.CausedBy, rec.Details = holder.AppliedBy, ranks(env.Class, holder.Class)
	return rejected(rec, SameParameter, fmt.Sprintf("Same-parameter conflict: %s is held by %s (%s)", env.target(), holder.EnvelopeID, holder.Class))
}

// preempting records the holder's end first. Between the two records one envelope
// fewer is active, and the counts show it. The second record is the cause of the first.
func preempting(rec audit.Record, env Envelope, holder active) []audit.Record {
	rec.Details = ranks(env.Class, holder.Class)
	end := rec
	end.AuditID, end.Links.CausedBy = newID(), rec.AuditID
	end.EnvelopeID, end.EnvelopeClass = holder.EnvelopeID, holder.Class
	end.Decision, end.PreemptingEnvelopeID, end.CounterpartClass = audit.Preempted, env.ID, env.Class
	end.ReasonCode, end.Reason = Outranked, fmt.Sprintf("%s goes to %s (%s)", env.target(), env.ID, env.Class)
	end.ActiveEnvelopesCount--
	taken := applied(rec, OutranksHolder, fmt.Sprintf("Outranks %s (%s) on %s", holder.EnvelopeID, holder.Class, env.target()))
	return append([]audit.Record{end}, taken...)
}

// ranks are the numbers that were compared. 1 is the first. [audit.DetailsOf] makes
// details from any value. Two numbers need nothing escaped.
func ranks(class, holder audit.EnvelopeClass) audit.Details {
	return audit.Details(fmt.Sprintf(`{"rank": %d, "holder_rank": %d}`, rank(class), rank(holder)))
}

func rank(class audit.EnvelopeClass) int { return slices.Index(audit.EnvelopeClasses(), class) + 1 }

// outranks is false for equals, so that two envelopes of one class cannot take a
// parameter from each other forever.
func outranks(class, other audit.EnvelopeClass) bool {
	return rank(class) < rank(other)
}

func (s situation) holderOf(env Envelope) (active, bool) {
	return s.find(func(a active) bool { return a.Subsystem == env.Subsystem && a.Parameter == env.Parameter })
}

// heldBy finds what the envelope holds besides what it requests.
func (s situation) heldBy(env Envelope) (active, bool) {
	return s.find(func(a active) bool {
		return a.EnvelopeID == env.ID && (a.Subsystem != env.Subsystem || a.Parameter != env.Parameter)
	})
}

func (s situation) find(is func(active) bool) (active, bool) {
	if i := slices.IndexFunc(s.active, is); i >= 0 {
		return s.active[i], true
	}
	return active{}, false
}
