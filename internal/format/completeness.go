package format

import (
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Verdict says whether a trail is complete, and what is wrong if it is not.
func Verdict(c audit.Completeness) string {
	if c.Complete() {
		return "complete"
	}
	var unexplained, findings int64
	for i := range c.Sources {
		unexplained += c.Sources[i].UnexplainedTotal()
		findings += int64(len(c.Sources[i].Findings))
	}
	return "not complete: " + Plural(unexplained, "unexplained record") + ", " + Plural(findings, "finding")
}

// Ordinals names a range: 4, or 4 to 5.
func Ordinals(first, last int64) string {
	if first == last {
		return Thousands(first)
	}
	return Thousands(first) + " to " + Thousands(last)
}

// Accepted says between which times records were accepted.
func Accepted(after, before time.Time) string {
	switch {
	case after.IsZero() && before.IsZero():
		return "accepted at an unknown time"
	case after.IsZero():
		return "accepted before " + Time(before)
	case before.IsZero():
		return "accepted after " + Time(after)
	default:
		return "accepted from " + Time(after) + " to " + Time(before)
	}
}

// Finding says what contradicts what.
func Finding(f audit.Finding) string {
	numbers := Ordinals(f.First, f.Last)
	if f.First == f.Last {
		return findingOf(f.Kind, "ordinal "+numbers, "a row carries ordinal "+numbers, "it never comes", "statement "+numbers+" is missing")
	}
	return findingOf(f.Kind, "each of the ordinals "+numbers, "rows carry the ordinals "+numbers, "they never come", "the statements "+numbers+" are missing")
}

func findingOf(kind audit.FindingKind, ordinals, rows, never, statements string) string {
	switch kind {
	case audit.RepeatedOrdinal:
		return "more than one row carries " + ordinals
	case audit.UnexpectedRow:
		return rows + ", and a statement says that " + never
	case audit.UnreservedRow:
		return rows + ", and no statement has reserved that"
	case audit.MissingStatement:
		return statements + ", and later ones are there"
	case audit.NoStatements:
		return "rows carry the id of this source, and it has made no statement"
	default:
		return string(kind) + ": " + ordinals
	}
}

// Account counts the ordinals of a source by their states.
func Account(a audit.SourceAccount) string {
	if a.Imported {
		return Plural(a.Present, "record") + " of a file; the account of this source is in the trail that the file was exported from"
	}
	if a.OpenedAt.IsZero() {
		return Plural(a.Present, "record") + " present"
	}
	accepted := Thousands(a.AcceptedThrough) + " accepted: "
	// Rows beyond the last statement show that more were accepted than it says.
	if known := a.Present + a.Explained.Total() + a.Waiting + a.UnexplainedTotal(); known > a.AcceptedThrough {
		accepted = "at least " + Thousands(known) + " accepted: "
	}
	parts := []string{accepted + Thousands(a.Present) + " present"}
	for _, part := range []struct {
		ordinals int64
		name     string
	}{
		{a.Explained.Dropped, "dropped"},
		{a.Explained.Rejected, "rejected"},
		{a.Explained.AlreadyPersisted, "already persisted"},
		{a.Explained.Expired, "expired"},
		{a.Waiting, "waiting"},
		{a.UnexplainedTotal(), "unexplained"},
	} {
		if part.ordinals > 0 {
			parts = append(parts, Thousands(part.ordinals)+" "+part.name)
		}
	}
	text := strings.Join(parts, ", ")
	if a.LastBlock > 0 {
		text += "; " + Thousands(a.LastBlock) + " more in the last block"
	}
	return text
}

// SourceState says how a source stands.
func SourceState(a audit.SourceAccount) string {
	switch {
	case a.Imported:
		return "of a file"
	case a.Closed:
		return "closed"
	case a.OpenedAt.IsZero():
		return "without statements"
	default:
		return "not closed"
	}
}
