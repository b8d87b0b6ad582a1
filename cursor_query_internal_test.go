package coordaudit

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// A cursor belongs to its query. Every change of the selected records or of the order makes
// another query.
func TestOtherQueryRefusesCursor(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	base := func() audit.Query {
		return audit.Query{
			Scope: audit.Tenant("acme"), Window: audit.Window{Since: at, Until: at.Add(time.Hour)},
			EnvelopeIDs: []string{"ab", "c"}, EnvelopeClasses: []audit.EnvelopeClass{audit.Safety}, Decisions: []audit.Decision{audit.Rejected},
			ConflictingEnvelopeID: "conflicting", PreemptingEnvelopeID: "preempting", TargetSubsystem: "router", TargetParameter: "ttl", ReasonContains: "because",
		}
	}
	others := map[string]func(*audit.Query){
		"all tenants":         func(q *audit.Query) { q.Scope = audit.AllTenants() },
		"no tenant":           func(q *audit.Query) { q.Scope = audit.NoTenant() },
		"another tenant":      func(q *audit.Query) { q.Scope = audit.Tenant("globex") },
		"another order":       func(q *audit.Query) { q.Order = audit.OldestFirst },
		"another since":       func(q *audit.Query) { q.Window.Since = at.Add(time.Microsecond) },
		"no since":            func(q *audit.Query) { q.Window.Since = time.Time{} },
		"another until":       func(q *audit.Query) { q.Window.Until = at.Add(2 * time.Hour) },
		"no until":            func(q *audit.Query) { q.Window.Until = time.Time{} },
		"other envelopes":     func(q *audit.Query) { q.EnvelopeIDs = []string{"ab", "d"} },
		"fewer envelopes":     func(q *audit.Query) { q.EnvelopeIDs = []string{"ab"} },
		"cut elsewhere":       func(q *audit.Query) { q.EnvelopeIDs = []string{"a", "bc"} },
		"joined":              func(q *audit.Query) { q.EnvelopeIDs = []string{"abc"} },
		"other classes":       func(q *audit.Query) { q.EnvelopeClasses = []audit.EnvelopeClass{audit.Cost} },
		"no classes":          func(q *audit.Query) { q.EnvelopeClasses = nil },
		"other decisions":     func(q *audit.Query) { q.Decisions = []audit.Decision{audit.Applied} },
		"another conflicting": func(q *audit.Query) { q.ConflictingEnvelopeID = "x" },
		"another preempting":  func(q *audit.Query) { q.PreemptingEnvelopeID = "x" },
		"another subsystem":   func(q *audit.Query) { q.TargetSubsystem = "x" },
		"another parameter":   func(q *audit.Query) { q.TargetParameter = "x" },
		"another text":        func(q *audit.Query) { q.ReasonContains = "x" },
		"a code":              func(q *audit.Query) { q.ReasonCode = "x" },
		"a policy":            func(q *audit.Query) { q.PolicyVersion = "x" },
		"an actor":            func(q *audit.Query) { q.Actor = "x" },
		"a cause":             func(q *audit.Query) { q.CausedBy = uuid.UUID{1} },
		"a corrected record":  func(q *audit.Query) { q.Corrects = uuid.UUID{1} },
		"an action":           func(q *audit.Query) { q.CorrelationID = "x" },
		"a trace":             func(q *audit.Query) { q.TraceID = audit.TraceID{1} },
		"one text as another": func(q *audit.Query) { q.TargetSubsystem, q.TargetParameter = q.TargetParameter, q.TargetSubsystem },
	}
	first := base()
	of := listFingerprint(&first)
	cursor := cursorAt(of, &audit.Record{Seq: 1, DecisionTimestamp: at})
	for name, change := range others {
		other := base()
		change(&other)
		_, err := positionOf(cursor, listFingerprint(&other))
		wantAfterFault(t, name, err, "belongs to another query")
	}
	// The same words, split between two filters in another place.
	both, one := audit.Query{EnvelopeIDs: []string{"A"}, EnvelopeClasses: []audit.EnvelopeClass{"SAFETY"}}, audit.Query{EnvelopeIDs: []string{"A", "SAFETY"}}
	if listFingerprint(&both) == listFingerprint(&one) {
		t.Error("a class passes for an envelope's id")
	}
	timeline := audit.TimelineQuery{Scope: audit.AllTenants(), EnvelopeID: "a"}
	another := audit.TimelineQuery{Scope: audit.AllTenants(), EnvelopeID: "b"}
	of = timelineFingerprint(&timeline)
	_, err := positionOf(cursorAt(of, &audit.Record{Seq: 1}), timelineFingerprint(&another))
	wantAfterFault(t, "another envelope's timeline", err, "belongs to another query")
	// Another kind of query with the same values.
	listed := audit.Query{Scope: audit.AllTenants(), EnvelopeIDs: []string{"a"}}
	if listFingerprint(&listed) == of || fingerprintOf("list", audit.AllTenants(), audit.Window{}) == fingerprintOf("timeline", audit.AllTenants(), audit.Window{}) {
		t.Error("a list's cursor passes for a timeline's")
	}
}

