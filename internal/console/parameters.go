package console

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/bounds"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// The names of parameters are those of the commands' flags.
const (
	paramTenant   = "tenant"
	paramNoTenant = "no-tenant"
	paramEnvelope = "envelope"
	paramClass    = "class"
	paramDecision = "decision"
	paramSince    = "since"
	paramUntil    = "until"
	paramReason   = "reason"
	paramCode     = "reason-code"
	paramOrder    = "order"
	paramLimit    = "limit"
	paramCursor   = "cursor"
)

// maxQueryText bounds the query of a URL. No link of the console comes close.
const maxQueryText = 8 << 10

// maxParameters bounds how often one parameter may occur.
const maxParameters = 50

// parameters are the query of a URL, read strictly. A filter that is misspelled would
// otherwise show more than was asked for, and no one would notice.
type parameters struct {
	values url.Values
}

func readParameters(r *http.Request, known []string) (*parameters, *fault) {
	if len(r.URL.RawQuery) > maxQueryText {
		return nil, badParameter("The link", "is longer than the console reads")
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badParameter("The link", "is damaged: its query cannot be decoded")
	}
	for name, given := range values {
		if !slices.Contains(known, name) {
			return nil, badParameter("The parameter "+clipTo(format.Folded(name), 40), "is not one of this page")
		}
		if len(given) > maxParameters || len(given) > 1 && !isRepeatable(name) {
			return nil, badParameter(name, "is given too often")
		}
	}
	return &parameters{values}, nil
}

func isRepeatable(name string) bool {
	return name == paramEnvelope || name == paramClass || name == paramDecision
}

// canonical is the URL without the empty fields that a form sends, to be shared. A blank is not
// empty: an envelope or a tenant may have that name, and without it the link would show more.
func (p *parameters) canonical(at *url.URL) (target string, differs bool) {
	for name, given := range p.values {
		full := slices.DeleteFunc(slices.Clone(given), func(text string) bool { return text == "" })
		if len(full) == len(given) {
			continue
		}
		differs = true
		if p.values[name] = full; len(full) == 0 {
			delete(p.values, name)
		}
	}
	if !differs {
		return "", false
	}
	return withQuery(at.EscapedPath(), p.values), true
}

func withQuery(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

func (p *parameters) text(name string) string { return p.values.Get(name) }

func (p *parameters) has(name string) bool { return p.values.Has(name) }

// with is the page's own query with some changes. An empty text removes a parameter.
func (p *parameters) with(path string, changes ...string) string {
	changed := make(url.Values, len(p.values))
	maps.Copy(changed, p.values)
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "" {
			changed.Del(changes[i])
		} else {
			changed.Set(changes[i], changes[i+1])
		}
	}
	return withQuery(path, changed)
}

// everything is the bound that leaves a window open.
const everything = "all"

// bound reads a bound of the window. The usual one holds if none is given.
func (p *parameters) bound(name, usual string, now time.Time) (at time.Time, text string, err error) {
	text = strings.TrimSpace(p.text(name))
	if text == "" {
		text = usual
	}
	if text == everything || text == "" {
		return time.Time{}, text, nil
	}
	at, parseErr := bounds.Parse(text, now)
	if parseErr != nil {
		return time.Time{}, text, badParameter(name, parseErr.Error())
	}
	return at, text, nil
}

// window reads both bounds.
func (p *parameters) window(usualSince string, now time.Time) (w audit.Window, since, until string, err error) {
	if w.Since, since, err = p.bound(paramSince, usualSince, now); err != nil {
		return w, since, until, err
	}
	if w.Until, until, err = p.bound(paramUntil, "", now); err != nil {
		return w, since, until, err
	}
	if !w.Since.IsZero() && !w.Until.IsZero() && w.Since.After(w.Until) {
		return w, since, until, badParameter("since", "lies after until")
	}
	return w.Normalized(), since, until, nil
}

// around are the bounds of a window around a time, for a link. The end is empty if it lies after
// all times that a link can name. It is not ok if the time itself does.
func around(at time.Time, before, after time.Duration) (since, until string, ok bool) {
	const firstYear, lastYear = 1, 9999
	if year := at.UTC().Year(); audit.IsInfinite(at) || year < firstYear || year > lastYear {
		return "", "", false
	}
	first := time.Time{}.Add(time.Microsecond) // the zero time is no bound
	from, to := at.Add(-before), at.Add(after)
	if from.Before(first) {
		from = first
	}
	if to.UTC().Year() <= lastYear {
		until = format.Time(to)
	}
	return format.Time(from), until, true
}

// pinned are changes by which a link means the same window at any later time.
func pinned(w audit.Window, since, until string) []string {
	changes := []string{paramSince, since, paramUntil, until}
	if !w.Since.IsZero() {
		changes[1] = format.Time(w.Since)
	}
	if !w.Until.IsZero() {
		changes[3] = format.Time(w.Until)
	}
	return changes
}

func (p *parameters) number(name string, usual, most int) (int, error) {
	if !p.has(name) {
		return usual, nil
	}
	n, err := strconv.Atoi(p.text(name))
	if err != nil || n < 1 || n > most {
		return 0, badParameter(name, "must be 1 to "+strconv.Itoa(most))
	}
	return n, nil
}

// narrowed is the scope of a page: the visitor's, or a part of it that the link names. A link
// that names another tenant finds nothing, as if that tenant had no records.
func (v *visit) narrowed() (audit.Scope, error) {
	tenant, none := v.text(paramTenant), v.has(paramNoTenant)
	asked := audit.Tenant(tenant)
	switch {
	case tenant == "" && !none:
		return v.scope, nil
	case tenant != "" && none:
		return audit.Scope{}, badParameter("tenant", "and no-tenant exclude each other")
	case none:
		asked = audit.NoTenant()
	}
	if err := asked.Validate(); err != nil {
		return audit.Scope{}, err
	}
	if !v.scope.IsAllTenants() && asked != v.scope {
		return audit.Scope{}, outOfScope()
	}
	return asked, nil
}

func outOfScope() *fault {
	return &fault{
		status: http.StatusNotFound, title: "Not found",
		text: "This link names records outside the scope of this console.", next: "Look at the records of this scope, or open the link in a console that shows that tenant.",
		links: []link{{"All records", "/records"}},
	}
}
