package audit

// EnvelopeClass says what an envelope optimizes for. The zero value means that no class
// was declared. It is stored as [Unknown].
type EnvelopeClass string

// The envelope classes, as they are stored.
const (
	Safety      EnvelopeClass = "SAFETY"
	Reliability EnvelopeClass = "RELIABILITY"
	Cost        EnvelopeClass = "COST"
	Performance EnvelopeClass = "PERFORMANCE"

	// Unknown is the class of an envelope that declared none. That violates the
	// coordinator's own rules, so such decisions above all must be on record.
	Unknown EnvelopeClass = "UNKNOWN"
)

const classReason = "must be one of SAFETY, RELIABILITY, COST, PERFORMANCE, UNKNOWN (any case, exact word)"

// EnvelopeClasses returns every class, the highest priority first.
func EnvelopeClasses() []EnvelopeClass {
	return []EnvelopeClass{Safety, Reliability, Cost, Performance, Unknown}
}

// ParseEnvelopeClass returns the class with this name, in any case. Anything but the
// exact word is an [InvalidRecordError].
func ParseEnvelopeClass(text string) (EnvelopeClass, error) {
	for _, class := range [...]EnvelopeClass{Safety, Reliability, Cost, Performance, Unknown} {
		if isWord(text, string(class)) {
			return class, nil
		}
	}
	return "", invalidField(fieldEnvelopeClass, classReason)
}

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseEnvelopeClass].
func (c *EnvelopeClass) UnmarshalText(text []byte) error {
	parsed, err := ParseEnvelopeClass(string(text))
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}

// OrUnknown returns the class as it is stored: [Unknown] if none was declared.
func (c EnvelopeClass) OrUnknown() EnvelopeClass {
	if c == "" {
		return Unknown
	}
	return c
}

func (c EnvelopeClass) valid() bool {
	switch c {
	case "", Safety, Reliability, Cost, Performance, Unknown:
		return true
	case Unresolved: // only readers use it
	}
	return false
}

// isWord reports whether text is the upper-case word, in any case. It folds only a–z.
// Unicode folding would take "ſafety" (U+017F) for SAFETY, and an audit trail must not
// guess.
func isWord(text, word string) bool {
	if len(text) != len(word) {
		return false
	}
	for i := range len(text) {
		b := text[i]
		if 'a' <= b && b <= 'z' {
			b -= 'a' - 'A'
		}
		if b != word[i] {
			return false
		}
	}
	return true
}
