package term

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

func TestCells(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"":               0,
		"cooling":        7,
		"größe":          5,
		"gro\u0308ße":    5,
		"温度":             4,
		"ｶﾀｶﾅ":           4,
		"ﾊﾟ":             2,
		"한국":             4,
		"🔥 hot":          6,
		"✓ done":         6,
		"❤\ufe0f":        2,
		"e\u0301\u0323x": 2,
		"\u3000":         2,
	} {
		if got := Cells(text); got != want {
			t.Errorf("%q takes %d cells, want %d", text, got, want)
		}
	}
}

func TestCuts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text      string
		width     int
		end, both string
	}{
		{"envelope-17", 11, "envelope-17", "envelope-17"},
		{"envelope-17", 8, "envelop…", "enve…-17"},
		{"温度制御-17", 8, "温度制…", "温度…-17"},
		{"温度制御-17", 7, "温度制…", "温…-17"},
		{"温度", 3, "温…", "温…"},
		{"温度", 1, "…", "…"},
		{"温度", 0, "…", "…"},
		{"e\u0301e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301…", "e\u0301…e\u0301"},
	} {
		if got := Shorten(test.text, test.width); got != test.end {
			t.Errorf("Shorten(%q, %d) is %q, want %q", test.text, test.width, got, test.end)
		}
		if got := ShortenID(test.text, test.width); got != test.both {
			t.Errorf("ShortenID(%q, %d) is %q, want %q", test.text, test.width, got, test.both)
		}
	}
}

// A cut text of any characters fits, is valid, and keeps both ends as they are.
func FuzzCuts(f *testing.F) {
	for _, seed := range []string{"envelope-17", "温度制御", "e\u0301e\u0323\u0301", "❤\ufe0f\ufe0f", "\u0301", "a\x1b[31m"} {
		f.Add(seed, 5)
	}
	f.Fuzz(func(t *testing.T, text string, width int) {
		text = format.Folded(text)
		if width < 1 || width > 200 {
			return
		}
		for _, cut := range []string{Shorten(text, width), ShortenID(text, width)} {
			if Cells(cut) > width || !utf8.ValidString(cut) {
				t.Errorf("%q, cut to %d, is %q", text, width, cut)
			}
			before, after, isCut := strings.Cut(cut, "…")
			if isCut && cut != text && !strings.Contains(text, "…") && (!strings.HasPrefix(text, before) || !strings.HasSuffix(text, after)) {
				t.Errorf("%q, cut to %d, is %q", text, width, cut)
			}
		}
	})
}

func TestWrapByCells(t *testing.T) {
	t.Parallel()
	on := Screen{Columns: 12}
	if got, want := on.Wrap("  ", "温度 制御 温度制御温度制御"), "  温度 制御\n    温度制…\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, test := range []struct{ label, text, want string }{
		{"reason  ", "off", "reason  off\n"},
		{"reason  ", "a  b", "reason  a  b\n"},
		{"reason  ", "off since noon", "reason  off\n        sinc\n        e\n        noon\n"},
		{"reason  ", "one\ntwo", "reason  one\n        two\n"},
		{"reason  ", "", "reason\n"},
		{"reason  ", "one\n\ntwo", "reason  one\n\n        two\n"},
		{"reason  ", "温度制御", "reason  温度\n        制御\n"},
		{"reason, of x", "温", "reason, of x\n            温\n"},
	} {
		if got := on.Hang(test.label, test.text); got != test.want {
			t.Errorf("%q %q is %q, want %q", test.label, test.text, got, test.want)
		}
	}
	if got, want := (Screen{}).Hang("a  ", "b c\nd"), "a  b c\n   d\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text          string
		columns, rows int
		want          bool
	}{
		{"a\nb\n", 80, 3, true},
		{"a\nb\n", 80, 2, false},
		{strings.Repeat("x", 80) + "\n", 80, 2, true},
		{strings.Repeat("x", 81) + "\n", 80, 2, false},
		{strings.Repeat("温", 40) + "\n", 80, 2, true},
		{"\x1b[31m" + strings.Repeat("x", 78) + "\x1b[0m\n", 80, 2, true},
	} {
		if got := Fits(test.text, test.columns, test.rows); got != test.want {
			t.Errorf("Fits(%q, %d, %d) is %t", test.text, test.columns, test.rows, got)
		}
	}
}
