package console

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// shown makes the hidden characters of a text visible, as the commands do: those that change
// the direction of a line, and those that are invisible. Line breaks and tabs stay.
func shown(value any) string {
	text := fmt.Sprint(value)
	hidden := func(r rune) bool { return r != '\t' && r != '\n' && (r == utf8.RuneError || !unicode.IsGraphic(r)) }
	if strings.IndexFunc(text, hidden) < 0 {
		return text
	}
	parts := strings.Split(text, "\t")
	for i := range parts {
		parts[i] = format.Printable(parts[i])
	}
	return strings.Join(parts, "\t")
}

// maxReason is how many characters of a reason a table shows.
const maxReason = 240

// clipped is a reason, cut to the length that fits a table.
func clipped(reason string) string { return clipTo(reason, maxReason) }

func clipTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	n := 0
	for i := range text {
		if n == most {
			return text[:i] + "…"
		}
		n++
	}
	return text
}

// stamp is a time to the millisecond.
func stamp(at time.Time) string {
	switch {
	case at.IsZero():
		return "–"
	case audit.IsInfinite(at):
		return audit.FormatTime(at)
	default:
		return at.UTC().Format("2006-01-02 15:04:05.000")
	}
}

// machine is a time as the attribute datetime needs it.
func machine(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

func tenantText(id string) string {
	if id == "" {
		return "no tenant"
	}
	return id
}

// targetText is what the envelope changes. It is empty if the record does not state it.
func targetText(rec audit.Record) string {
	switch {
	case rec.TargetSubsystem == "":
		return rec.TargetParameter
	case rec.TargetParameter == "":
		return rec.TargetSubsystem
	default:
		return rec.TargetSubsystem + " / " + rec.TargetParameter
	}
}

// otherEnvelope is the envelope that the record names besides its own.
func otherEnvelope(rec audit.Record) string {
	if rec.PreemptingEnvelopeID != "" {
		return rec.PreemptingEnvelopeID
	}
	return rec.ConflictingEnvelopeID
}

// classKey is the name of the class in the style sheet, never a text of the trail.
func classKey(class audit.EnvelopeClass) string {
	switch class {
	case audit.Safety, audit.Reliability, audit.Cost, audit.Performance:
		return strings.ToLower(string(class))
	default:
		return "unknown"
	}
}

// decisionKey is the same for a decision.
func decisionKey(decision audit.Decision) string {
	switch decision {
	case audit.Applied, audit.Rejected, audit.Preempted:
		return strings.ToLower(string(decision))
	default:
		return "unknown"
	}
}

// percent never rounds to none or to all.
func percent(part, whole int64) string {
	of := 0.0
	if whole > 0 {
		of = 100 * float64(part) / float64(whole)
	}
	switch {
	case part > 0 && of < 0.1:
		return "< 0.1 %"
	case part < whole && of > 99.9:
		return "> 99.9 %"
	default:
		return strconv.FormatFloat(of, 'f', 1, 64) + " %"
	}
}

func recordURL(id fmt.Stringer) string { return "/records/" + url.PathEscape(id.String()) }

// timelineURL is the timeline of an envelope. An envelope's id belongs to a tenant, so the link
// names it.
func timelineURL(tenantID, envelopeID string) string {
	values := url.Values{paramEnvelope: {envelopeID}}
	if tenantID == "" {
		values.Set(paramNoTenant, "1")
	} else {
		values.Set(paramTenant, tenantID)
	}
	return withQuery("/timeline", values)
}

// firstID is the newest record of an evidence, or nil.
func firstID(e audit.Evidence) fmt.Stringer {
	if len(e.AuditIDs) == 0 {
		return nil
	}
	return e.AuditIDs[0]
}
