package coordaudit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// A cursor is URL-safe base64. It holds the version, the fingerprint of its query, the
// position of the last record on the page, and a checksum of all that. Every version
// begins with its number and ends with the checksum, so a cursor of another version is
// not mistaken for a damaged one.
const (
	cursorVersion  = 2 // 1 had no audit id in its position
	cursorLength   = 1 + len(fingerprint{}) + 8 + 8 + len(uuid.UUID{}) + checksumLength
	checksumLength = 4
)

const cursorDamaged = "is damaged: pass the cursor as it was returned, or begin again without one"

// fingerprint identifies a query without its limit and cursor.
type fingerprint [12]byte

// fingerprintOf hashes the parts of a query, each with its length. So two queries whose
// parts run together to the same text have different fingerprints.
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
	return queryFingerprint(kind, q)
}

func followFingerprint(q *audit.Query) fingerprint { return queryFingerprint("follow", q) }

func queryFingerprint(kind string, q *audit.Query) fingerprint {
	return fingerprintOf(kind, q.Scope, q.Window,
		asSet(q.EnvelopeIDs), asSet(q.EnvelopeClasses), asSet(q.Decisions),
		[]string{
			q.ConflictingEnvelopeID, q.PreemptingEnvelopeID, q.TargetSubsystem, q.TargetParameter, q.ReasonContains,
			q.ReasonCode, q.PolicyVersion, q.Actor, q.CausedBy.String(), q.Corrects.String(), q.CorrelationID, q.TraceID.String(),
		})
}

func timelineFingerprint(q *audit.TimelineQuery) fingerprint {
	return fingerprintOf("timeline", q.Scope, q.Window, []string{q.EnvelopeID})
}

// asSet sorts a filter's values: their order does not make another query.
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
	bytes = binary.BigEndian.AppendUint64(bytes, uint64(microsOf(last.DecisionTimestamp)))
	bytes = binary.BigEndian.AppendUint64(bytes, uint64(last.Seq))
	bytes = append(bytes, last.AuditID[:]...)
	bytes = binary.BigEndian.AppendUint32(bytes, crc32.ChecksumIEEE(bytes))
	return audit.Cursor(base64.RawURLEncoding.EncodeToString(bytes))
}

// positionOf reads a cursor. The empty one has no position.
func positionOf(cursor audit.Cursor, of fingerprint) (*auditdriver.Position, error) {
	if cursor == "" {
		return nil, nil
	}
	bytes, err := base64.RawURLEncoding.Strict().DecodeString(string(cursor))
	switch {
	case err != nil || !checks(bytes) || strings.ContainsAny(string(cursor), "\r\n"): // decoding skips line breaks
		return nil, cursorFault(cursorDamaged)
	case bytes[0] != cursorVersion || len(bytes) != cursorLength:
		return nil, cursorFault("was made by another version of coordaudit: begin again without it, or use that version")
	case fingerprint(bytes[1:]) != of:
		return nil, cursorFault("belongs to another query: scope, filters, window and order must be those of the page that returned it")
	}
	place := bytes[1+len(of):]
	micros := int64(binary.BigEndian.Uint64(place))
	if micros < microsOf(audit.InfinitePast()) || micros > microsOf(audit.InfiniteFuture()) {
		return nil, cursorFault(cursorDamaged)
	}
	return &auditdriver.Position{
		DecisionTimestamp: timeOf(micros),
		Seq:               int64(binary.BigEndian.Uint64(place[8:])),
		AuditID:           uuid.UUID(place[16:32]),
	}, nil
}

// year2000 is PostgreSQL's epoch, in seconds since 1970. In microseconds from there, an
// int64 holds every time that a column can hold.
const year2000 = 946_684_800

func microsOf(at time.Time) int64 {
	return (at.Unix()-year2000)*1_000_000 + int64(at.Nanosecond())/1000
}

func timeOf(micros int64) time.Time {
	return time.Unix(year2000+micros/1_000_000, micros%1_000_000*1000).UTC()
}

func checks(bytes []byte) bool {
	end := len(bytes) - checksumLength
	return end > 0 && crc32.ChecksumIEEE(bytes[:end]) == binary.BigEndian.Uint32(bytes[end:])
}

func cursorFault(reason string) error {
	return &audit.InvalidQueryError{Faults: []audit.Fault{{Field: "after", Reason: reason}}}
}
