package reading

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// CompletenessText says first whether the trail is complete. Then it lists the sources that
// are worth a look, those with faults first.
func CompletenessText(window audit.Window, found audit.Completeness, all bool, on term.Screen) string {
	var text strings.Builder
	text.WriteString(verdictLine(found, on))
	if !window.Since.IsZero() || !window.Until.IsZero() {
		text.WriteString(on.Wrap("", "only the sources that were at work "+format.Window(window)))
	}
	if found.Unnumbered > 0 {
		text.WriteString(on.Wrap("", format.Plural(found.Unnumbered, "record")+" without a number, about which nothing can be said: "+
			"those of Persist, PersistTx and PersistMany, and of older releases"))
	}
	listed := listedSources(found.Sources, all)
	shown := on.Limit(term.MaxRows, len(listed))
	for _, source := range listed[:shown] {
		text.WriteString("\n" + sourceText(source, on))
	}
	if left := on.Left("", len(listed), shown, "source"); left != "" {
		text.WriteString("\n" + left)
	}
	if rest := finishedLine(found.Sources); rest != "" && !all {
		text.WriteString("\n" + on.Wrap("", rest))
	}
	return text.String()
}

func verdictLine(found audit.Completeness, on term.Screen) string {
	var present int64
	for i := range found.Sources {
		present += found.Sources[i].Present
	}
	verdict, colour, separator := format.Verdict(found), term.Green, ": "
	if !found.Complete() {
		colour, separator = term.Red, "; "
	}
	line := on.Wrap("", verdict+separator+format.Plural(int64(len(found.Sources)), "source")+" with "+format.Plural(present, "record")+", at "+format.Time(found.At))
	first, rest, _ := strings.Cut(line, ":")
	return on.Paint(colour, first) + ":" + rest
}

// listedSources are the sources to look at, or all of them.
func listedSources(sources []audit.SourceAccount, all bool) []audit.SourceAccount {
	listed := slices.Clone(sources)
	if !all {
		listed = slices.DeleteFunc(listed, audit.SourceAccount.Finished)
	}
	rank := func(a audit.SourceAccount) int {
		switch {
		case len(a.Unexplained)+len(a.Findings) > 0:
			return 0
		case a.Waiting > 0:
			return 1
		case !a.Finished():
			return 2
		default:
			return 3
		}
	}
	slices.SortStableFunc(listed, func(a, b audit.SourceAccount) int { return cmp.Compare(rank(a), rank(b)) })
	return listed
}

func finishedLine(sources []audit.SourceAccount) string {
	var closed, imported int64
	for i := range sources {
		switch {
		case !sources[i].Finished():
		case sources[i].Imported:
			imported++
		default:
			closed++
		}
	}
	var parts []string
	if closed > 0 {
		parts = append(parts, format.Plural(closed, "source")+" complete and closed")
	}
	if imported > 0 {
		parts = append(parts, format.Plural(imported, "source")+" of a file, accounted for where the file was exported from")
	}
	if parts == nil {
		return ""
	}
	return strings.Join(parts, "; ") + " (--all lists them)"
}

// sourceText is the block of one source.
func sourceText(source audit.SourceAccount, on term.Screen) string {
	const indent = "  "
	var text strings.Builder
	text.WriteString(on.Paint(term.Bold, "source "+source.SourceID.String()) + "\n")
	line := func(words string) { text.WriteString(on.Wrap(indent, words)) }
	if source.Label != "" {
		line(format.Folded(source.Label))
	}
	times := ""
	if !source.OpenedAt.IsZero() {
		times = "opened " + format.Time(source.OpenedAt) + ", last statement " + format.Time(source.LastStatementAt) + ", "
	}
	line(times + format.SourceState(source))
	line(format.Account(source))
	shown := on.Limit(term.MaxRows, len(source.Unexplained))
	for _, r := range source.Unexplained[:shown] {
		line("unexplained " + format.Ordinals(r.First, r.Last) + ", " + format.Accepted(r.After, r.Before))
	}
	text.WriteString(on.Left(indent, len(source.Unexplained), shown, "range"))
	shown = on.Limit(term.MaxRows, len(source.Findings))
	for _, f := range source.Findings[:shown] {
		line("finding: " + format.Finding(f))
	}
	text.WriteString(on.Left(indent, len(source.Findings), shown, "finding"))
	for _, next := range nextSteps(source) {
		line("next: " + next)
	}
	return text.String()
}

// nextSteps say what to do about a source.
func nextSteps(source audit.SourceAccount) (steps []string) {
	if len(source.Unexplained) > 0 {
		steps = append(steps, "look for the unexplained records in spool directories, backups and logs, and import them, which keeps their ordinals; "+
			"what is not found is lost or was removed")
	}
	if len(source.Findings) > 0 {
		steps = append(steps, "compare rows and statements with a backup: a database or a spool was set back or copied, or someone has changed them; "+
			"migrate validate says whether the guards stand")
	}
	running := !source.Closed && !source.Imported && !source.OpenedAt.IsZero()
	switch {
	case source.Waiting > 0 && running:
		steps = append(steps, "while it runs, ask again later; if it does not run, start a Recorder on its spool directory, which stores what waits there")
	case source.Waiting > 0:
		steps = append(steps, "start a Recorder on its spool directory, which stores what waits there")
	case running:
		steps = append(steps, "nothing while it runs; if it was killed, start a Recorder on its spool directory, or the import again, which stores what is left; "+
			"after that nothing is left to do, and nothing can tell how much of the last block its memory held")
	}
	return steps
}
