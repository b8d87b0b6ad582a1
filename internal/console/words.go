package console

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// shown makes the hidden characters of a text visible, as the commands do: those that change
// the direction of a line, and those that are invisible. Line breaks and tabs stay.
func shown(value any) string {
	text := fmt.Sprint(value)
	if !format.IsOdd(text) {
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

// otherEnvelope is the envelope that the record names besides its own.
func otherEnvelope(rec audit.Record) string {
	if rec.PreemptingEnvelopeID != "" {
		return rec.PreemptingEnvelopeID
	}
	return rec.ConflictingEnvelopeID
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
