package console

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/sealstate"
)

// recordView is the page of one record.
type recordView struct {
	Record   audit.Record
	Lines    []recordLine
	Fields   []recordField
	Next     *link
	Timeline string
	Action   string // the records of its action; empty if it states none
	Sealed   sealstate.State
	Proof    string // the address of the proof; empty if there is none
	Verdict  string
}

// recordLine is a line of the explanation, in pieces of which some lead to other records.
type recordLine struct {
	Label  string
	Pieces []link
}

type recordField struct {
	Name   string
	Pieces []link
	Long   bool
}

func (c *Console) record(ctx context.Context, v *visit) (view, error) {
	id, err := audit.ParseAuditID(v.id)
	if err != nil {
		return view{}, badID()
	}
	e, err := c.config.Store.Explain(ctx, v.scope, id)
	if err != nil {
		return view{}, err
	}
	sealed := sealstate.Of(ctx, c.config.Pool, id, c.config.Verifier)
	if sealed.Unread != nil {
		c.logUnread(ctx, sealed.Detail)
	}
	links := newLinker(e)
	page := recordView{
		Record: e.Record, Sealed: sealed, Verdict: sealVerdict(sealed), Next: nextLink(e),
		Timeline: timelineURL(e.Record.TenantID, e.Record.EnvelopeID),
	}
	for _, line := range format.Explanation(e, format.Explained{ScopeFlags: format.ScopeFlags(v.scope), TraceURL: c.config.TraceURL, Sealed: sealedText(sealed, id)}) {
		page.Lines = append(page.Lines, recordLine{line.Label, links.cut(line.Text)})
	}
	for _, line := range format.Fields(e.Record) {
		const long = 160
		page.Fields = append(page.Fields, recordField{line.Label, links.cut(shown(line.Text)), len(line.Text) > long || strings.Contains(line.Text, "\n")})
	}
	if sealed.Proof != "" {
		page.Proof = recordURL(id) + "/proof"
	}
	if action := e.Record.Links.CorrelationID; action != "" {
		page.Action = v.actionURL(e.Record)
	}
	return view{Title: string(e.Record.Decision) + " " + clipTo(format.Folded(e.Record.EnvelopeID), 60), Data: page}, nil
}

func badID() *fault {
	return &fault{
		status: http.StatusBadRequest, title: "Not an audit id",
		text: "An audit id is a UUID in its 36-character form, such as 01890a5d-ac96-774b-bcce-b302099a8057.",
		next: "Check the link, or search for the record.", links: []link{{"Records", "/records"}},
	}
}

// actionURL lists the records of the same action. No index serves it, so the window is a day
// around the record.
func (v *visit) actionURL(rec audit.Record) string {
	const reach = 12 * time.Hour
	since, until, ok := around(rec.DecisionTimestamp, reach, reach)
	if !ok {
		return ""
	}
	none := &parameters{}
	return none.with("/records", "correlation-id", rec.Links.CorrelationID, paramSince, since, paramUntil, until)
}

// linker makes links of the ids in a text. Only the records of the scope that an explanation
// rests on become links: another id in a text may be of another scope.
type linker struct {
	ids   *regexp.Regexp
	known map[string]bool
}

func newLinker(e audit.Explanation) linker {
	known := make(map[string]bool)
	add := func(recs ...audit.Record) {
		for _, rec := range recs {
			if rec.AuditID != e.Record.AuditID {
				known[rec.AuditID.String()] = true
			}
		}
	}
	for _, one := range []*audit.Record{e.Counterpart.Record, e.Next, e.Corrected} {
		if one != nil {
			add(*one)
		}
	}
	add(e.Causes...)
	add(e.Displaced.Records...)
	add(e.Corrections.Records...)
	return linker{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), known}
}

// cut cuts a text at the ids of known records.
func (l linker) cut(text string) []link {
	var pieces []link
	rest := 0
	for _, at := range l.ids.FindAllStringIndex(text, -1) {
		id := text[at[0]:at[1]]
		if !l.known[id] {
			continue
		}
		if at[0] > rest {
			pieces = append(pieces, link{Text: text[rest:at[0]]})
		}
		pieces = append(pieces, link{id, "/records/" + id})
		rest = at[1]
	}
	if rest < len(text) {
		pieces = append(pieces, link{Text: text[rest:]})
	}
	return pieces
}

// nextLink leads to what the explanation says to look at next.
func nextLink(e audit.Explanation) *link {
	switch e.NextStep {
	case audit.StepCorrection:
		if e.Corrections.More { // the last one of those that are known is not the last word
			none := &parameters{}
			return &link{"Read the corrections", none.with("/records", "corrects", e.Record.AuditID.String(), paramSince, everything)}
		}
		last := e.Corrections.Records[len(e.Corrections.Records)-1]
		return &link{"Read the correction", recordURL(last.AuditID)}
	case audit.StepLosses:
		return &link{"Find out what is missing", "/completeness"}
	case audit.StepPair:
		if since, until, ok := around(e.Record.DecisionTimestamp, 24*time.Hour, time.Minute); ok {
			none := &parameters{}
			return &link{"Look at the signals of that day", none.with("/signals", paramSince, since, paramUntil, until)}
		}
	case audit.StepCounterpart:
		return &link{"Explain the other decision", recordURL(e.Counterpart.Record.AuditID)}
	case audit.StepTimeline:
	}
	return &link{"Read its timeline", timelineURL(e.Record.TenantID, e.Record.EnvelopeID)}
}

// sealedText is the line of the seal.
func sealedText(s sealstate.State, id uuid.UUID) string {
	if s.State == sealstate.Unread {
		return "not known: the log could not be read" // the reason is for the log of the console
	}
	return s.Text(id)
}

// SealKey is the name of the state in the style sheet.
func (v recordView) SealKey() string {
	switch v.Sealed.State {
	case sealstate.Sealed:
		return "good"
	case sealstate.Tampered:
		return "bad"
	default:
		return "wait"
	}
}

func sealVerdict(s sealstate.State) string {
	switch {
	case s.State == sealstate.Sealed && s.Verified:
		return "sealed, proof verified"
	case s.State == sealstate.Sealed:
		return "sealed"
	case s.State == sealstate.Not:
		return "not sealed yet"
	case s.State == sealstate.Tampered:
		return "not as it was sealed"
	default:
		return "seal not known"
	}
}