func TestSameQueryTakesCursor(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("", 3600))
	query := audit.Query{Scope: audit.Tenant("acme"), EnvelopeIDs: []string{"b", "a", "b"}, Order: audit.OldestFirst}
	cursor := cursorAt(listFingerprint(&query), &audit.Record{Seq: -7, DecisionTimestamp: at})
	same := audit.Query{Scope: audit.Tenant("acme"), EnvelopeIDs: []string{"a", "b"}, Order: audit.OldestFirst, Limit: 7, After: cursor}
	place, err := positionOf(cursor, listFingerprint(&same))
	if err != nil || place.Seq != -7 || place.DecisionTimestamp != at.UTC() {
		t.Errorf("read as %+v, %v", place, err)
	}
	if place, err := positionOf("", listFingerprint(&same)); place != nil || err != nil {
		t.Errorf("no cursor reads as %+v, %v, want no place and no error", place, err)
	}
}

// The checksum of each is right.
func TestForeignCursorIsRefused(t *testing.T) {
	t.Parallel()
	var query audit.Query
	of := listFingerprint(&query)
	ours, err := base64.RawURLEncoding.DecodeString(string(cursorAt(of, &audit.Record{Seq: 1})))
	if err != nil {
		t.Fatal(err)
	}
	body := ours[:len(ours)-checksumLength]
	for name, test := range map[string]struct {
		body []byte
		says string
	}{
		"nothing":                    {nil, "damaged"},
		"a version alone":            {[]byte{cursorVersion + 1}, "another version"},
		"our version alone":          {[]byte{cursorVersion}, "another version"},
		"ours, and more":             {append(append([]byte(nil), body...), 0), "another version"},
		"ours, cut":                  {body[:len(body)-1], "another version"},
		"our length, another number": {append([]byte{cursorVersion + 1}, body[1:]...), "another version"},
	} {
		cursor := binary.BigEndian.AppendUint32(append([]byte(nil), test.body...), crc32.ChecksumIEEE(test.body))
		_, err := positionOf(audit.Cursor(base64.RawURLEncoding.EncodeToString(cursor)), of)
		wantAfterFault(t, name, err, test.says)
	}
}

func wantAfterFault(t *testing.T, name string, err error, says string) {
	t.Helper()
	invalid, ok := errors.AsType[*audit.InvalidQueryError](err)
	if !ok || len(invalid.Faults) != 1 || !strings.Contains(invalid.Faults[0].Reason, says) {
		t.Errorf("%s: %v, want a fault that says %q", name, err, says)
		return
	}
	if diff := cmp.Diff("after", invalid.Faults[0].Field); diff != "" {
		t.Errorf("%s: the field (-want +got):\n%s", name, diff)
	}
}
