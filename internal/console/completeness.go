package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

func completenessParameters() []string { return []string{"account"} }

const (
	// maxGaps and maxSources are how many rows the tables show.
	maxGaps, maxSources, maxFaults = 20, 50, 50

	// accountAge is how old an account may be that is shown for the asking.
	accountAge = time.Minute
)

// completenessView is the page of what is missing. Gaps and sources belong to all tenants. A
// console of one tenant shows their numbers, and neither labels nor causes.
type completenessView struct {
	Whole      bool // the scope is all tenants
	Gaps       []audit.Gap
	GapsUnread string // why the gaps are not known
	MoreGaps   bool
	Lost       int64

	Accounted bool
	At        time.Time
	Verdict   string
	Complete  bool
	Unread    string
	Counts    []countTile
	Sources   []audit.SourceAccount
	Faults    []sourceFault
	MoreRows  int
	Took      string
}

type countTile struct {
	Name  string
	Value int64
	Note  string
}

// sourceFault is an unexplained range or a contradiction.
type sourceFault struct {
	Label, What   string
	After, Before time.Time
}

// accounts keeps the last account of all sources. Computing one reads the whole table of
// records, so one at a time is computed, and for all who ask.
type accounts struct {
	turn chan struct{} // holds one token

	mu    sync.Mutex
	found *audit.Completeness
	took  time.Duration
	at    time.Time
}

func newAccounts() *accounts {
	a := &accounts{turn: make(chan struct{}, 1)}
	a.turn <- struct{}{}
	return a
}

func (a *accounts) last() (found *audit.Completeness, took time.Duration, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.found, a.took, a.at
}

// isFresh reports an account that is not older than accountAge.
func (a *accounts) isFresh() bool {
	found, _, at := a.last()
	return found != nil && time.Since(at) < accountAge
}

// accountTurn waits until no other request makes an account, and not at all if there is a fresh
// one. It ends with its context, and an account that another request waits for begins again there.
func (c *Console) accountTurn(ctx context.Context, v *visit) (release func(), wrong *fault) {
	if !v.has("account") || c.account.isFresh() {
		return func() {}, nil
	}
	bounded, cancel := context.WithTimeout(ctx, c.config.AccountTimeout)
	defer cancel()
	select {
	case <-c.account.turn:
		v.mayAccount = true
		return func() { c.account.turn <- struct{}{} }, nil
	case <-bounded.Done():
		return nil, accountFault(bounded, fmt.Errorf("waiting for the account of another request: %w", bounded.Err()), c.config.AccountTimeout)
	}
}

// make makes an account, unless another request has made a fresh one.
func (a *accounts) make(ctx context.Context, compute func(context.Context, audit.CompletenessQuery) (audit.Completeness, error)) error {
	if a.isFresh() {
		return nil
	}
	begun := time.Now()
	found, err := compute(ctx, audit.CompletenessQuery{})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.found, a.took, a.at = &found, time.Since(begun), time.Now()
	return nil
}

func (c *Console) completeness(ctx context.Context, v *visit) (view, error) {
	page := completenessView{Whole: v.scope.IsAllTenants()}
	gaps, err := c.config.Store.Gaps(ctx, audit.GapQuery{Limit: maxGaps + 1})
	switch {
	case errors.Is(err, audit.ErrRefused):
		text, next := refusal(err)
		page.GapsUnread = text + " " + next
	case err != nil:
		return view{}, err
	default:
		page.MoreGaps, page.Gaps = len(gaps) > maxGaps, gaps[:min(len(gaps), maxGaps)]
		for _, gap := range page.Gaps {
			page.Lost += gap.Total()
		}
	}
	if v.mayAccount {
		err := c.account.make(ctx, c.config.Store.Completeness)
		switch {
		case errors.Is(err, audit.ErrRefused):
			page.Unread = unaccounted(err)
		case err != nil:
			return view{}, accountFault(ctx, err, c.config.AccountTimeout)
		}
	}
	if found, took, at := c.account.last(); found != nil {
		page.fill(found)
		page.At, page.Took = at, format.Age(took)
	}
	return view{Title: "Completeness", Data: page}, nil
}

// unaccounted says why no account could be made.
func unaccounted(err error) string {
	const nothing = "Nothing can be said about what is missing. "
	if of, ok := errors.AsType[coded](err); ok && of.Code() == "" { // row-level security, which is no error of the server
		return nothing + "The role of this console may not read every row."
	}
	text, next := refusal(err)
	return nothing + text + " " + next
}

func accountFault(ctx context.Context, err error, timeout time.Duration) *fault {
	wrong := faultOf(ctx, err, timeout)
	if wrong.status == http.StatusGatewayTimeout {
		wrong.next = "Run coordaudit completeness, which takes its own --timeout."
	}
	return wrong
}

func (p *completenessView) fill(found *audit.Completeness) {
	p.Accounted, p.Verdict, p.Complete = true, format.Verdict(*found), found.Complete()
	var present, explained, waiting, unexplained, findings, finished int64
	for i := range found.Sources {
		s := &found.Sources[i]
		present, explained, waiting = present+s.Present, explained+s.Explained.Total(), waiting+s.Waiting
		unexplained, findings = unexplained+s.UnexplainedTotal(), findings+int64(len(s.Findings))
		if s.Finished() {
			finished++
		}
	}
	p.Counts = []countTile{
		{"sources", int64(len(found.Sources)), format.Thousands(finished) + " complete and closed"},
		{"present", present, "records"},
		{"explained", explained, "dropped, rejected or elsewhere"},
		{"waiting", waiting, "in memory or spools"},
		{"unexplained", unexplained, "lost or removed"},
		{"findings", findings, "contradictions"},
		{"unnumbered", found.Unnumbered, "no source counts them"},
	}
	if !p.Whole {
		return
	}
	p.Sources = slices.DeleteFunc(slices.Clone(found.Sources), audit.SourceAccount.Finished)
	slices.SortStableFunc(p.Sources, func(a, b audit.SourceAccount) int { return cmp.Compare(faultCount(b), faultCount(a)) })
	for i := range p.Sources {
		s := &p.Sources[i]
		for _, r := range s.Unexplained {
			p.Faults = append(p.Faults, sourceFault{s.Label, "unexplained " + format.Ordinals(r.First, r.Last), r.After, r.Before})
		}
		for _, f := range s.Findings {
			p.Faults = append(p.Faults, sourceFault{Label: s.Label, What: format.Finding(f)})
		}
	}
	p.MoreRows = max(0, len(p.Sources)-maxSources) + max(0, len(p.Faults)-maxFaults)
	p.Sources, p.Faults = p.Sources[:min(len(p.Sources), maxSources)], p.Faults[:min(len(p.Faults), maxFaults)]
}

func faultCount(a audit.SourceAccount) int { return len(a.Unexplained) + len(a.Findings) }
