package auditdriver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// The class of the envelope that a record names is the one that the record states. Only if it
// states none, it is that of the decision which was found.
func TestExplanationStatesCounterpartsClass(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver, _ := driverOn(t, db.URL, nil)
	other := record()
	other.EnvelopeID, other.EnvelopeClass = "other", audit.Cost
	if _, err := driver.Persist(t.Context(), &other); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		names        string
		states, want audit.EnvelopeClass
		found        bool
	}{
		{"other", audit.Safety, audit.Safety, true},
		{"other", "", audit.Cost, true},
		{"no one", audit.Safety, audit.Safety, false},
		{"no one", "", "", false},
	} {
		rec := record()
		rec.Decision, rec.ConflictingEnvelopeID, rec.CounterpartClass = audit.Rejected, test.names, test.states
		rec.DecisionTimestamp = other.DecisionTimestamp.Add(time.Second)
		if _, err := driver.Persist(t.Context(), &rec); err != nil {
			t.Fatal(err)
		}
		explained, err := driver.Explain(t.Context(), audit.AllTenants(), rec.AuditID)
		if err != nil {
			t.Fatal(err)
		}
		if got := explained.Counterpart; got.EnvelopeID != test.names || got.EnvelopeClass != test.want || (got.Record != nil) != test.found {
			t.Errorf("names %q of class %q: explained by %+v", test.names, test.states, got)
		}
	}
}

// What has left for an archive is testified of the sources that are asked about, and of no others.
func TestExpiredOrdinalsAreTestified(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver, _ := driverOn(t, db.URL, nil)
	// Without the CHECK an event may hold anything, and needs to hold no more than what is read.
	if _, err := db.Pool.Exec(t.Context(), "ALTER TABLE coordination_audit_seal_events DROP CONSTRAINT coordination_audit_seal_events_body_readable"); err != nil {
		t.Fatal(err)
	}
	asked, other := uuid.New(), uuid.New()
	statement := completeness.Statement{SourceID: asked, Number: 1, Kind: completeness.Opened, AcceptedThrough: 9, ReservedThrough: 9}
	if err := driver.PersistStatement(t.Context(), &statement); err != nil {
		t.Fatal(err)
	}
	expire := func(source uuid.UUID, ordinals string) {
		t.Helper()
		body := fmt.Sprintf(`{"sources": {%q: %q}}`, source, ordinals)
		if _, err := db.Pool.Exec(t.Context(), "INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES ($1, 'expired', 1, $2)", uuid.New(), body); err != nil {
			t.Fatal(err)
		}
	}
	expire(other, completeness.SetOf(7).String())
	expire(asked, completeness.Span(1, 3).String())
	expire(asked, completeness.SetOf(5).String())
	window := audit.Window{Since: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}
	testimony, err := driver.Testify(t.Context(), window)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(completeness.SetOf(1, 2, 3, 5), testimony.Sources[asked].Rows.Expired); diff != "" || len(testimony.Sources) != 1 {
		t.Errorf("%d sources, expired (-want +got):\n%s", len(testimony.Sources), diff)
	}
	expire(other, "no set")
	if _, err := driver.Testify(t.Context(), window); err != nil {
		t.Errorf("%v, for what no one asked about", err)
	}
	expire(asked, "no set")
	_, err = driver.Testify(t.Context(), window)
	if !errors.Is(err, audit.ErrRefused) || !strings.Contains(err.Error(), "ordinals of source "+asked.String()+" have expired") || !strings.Contains(err.Error(), "migrate validate") {
		t.Errorf("%v, want a refusal that names the source and the next step", err)
	}
}
