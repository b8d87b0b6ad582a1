package console

import (
	"context"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

func signalParameters() []string {
	return []string{paramTenant, paramNoTenant, paramSince, paramUntil}
}

const (
	// maxSignalRows is how many rows each table of signals shows.
	maxSignalRows = 20

	// maxCycles is how many preemption cycles are shown.
	maxCycles = 12

	// evidence is how many records are linked behind a number.
	evidence = 3
)

// signalsView is the page of the signals of a window.
type signalsView struct {
	Tenant                  string
	NoTenant                bool
	AnyTenant               bool
	Since, Until            string
	Windows                 []navItem
	Chosen                  bool // the page chose the window by the pace of the trail
	Signals                 audit.Signals
	Heat                    heat
	Oscillations            []oscillationRow
	Cycles                  []audit.PreemptionCycle
	CycleTotal              string
	Envelopes               []audit.RepeatedRejection
	MoreOsc, MoreEnv, MoreP int
	Parameters              []audit.RepeatedParameterRejection
	Quiet                   bool // there are none of any kind
	MinRecords, MinCycles   int64
	MinConflicts, MinReject int64
	HintText                string
	Hint                    *link
}

type oscillationRow struct {
	audit.Oscillation
	By []preemptorCount
}

type preemptorCount struct {
	EnvelopeID string
	Cycles     int64
}

func (c *Console) signals(ctx context.Context, v *visit) (view, error) {
	page := signalsView{Tenant: v.text(paramTenant), NoTenant: v.has(paramNoTenant), AnyTenant: v.scope.IsAllTenants()}
	scope, err := v.narrowed()
	if err != nil {
		return view{}, err
	}
	usual := ""
	if !v.has(paramSince) {
		if usual, err = c.paceWindow(ctx, scope, v.now); err != nil {
			return view{}, err
		}
		page.Chosen = true
	}
	q := audit.SignalQuery{Scope: scope, MaxEvidence: evidence}.WithDefaults()
	if q.Window, page.Since, page.Until, err = v.window(usual, v.now); err != nil {
		return view{}, err
	}
	page.Windows = v.windows("/signals", page.Since, "1h", "6h", "24h", "7d", "31d")
	if err := boundSignals(q.Window, v); err != nil {
		return view{}, err
	}
	if page.Signals, err = c.config.Store.Signals(ctx, q); err != nil {
		return view{}, err
	}
	page.fill(q)
	if page.Quiet {
		page.HintText, page.Hint = c.signalHint(ctx, v, q)
	}
	return view{Title: "Signals", Data: page}, nil
}

func (c *Console) signalHint(ctx context.Context, v *visit, q audit.SignalQuery) (string, *link) {
	text, hint := c.outside(ctx, v, audit.Query{Scope: q.Scope, Window: q.Window})
	if hint == nil {
		return text, nil
	}
	newest := v.now
	if page, err := c.config.Store.List(ctx, audit.Query{Scope: q.Scope, Limit: 1}); err == nil && len(page.Records) == 1 {
		newest = page.Records[0].DecisionTimestamp
	}
	since, until, ok := around(newest, 24*time.Hour, time.Microsecond)
	if !ok {
		return text, nil
	}
	hint.Href = v.with("/signals", paramSince, since, paramUntil, until)
	return text, hint
}

func boundSignals(w audit.Window, v *visit) error {
	if v.isBounded(w) {
		return nil
	}
	wrong := badParameter("The window", "is longer than the 31 days for which the console computes signals")
	wrong.title = "The window is too long"
	wrong.next = "Shorten it, or run coordaudit signals, which takes any window."
	wrong.links = []link{{"The last 31 days", v.with("/signals", paramSince, "31d", paramUntil, "")}, {"The last 24 hours", v.with("/signals", paramSince, "24h", paramUntil, "")}}
	return wrong
}

// paceWindow chooses a window that answers fast on a trail of any size: the longest that, at
// the pace of the latest records, holds no more of them than signals are computed from in
// about a second.
func (c *Console) paceWindow(ctx context.Context, scope audit.Scope, now time.Time) (string, error) {
	const affordable = 50_000
	page, err := c.config.Store.List(ctx, audit.Query{Scope: scope, Window: audit.Window{Until: now}, Limit: audit.MaxPageSize})
	if err != nil {
		return "", err
	}
	if len(page.Records) < audit.MaxPageSize {
		return "7d", nil
	}
	took := page.Records[0].DecisionTimestamp.Sub(page.Records[len(page.Records)-1].DecisionTimestamp)
	for _, w := range []struct {
		text string
		span time.Duration
	}{{"7d", 7 * 24 * time.Hour}, {"24h", 24 * time.Hour}, {"6h", 6 * time.Hour}} {
		if float64(w.span)/max(float64(took), 1)*audit.MaxPageSize <= affordable {
			return w.text, nil
		}
	}
	return "1h", nil
}

func (p *signalsView) fill(q audit.SignalQuery) {
	s := &p.Signals
	p.MinRecords, p.MinCycles, p.MinConflicts, p.MinReject = int64(q.MinRecords), int64(q.MinCycles), int64(q.MinConflicts), int64(q.MinRejections)
	p.Heat = newHeat(s.Friction)
	for _, o := range s.Oscillations[:min(len(s.Oscillations), maxSignalRows)] {
		p.Oscillations = append(p.Oscillations, oscillationRow{o, preemptorsOf(o)})
	}
	p.MoreOsc = len(s.Oscillations) - len(p.Oscillations)
	p.Cycles = s.PreemptionCycles.Heaviest[:min(len(s.PreemptionCycles.Heaviest), maxCycles)]
	if s.PreemptionCycles.AtLeast || s.PreemptionCycles.Total > int64(len(p.Cycles)) {
		p.CycleTotal = format.CycleTotal(s.PreemptionCycles)
	}
	p.Envelopes = s.RepeatedRejections[:min(len(s.RepeatedRejections), maxSignalRows)]
	p.MoreEnv = len(s.RepeatedRejections) - len(p.Envelopes)
	p.Parameters = s.RepeatedParameterRejections[:min(len(s.RepeatedParameterRejections), maxSignalRows)]
	p.MoreP = len(s.RepeatedParameterRejections) - len(p.Parameters)
	p.Quiet = len(s.RejectionRates)+len(s.Friction)+len(s.Oscillations)+len(p.Cycles)+len(p.Envelopes)+len(p.Parameters) == 0
}

// preemptorsOf are the preemptors of an envelope, the most frequent first.
func preemptorsOf(o audit.Oscillation) []preemptorCount {
	const named = 3
	ids := format.ByCount(o.PreemptingEnvelopes)
	var by []preemptorCount
	for _, id := range ids[:min(len(ids), named)] {
		by = append(by, preemptorCount{id, o.PreemptingEnvelopes[id]})
	}
	return by
}
