package console_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

const (
	script = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`

	// controls are what a terminal would act on, and what would turn or hide a text.
	controls = "a\x1b[31m\u009b\u0085\x7f\u202e\u2066\u200f\u200b\ufeff\u2028\u3164\ufe00\u034fz"
)

// hostileRecords try to leave their place in every field.
func hostileRecords() []audit.Record {
	var recs []audit.Record
	for i, text := range []string{script, controls, strings.Repeat("w", 90), strings.Repeat("ש", 45)} {
		for n := range 4 {
			rec := decision("acme", text)
			rec.DecisionTimestamp = rec.DecisionTimestamp.Add(time.Duration(10*i+n) * time.Second)
			rec.Reason, rec.ReasonCode, rec.Actor, rec.PolicyVersion = text, text, text, text
			rec.TargetSubsystem, rec.TargetParameter, rec.Links.CorrelationID = text, text, text
			rec.Details = audit.Details(`{"note": "<script>alert(2)</script>\u202e"}`)
			rec.Decision, rec.ConflictingEnvelopeID, rec.CounterpartClass = audit.Rejected, "other "+text, audit.Safety
			if n == 3 {
				rec.Decision, rec.ConflictingEnvelopeID, rec.PreemptingEnvelopeID = audit.Preempted, "", "other "+text
			}
			recs = append(recs, rec)
		}
	}
	recs[0].Reason = strings.Repeat("long "+script, 1000)
	return recs
}

// A field shows what was asked for as it was asked, since it is sent again.
func withoutFields(body string) string {
	return regexp.MustCompile(` value="[^"]*"`).ReplaceAllString(body, "")
}

func TestHostileRecordsStayText(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	recs := hostileRecords()
	s.persist(t, recs...)
	var paths []string
	for _, rec := range recs {
		query := url.Values{"envelope": {rec.EnvelopeID}}.Encode()
		paths = append(paths, "/records/"+rec.AuditID.String(), "/timeline?"+query, "/records?"+query+"&limit=3", "/live?"+query)
	}
	paths = append(paths, "/records", "/signals", "/live", "/records?"+url.Values{controls + script: {"x"}}.Encode(), "/find?q="+url.QueryEscape(script), "/"+url.PathEscape(script+controls))
	for _, path := range paths {
		got := s.get(t, path)
		if got.status >= http.StatusInternalServerError {
			t.Errorf("%s: %d", path, got.status)
		}
		for _, part := range []string{"<script>", "<img"} {
			if strings.Contains(got.body, part) {
				t.Errorf("%s: a record's text became %s", path, part)
			}
		}
		hidden := func(r rune) bool {
			return r != '\n' && r != '\t' && (!unicode.IsGraphic(r) || strings.ContainsRune("\u3164\ufe00\u034f", r))
		}
		if i := strings.IndexFunc(withoutFields(got.body), hidden); i >= 0 {
			t.Errorf("%s: %q", path, withoutFields(got.body)[max(0, i-30):i+10])
		}
	}
	if log := s.log.String(); strings.Contains(log, "alert") {
		t.Errorf("the log has a record's text: %s", log)
	}
}

// A link in a table is to the envelope that is shown, also if its name is odd.
func TestLinksLeadToHostileNames(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	recs := hostileRecords()
	s.persist(t, recs...)
	body := s.get(t, "/records").must(t, http.StatusOK).body
	links := regexp.MustCompile(`href="(/timeline\?[^"]*)"`).FindAllStringSubmatch(body, -1)
	if len(links) < len(recs) {
		t.Fatalf("%d links to timelines of %d records", len(links), len(recs))
	}
	for _, match := range links {
		s.get(t, html.UnescapeString(match[1])).must(t, http.StatusOK, "Decisions, the oldest first")
	}
}

func TestOddRowsAreShown(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	if _, err := s.pool.Exec(t.Context(), `ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_decision_timestamp_valid;
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, active_envelopes_count)
		VALUES (gen_random_uuid(), 'odd', 'COST', 'APPLIED', 'r', 'infinity', 0), (gen_random_uuid(), 'odd', 'COST', 'APPLIED', 'r', '-infinity', 0),
			(gen_random_uuid(), 'odd', 'COST', 'APPLIED', 'r', '0044-03-15 BC', 0), (gen_random_uuid(), 'odd', 'COST', 'APPLIED', 'r', '20000-01-01', 0)`); err != nil {
		t.Fatal(err)
	}
	s.get(t, "/records?since=all").must(t, http.StatusOK, "infinity", "20000-01-01")
	timeline := s.get(t, "/timeline?since=all&envelope=odd").must(t, http.StatusOK, "-infinity", "4 decisions")
	for _, match := range regexp.MustCompile(`href="(/records/[^"]*)"`).FindAllStringSubmatch(timeline.body, -1) {
		s.get(t, match[1]).must(t, http.StatusOK, "odd")
	}
}

// A page links to nothing that the console refuses, also near the first and the last time that a
// record may have, and beyond.
func TestLinksOfOddTimesWork(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	times := []string{"infinity", "-infinity", "0044-03-15 BC", "20000-01-01", "9999-12-31T23:59:59.999999Z", "0001-01-01T06:00:00Z", "0001-01-08T06:00:00Z", "0001-01-01T00:00:00.000001Z"}
	fixture.MustExec(t, s.pool, "ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_decision_timestamp_valid")
	fixture.MustExec(t, s.pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, preempting_envelope_id, correlation_id, tenant_id)
		SELECT gen_random_uuid(), 'odd', 'COST', 'PREEMPTED', 'r', t::timestamptz, 'odder', 'act', t FROM unnest('{`+strings.Join(times, ",")+`}'::text[]) AS t, generate_series(1, 3)`)
	next := []string{"/records?since=all", "/records?correlation-id=act", "/signals", "/live"}
	for _, at := range times {
		of := url.Values{"tenant": {at}}.Encode()
		next = append(next, "/records?"+of, "/records?since=all&"+of, "/signals?"+of, "/timeline?envelope=odd&"+of, "/timeline?since=all&envelope=odd&"+of)
	}
	seen := make(map[string]bool)
	for len(next) > 0 {
		path := next[0]
		next = next[1:]
		if seen[path] || strings.HasPrefix(path, "/static/") {
			continue
		}
		seen[path] = true
		got := s.get(t, path)
		if got.status != http.StatusOK && got.status != http.StatusSeeOther {
			t.Errorf("%s: %d: %s", path, got.status, main(got.body))
		}
		for _, match := range regexp.MustCompile(`href="(/[^"]*)"`).FindAllStringSubmatch(got.body, -1) {
			next = append(next, html.UnescapeString(match[1]))
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d pages were found", len(seen))
	}
}
