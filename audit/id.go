package audit

import "github.com/google/uuid"

// ParseAuditID reads an audit id in its 36-character form, in any case. It refuses
// braces, "urn:uuid:", missing or misplaced hyphens, blanks and the nil UUID with an
// [InvalidRecordError].
func ParseAuditID(text string) (uuid.UUID, error) {
	const canonicalLength = 36
	// uuid.Parse alone is lenient and also takes three other spellings.
	if len(text) != canonicalLength {
		return uuid.Nil, invalidField(fieldAuditID, "must be a UUID in its 36-character form")
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, invalidField(fieldAuditID, "must be a UUID in its 36-character form")
	}
	if id == uuid.Nil {
		return uuid.Nil, invalidField(fieldAuditID, "must not be the nil UUID")
	}
	return id, nil
}
