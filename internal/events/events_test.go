package events_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/events"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func full() audit.Followed {
	rec := fixture.NewFullRecord()
	rec.AuditID, rec.Seq = uuid.New(), 7
	return audit.NewFollowed(rec, true, false, nil)
}

func fields(t *testing.T, text []byte, err error) map[string]any {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// Both forms hold the record itself, which reads back equal.
func TestFormsHoldTheRecord(t *testing.T) {
	t.Parallel()
	rec := full()
	cloud, err := events.CloudEvent(&rec, "coordaudit")
	if err != nil {
		t.Fatal(err)
	}
	ecs, err := events.ECS(&rec)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"data": cloud, "coordaudit": ecs} {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(text, &object); err != nil {
			t.Fatal(err)
		}
		got, _, err := audit.ParseRecord(object[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := rec.Record
		want.Seq, want.CreatedAt = got.Seq, got.CreatedAt // not part of what a record says
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The attributes are those that CloudEvents 1.0 and its extensions name.
func TestCloudEventAttributes(t *testing.T) {
	t.Parallel()
	rec := full()
	text, err := events.CloudEvent(&rec, "//audit.example/plant-7")
	got := fields(t, text, err)
	delete(got, "data")
	want := map[string]any{
		"specversion": "1.0", "id": rec.AuditID.String(), "source": "//audit.example/plant-7", "type": events.CloudEventType,
		"subject": rec.EnvelopeID, "time": rec.DecisionTimestamp.UTC().Format("2006-01-02T15:04:05.999999999Z07:00"), "datacontenttype": "application/json",
		"correlationid": rec.Links.CorrelationID, "causationid": rec.Links.CausedBy.String(),
		"traceparent": "00-" + rec.Origin.TraceID.String() + "-" + rec.Origin.SpanID.String() + "-00",
		"sequence":    "00000000000000000007", "late": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An attribute that is not stated, or that cannot be written, is left out.
func TestCloudEventLeavesOut(t *testing.T) {
	t.Parallel()
	rec := fixture.NewRecord()
	rec.DecisionTimestamp = audit.InfiniteFuture()
	followed := audit.NewFollowed(rec, false, false, nil)
	text, err := events.CloudEvent(&followed, "coordaudit")
	got := fields(t, text, err)
	for _, name := range []string{"time", "correlationid", "causationid", "traceparent", "late", "repeated"} {
		if value, there := got[name]; there {
			t.Errorf("%s is %v", name, value)
		}
	}
}

func TestECSFields(t *testing.T) {
	t.Parallel()
	for decision, want := range map[audit.Decision]string{audit.Applied: "success", audit.Rejected: "failure", audit.Preempted: "failure"} {
		rec := full()
		rec.Decision = decision
		text, err := events.ECS(&rec)
		got := fields(t, text, err)
		event, _ := got["event"].(map[string]any)
		trace, _ := got["trace"].(map[string]any)
		if event["outcome"] != want || event["id"] != rec.AuditID.String() || trace["id"] != rec.Origin.TraceID.String() || got["@timestamp"] == "" {
			t.Errorf("%s: %s", decision, text)
		}
	}
}
