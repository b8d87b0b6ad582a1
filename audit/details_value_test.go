package audit_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestDetailsOf(t *testing.T) {
	t.Parallel()
	type cost struct {
		Max   float64 `json:"max"`
		Min32 float32 `json:"min"`
	}
	for _, test := range []struct {
		value  any
		want   audit.Details
		reason string
	}{
		{value: map[string]any{}, want: `{}`},
		{value: cost{1e21, 0.1}, want: `{"max": 1000000000000000000000, "min": 0.1}`},
		{value: map[int]string{10: "<>", 9: "\x7f\u2028"}, want: "{\"9\": \"\x7f\u2028\", \"10\": \"<>\"}"},
		{value: json.RawMessage(`{"b":1.50,"a":[]}`), want: `{"a": [], "b": 1.5}`},
		{value: audit.Details(`{}`), reason: "must be a JSON object"},
		{value: nil, reason: "must be a JSON object"},
		{value: map[string]int(nil), reason: "must be a JSON object"},
		{value: 7, reason: "must be a JSON object"},
		{value: map[string]any{"a": uint64(math.MaxUint64)}, reason: "a is a number that float64 would change: write it as a string"},
		{value: map[string]any{"a": math.Copysign(0, -1)}, reason: "a is a negative zero, which PostgreSQL would store as 0"},
		{value: map[string]any{"a": "\x00"}, reason: "a contains a NUL character, which PostgreSQL cannot store"},
		{value: map[string]any{"a": math.NaN()}, reason: "cannot be written as JSON"},
		{value: map[string]any{"a": make(chan int)}, reason: "cannot be written as JSON: unsupported type chan int"},
		{value: secret{}, reason: "cannot be written as JSON"},
	} {
		got, err := audit.DetailsOf(test.value)
		if test.reason == "" {
			if got != test.want || err != nil {
				t.Errorf("DetailsOf(%v) = %q, %v; want %q", test.value, got, err, test.want)
			}
			continue
		}
		if diff := cmp.Diff([]audit.Fault{{Field: "details", Reason: test.reason}}, faultsOf(t, err)); diff != "" || got != "" {
			t.Errorf("DetailsOf(%v) = %q, faults (-want +got):\n%s", test.value, got, diff)
		}
	}
}

type secret struct{}

func (secret) MarshalJSON() ([]byte, error) { return nil, errors.New("hunter2") }

func TestDetailsAreDecoded(t *testing.T) {
	t.Parallel()
	var got struct{ Cost float64 }
	if err := audit.Details(`{"cost": 1.5}`).Decode(&got); err != nil || got.Cost != 1.5 {
		t.Errorf("Decode() = %+v, %v", got, err)
	}
	if err := audit.Details("").Decode(&got); err != nil || got.Cost != 1.5 {
		t.Errorf("Decode() of none = %+v, %v", got, err)
	}
	if err := audit.Details(`{"cost": "x"}`).Decode(&got); err == nil {
		t.Error("a text was decoded as a number")
	}
}

func TestDetailsAreEqual(t *testing.T) {
	t.Parallel()
	const odd = audit.Details(`{"a": 1234567890123456789012345678901234567890}`) // in the database, from elsewhere
	for _, test := range []struct {
		a, b audit.Details
		want bool
	}{
		{``, ``, true},
		{``, `{}`, false},
		{`{"b":1.50,"a":"\u0061"}`, `{"a": "a", "b": 15e-1}`, true},
		{`{"a":1}`, `{"a":"1"}`, false},
		{`{"a":[1,2]}`, `{"a":[2,1]}`, false},
		{odd, odd, true},
		{odd, `{}`, false},
		{`no JSON`, `no JSON`, true},
	} {
		rec, other := validRecord(), validRecord()
		rec.Details, other.Details = test.a, test.b
		var fields []string
		if !test.want {
			fields = []string{"details"}
		}
		if test.a.Equal(test.b) != test.want || test.b.Equal(test.a) != test.want || !reflect.DeepEqual(rec.DiffersIn(other), fields) {
			t.Errorf("%q and %q are equal: %v, want %v", test.a, test.b, !test.want, test.want)
		}
	}
}

func FuzzDetails(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"b":[1.50,-2e-7,1e21],"a":{"\u0061\n":"\ud83d\ude80\u001f\u007f"}}`, `{"":null,"":true}`, `{"a":-0}`,
		`{"a":"\ud800"}`, `{"a":[[[[{}]]]]}`, ` { "bb" : 0.1 , "a" : "\/" } `, `{"a":1e400,"b":"\u0000"}`, `{"a":00}`, `{"a":1e}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if details := audit.Details(text); !details.Equal(details) {
			t.Fatalf("%q does not equal itself", text)
		}
		normal, reason := normalOf(t, text)
		if reason != "" {
			return
		}
		if again, reason := normalOf(t, normal); again != normal || reason != "" {
			t.Fatalf("%q became %q and then %q %s", text, normal, again, reason)
		}
		if !audit.Details(text).Equal(audit.Details(normal)) || len(normal) > audit.MaxDetailsBytes {
			t.Fatalf("%q does not equal its normal form %q", text, normal)
		}
		if text == "" {
			return
		}
		var want, got map[string]any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatalf("%q was let in; encoding/json says: %v", text, err)
		}
		if err := audit.Details(normal).Decode(&got); err != nil || !reflect.DeepEqual(want, got) {
			t.Fatalf("%q is read as %v, its normal form %q as %v, %v", text, want, normal, got, err)
		}
	})
}
