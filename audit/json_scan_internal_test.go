package audit

import (
	"testing"
)

// The scanner exists only for speed, so it must agree with encoding/json.
func FuzzScanMatchesJSON(f *testing.F) {
	for _, seed := range []string{
		`{"audit_id": "9D191C61-c4ee-457d-9aa0-563922ea4db1", "envelope_id": "e\ud83d\ude80", "active_envelopes_count": -0, "emit_traces": true}`,
		" { } ", `{"reason":"\u00e9\/\"\\", "tenant_id" : null}`, `{"reason":"a` + "\x01" + `"}`, `{"reason":"` + "\xff" + `"}`,
		`{"active_envelopes_count":01}`, `{"active_envelopes_count":1.5}`, `{"active_envelopes_count":-}`, `{"active_envelopes_count":1e3}`,
		`{"emit_traces":falsey}`, `{"emit_traces":false}x`, `{"reason":"\u12g4"}`, `{"reason":"\`, `{"reason":"a",}`, `{,}`, `{"reason"}`,
		`{"reason":"a" "tenant_id":"b"}`, `{"reason":"a","reason":"b"}`, `{"re\u0061son":"a"}`, `{"reason":{}}`, `{"x":1}`, "\uFEFF{}",
		`{"details":{"b":[1.50,"\u00e9}\\"],"a":{}},"format":2}`, `{"details":{"a":]}}`, `{"details":{"a":1,"a":2},"actor":"me"}`, `{"details":{"a":1,}}`,
		`{"details":{},"details":{]}}`, `{"details":"{}"}`, `{"details":null,"trace_id":null}`, `{"reason":{]}`, `{"details":{"}":"\"}"}}`, `{"details":{}`,
		`{"format":3,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","source_seq":9223372036854775808}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var scanned, decoded recordParser
		if !scanned.scan(data) {
			return
		}
		if err := decoded.object(data); err != nil {
			t.Fatalf("%q was taken; encoding/json says: %v", data, err)
		}
		if scanned.record != decoded.record || scanned.replay != decoded.replay || scanned.format != decoded.format || scanned.seen != decoded.seen {
			t.Errorf("%q was read as %+v, want %+v", data, scanned, decoded)
		}
		if got, want := scanned.faults.err(), decoded.faults.err(); (got == nil) != (want == nil) || got != nil && got.Error() != want.Error() {
			t.Errorf("%q has faults %v, want %v", data, got, want)
		}
	})
}
