package term

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// watched is a command that began at noon, and a clock for it.
func watched(doing string, columns int) (p *Progress, out *bytes.Buffer, at func(time.Duration)) {
	noon := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	out = &bytes.Buffer{}
	ticks := make(chan time.Time)
	p = watch(out, doing, noon, ticks, func() {})
	p.columns = func() int { return columns }
	return p, out, func(d time.Duration) { ticks <- noon.Add(d) }
}

func TestProgressWithoutCounts(t *testing.T) {
	t.Parallel()
	p, out, at := watched("counting "+strings.Repeat("漢x", 100), 80)
	for second := range 4 {
		at(time.Duration(second) * time.Second)
	}
	p.Stop()
	p.Stop()
	shown := strings.Split(out.String(), "\r")
	if len(shown) != 5 || !strings.HasSuffix(shown[1], "…  0:02") || !strings.HasSuffix(shown[2], "…  0:03") || strings.TrimSpace(shown[3]+shown[4]) != "" {
		t.Errorf("%q", shown)
	}
	for _, text := range shown[1:3] {
		if n := Cells(text); n > 79 || n < 78 {
			t.Errorf("%d cells", n)
		}
	}
}

func TestProgressText(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	lines := func(part, whole, count int64) Done { return Done{Part: part, Whole: whole, Count: count, Noun: "line"} }
	tests := map[string]struct {
		columns     int
		first, done Done
		elapsed     time.Duration
		want        string
	}{
		"Begin":    {99, lines(0, 1000, 0), lines(0, 1000, 0), 0, "importing big.jsonl  [--------------------]   0%  0 lines  0/s  ? left"},
		"Half":     {99, lines(0, 1000, 0), lines(500, 1000, 12_000), 6 * time.Second, "importing big.jsonl  [##########----------]  50%  12,000 lines  2,000/s  0:06 left"},
		"End":      {99, lines(0, 1000, 0), lines(1000, 1000, 24_000), 12 * time.Second, "importing big.jsonl  [####################] 100%  24,000 lines  2,000/s  0:00 left"},
		"FileGrew": {99, lines(0, 1000, 0), lines(1500, 1000, 24_000), 12 * time.Second, "importing big.jsonl  [####################] 100%  24,000 lines  2,000/s  0:00 left"},
		"Hours":    {99, lines(0, 1<<40, 0), lines(1<<30, 1<<40, 3_000_000), time.Hour, "importing big.jsonl  [--------------------]   0%  3,000,000 lines  833/s  1023:00:00 left"},
		"Resumed":  {99, lines(500, 1000, 500), lines(750, 1000, 750), 10 * time.Second, "importing big.jsonl  [###############-----]  75%  750 lines  25/s  0:10 left"},
		"Unknown":  {99, lines(0, 0, 0), lines(0, 0, 1_234_567), 75 * time.Second, "importing big.jsonl  1,234,567 lines  16,460/s  1:15"},
		"Old":      {99, lines(0, 0, 0), lines(0, 0, 10), 2*time.Hour + 3*time.Second, "importing big.jsonl  10 lines  0/s  2:00:03"},
		"OneLine":  {99, lines(0, 0, 0), lines(0, 0, 1), 3 * time.Second, "importing big.jsonl  1 line  0/s  0:03"},
		"Narrow":   {59, lines(0, 1000, 0), lines(500, 1000, 12_000), 6 * time.Second, "importing big.jsonl   50%  12,000 lines  2,000/s  0:06 left"},
		"Narrower": {39, lines(0, 1000, 0), lines(500, 1000, 12_000), 6 * time.Second, "importing big.jsonl   50%  0:06 left"},
		"Phone":    {20, lines(0, 1000, 0), lines(500, 1000, 12_000), 6 * time.Second, "importing big…   50%"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &Progress{doing: "importing big.jsonl", began: noon}
			p.update(test.first, noon)
			p.update(test.done, noon.Add(test.elapsed))
			got := p.text(noon.Add(test.elapsed), test.columns)
			if diff := cmp.Diff(test.want, got); diff != "" || Cells(got) > test.columns {
				t.Errorf("%d columns (-want +got):\n%s", Cells(got), diff)
			}
		})
	}
}

func TestProgressSteps(t *testing.T) {
	t.Parallel()
	p, out, at := watched("reporting: counting, step 1 of 2", 80)
	p.Update(Done{Count: 7, Noun: "record"})
	at(3 * time.Second)
	p.Say("reporting: signals, step 2 of 2")
	at(4 * time.Second)
	p.Clear() // for a message; the line comes again
	at(5 * time.Second)
	p.Stop()
	var shown []string
	for line := range strings.SplitSeq(out.String(), "\r") {
		if line = strings.TrimSpace(line); line != "" {
			shown = append(shown, line)
		}
	}
	if len(shown) != 3 || !strings.HasPrefix(shown[0], "reporting: counting, step 1 of 2  7 records") || shown[1] != "reporting: signals, step 2 of 2  0:04" || shown[2] != "reporting: signals, step 2 of 2  0:05" {
		t.Errorf("%q", shown)
	}
}

func TestProgressOfManyWorkers(t *testing.T) {
	t.Parallel()
	p, out, at := watched("verifying", 80)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for i := range int64(1000) {
				p.Update(Done{Part: i << 10, Whole: 1 << 20, Count: i * 1_000_000, Noun: "row"})
			}
		})
	}
	for i := range 10 {
		at(2*time.Second + time.Duration(i)*progressInterval)
	}
	workers.Wait()
	drawn := strings.Split(out.String(), "\r")[1:]
	if len(drawn) < 9 {
		t.Errorf("drawn %d times", len(drawn))
	}
	for _, text := range drawn {
		if Cells(text) > 79 {
			t.Errorf("%d columns: %s", Cells(text), text)
		}
	}
	p.Stop()
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
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	for name, out := range map[string]io.Writer{"buffer": &bytes.Buffer{}, "file": plain, "null device": null} {
		p := StartProgress(out, "counting")
		if p != nil || IsTerminal(out) {
			t.Errorf("a %s is taken for a terminal", name)
		}
		p.Say("reading")
		p.Update(Done{Count: 1})
		p.Clear()
		p.Stop()
	}
}
