package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// checkSpools looks at the spool directories of this machine. A Recorder may be at work there.
func checkSpools(_ context.Context, x *examination) ([]Finding, error) {
	var list []Finding
	for _, path := range x.config.Spools {
		in, err := spool.Inspect(path)
		if err != nil {
			list = append(list, Finding{
				Severity: Unchecked, Object: "spool " + path, Evidence: "not done: " + err.Error(),
				Repair: "name the SpoolDir of a Recorder, and run it as its user",
			})
			continue
		}
		list = append(list, x.spool(path, in)...)
	}
	return list, nil
}

func (x *examination) spool(path string, in spool.Inspection) (list []Finding) {
	add := func(severity Severity, evidence, repair string) {
		list = append(list, Finding{Severity: severity, Object: "spool " + path, Evidence: evidence, Repair: repair})
	}
	if age := x.now().Sub(in.Waiting.Oldest); in.Waiting.Number > 0 && age >= x.limits.spool {
		add(Error, fmt.Sprintf("%s of records wait since %s, %s: no Recorder stores them", format.Bytes(in.Waiting.Bytes), format.Time(in.Waiting.Oldest.UTC()), format.Age(age)),
			"start a Recorder on it, or read in its log why it does not store; else: coordaudit import "+path+"/*.jsonl --rejects ELSEWHERE/refused.jsonl")
	}
	if in.Rejected.Number > 0 {
		add(Error, fmt.Sprintf("%s of records that the database refused, the first at %s", format.Bytes(in.Rejected.Bytes), format.Time(in.Rejected.Oldest.UTC())),
			"fix the reason that stands in each line of rejected/, then coordaudit import them")
	}
	if in.Torn.Number > 0 {
		add(Warning, format.Plural(int64(in.Torn.Number), "file")+" in torn/: ends that a crash cut off, which nothing acknowledged", "look at them, and remove them")
	}
	if in.Later.Number > 0 {
		add(Warning, format.Bytes(in.Later.Bytes)+" of records in later/, of a newer release", "start a Recorder of that release on it")
	}
	if age := x.now().Sub(in.Gaps.Oldest); in.Gaps.Number > 0 && age >= x.limits.spool {
		add(Warning, "gaps of "+format.Time(in.Gaps.Oldest.UTC())+" that are not on record yet", "start a Recorder on it")
	}
	if age := x.now().Sub(in.Statements.Oldest); in.Statements.Number > 0 && age >= x.limits.spool {
		add(Warning, "statements of "+format.Time(in.Statements.Oldest.UTC())+" that are not on record yet: the account of its source stays open", "start a Recorder on it")
	}
	if len(in.Foreign) > 0 {
		add(Notice, "files that are not of the Recorder: "+strings.Join(in.Foreign, ", "), "move them away: coordaudit import DIR/*.jsonl would read them")
	}
	if in.Mode.Perm()&0o077 != 0 {
		add(Warning, fmt.Sprintf("mode %04o: other users of this machine may read the reasons of records", in.Mode.Perm()), "chmod 0700 "+path)
	}
	return list
}
