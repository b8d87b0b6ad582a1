package audit_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/race"
)

// normalOf returns the normal form of details, or why they are refused.
func normalOf(t *testing.T, text string) (normal, reason string) {
	t.Helper()
	rec := validRecord()
	rec.Details = audit.Details(text)
	normal = string(rec.Normalized().Details)
	switch faults := allFaultsOf(t, rec); {
	case len(faults) == 0:
		return normal, ""
	case len(faults) > 1 || faults[0].Field != "details":
		t.Fatalf("%q: faults %+v, want one of details", text, faults)
	case normal != text:
		t.Fatalf("%q was refused and changed to %q", text, normal)
	default:
		reason = faults[0].Reason
	}
	return "", reason
}

func TestDetailsNormalForm(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"none":                   {``, ``},
		"empty":                  {" {\t} \r\n", `{}`},
		"spaces":                 {`{"a":1,"b":[1,2]}`, `{"a": 1, "b": [1, 2]}`},
		"empty inside":           {`{"a":{ },"b":[ ]}`, `{"a": {}, "b": []}`},
		"words":                  {`{"a":[true,false,null]}`, `{"a": [true, false, null]}`},
		"keys by length":         {`{"bb":1,"a":2,"":3,"c":4}`, `{"": 3, "a": 2, "c": 4, "bb": 1}`},
		"keys by bytes":          {`{"é":1,"zz":2,"ab":3}`, `{"ab": 3, "zz": 2, "é": 1}`},
		"keys by decoded length": {`{"\u0061":1,"bb":2,"\u00e9":3,"c":4}`, `{"a": 1, "c": 4, "bb": 2, "é": 3}`},
		"keys at every level":    {`{"b":{"y":1,"x":[{"q":1,"p":2}]},"a":1}`, `{"a": 1, "b": {"x": [{"p": 2, "q": 1}], "y": 1}}`},
		"integers":               {`{"a":[0,-7,999999999999999,9007199254740992]}`, `{"a": [0, -7, 999999999999999, 9007199254740992]}`},
		"fractions":              {`{"a":[1.50,0.1,-2.0,0.0,100.0e-2]}`, `{"a": [1.5, 0.1, -2, 0, 1]}`},
		"exponents":              {`{"a":[1e3,1E+21,1.5e-7,0e999999999999999999999]}`, `{"a": [1000, 1000000000000000000000, 0.00000015, 0]}`},
		"many zeros":             {`{"a":0.` + strings.Repeat("0", 20000) + `1e20001}`, `{"a": 1}`},
		"the largest and the least": {
			`{"a":[1.7976931348623157e308,5e-324]}`,
			`{"a": [17976931348623157` + strings.Repeat("0", 292) + `, 0.` + strings.Repeat("0", 323) + `5]}`,
		},
		"escapes":    {`{"a":"\u0041\/\"\\\b\f\n\r\t\u001F\u007f\u2028\ud83d\ude80<"}`, "{\"a\": \"A/\\\"\\\\\\b\\f\\n\\r\\t\\u001f\x7f\u2028🚀<\"}"},
		"U+FFFD":     {`{"a":"\ufffd�"}`, `{"a": "��"}`},
		"no escape":  {`{"a":"\\u0000\\ud800"}`, `{"a": "\\u0000\\ud800"}`},
		"32 levels":  {strings.Repeat(`{"a":`, 31) + `[]` + strings.Repeat("}", 31), strings.Repeat(`{"a": `, 31) + `[]` + strings.Repeat("}", 31)},
		"equal keys": {`{"a":{"a":[{"a":1},{"a":1}]}}`, `{"a": {"a": [{"a": 1}, {"a": 1}]}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, reason := normalOf(t, test.text)
			if reason != "" || got != test.want {
				t.Fatalf("normal form of %.200s\n     is %.400s %s\nwant %.400s", test.text, got, reason, test.want)
			}
			if again, reason := normalOf(t, got); again != got || reason != "" {
				t.Errorf("the normal form of %.200s is %.200s %s, want the same", got, again, reason)
			}
		})
	}
}

func TestDetailsNamePath(t *testing.T) {
	t.Parallel()
	const (
		number    = "is a number that float64 would change: write it as a string"
		zero      = "is a negative zero, which PostgreSQL would store as 0"
		nul       = "contains a NUL character, which PostgreSQL cannot store"
		surrogate = "has a lone surrogate, which is no character"
		utf       = "is not valid UTF-8"
		deep      = "is nested more than 32 levels deep"
		object    = "must be a JSON object"
		early     = "is not valid JSON: it ends too early"
	)
	for text, want := range map[string]string{
		`{"a":12345678901234567890}`:                 "a " + number,
		`{"a":{"b":[0,9007199254740993]}}`:           "a.b[1] " + number,
		`{"a":0.1000000000000000055511151231257827}`: "a " + number,
		`{"weights":[1,2,3,{"cost":1e400}]}`:         "weights[3].cost " + number,
		`{"a":-1e400}`:                               "a " + number,
		`{"a":1e-400}`:                               "a " + number,
		`{"a":1e99999999999999999999}`:               "a " + number,
		`{"a":4.94e-324}`:                            "a " + number,
		`{"a":-0}`:                                   "a " + zero,
		`{"a":-0.0}`:                                 "a " + zero,
		`{"a":-0e5}`:                                 "a " + zero,
		`{"a":1,"b":2,"a":3}`:                        "a comes twice",
		`{"b":[{"a":1,"\u0061":1}]}`:                 "b[0].a comes twice",
		`{"":1,"":1}`:                                `[""] comes twice`,
		`{"two words":{"a.b":-0}}`:                   `["two words"]["a.b"] ` + zero,
		`{"\u001b[1m\n":{"é":-0}}`:                   `["\x1b[1m\n"]["é"] ` + zero,
		`{"` + strings.Repeat("x", 33) + `":-0}`:     `["` + strings.Repeat("x", 32) + `…"] ` + zero,
		`{"a":"\u0000"}`:                             "a " + nul,
		`{"a":{"x\u0000":1}}`:                        "a has a key that " + nul,
		`{"\u0000":1}`:                               "has a key that " + nul,
		`{"a":"\ud800"}`:                             "a " + surrogate,
		`{"a":"\udc00x"}`:                            "a " + surrogate,
		`{"a":"\ud800\u0041"}`:                       "a " + surrogate,
		`{"a":"\ud800\ud800"}`:                       "a " + surrogate,
		`{"\ud800":1}`:                               "has a key that " + surrogate,
		"{\"a\":\"x\xff\"}":                          "a " + utf,
		"{\"a\":\"\xed\xa0\x80\"}":                   "a " + utf,
		"{\"\xff\":1}":                               "has a key that " + utf,
		"{\"a\":\xff}":                               "a is not valid JSON",
		"{\"a\":\"\x00\"}":                           "a is not valid JSON: a control character is not escaped",
		`{"a":"\x41"}`:                               "a is not valid JSON: an escape is unknown",
		`{"a":"\u12g4"}`:                             "a is not valid JSON: an escape is unknown",
		`{"a":01}`:                                   "a is not valid JSON",
		`{"a":[1.]}`:                                 "a[0] is not valid JSON",
		`{"a":+1}`:                                   "a is not valid JSON",
		`{"a":-}`:                                    "a is not valid JSON",
		`{"a":NaN}`:                                  "a is not valid JSON",
		`{"a":nul}`:                                  "a is not valid JSON",
		`{"a":[1 2]}`:                                "a is not valid JSON",
		`{"a":1,}`:                                   "is not valid JSON",
		`{"a":[1,]}`:                                 "a[1] is not valid JSON",
		`{,}`:                                        "is not valid JSON",
		`{"a"}`:                                      "is not valid JSON",
		`{"a":1`:                                     "is not valid JSON",
		`{"a":`:                                      "a " + early,
		`{"a":"x`:                                    "a " + early,
		`{"a":"\`:                                    "a " + early,
		`{"a":1}}`:                                   "has text after the JSON object",
		`{"a":1} {}`:                                 "has text after the JSON object",
		` `:                                          object,
		`[1]`:                                        object,
		`null`:                                       object,
		`"{}"`:                                       object,
		"\uFEFF{}":                                   object,
		`{"a":` + strings.Repeat("[", 31) + `{}` + strings.Repeat("]", 31) + `}`: "a" + strings.Repeat("[0]", 31) + " " + deep,
	} {
		if _, reason := normalOf(t, text); reason != want {
			t.Errorf("%q:\n got %q\nwant %q", text, reason, want)
		}
	}
}

func TestDetailsBounds(t *testing.T) {
	t.Parallel()
	const tooLong = "is longer than 16384 bytes in its normal form"
	filler := func(n int) string { return strings.Repeat("x", n) }
	least := len(`{"a": ""}`)
	for name, test := range map[string]struct{ text, reason string }{
		"the longest":           {`{"a": "` + filler(audit.MaxDetailsBytes-least) + `"}`, ""},
		"one more":              {`{"a": "` + filler(audit.MaxDetailsBytes-least+1) + `"}`, tooLong},
		"one space is missing":  {`{"a":"` + filler(audit.MaxDetailsBytes-least+1) + `"}`, tooLong},
		"blanks do not count":   {`{"a":` + strings.Repeat(" ", 7*audit.MaxDetailsBytes) + `1}`, ""},
		"escapes do not count":  {`{"a":"` + strings.Repeat(`\u0061`, audit.MaxDetailsBytes-least) + `"}`, ""},
		"escapes that are kept": {`{"a": "` + strings.Repeat(`\u0001`, audit.MaxDetailsBytes/6) + `"}`, tooLong},
		"control characters":    {`{"a": "` + strings.Repeat(`\u0001`, audit.MaxDetailsBytes/6-least) + `"}`, ""},
		"long numbers":          {`{"a":[` + strings.Repeat("1e300,", 60) + `1]}`, tooLong},
		"no path":               {`{"b":1,"a":[{"c":"` + filler(audit.MaxDetailsBytes) + `"}]}`, tooLong},
		"too long a text":       {`{"a":` + strings.Repeat(" ", 8*audit.MaxDetailsBytes) + `1}`, "is longer than 131072 bytes"},
		"megabytes":             {strings.Repeat(`{"a":`, 1<<20), "is longer than 131072 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			normal, reason := normalOf(t, test.text)
			if reason != test.reason || len(normal) > audit.MaxDetailsBytes {
				t.Errorf("%d bytes: %d bytes, reason %q, want %q", len(test.text), len(normal), reason, test.reason)
			}
		})
	}
}

// A path stays short, however long the keys are.
func TestDetailsPathIsClipped(t *testing.T) {
	t.Parallel()
	key := strings.Repeat(`\u202e`, 40)
	text := strings.Repeat(`{"`+key+`":`, 32) + `-0` + strings.Repeat("}", 32)
	if _, reason := normalOf(t, text); len(reason) > 700 || !strings.HasPrefix(reason, `…["\u202e`) {
		t.Errorf("a reason of %d bytes: %s", len(reason), reason)
	}
}

// The decimal value of every number that passes is that of the float64 it is read as.
func TestDetailsKeepNumbers(t *testing.T) {
	t.Parallel()
	literals := []string{"5e-324", "4.9e-324", "2.2250738585072014e-308", "2.2250738585072011e-308", "1e23", "9.999999999999999e22", "123456789012345678", "1e22", "1e309"}
	for exponent := -330; exponent <= 310; exponent++ {
		for _, digits := range []string{"1", "9", "17", "123456789012345678", "9007199254740993", "1.7976931348623157", "0.30000000000000004", "0.3000000000000000", "1.0000000000000002", "1.0000000000000001"} {
			literals = append(literals, fmt.Sprintf("%se%d", digits, exponent))
		}
	}
	kept := 0
	for _, literal := range literals {
		var n float64
		want := json.Unmarshal([]byte(literal), &n) == nil
		if want {
			exact, _ := new(big.Rat).SetString(literal)
			short, _ := new(big.Rat).SetString(fmt.Sprint(n))
			want = exact.Cmp(short) == 0
		}
		normal, reason := normalOf(t, `{"a":`+literal+`}`)
		if got := reason == ""; got != want {
			t.Errorf("%s is kept: %v, want %v", literal, got, want)
			continue
		}
		if !want {
			continue
		}
		kept++
		exact, _ := new(big.Rat).SetString(literal)
		if written, ok := new(big.Rat).SetString(strings.TrimSuffix(strings.TrimPrefix(normal, `{"a": `), "}")); !ok || exact.Cmp(written) != 0 {
			t.Errorf("%s became %s", literal, normal)
		}
	}
	if kept < 1000 {
		t.Errorf("%d numbers were kept", kept)
	}
}

// The test is not parallel, because it counts the allocations of the whole process.
func TestNormalDetailsAreCheap(t *testing.T) { //nolint:paralleltest // see above
	if race.Detector {
		t.Skip("the race detector allocates")
	}
	for _, text := range []audit.Details{"", "{}", `{"a": 1, "b": [1.5, -0.001, {"c": "é", "dd": 9007199254740992}], "cc": {"e": null, "f": true}}`} {
		rec := validRecord()
		rec.Details = text
		if n := testing.AllocsPerRun(100, func() {
			if rec.Normalized().Details != text || rec.Validate() != nil {
				t.Error("it is not in normal form")
			}
		}); n != 0 {
			t.Errorf("%q: %v allocations", text, n)
		}
	}
}
