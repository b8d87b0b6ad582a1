package main

import (
	"fmt"
	"slices"
	"strings"
)

// report is the run as docs/index-diet.md.
func (d *diet) report() string {
	var text strings.Builder
	postgres, _, _ := strings.Cut(d.Conditions.PostgreSQL, " ")
	fmt.Fprintf(&text, `# The index diet, measured

What each index of the trail's table costs writes, and what it saves reads. Written by `+"`make bench-indexes`"+`; the raw turns are in
[index-diet.json](index-diet.json), and what was decided by them is in [schema.md](schema.md).

- %s, %d cores; load average %s at the start, %s at the end; %s
- %s; PostgreSQL %s on a Unix socket, %s
- collation %s; %d rounds; a turn writes %d batches of 1,000, or reads %d times
`, d.Conditions.Machine, d.Conditions.Cores, d.Conditions.Load, d.Conditions.LoadAtEnd, d.Conditions.Date,
		d.Conditions.Go, postgres, d.Conditions.settingsText(), d.Locale, d.Conditions.Rounds, d.Batches, d.Calls)
	if d.Conditions.Note != "" {
		text.WriteString("\n**" + d.Conditions.Note + "**\n")
	}
	d.reportShapes(&text)
	d.reportGrown(&text)
	for i := range d.Sizes {
		d.Sizes[i].report(&text, &d.Sizes[0])
	}
	text.WriteString(howToReadTheDiet)
	return text.String()
}

const howToReadTheDiet = `
## How to read it

- Both tables hold the same records, without what the predecessor cannot store (so without target and counterpart); ours has ids of
  version 7, its own of version 4, and a thousand rows more, which its SQL brings.
- All candidates are tried on the smallest table; on the others those that could be kept.
- **Grown** tables never had other indexes. An index that grows in many places at once splits its pages there, which building it
  at the end, as the tables of the other sections do, hides.
- **Writing**: an ` + "`INSERT … SELECT unnest(…) ON CONFLICT DO NOTHING`" + ` of 1,000 records on one connection. All indexes stand; those that
  a line does not name are switched off in the catalog for its turn, so that turns are seconds apart. The log's bytes are those of
  the first rows after a checkpoint: where keys are random, most of them are images of whole pages, and become fewer until the next one.
- **µs a row** is above the primary key alone, from the medians.
- **Reading** is planned for each call's values, with the named index and the primary key to choose from, for timelines also those
  by time and by scope. A turn ends after
  300 ms, and has one call at least.
`

func (d *diet) reportShapes(text *strings.Builder) {
	text.WriteString("\n## The table's shape\n\n| table, its primary key alone | rows/s | lowest to highest | times as migrated | lowest to highest | bytes a row |\n|---|---|---|---|---|---|\n")
	for i := range d.Shapes {
		s := &d.Shapes[i]
		rate, times := s.rates(), s.times(&d.Shapes[0].writeResult)
		fmt.Fprintf(text, "| %s | %s | %s to %s | **%.2f** | %.2f to %.2f | %.1f |\n", s.Writer, thousands(int64(rate.median)),
			thousands(int64(rate.low)), thousands(int64(rate.high)), times.median, times.low, times.high, s.BytesPerRow)
	}
}

// reportGrown has a line a relation and, first, the sum.
func (d *diet) reportGrown(text *strings.Builder) {
	fmt.Fprintf(text, "\n## Bytes a row, grown from nothing by batches\n\n| indexes | relation | bytes a row |\n|---|---|---|\n")
	for i := range d.Grown {
		g := &d.Grown[i]
		fmt.Fprintf(text, "| %s, %s records | **in all** | **%.0f** |\n", g.Writer, thousands(int64(g.Rows)), g.total())
		for _, r := range g.Relations {
			fmt.Fprintf(text, "| | %s | %.1f |\n", r.Name, r.BytesPerRow)
		}
	}
}

