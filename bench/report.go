package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// report formats the comparison as docs/benchmarks-compare.md.
func report(c *comparison) string {
	var text strings.Builder
	text.WriteString(`# Side by side

This page compares coordaudit with the usual alternatives. ` + "`make bench-compare`" + ` writes it, and keeps the raw turns in
` + "`bin/benchmarks-compare.json`" + `. [benchmarks.md](benchmarks.md) compares single calls with the bare statement.
` + "`make bench-check`" + ` compares a change with the ratios of this page that matter most ([ratios.json](../bench/ratios.json)).

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

- The contenders take turns, A B C A B C, and each round starts with another one. A ratio compares two contenders of one round. The
  table shows the median of the rounds, and the lowest and the highest.
- For a single caller, the time is the median call. For several callers it is the elapsed time divided by the calls, so a lower time is a
  higher throughput. That time includes the making of the record, for all contenders alike.
- All contenders share a database, and each has a pool of the same size. Every write is committed and flushed (fsync on).
- Reads run first. Writes then grow the table, for all its contenders alike. *Rows before* is the number of rows when the work began.
  An empty table has nothing to read.
- Reads ask for one tenant, who owns a third of the records. Signals cover the last 7 of 30 days. The deep page is the 10,000th, or the
  last full one where there are fewer.
- **Record** sends on one connection, so other load on the machine slows it more than the contenders with eight. With 16 callers
  its ratio rose from 0.30 to 0.83 on two cores that ten processes shared.
- **Import** loads JSON Lines into an empty table with all its indexes, over one connection. Each turn has a database of its own. Bare pgx
  sends one COPY of rows that are ready to send, which is the least that the server needs. database/sql and GORM decode with encoding/json on one
  goroutine and insert a thousand rows at a time, as a first version would. coordaudit is the program ` + "`coordaudit import`" + `,
  which parses on all cores. Its time includes the start of the program.
- **Signals** do not compare like with like. The others run five plain counts. coordaudit also collects the ids of the records behind each
  number, looks up classes that the records do not state, and reads everything at one moment.
- **Timeline**: the obvious statement has an OR over three columns. coordaudit reads each column from an index of its own.
- **Reads** of the other contenders return scanned rows. coordaudit returns records, and a cursor for the next page.
- Ratios below 1 in batches come from the way that ids are passed. [benchmarks.md](benchmarks.md) explains it.
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

// group holds the results of one kind of work.
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

// title is the heading of a table of that many records.
func title(records int) string {
	if records == 0 {
		return "An empty table"
	}
	return fmt.Sprintf("A table of %s records", thousands(int64(records)))
}

func writeSize(text *strings.Builder, c *comparison, records int) {
	fmt.Fprintf(text, "\n## %s\n\nThe figures are times bare pgx. Lower is better. A dash means not offered or not measured.\n\n", title(records))
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

// writeMatrix writes one line per kind of work and one column per contender.
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
