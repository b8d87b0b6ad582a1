package auditdriver

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// withoutErased leaves out the fields whose stored text was erased, if its digest is that of
// the text which was sent: then it is the same record.
func withoutErased(sent, stored *audit.Record, fields []string) []string {
	return slices.DeleteFunc(fields, func(field string) bool {
		switch field {
		case "reason":
			return isErased(stored.AuditID, field, sent.Reason, stored.ErasedReason())
		case "details":
			return isErased(stored.AuditID, field, string(sent.Normalized().Details), stored.ErasedDetails())
		default:
			return false
		}
	})
}

// isErased computes the digest as the leaf of the record has it. See docs/seal-format.md.
func isErased(id uuid.UUID, column, text string, digest []byte) bool {
	if digest == nil || text == "" {
		return false
	}
	hashed := append([]byte("coordaudit "+column), 0)
	hashed = append(append(hashed, id[:]...), text...)
	sum := sha256.Sum256(hashed)
	return bytes.Equal(sum[:], digest)
}
