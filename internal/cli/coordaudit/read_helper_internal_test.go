package coordaudit

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// noon is the time of the first record of a test.
func noon() time.Time { return time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC) }

func persist(t *testing.T, db *testdb.DB, recs ...audit.Record) {
	t.Helper()
	if _, err := coordaudit.New(db.Pool, coordaudit.Config{}).PersistMany(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
}

func applied(at time.Time, tenant, id string) audit.Record {
	return audit.Record{
		EnvelopeID: id, EnvelopeClass: audit.Cost, Decision: audit.Applied, Reason: "applied", DecisionTimestamp: at, TenantID: tenant,
	}
}

func rejected(at time.Time, tenant, id, by string) audit.Record {
	return audit.Record{
		EnvelopeID: id, EnvelopeClass: audit.Performance, Decision: audit.Rejected, Reason: "in the way: " + by, DecisionTimestamp: at, TenantID: tenant,
		ConflictingEnvelopeID: by,
	}
}

func preempted(at time.Time, tenant, id, by string) audit.Record {
	return audit.Record{
		EnvelopeID: id, EnvelopeClass: audit.Cost, Decision: audit.Preempted, Reason: "goes to " + by, DecisionTimestamp: at, TenantID: tenant,
		PreemptingEnvelopeID: by,
	}
}

// story has every signal in one tenant: an envelope that oscillates, one that is rejected
// repeatedly over one parameter, and one that conflicts with itself.
func story(tenant string) []audit.Record {
	var recs []audit.Record
	at := noon()
	next := func() time.Time { at = at.Add(time.Second); return at }
	for range 3 {
		guard := applied(next(), tenant, "guard")
		guard.EnvelopeClass = audit.Safety
		recs = append(recs, applied(next(), tenant, "swing"), preempted(next(), tenant, "swing", "guard"), guard)
		turned := rejected(next(), tenant, "turbo", "guard")
		turned.TargetSubsystem, turned.TargetParameter, turned.CounterpartClass = "cache", "ttl", audit.Safety
		recs = append(recs, turned)
	}
	return append(recs, applied(next(), tenant, "swing"), rejected(next(), tenant, "swing", "swing"))
}

// unpleasant has what must not reach a terminal unchanged: ids and texts of the maximum
// length, with control characters, line breaks and letters of several bytes.
func unpleasant() []audit.Record {
	const spice = "é\x1b[31m\n\t\u202eü"
	id := func(n int) string { return fmt.Sprintf("%s%d-%s%03d", spice, n%3, strings.Repeat("x", 82), n) }
	reason := spice + strings.Repeat("because\r\n\x07 ", 300) + "   "
	var recs []audit.Record
	at := noon()
	for n := range 240 {
		class, decision := audit.EnvelopeClasses()[n%5], audit.Decisions()[n%3]
		at = at.Add(11 * time.Hour)
		rec := audit.Record{
			EnvelopeID: id(n % 11), EnvelopeClass: class, Decision: decision, Reason: reason + strconv.Itoa(n%15), DecisionTimestamp: at,
			ActiveEnvelopesCount: int32(n), TargetSubsystem: id(n % 3), TargetParameter: id(n % 7),
		}
		if n%4 > 0 {
			rec.TenantID = id(n % 13)
		}
		switch other := id((n * 7) % 11); decision {
		case audit.Preempted:
			rec.PreemptingEnvelopeID, rec.CounterpartClass = other, audit.Safety
		case audit.Rejected:
			rec.ConflictingEnvelopeID = other
		case audit.Applied:
		}
		recs = append(recs, rec)
	}
	return recs
}

// mustFit checks that every line fits the screen, has no blank at its end, and has no
// control character.
func mustFit(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if n := utf8.RuneCountInString(line); n > term.DefaultColumns || strings.TrimRight(line, " ") != line {
			t.Errorf("%d characters, at most %d are allowed, and no blanks at the end: %q", n, term.DefaultColumns, line)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			t.Errorf("control characters: %q", line)
		}
	}
	if !strings.HasSuffix(text, "\n") {
		t.Errorf("no line end at the end: %q", text)
	}
}

// keysIn returns the keys of a JSON object in order.
func keysIn(t *testing.T, object []byte) []string {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(object)))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		t.Fatalf("no JSON object: %v, %v: %s", token, err, object)
	}
	var keys []string
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

func mustHaveKeys(t *testing.T, about string, object []byte, keys ...string) {
	t.Helper()
	if diff := cmp.Diff(keys, keysIn(t, object)); diff != "" {
		t.Errorf("keys of %s (-want +got):\n%s", about, diff)
	}
}

// result strictly reads the one line of JSON that a command printed.
func result[T any](t *testing.T, got ran) T {
	t.Helper()
	got.mustExit(t, cli.ExitDone)
	if strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("standard output is not one line: %q", got.stdout)
	}
	var value T
	decoder := json.NewDecoder(strings.NewReader(got.stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		t.Fatalf("standard output is not one JSON object: %v\n%s", err, got.stdout)
	}
	return value
}

// nextFlags are the flags that a command said to add, or nil.
func nextFlags(t *testing.T, got ran) []string {
	t.Helper()
	got.mustExit(t, cli.ExitDone)
	found := regexp.MustCompile(`(?m)^there are more: add (.+)$`).FindStringSubmatch(got.stderr)
	if found == nil {
		return nil
	}
	return strings.Fields(found[1])
}

func uuids() *regexp.Regexp {
	return regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
}
