package format

import (
	"encoding/json"
	"strings"
	"testing"
)

// What shows as nothing is escaped like what a terminal acts on: two names that differ in it would
// look alike. The selector of an emoji stays behind its symbol.
func TestPrintableHidesNothing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"guard":                   "guard",
		"größe e\u0301 温度 🔥 ✓":    "größe e\u0301 温度 🔥 ✓",
		"❤\ufe0f ⚠\ufe0f":         "❤\ufe0f ⚠\ufe0f",
		"a\nb\u00a0c":             "a\nb\u00a0c",
		"guard\ufe0f":             `guard\ufe0f`,
		"❤\ufe0f\ufe0f":           `❤` + "\ufe0f" + `\ufe0f`,
		"guard\ufe00":             `guard\ufe00`,
		"gu\u034fard":             `gu\u034fard`,
		"guard\u3164\u115f\uffa0": `guard\u3164\u115f\uffa0`,
		"葛\U000e0100":             `葛\U000e0100`,
		"\u17b4\u180b\u180f":      `\u17b4\u180b\u180f`,
		"a\x1b[31m\u202e\u200b":   `a\u001b[31m\u202e\u200b`,
		"\xff\ufffd":              `\xff` + "\ufffd",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%+q is shown as %+q, want %+q", text, got, want)
		}
		object, err := json.Marshal(strings.ToValidUTF8(text, ""))
		if err != nil {
			t.Fatal(err)
		}
		escaped := string(EscapeJSON(object))
		var back string
		if err := json.Unmarshal([]byte(escaped), &back); err != nil || back != strings.ToValidUTF8(text, "") {
			t.Errorf("%+q came back as %+q, %v", text, back, err)
		}
		if strings.Contains(want, `\`) && !strings.Contains(escaped, `\u`) && !strings.Contains(want, `\x`) {
			t.Errorf("%+q is JSON with nothing escaped: %+q", text, escaped)
		}
	}
}
