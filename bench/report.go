package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// report is the comparison as docs/benchmarks-compare.md.
func report(c *comparison) string {
	var text strings.Builder
	text.WriteString(`# Side by side

What coordaudit costs beside what people would use instead. Written by ` + "`make bench-compare`" + `; the raw turns are in
[benchmarks-compare.json](benchmarks-compare.json), and what single calls cost beside the bare statement is in
[benchmarks.md](benchmarks.md). ` + "`make bench-check`" + ` holds a change's ratios against this table.

`)
	text.WriteString(c.Conditions.String())
	if c.Conditions.Note != "" {
		text.WriteString("\n**" + c.Conditions.Note + "**\n")
	}
	for _, records := range sizes(c) {
		writeSize(&text, c, records)
	}
	text.WriteString("\n## The contenders\n\n| contender | settings |\n|---|---|\n")
	for _, s := range c.Conditions.Settings {
		fmt.Fprintf(&text, "| %s | %s |\n", s.Contender, s.Text)
	}
	text.WriteString(howToRead)
	return text.String()
}

const howToRead = `
## How to read it

- The contenders take turns, A B C A B C, each round beginning with another one. A ratio is of one round, in which both were;
  the table has the median of the rounds, and the lowest and the highest.
- With one caller, the time is a call's median. With more it is what passes for each call, so a lower time is a higher
  throughput; the making of the record is in it then, for all alike.
- Each contender has a pool of the same size, on a database that they share. Every write is committed and flushed (fsync on).
- Reads come first. Writes then make the table grow, for all contenders of it alike; *rows before* is what it held when a
  work began. An empty table has nothing to read.
- Reads are of one tenant, who has a third of the records. Signals are those of the last 7 of 30 days. The page deep down
  is the 10,000th, or the last full one where there are fewer.
- **Record** sends on one connection, so other work on the machine slows it down more than those with eight: with 16 callers
  its ratio went from 0.30 to 0.83 on two cores that ten processes wanted.
- **Import** is of JSON Lines into an empty table with all its indexes, in a database of each turn's own, over one connection; its turns
  are in the raw data. Bare pgx has one COPY of rows that are ready to be sent: what the server takes at least. database/sql and GORM decode
  with encoding/json and insert a thousand at a time, on one goroutine, as anybody would at first; coordaudit is the program
  ` + "`coordaudit import`" + `, which parses on all cores, its start included.
- **Signals** are no like for like: the others make five plain counts, ours also gathers the ids of the records behind each
  number and looks up the classes that records do not state, all as of one moment.
- **Timeline**: the statement that anybody would write has an OR over three columns; ours reads each from an index of its own.
- **Reading** bare leaves the rows as they are scanned; ours makes them records, and a cursor for the page that follows.
- Ratios below 1 in batches come from how ids are passed: see [benchmarks.md](benchmarks.md).
`

func sizes(c *comparison) []int {
	var found []int
	for i := range c.Results {
		if !slices.Contains(found, c.Results[i].Records) {
			found = append(found, c.Results[i].Records)
		}
	}
	return found
}

// group are the results of one work.
type group struct {
	work    string
	results []*result
}

func groupsOf(c *comparison, records int) []group {
	var groups []group
	for i := range c.Results {
		r := &c.Results[i]
		if r.Records != records {
			continue
		}
		if len(groups) == 0 || groups[len(groups)-1].work != r.Work {
			groups = append(groups, group{work: r.Work})
		}
		last := &groups[len(groups)-1]
		last.results = append(last.results, r)
	}
	return groups
}

func writeSize(text *strings.Builder, c *comparison, records int) {
	title := fmt.Sprintf("A table of %s records", thousands(int64(records)))
	if records == 0 {
		title = "An empty table"
	}
	fmt.Fprintf(text, "\n## %s\n\nTimes bare pgx, lower is better; a dash: not offered, or not measured.\n\n", title)
	groups := groupsOf(c, records)
	writeMatrix(text, c, groups, records)
	text.WriteString("\n| work | rows before | contender | µs | lowest to highest | records/s written | times bare pgx | lowest to highest |\n")
	text.WriteString("|---|---|---|---|---|---|---|---|\n")
	for _, g := range groups {
		for i, r := range g.results {
			writeLine(text, g, r, i == 0)
		}
	}
}

// writeMatrix is a line a work and a column a contender.
func writeMatrix(text *strings.Builder, c *comparison, groups []group, records int) {
	head, rule := "| work |", "|---|"
	for _, s := range c.Conditions.Settings {
		head, rule = head+" "+s.Contender+" |", rule+"---|"
	}
	text.WriteString(head + "\n" + rule + "\n")
	for _, g := range groups {
		text.WriteString("| " + g.work + " |")
		to := find(c.Results, records, g.work, bare)
		for _, s := range c.Conditions.Settings {
			r := find(c.Results, records, g.work, s.Contender)
			if r == nil || to == nil {
				text.WriteString(" – |")
				continue
			}
			fmt.Fprintf(text, " %.2f |", r.ratios(to).median)
		}
		text.WriteString("\n")
	}
}

func writeLine(text *strings.Builder, g group, r *result, first bool) {
	work, before := "", ""
	if first {
		work, before = g.work, thousands(r.RowsBefore)
	}
	costs, written := r.costs(), "–"
	if r.RecordsPerCall > 0 {
		written = thousands(int64(float64(r.RecordsPerCall) * 1e6 / costs.median))
	}
	fmt.Fprintf(text, "| %s | %s | %s | %.0f | %.0f to %.0f | %s |", work, before, r.Contender, costs.median, costs.low, costs.high, written)
	if r.Contender == bare {
		text.WriteString(" 1 | |\n")
		return
	}
	for _, to := range g.results {
		if to.Contender == bare {
			ratios := r.ratios(to)
			fmt.Fprintf(text, " **%.3f** | %.3f to %.3f |", ratios.median, ratios.low, ratios.high)
		}
	}
	text.WriteString("\n")
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
