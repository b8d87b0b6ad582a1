package term

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestWaiting(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	began := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	line := &Progress{out: &out, now: func() time.Time { return began }, start: began}
	ticks := make(chan time.Time)
	w := watch(line, "counting "+strings.Repeat("x", 100), ticks, func() {})
	for second := range 4 {
		ticks <- began.Add(time.Duration(second) * time.Second)
	}
	w.Stop()
	shown := strings.Split(out.String(), "\r")
	if len(shown) != 5 || !strings.HasSuffix(shown[1], "…  0:02") || !strings.HasSuffix(shown[2], "…  0:03") || strings.TrimSpace(shown[3]+shown[4]) != "" {
		t.Errorf("%q", shown)
	}
	for _, text := range shown[1:3] {
		if n := utf8.RuneCountInString(text); n > MaxProgressColumns {
			t.Errorf("%d characters", n)
		}
	}
}

func TestProgressText(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		total, bytes, records int64
		elapsed               time.Duration
		want                  string
	}{
		"Begin":      {1000, 0, 0, 0, "[------------------------]   0%  0 lines  0/s  ? left"},
		"Half":       {1000, 500, 12_000, 6 * time.Second, "[############------------]  50%  12,000 lines  2,000/s  0:06 left"},
		"End":        {1000, 1000, 24_000, 12 * time.Second, "[########################] 100%  24,000 lines  2,000/s  0:00 left"},
		"FileGrew":   {1000, 1500, 24_000, 12 * time.Second, "[########################] 100%  24,000 lines  2,000/s  0:00 left"},
		"Hours":      {1 << 40, 1 << 30, 3_000_000, time.Hour, "[------------------------]   0%  3,000,000 lines  833/s  1023:00:00 left"},
		"Unknown":    {0, 500, 1_234_567, 75 * time.Second, "1,234,567 lines  16,460/s  1:15"},
		"UnknownOld": {0, 500, 10, 2*time.Hour + 3*time.Second, "10 lines  0/s  2:00:03"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &Progress{total: test.total}
			got := p.text(test.bytes, test.records, test.elapsed)
			if diff := cmp.Diff(test.want, got); diff != "" || len(got) > MaxProgressColumns {
				t.Errorf("%d columns (-want +got):\n%s", len(got), diff)
			}
		})
	}
}

func TestProgressDraws(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := &Progress{out: &out, total: 1 << 20, now: func() time.Time { return now }, start: now}
	for i := range int64(1000) { // a second, and 10 GB of lines by its end
		p.Update(i<<10, i*1_000_000)
		now = now.Add(time.Millisecond)
	}
	drawn := strings.Split(out.String(), "\r")[1:]
	if len(drawn) != 10 {
		t.Errorf("drawn %d times in a second", len(drawn))
	}
	for _, text := range drawn {
		if len(text) > MaxProgressColumns {
			t.Errorf("%d columns: %s", len(text), text)
		}
	}
	p.Clear()
	screen := terminalLine(out.String())
	if strings.TrimSpace(screen) != "" {
		t.Errorf("after clearing the line shows %q", screen)
	}
	length := out.Len()
	p.Clear()
	if out.Len() != length {
		t.Error("clearing an empty line wrote something")
	}
}

// terminalLine is what a line of a terminal shows at the end.
func terminalLine(written string) string {
	screen := []byte(strings.Repeat(" ", 200))
	column := 0
	for _, b := range []byte(written) {
		if b == '\r' {
			column = 0
			continue
		}
		screen[column] = b
		column++
	}
	return string(screen)
}

func TestProgressWithoutATerminal(t *testing.T) {
	t.Parallel()
	plain, err := os.Create(t.TempDir() + "/stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	for name, out := range map[string]*Progress{"buffer": NewProgress(&bytes.Buffer{}, 1), "file": NewProgress(plain, 1)} {
		if out != nil {
			t.Errorf("a %s is taken for a terminal", name)
		}
		out.Update(1, 1)
		out.Clear()
	}
}
