package coordaudit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// A cursor is, in URL-safe base64: the version, the fingerprint of the query that
// it belongs to, the position of the last record that was seen, and a checksum of
// all that. Every version begins with its number and ends with the checksum, so
// that a newer one can be told from a damaged one.
const (
	cursorVersion  = 1
	cursorLength   = 1 + len(fingerprint{}) + 8 + 8 + checksumLength
	checksumLength = 4
)

// fingerprint stands for a query without its limit and its place.
type fingerprint [12]byte

// fingerprintOf hashes the parts of a query, each with its length, so that no two
// queries look alike.
func fingerprintOf(kind string, scope audit.Scope, window audit.Window, filters ...[]string) fingerprint {
	hash := sha256.New()
	write := func(text string) {
		_, _ = hash.Write(binary.AppendUvarint(nil, uint64(len(text)))) // never fails
		_, _ = hash.Write([]byte(text))
	}
	write(kind)
	write(scope.String())
	write(boundText(window.Since))
	write(boundText(window.Until))
	for _, filter := range filters {
		write(string(binary.AppendUvarint(nil, uint64(len(filter)))))
		for _, text := range filter {
			write(text)
		}
	}
	return fingerprint(hash.Sum(nil))
}

func boundText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.RFC3339Nano)
}

func listFingerprint(q *audit.Query) fingerprint {
	kind := "list, newest first"
	if q.Order == audit.OldestFirst {
		kind = "list, oldest first"
	}
	return fingerprintOf(kind, q.Scope, q.Window,
		asSet(q.EnvelopeIDs), asSet(q.EnvelopeClasses), asSet(q.Decisions),
		[]string{q.ConflictingEnvelopeID, q.PreemptingEnvelopeID, q.TargetSubsystem, q.TargetParameter, q.ReasonContains})
}

func timelineFingerprint(q *audit.TimelineQuery) fingerprint {
	return fingerprintOf("timeline", q.Scope, q.Window, []string{q.EnvelopeID})
}

// asSet: in what order a filter's values were named makes no other query.
func asSet[T ~string](values []T) []string {
	set := make([]string, len(values))
	for i, value := range values {
		set[i] = string(value)
	}
	slices.Sort(set)
	return slices.Compact(set)
}

func cursorAt(of fingerprint, last *audit.Record) audit.Cursor {
	bytes := make([]byte, 0, cursorLength)
	bytes = append(bytes, cursorVersion)
	bytes = append(bytes, of[:]...)
	bytes = binary.BigEndian.AppendUint64(bytes, uint64(last.DecisionTimestamp.UnixMicro()))
	bytes = binary.BigEndian.AppendUint64(bytes, uint64(last.Seq))
	bytes = binary.BigEndian.AppendUint32(bytes, crc32.ChecksumIEEE(bytes))
	return audit.Cursor(base64.RawURLEncoding.EncodeToString(bytes))
}

// positionOf reads a cursor; the empty one has no position.
func positionOf(cursor audit.Cursor, of fingerprint) (*auditdriver.Position, error) {
	if cursor == "" {
		return nil, nil
	}
	bytes, err := base64.RawURLEncoding.Strict().DecodeString(string(cursor))
	switch {
	case err != nil || !checks(bytes):
		return nil, cursorFault("is damaged: pass the cursor as it was returned, or begin again without one")
	case bytes[0] != cursorVersion || len(bytes) != cursorLength:
		return nil, cursorFault("was made by another version of coordaudit: begin again without it, or use that version")
	case fingerprint(bytes[1:]) != of:
		return nil, cursorFault("belongs to another query: scope, filters, window and order must be those of the page that returned it")
	}
	place := bytes[1+len(of):]
	return &auditdriver.Position{
		DecisionTimestamp: time.UnixMicro(int64(binary.BigEndian.Uint64(place))).UTC(),
		Seq:               int64(binary.BigEndian.Uint64(place[8:])),
	}, nil
}

func checks(bytes []byte) bool {
	end := len(bytes) - checksumLength
	return end > 0 && crc32.ChecksumIEEE(bytes[:end]) == binary.BigEndian.Uint32(bytes[end:])
}

func cursorFault(reason string) error {
	return &audit.InvalidQueryError{Faults: []audit.Fault{{Field: "after", Reason: reason}}}
}
