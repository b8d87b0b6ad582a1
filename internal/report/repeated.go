package report

import (
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// repeated is a table of repeated rejections.
type repeated struct {
	Rows []repeatedRow

	// All is how many there are, including those not shown.
	All int64
}

// Cut reports whether there are more than are shown.
func (r repeated) Cut() bool { return r.All > int64(len(r.Rows)) }

type repeatedRow struct {
	TenantID   string
	Name       string
	Against    string
	Rejections int64
	FirstSeen  time.Time
	LastSeen   time.Time
	Width      string
}

func repeatedEnvelopes(of []audit.RepeatedRejection) repeated {
	table := repeated{All: int64(len(of))}
	for _, r := range of[:min(len(of), MaxRepeated)] {
		table.Rows = append(table.Rows, repeatedRow{
			TenantID:   r.TenantID,
			Name:       r.EnvelopeID,
			Rejections: r.Rejections,
			FirstSeen:  r.FirstSeen,
			LastSeen:   r.LastSeen,
			Width:      format.Length(format.Ratio(r.Rejections, of[0].Rejections)),
		})
	}
	return table
}

func repeatedParameters(of []audit.RepeatedParameterRejection) repeated {
	table := repeated{All: int64(len(of))}
	for _, r := range of[:min(len(of), MaxRepeated)] {
		var against []string
		for _, class := range format.Classes(r.CounterpartClasses) {
			against = append(against, string(class)+" ×"+format.Thousands(r.CounterpartClasses[class]))
		}
		table.Rows = append(table.Rows, repeatedRow{
			TenantID:   r.TenantID,
			Name:       targetText(r.TargetSubsystem, r.TargetParameter),
			Against:    strings.Join(against, ", "),
			Rejections: r.Rejections,
			FirstSeen:  r.FirstSeen,
			LastSeen:   r.LastSeen,
			Width:      format.Length(format.Ratio(r.Rejections, of[0].Rejections)),
		})
	}
	return table
}