func (s *dietSize) report(text *strings.Builder, smallest *dietSize) {
	fmt.Fprintf(text, "\n## %s records\n\n### Writing\n\n", thousands(int64(s.Records)))
	text.WriteString("| indexes beside the primary key | rows/s | lowest to highest | times the predecessor | lowest to highest | µs a row | WAL, bytes a row |\n|---|---|---|---|---|---|---|\n")
	base := s.writer(keyAlone)
	for i := range s.Writes {
		w := &s.Writes[i]
		rate, times := w.rates(), w.times(s.writer(predecessorWriter))
		fmt.Fprintf(text, "| %s | %s | %s to %s | **%.2f** | %.2f to %.2f | %.1f | %.0f |\n", w.Writer,
			thousands(int64(rate.median)), thousands(int64(rate.low)), thousands(int64(rate.high)), times.median, times.low, times.high,
			1e6/rate.median-1e6/base.rates().median, w.walPerRow())
	}
	text.WriteString("\n### On disk, built\n\n| table | relation | bytes a row | built in, s |\n|---|---|---|---|\n")
	for _, b := range s.Built {
		seconds := "–"
		if b.Seconds > 0 {
			seconds = fmt.Sprintf("%.1f", b.Seconds)
		}
		table := "ours"
		if b.Table == predecessorTable {
			table = "the predecessor's"
		}
		fmt.Fprintf(text, "| %s | %s | %.1f | %s |\n", table, b.Name, b.BytesPerRow, seconds)
	}
	s.reportReads(text, smallest)
}

func (s *dietSize) reportReads(text *strings.Builder, smallest *dietSize) {
	against := thousands(int64(smallest.Records))
	text.WriteString("\n### Reading\n\n| question | index | rows | p50, µs | p99, µs | times at " + against + " |\n|---|---|---|---|---|---|\n")
	question := ""
	for i := range s.Reads {
		r := &s.Reads[i]
		name := ""
		if r.Question != question {
			question, name = r.Question, r.Question
		}
		p50 := r.p(func(t turn) float64 { return t.P50 })
		times := "–"
		if small := smallest.reader(r); small != nil && small != r && small.Rows == r.Rows {
			times = fmt.Sprintf("%.2f", p50/small.p(func(t turn) float64 { return t.P50 }))
		}
		fmt.Fprintf(text, "| %s | %s | %d | %s | %s | %s |\n", name, r.Indexes[0], r.Rows,
			thousands(int64(p50)), thousands(int64(r.p(func(t turn) float64 { return t.P99 }))), times)
	}
}

func (s *dietSize) writer(name string) *writeResult {
	at := slices.IndexFunc(s.Writes, func(w writeResult) bool { return w.Writer == name })
	if at < 0 {
		return &writeResult{}
	}
	return &s.Writes[at]
}

func (s *dietSize) reader(like *readResult) *readResult {
	at := slices.IndexFunc(s.Reads, func(r readResult) bool {
		return r.Question == like.Question && slices.Equal(r.Indexes, like.Indexes)
	})
	if at < 0 {
		return nil
	}
	return &s.Reads[at]
}

func (w *writeResult) rates() spread {
	rates := make([]float64, len(w.Turns))
	for i, t := range w.Turns {
		rates[i] = float64(t.Rows) / t.Seconds
	}
	return spreadOf(rates)
}

// times compares round by round.
func (w *writeResult) times(to *writeResult) spread {
	ratios := make([]float64, min(len(w.Turns), len(to.Turns)))
	for i := range ratios {
		ratios[i] = to.Turns[i].Seconds / w.Turns[i].Seconds
	}
	return spreadOf(ratios)
}

func (w *writeResult) walPerRow() float64 {
	var bytes, rows float64
	for _, t := range w.Turns {
		bytes, rows = bytes+float64(t.WAL), rows+float64(t.Rows)
	}
	return bytes / rows
}

func (r *readResult) p(of func(turn) float64) float64 {
	values := make([]float64, len(r.Turns))
	for i, t := range r.Turns {
		values[i] = of(t)
	}
	return spreadOf(values).median
}
