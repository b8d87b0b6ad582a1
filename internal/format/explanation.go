package format

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Line is a labelled line of text.
type Line struct{ Label, Text string }

// Explained is what an explanation shows besides the explanation itself.
type Explained struct {
	// ScopeFlags is the scope as flags, for the next command. It may be empty.
	ScopeFlags string

	// TraceURL is the address of a trace, with {trace_id} for its id. It may be empty.
	TraceURL string

	// Sealed says whether the record is sealed. The line is left out if it is empty.
	Sealed string
}

// Explanation writes an explanation in at most twelve lines. No text of a record adds one.
func Explanation(e audit.Explanation, with Explained) []Line {
	lines := []Line{
		{"decision", decisionLine(e.Record)},
		{"why", whyLine(e)},
		{"evidence", evidenceLine(e)},
		{"causes", causesLine(e)},
		{"stated", statedLine(e.Record, with.TraceURL)},
		{"after", afterLine(e)},
		{"pair", pairLine(e)},
		{"corrected", correctedLine(e)},
		{"missing", missingLine(e.Losses)},
		{"sealed", with.Sealed},
		{"next", nextLine(e, with.ScopeFlags)},
	}
	lines = slices.DeleteFunc(lines, func(line Line) bool { return line.Text == "" })
	for i := range lines {
		lines[i].Text = Folded(lines[i].Text)
	}
	return lines
}

func decisionLine(rec audit.Record) string {
	tenant := "no tenant"
	if rec.TenantID != "" {
		tenant = "tenant " + rec.TenantID
	}
	text := fmt.Sprintf("%s %s (%s) of %s, at %s", rec.Decision, rec.EnvelopeID, rec.EnvelopeClass, tenant, Time(rec.DecisionTimestamp))
	if target := strings.Trim(rec.TargetSubsystem+"."+rec.TargetParameter, "."); target != "" {
		text += ", over " + target
	}
	return text
}

func whyLine(e audit.Explanation) string {
	other := e.Counterpart.EnvelopeID
	if e.Counterpart.EnvelopeClass != "" {
		other += " (" + string(e.Counterpart.EnvelopeClass) + ")"
	}
	var text string
	switch e.Cause {
	case audit.CauseFree:
		text = "nothing stood in its way, as far as is on record"
	case audit.CauseOutranks:
		names := make([]string, len(e.Displaced.Records))
		for i, rec := range e.Displaced.Records {
			names[i] = fmt.Sprintf("%s (%s)", rec.EnvelopeID, rec.EnvelopeClass)
		}
		if e.Displaced.More {
			names = append(names, "others")
		}
		text = "it took the place of " + strings.Join(names, ", ")
	case audit.CausePreempted:
		text = other + " took its place"
	case audit.CauseHeld:
		text = other + " was in its way"
	case audit.CauseItself:
		text = "it conflicts with itself"
	default:
		text = "the record names no other envelope"
	}
	text += ": " + e.Record.Reason
	if e.Record.ReasonCode != "" {
		text += " [" + e.Record.ReasonCode + "]"
	}
	return text
}

func evidenceLine(e audit.Explanation) string {
	if e.Cause == audit.CauseOutranks {
		ids := make([]string, len(e.Displaced.Records))
		for i, rec := range e.Displaced.Records {
			ids[i] = rec.AuditID.String()
		}
		return "PREEMPTED in " + strings.Join(ids, ", ")
	}
	of := e.Counterpart
	switch {
	case of.EnvelopeID == "":
		return ""
	case of.Record == nil && e.Record.Decision == audit.Preempted:
		return "absent: no link leads to its own decision, and this scope holds no APPLIED record of it within " + shortly(audit.ExplanationReach)
	case of.Record == nil:
		return fmt.Sprintf("absent: no link leads to its own decision, and its latest %s records in this scope hold no APPLIED or PREEMPTED one", Thousands(audit.MaxExplained))
	}
	text := fmt.Sprintf("%s %s: %s, ", of.Record.Decision, apart(of.Record.DecisionTimestamp, e.Record.DecisionTimestamp), of.Record.AuditID)
	switch {
	case of.FoundBy == audit.FoundByLink:
		text += "named by caused_by"
	case e.Record.Decision == audit.Preempted:
		text += "found by rule: its nearest APPLIED within " + shortly(audit.ExplanationReach)
	default:
		text += "found by rule: its latest APPLIED or PREEMPTED before"
	}
	if of.Record.Decision == audit.Preempted {
		text += "; on record it held nothing at that time"
	}
	return text
}

// causesLine is left out where it would only repeat the evidence.
func causesLine(e audit.Explanation) string {
	only := len(e.Causes) == 1 && e.Counterpart.FoundBy == audit.FoundByLink
	if e.CausesEnd == audit.CausesNone && (only || len(e.Causes) == 0) {
		return ""
	}
	parts := make([]string, len(e.Causes))
	for i, rec := range e.Causes {
		parts[i] = fmt.Sprintf("%s %s (%s)", rec.Decision, rec.EnvelopeID, rec.AuditID)
	}
	switch e.CausesEnd {
	case audit.CausesAbsent:
		parts = append(parts, "a record that this scope does not hold")
	case audit.CausesLoop:
		parts = append(parts, "a record of this chain again: the links make a loop")
	case audit.CausesMore:
		parts = append(parts, "more")
	default: // it ends there
	}
	return "caused by " + strings.Join(parts, ", that by ")
}

