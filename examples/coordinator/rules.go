package coordinator

import (
	"fmt"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// situation is all that a decision depends on besides the envelope itself.
type situation struct {
	killedAt *time.Time // nil: the kill switch is off
	active   []active
}

// active is an envelope that acts, and what it holds.
type active struct {
	EnvelopeID string
	Class      audit.EnvelopeClass
	Subsystem  string
	Parameter  string
}

// decide applies the rules and returns the records of the decision, the asking
// envelope's last. An envelope holds one parameter, and a parameter is held by
// one envelope; what the rules do, they do by those two.
func decide(env Envelope, now situation, at time.Time) []audit.Record {
	rec := audit.Record{
		EnvelopeID:           env.ID,
		EnvelopeClass:        env.Class.OrUnknown(),
		DecisionTimestamp:    at,
		ActiveEnvelopesCount: int32(len(now.active)),
		TenantID:             env.TenantID,
		TargetSubsystem:      env.Subsystem,
		TargetParameter:      env.Parameter,
	}
	holder, held := now.holderOf(env)
	elsewhere, holdsElsewhere := now.heldBy(env)
	switch {
	case now.killedAt != nil:
		return rejected(rec, active{}, "Kill switch is on since "+now.killedAt.UTC().Format("2006-01-02 15:04:05 MST"))
	case rec.EnvelopeClass == audit.Unknown:
		return rejected(rec, active{}, "No class declared: an envelope must say what it optimizes for")
	case holdsElsewhere:
		// Moving it silently would end its first hold without a trace; holding both
		// would outlive the revert of one.
		return rejected(rec, active{}, fmt.Sprintf("%s still holds %s.%s: revert it first", env.ID, elsewhere.Subsystem, elsewhere.Parameter))
	case !held:
		rec.ActiveEnvelopesCount++
		return applied(rec, "Nothing else holds "+env.target())
	case holder.EnvelopeID == env.ID:
		return applied(rec, fmt.Sprintf("Renewed: it holds %s already", env.target()))
	case outranks(env.Class, holder.Class):
		return preempting(rec, env, holder)
	default:
		return rejected(rec, holder, fmt.Sprintf("Same-parameter conflict: %s is held by %s (%s)", env.target(), holder.EnvelopeID, holder.Class))
	}
}

func applied(rec audit.Record, reason string) []audit.Record {
	rec.Decision, rec.Reason = audit.Applied, reason
	return []audit.Record{rec}
}

// rejected: a zero holder says that no other envelope stood in the way.
func rejected(rec audit.Record, holder active, reason string) []audit.Record {
	rec.Decision, rec.Reason = audit.Rejected, reason
	rec.ConflictingEnvelopeID, rec.CounterpartClass = holder.EnvelopeID, holder.Class
	return []audit.Record{rec}
}

// preempting records the holder's end first: between the two records one
// envelope fewer is active, and the counts say so.
func preempting(rec audit.Record, env Envelope, holder active) []audit.Record {
	end := rec
	end.EnvelopeID, end.EnvelopeClass = holder.EnvelopeID, holder.Class
	end.Decision, end.PreemptingEnvelopeID, end.CounterpartClass = audit.Preempted, env.ID, env.Class
	end.Reason = fmt.Sprintf("%s goes to %s (%s)", env.target(), env.ID, env.Class)
	end.ActiveEnvelopesCount--
	return append([]audit.Record{end}, applied(rec, fmt.Sprintf("Outranks %s (%s) on %s", holder.EnvelopeID, holder.Class, env.target()))...)
}

// outranks: equals do not, so that two envelopes of one class cannot take a
// parameter from each other for ever.
func outranks(class, other audit.EnvelopeClass) bool {
	byPriority := audit.EnvelopeClasses()
	return slices.Index(byPriority, class) < slices.Index(byPriority, other)
}

func (s situation) holderOf(env Envelope) (active, bool) {
	return s.find(func(a active) bool { return a.Subsystem == env.Subsystem && a.Parameter == env.Parameter })
}

// heldBy finds what the envelope holds other than what it asks for.
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
