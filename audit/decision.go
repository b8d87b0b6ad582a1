package audit

// Decision is what the coordinator decided about an envelope.
type Decision string

// The decisions, as they are stored.
const (
	// Applied: the envelope acts from now on.
	Applied Decision = "APPLIED"

	// Rejected: the envelope may not act. ConflictingEnvelopeID names the envelope that
	// it conflicts with, if there is one.
	Rejected Decision = "REJECTED"

	// Preempted: the envelope was active and had to stop for another one, its preemptor.
	// PreemptingEnvelopeID names the preemptor.
	Preempted Decision = "PREEMPTED"
)

const decisionReason = "must be one of APPLIED, REJECTED, PREEMPTED (any case, exact word)"

// Decisions returns every decision.
func Decisions() []Decision {
	return []Decision{Applied, Rejected, Preempted}
}

// ParseDecision returns the decision with this name, in any case. Anything but the
// exact word is an [InvalidRecordError].
func ParseDecision(text string) (Decision, error) {
	for _, decision := range [...]Decision{Applied, Rejected, Preempted} {
		if isWord(text, string(decision)) {
			return decision, nil
		}
	}
	return "", invalidField(fieldDecision, decisionReason)
}

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseDecision].
func (d *Decision) UnmarshalText(text []byte) error {
	parsed, err := ParseDecision(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

func (d Decision) valid() bool {
	switch d {
	case Applied, Rejected, Preempted:
		return true
	}
	return false
}
