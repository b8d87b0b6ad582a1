package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// listParameters are the flags of the command list.
func listParameters() []string {
	return append(filterParameters(), paramSince, paramUntil, paramOrder, paramLimit, paramCursor)
}

// filterParameters are those of a search that the live tail has as well.
func filterParameters() []string {
	names := []string{paramTenant, paramNoTenant, paramEnvelope, paramClass, paramDecision, "caused-by", "corrects", "trace-id"}
	for _, field := range textFilters() {
		names = append(names, field.name)
	}
	return names
}

const (
	// usualWindow is the window of a search that names none.
	usualWindow = "24h"

	// maxWindow is the longest window of signals, and of a search by what no index serves,
	// which reads every record of its window until a page is full. The commands take any.
	maxWindow = 31 * 24 * time.Hour

	usualPage, maxPage = 50, 200
)

// recordsView is the page of the search.
type recordsView struct {
	Form    searchForm
	Records []audit.Record

	Window      audit.Window
	AllTenants  bool
	First, Next string // links; empty if there is none
	Hint        *link
	HintText    string
	Command     string // that writes these records to a file
	IsWhole     bool   // the command has no placeholder
	Live        string // the same filters in the live tail
}

// Rows are the records as rows of a table.
func (v recordsView) Rows() []rowView { return rowsOf(v.Records, v.AllTenants) }

// Count is how many records the page shows.
func (v recordsView) Count() int64 { return int64(len(v.Records)) }

func rowsOf(recs []audit.Record, allTenants bool) []rowView {
	rows := make([]rowView, len(recs))
	for i, rec := range recs {
		rows[i] = rowView{Record: rec, AllTenants: allTenants}
	}
	return rows
}

func (c *Console) records(ctx context.Context, v *visit) (view, error) {
	q, form, err := v.search()
	if err != nil {
		return view{}, err
	}
	page, err := c.config.Store.List(ctx, q)
	if err != nil {
		return view{}, withFirstPage(ctx, err, v.with("/records", paramCursor, ""))
	}
	shown := recordsView{
		Form: form, Records: page.Records, Window: q.Window, AllTenants: q.Scope.IsAllTenants(),
		Live: v.with("/live", paramSince, "", paramUntil, "", paramOrder, "", paramLimit, "", paramCursor, ""),
	}
	shown.Command, shown.IsWhole = exportCommand(q)
	if q.After != "" {
		shown.First = v.with("/records", paramCursor, "")
	}
	if page.Next != "" {
		shown.Next = v.with("/records", append(pinned(q.Window, form.Since, form.Until), paramCursor, string(page.Next))...)
	}
	if len(page.Records) == 0 && q.After == "" {
		shown.HintText, shown.Hint = c.outside(ctx, v, q)
	}
	return view{Title: "Records", Data: shown}, nil
}

// withFirstPage leads from a damaged cursor to the first page of the same search.
func withFirstPage(ctx context.Context, err error, first string) error {
	wrong := faultOf(ctx, err, 0)
	if wrong.status != http.StatusBadRequest {
		return err
	}
	wrong.links = []link{{"First page", first}, {"All records", "/records"}}
	return wrong
}

// search reads the filters.
func (v *visit) search() (q audit.Query, form searchForm, err error) {
	if q.Scope, err = v.narrowed(); err != nil {
		return q, form, err
	}
	if err := v.filters(&q); err != nil {
		return q, form, err
	}
	if q.Window, form.Since, form.Until, err = v.window(usualWindow, v.now); err != nil {
		return q, form, err
	}
	if q.Limit, err = v.number(paramLimit, usualPage, maxPage); err != nil {
		return q, form, err
	}
	switch v.text(paramOrder) {
	case "", "newest":
	case "oldest":
		q.Order = audit.OldestFirst
	default:
		return q, form, badParameter("order", "must be newest or oldest")
	}
	q.After = audit.Cursor(v.text(paramCursor))
	form.fill(v, q)
	return q, form, boundScan(q, v)
}

// outside says where the records are if the window has none.
func (c *Console) outside(ctx context.Context, v *visit, q audit.Query) (string, *link) {
	if q.Window.Since.IsZero() && q.Window.Until.IsZero() {
		return "", nil
	}
	page, err := c.config.Store.List(ctx, audit.Query{Scope: q.Scope, EnvelopeIDs: q.EnvelopeIDs, Limit: 1})
	if err != nil {
		return "", nil // it only adds to an answer
	}
	if len(page.Records) == 0 {
		return "The trail holds no record of this scope.", nil
	}
	newest := page.Records[0].DecisionTimestamp
	if audit.IsInfinite(newest) || q.Window.Since.IsZero() || !newest.Before(q.Window.Since) {
		return "", nil
	}
	text := fmt.Sprintf("The newest record of this scope is of %s UTC, before this window.", stamp(newest))
	since, until, ok := around(newest, 24*time.Hour, time.Microsecond)
	if !ok {
		return text, nil
	}
	return text, &link{"Show the 24 hours that end there", v.with("/records", paramSince, since, paramUntil, until)}
}

// matches reports whether a listing by the query would show the record. One follower reads for
// all watchers, so what each of them sees is chosen here.
func matches(q *audit.Query, rec *audit.Record) bool {
	return inScope(q.Scope, rec.TenantID) &&
		oneOf(q.EnvelopeIDs, rec.EnvelopeID) && oneOf(q.EnvelopeClasses, rec.EnvelopeClass) && oneOf(q.Decisions, rec.Decision) &&
		is(q.ConflictingEnvelopeID, rec.ConflictingEnvelopeID) && is(q.PreemptingEnvelopeID, rec.PreemptingEnvelopeID) &&
		is(q.TargetSubsystem, rec.TargetSubsystem) && is(q.TargetParameter, rec.TargetParameter) &&
		strings.Contains(rec.Reason, q.ReasonContains) &&
		is(q.ReasonCode, rec.ReasonCode) && is(q.PolicyVersion, rec.PolicyVersion) && is(q.Actor, rec.Actor) &&
		(q.CausedBy == uuid.Nil || q.CausedBy == rec.Links.CausedBy) && (q.Corrects == uuid.Nil || q.Corrects == rec.Links.Corrects) &&
		is(q.CorrelationID, rec.Links.CorrelationID) && (q.TraceID == audit.TraceID{} || q.TraceID == rec.Origin.TraceID)
}

// inScope is false for the zero scope, which sees nothing.
func inScope(scope audit.Scope, tenantID string) bool {
	return scope.Validate() == nil && (scope.IsAllTenants() || scope.TenantID() == tenantID)
}

func oneOf[T comparable](wanted []T, value T) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

func is(wanted, value string) bool { return wanted == "" || wanted == value }
