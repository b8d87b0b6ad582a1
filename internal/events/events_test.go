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

// CloudEvents allows no control characters and no noncharacters in an attribute. A name with one
// is in the data alone.
func TestCloudEventAttributesAreAllowed(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a\nb", "\t", "a\x01", "\x7f", "\u0085", "\u009fz", "\ufffe", "\uffff", "\ufdd0", "\U0001fffe", "\U0010ffff"} {
		rec := full()
		rec.EnvelopeID, rec.Links.CorrelationID = text, text
		line, err := events.CloudEvent(&rec, "coordaudit")
		got := fields(t, line, err)
		for _, name := range []string{"subject", "correlationid"} {
			if value, there := got[name]; there {
				t.Errorf("%s is %q", name, value)
			}
		}
		if data, _ := got["data"].(map[string]any); data["envelope_id"] != text {
			t.Errorf("the data has %q, want %q", data["envelope_id"], text)
		}
	}
	for _, text := range []string{"é 😀", "\u202e", "\ufffd", " "} { // odd, and allowed
		rec := full()
		rec.EnvelopeID = text
		line, err := events.CloudEvent(&rec, "coordaudit")
		if got := fields(t, line, err); got["subject"] != text {
			t.Errorf("subject is %q, want %q", got["subject"], text)
		}
	}
}

// The source of an event is a URI reference that is not empty.
func TestEventSource(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"coordaudit", "//audit.example/plant-7", "https://audit.example/trail?x=1#y", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "/a%20b", "mailto:a@b", "//[::1]/x"} {
		if err := events.CheckSource(source); err != nil {
			t.Errorf("%q: %v", source, err)
		}
	}
	for _, source := range []string{"", " ", "a b", "a\nb", "%zz", "x?%zz", "x#%f", "/a[b]", "http://[::1", "é", "\"x\"", "a|b", "<x>", "1:x", "a\\b", "{x}", "^", "`", "a#b#c"} {
		if err := events.CheckSource(source); err == nil {
			t.Errorf("%q is a source", source)
		}
	}
}
