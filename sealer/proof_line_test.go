package sealer_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

const proofLineID = "01a22592-1643-70aa-bd36-922a76dfc914"

// A line is read as JSON is, in any spelling.
func TestProofLineIsReadAsJSONIs(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"as written":        `{"proof_of":"` + proofLineID + `","bundle":"c2sp\nextra — w\n"}`,
		"other escapes":     `{"proof_of":"` + proofLineID + `","bundle":"a\u000ab\\n\tc\"d"}`,
		"spaces":            ` {"proof_of": "` + proofLineID + `", "bundle": "a\nb"} `,
		"another order":     `{"bundle":"a\nb","proof_of":"` + proofLineID + `"}`,
		"a key more":        `{"proof_of":"` + proofLineID + `","bundle":"a","more":"b"}`,
		"no bundle":         `{"proof_of":"` + proofLineID + `"}`,
		"not in UTF-8":      `{"proof_of":"` + proofLineID + `","bundle":"a` + "\xff" + `"}`,
		"a quote too many":  `{"proof_of":"` + proofLineID + `","bundle":"a"b"}`,
		"a raw line end":    `{"proof_of":"` + proofLineID + `","bundle":"a` + "\n" + `b"}`,
		"a raw tab":         `{"proof_of":"` + proofLineID + `","bundle":"a` + "\t" + `b"}`,
		"a bad escape":      `{"proof_of":"` + proofLineID + `","bundle":"a\xb"}`,
		"an open escape":    `{"proof_of":"` + proofLineID + `","bundle":"a\"}`,
		"a damaged id":      `{"proof_of":"01a22592-1643-70aa-bd36-922a76dfc91","bundle":"a"}`,
		"an id in braces":   `{"proof_of":"{` + proofLineID + `}","bundle":"a"}`,
		"cut off":           `{"proof_of":"` + proofLineID + `","bundle":"a`,
		"cut off in the id": `{"proof_of":"01a2`,
		"something else":    `[]`,
		"nothing":           ``,
	} {
		checkProofLine(t, name, []byte(text))
	}
}

func FuzzParseProofLine(f *testing.F) {
	f.Add([]byte(`{"proof_of":"` + proofLineID + `","bundle":"a\nb\\n"}`))
	f.Fuzz(func(t *testing.T, text []byte) { checkProofLine(t, "fuzzed", text) })
}

// checkProofLine compares the reader with encoding/json.
func checkProofLine(t *testing.T, name string, text []byte) {
	t.Helper()
	var want sealer.ProofLine
	wantErr := json.Unmarshal(text, &want)
	got, err := sealer.ParseProofLine(text)
	switch {
	case (err == nil) != (wantErr == nil):
		t.Errorf("%s, %q: %v, and encoding/json: %v", name, text, err, wantErr)
	case err != nil:
		if !errors.Is(err, seal.ErrMalformed) {
			t.Errorf("%s, %q: %v", name, text, err)
		}
	case got != want:
		t.Errorf("%s, %q: %+v, want %+v", name, text, got, want)
	}
}