func statedLine(rec audit.Record, traceURL string) string {
	parts := []string{Plural(int64(rec.ActiveEnvelopesCount), "envelope") + " active after it"}
	for _, part := range []struct{ name, value string }{
		{"policy ", rec.PolicyVersion}, {"by ", rec.Actor}, {"action ", rec.Links.CorrelationID},
	} {
		if part.value != "" {
			parts = append(parts, part.name+part.value)
		}
	}
	if rec.Origin.TraceID != (audit.TraceID{}) {
		trace := rec.Origin.TraceID.String()
		if traceURL != "" {
			trace = strings.ReplaceAll(traceURL, "{trace_id}", url.PathEscape(trace))
		}
		parts = append(parts, "trace "+trace)
	}
	return strings.Join(parts, ", ")
}

func afterLine(e audit.Explanation) string {
	if e.Next == nil {
		return "no APPLIED or PREEMPTED record of it among its next " + Thousands(audit.MaxExplained)
	}
	verb := string(e.Next.Decision)
	switch {
	case e.Next.Decision == audit.Applied && e.Record.Decision == audit.Preempted:
		verb = "applied again"
	case e.Next.Decision == audit.Applied && e.Record.Decision == audit.Rejected:
		verb = "applied"
	case e.Next.Decision == audit.Preempted:
		verb = "preempted by " + OrNone(e.Next.PreemptingEnvelopeID)
	}
	return fmt.Sprintf("%s %s: %s", verb, apart(e.Next.DecisionTimestamp, e.Record.DecisionTimestamp), e.Next.AuditID)
}

func pairLine(e audit.Explanation) string {
	m := e.Meetings
	if m == (audit.Meetings{}) {
		return ""
	}
	var least string
	if m.AtLeast {
		least = "at least "
	}
	return fmt.Sprintf("the two met %s%s within %d days before and after: it was preempted %s× and rejected %s×, the other %s× and %s×",
		least, Plural(m.Total(), "time"), audit.MeetingReach/(24*time.Hour),
		Thousands(m.Preempted), Thousands(m.Rejected), Thousands(m.PreemptedOther), Thousands(m.RejectedOther))
}

func correctedLine(e audit.Explanation) string {
	var parts []string
	for _, rec := range e.Corrections.Records {
		parts = append(parts, fmt.Sprintf("by %s at %s: %s", rec.AuditID, Time(rec.DecisionTimestamp), rec.Reason))
	}
	if e.Corrections.More {
		parts = append(parts, "and by others")
	}
	switch {
	case e.Corrected != nil:
		parts = append(parts, fmt.Sprintf("it corrects %s: %s %s", e.Corrected.AuditID, e.Corrected.Decision, e.Corrected.EnvelopeID))
	case e.Record.Links.Corrects != [16]byte{}:
		parts = append(parts, "it corrects a record that this scope does not hold")
	}
	return strings.Join(parts, "; ")
}

func missingLine(l audit.NearbyLosses) string {
	var parts []string
	var lost int64
	for _, gap := range l.Gaps {
		lost += gap.Records
	}
	switch {
	case l.GapsUnread:
		parts = append(parts, "gaps: not known, this role may not read them or the table is not there")
	case len(l.Gaps) > 0:
		parts = append(parts, fmt.Sprintf("%s of %s, of all tenants, within %s", Plural(int64(len(l.Gaps)), "gap"), Plural(lost, "record"), shortly(audit.GapReach)))
	}
	switch {
	case l.OrdinalsUnread:
		parts = append(parts, "ordinals of its source: not looked for")
	case len(l.Ordinals) > 0:
		numbers := make([]string, len(l.Ordinals))
		for i, ordinal := range l.Ordinals {
			numbers[i] = strconv.FormatInt(ordinal, 10)
		}
		parts = append(parts, "ordinals of its source that no row near it carries and nothing explains: "+strings.Join(numbers, ", "))
	}
	if parts == nil {
		return "nothing near it, as far as is on record"
	}
	return strings.Join(parts, "; ")
}

func nextLine(e audit.Explanation, scope string) string {
	command := func(words ...string) string {
		return strings.TrimSpace("coordaudit " + strings.Join(words, " ") + " " + scope)
	}
	switch e.NextStep {
	case audit.StepCorrection:
		if e.Corrections.More { // the last one of those that are known is not the last word
			return "read the corrections, the newest first: " + command("list", "--corrects", e.Record.AuditID.String())
		}
		return "read the correction: " + command("explain", e.Corrections.Records[len(e.Corrections.Records)-1].AuditID.String())
	case audit.StepLosses:
		return "find out what is missing: coordaudit gaps, coordaudit completeness"
	case audit.StepPair:
		since := e.Record.DecisionTimestamp.Add(-audit.MeetingReach)
		if year := since.UTC().Year(); year < 1 || year > 9999 { // no flag can name it
			return "the two meet often: " + command("signals")
		}
		return "the two meet often: " + command("signals", "--since", Day(since))
	case audit.StepCounterpart:
		return "explain the other decision: " + command("explain", e.Counterpart.Record.AuditID.String())
	default:
		return "read its timeline: " + command("timeline", asWord(e.Record.EnvelopeID))
	}
}
