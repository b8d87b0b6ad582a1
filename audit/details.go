package audit

import (
	"encoding/json"
	"errors"
	"fmt"
)

const (
	// MaxDetailsBytes bounds the normal form of [Details]. It is octet_length(details::text)
	// in the database.
	MaxDetailsBytes = 16 << 10

	// maxDetailsInput bounds a text before it is parsed, so that megabytes are refused at
	// once. Blanks, zeros and escapes can make a text longer than its normal form.
	maxDetailsInput = 8 * MaxDetailsBytes

	maxDetailsDepth = 32
)

// Details is a JSON object with further facts about a decision, as text. "" means none,
// and {} is a value of its own. [DetailsOf] makes details from a Go value.
//
// The database stores them as jsonb. Their normal form is the text that PostgreSQL
// writes for it: the keys are sorted by length and then by their bytes, and numbers have
// neither an exponent nor zeros at the end of a fraction. [Record.Normalized] brings details into this form.
//
// [Record.Validate] refuses what would be read back differently:
//
//   - a number that float64 changes, such as 12345678901234567890. 1.50, 1e3 and 0.1 are
//     kept. Negative zero is refused.
//   - an object that has a key twice
//   - a string with a NUL character, half a surrogate pair or broken UTF-8
//   - more than 32 objects and arrays inside each other
//   - a normal form of more than [MaxDetailsBytes], or a text of more than 8 times as many
//
// It reports the first fault, with its path, such as weights[3].cost. The fault does not
// repeat a value.
type Details string

// DetailsOf returns the normal form of what [json.Marshal] writes for v, which must be a
// JSON object. So a nil map is refused, and broken UTF-8 becomes U+FFFD. The error is an
// [InvalidRecordError].
func DetailsOf(v any) (Details, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", invalidField(fieldDetails, marshalReason(err))
	}
	normal, reason := normalDetails(string(text))
	if reason != "" {
		return "", invalidField(fieldDetails, reason)
	}
	return Details(normal), nil
}

// marshalReason leaves out the errors of the caller's own MarshalJSON methods, which may
// repeat a value.
func marshalReason(err error) string {
	if unsupported, ok := errors.AsType[*json.UnsupportedTypeError](err); ok {
		return "cannot be written as JSON: unsupported type " + unsupported.Type.String()
	}
	return "cannot be written as JSON"
}

// Decode reads the details into v as [json.Unmarshal] does. If there are none, it leaves
// v as it is.
func (d Details) Decode(v any) error {
	if d == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(d), v); err != nil {
		return fmt.Errorf("decoding details: %w", err)
	}
	return nil
}

// Equal reports whether jsonb holds the same value for both. Spaces, the order of keys
// and the spelling of numbers and strings do not count. Details that [Record.Validate]
// refuses have no normal form and are equal only as texts.
func (d Details) Equal(other Details) bool {
	return d == other || d.normalized() == other.normalized()
}

// normalized returns text that has no normal form as it is. Others can write such text
// into the database.
func (d Details) normalized() Details {
	if d == "" {
		return ""
	}
	normal, reason := normalDetails(string(d))
	if reason != "" {
		return d
	}
	return Details(normal)
}

func (l *faultList) details(details Details) {
	if details == "" {
		return
	}
	if _, reason := normalDetails(string(details)); reason != "" {
		l.add(fieldDetails, reason)
	}
}
