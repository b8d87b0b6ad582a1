package audit

import (
	"encoding/hex"
	"strings"
)

// What surrounds the digest that takes the place of an erased text. The database writes it.
const (
	erasedReasonBegins, erasedReasonEnds   = "[erased sha256:", "]"
	erasedDetailsBegins, erasedDetailsEnds = `{"erased": "sha256:`, `"}`
)

// digestSize is the size of a SHA-256.
const digestSize = 32

// ErasedReason returns what the reason of a record reads after its text was erased: the digest
// that its leaf in the log holds stands in its place. See [Record.ErasedReason].
func ErasedReason(digest []byte) string {
	return erasedReasonBegins + hex.EncodeToString(digest) + erasedReasonEnds
}

// ErasedDetails returns the same for details.
func ErasedDetails(digest []byte) Details {
	return Details(erasedDetailsBegins + hex.EncodeToString(digest) + erasedDetailsEnds)
}

// ErasedReason returns the digest in the place of an erased reason, or nil. A record may only
// claim to have been erased: an event on record says whether it was, and coordaudit verify
// compares them, and counts the claims.
func (r Record) ErasedReason() (digest []byte) {
	return digestBetween(r.Reason, erasedReasonBegins, erasedReasonEnds)
}

// ErasedDetails returns the digest in the place of erased details, or nil. See
// [Record.ErasedReason].
func (r Record) ErasedDetails() (digest []byte) {
	return digestBetween(string(r.Details), erasedDetailsBegins, erasedDetailsEnds)
}

func digestBetween(text, begins, ends string) []byte {
	middle, begun := strings.CutPrefix(text, begins)
	middle, ended := strings.CutSuffix(middle, ends)
	if !begun || !ended || len(middle) != hex.EncodedLen(digestSize) {
		return nil
	}
	digest, err := hex.DecodeString(middle)
	if err != nil {
		return nil
	}
	return digest
}
