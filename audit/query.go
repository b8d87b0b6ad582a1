package audit

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The bounds of a query.
const (
	// DefaultPageSize is the number of records on a page if [Query.Limit] is 0.
	DefaultPageSize = 100

	// MaxPageSize bounds [Query.Limit].
	MaxPageSize = 1000

	// MaxFilterIDs bounds [Query.EnvelopeIDs].
	MaxFilterIDs = 1000
)

// Order is the direction of a listing. Both orders are total: by decision time, then by
// seq, then by audit id.
type Order int

// The orders.
const (
	NewestFirst Order = iota
	OldestFirst
)

// Query selects the records to list or count. A record must match every filter that is
// set. An empty filter matches all records.
type Query struct {
	// Scope says whose records the query sees. Required.
	Scope Scope

	// Window bounds the decision time. Defaults to all of time.
	Window Window

	// EnvelopeIDs, if not empty, matches decisions about these envelopes, at most
	// [MaxFilterIDs].
	EnvelopeIDs []string

	// EnvelopeClasses, if not empty, matches these classes.
	EnvelopeClasses []EnvelopeClass

	// Decisions, if not empty, matches these decisions.
	Decisions []Decision

	// ConflictingEnvelopeID and PreemptingEnvelopeID, if not empty, match records that
	// name these envelopes in the field of that name.
	ConflictingEnvelopeID string
	PreemptingEnvelopeID  string

	// TargetSubsystem and TargetParameter, if not empty, match records that state this
	// target.
	TargetSubsystem string
	TargetParameter string

	// ReasonContains, if not empty, matches reasons that contain this text exactly. No
	// index serves it.
	ReasonContains string

	// ReasonCode, PolicyVersion and Actor, if not empty, match records that state them. No
	// index serves them.
	ReasonCode    string
	PolicyVersion string
	Actor         string

	// CausedBy and Corrects, if not zero, match records whose link names this record: what
	// it caused, and what corrects it.
	CausedBy uuid.UUID
	Corrects uuid.UUID

	// CorrelationID and TraceID, if not zero, match the records of one action or of one
	// trace. No index serves them.
	CorrelationID string
	TraceID       TraceID

	// Order defaults to NewestFirst. Counting ignores it.
	Order Order

	// Limit is the maximum number of records on a page, 1 to [MaxPageSize]. Defaults to
	// [DefaultPageSize]. Counting ignores it.
	Limit int

	// After is [Page.Next] of the page before. It is empty for the first page. Counting
	// ignores it.
	After Cursor
}

// Page is one page of a listing.
type Page struct {
	Records []Record

	// Next is the [Query.After] of the page that follows. It is empty on the last page.
	Next Cursor
}

// Cursor is the place where a page ended, as an opaque text that may be stored and
// passed on. It works only with the query that it came from. With another scope, filter,
// window or order it is refused; the limit may change. It grants no access: the query's
// scope alone says whose records are seen.
//
// Pages are keyset pages. A record that was stored when the first page was read occurs
// exactly once, even while others are being stored. A record that is stored later occurs
// if its place comes after the current page.
type Cursor string

// Validate reports a missing scope with [ErrNoScope]. Otherwise it reports every fault of
// the query in one [InvalidQueryError], or returns nil. Only the reading call checks
// whether a cursor belongs to the query.
func (q Query) Validate() error {
	if err := q.Scope.Validate(); err != nil {
		return err
	}
	var faults faultList
	faults.window(q.Window)
	if n := len(q.EnvelopeIDs); n > MaxFilterIDs {
		faults.add(fieldEnvelopeIDs, fmt.Sprintf("are %d, at most %d are allowed", n, MaxFilterIDs))
	}
	for i, id := range q.EnvelopeIDs {
		faults.requiredID(fmt.Sprintf("%s[%d]", fieldEnvelopeIDs, i), id)
	}
	for i, class := range q.EnvelopeClasses {
		if class == "" || !class.valid() {
			faults.add(fmt.Sprintf("%s[%d]", fieldEnvelopeClasses, i), classReason)
		}
	}
	for i, decision := range q.Decisions {
		if !decision.valid() {
			faults.add(fmt.Sprintf("%s[%d]", fieldDecisions, i), decisionReason)
		}
	}
	faults.optionalID(fieldConflictingEnvelopeID, q.ConflictingEnvelopeID)
	faults.optionalID(fieldPreemptingEnvelopeID, q.PreemptingEnvelopeID)
	faults.optionalID(fieldTargetSubsystem, q.TargetSubsystem)
	faults.optionalID(fieldTargetParameter, q.TargetParameter)
	faults.storable(fieldReasonContains, q.ReasonContains)
	faults.optionalID(fieldReasonCode, q.ReasonCode)
	faults.optionalID(fieldPolicyVersion, q.PolicyVersion)
	faults.optionalID(fieldActor, q.Actor)
	faults.optionalID(fieldCorrelationID, q.CorrelationID)
	if q.Order != NewestFirst && q.Order != OldestFirst {
		faults.add(fieldOrder, "must be NewestFirst or OldestFirst")
	}
	faults.limit(q.Limit)
	return faults.queryErr()
}

// The names of a query's fields that no record has.
const (
	fieldEnvelopeIDs     = "envelope_ids"
	fieldEnvelopeClasses = "envelope_classes"
	fieldDecisions       = "decisions"
	fieldReasonContains  = "reason_contains"
	fieldSince           = "since"
	fieldUntil           = "until"
	fieldOrder           = "order"
	fieldLimit           = "limit"
)

// Window is a half-open span of decision times: since ≤ time < until. Adjacent windows
// share no record. A zero bound is open and excludes nothing, not even a record with an
// infinite time.
type Window struct {
	Since time.Time
	Until time.Time
}

// Normalized returns the window in UTC and in microseconds, the resolution in which times
// are stored. It holds the same records: a bound between two microseconds moves to the
// later one.
func (w Window) Normalized() Window {
	return Window{Since: ceilMicrosecond(w.Since), Until: ceilMicrosecond(w.Until)}
}

func ceilMicrosecond(at time.Time) time.Time {
	if at.IsZero() {
		return time.Time{}
	}
	floor := at.UTC().Truncate(time.Microsecond)
	if floor.Equal(at) {
		return floor
	}
	return floor.Add(time.Microsecond)
}

func (l *faultList) window(w Window) {
	for _, bound := range []struct {
		field string
		at    time.Time
	}{{fieldSince, w.Since}, {fieldUntil, w.Until}} {
		if !bound.at.IsZero() {
			l.year(bound.field, bound.at)
		}
	}
	if !w.Since.IsZero() && !w.Until.IsZero() && w.Since.After(w.Until) {
		l.add(fieldSince, "lies after until")
	}
}

func (l *faultList) limit(limit int) {
	if limit < 0 || limit > MaxPageSize {
		l.add(fieldLimit, fmt.Sprintf("must be 1 to %d, or 0 for %d", MaxPageSize, DefaultPageSize))
	}
}

func (l *faultList) queryErr() error {
	if len(*l) == 0 {
		return nil
	}
	return &InvalidQueryError{Faults: *l}
}

// Scope says whose records a query sees. Its zero value is refused with [ErrNoScope], so
// that no query reads another tenant's records by default. A record outside the scope is
// not found, as if it did not exist.
type Scope struct {
	kind   scopeKind
	tenant string
}

type scopeKind int

const (
	scopeUnset scopeKind = iota
	scopeTenant
	scopeNoTenant
	scopeAllTenants
)

// Tenant sees the records of one tenant. An empty id is refused. Use [NoTenant] instead.
func Tenant(id string) Scope { return Scope{kind: scopeTenant, tenant: id} }

// NoTenant sees the records that belong to no tenant.
func NoTenant() Scope { return Scope{kind: scopeNoTenant} }

// AllTenants sees every record.
func AllTenants() Scope { return Scope{kind: scopeAllTenants} }

// Validate refuses a scope that is not set with [ErrNoScope] and says what to pass. It
// refuses a tenant id that no record can hold with an [InvalidQueryError].
func (s Scope) Validate() error {
	if s.kind == scopeUnset || (s.kind == scopeTenant && s.tenant == "") {
		return fmt.Errorf("%w: pass audit.Tenant(id), audit.NoTenant() or audit.AllTenants()", ErrNoScope)
	}
	var faults faultList
	faults.optionalID(fieldTenantID, s.tenant)
	return faults.queryErr()
}

// IsAllTenants reports whether the scope sees every record.
func (s Scope) IsAllTenants() bool { return s.kind == scopeAllTenants }

// TenantID returns the scope's tenant. It is empty for [NoTenant] and [AllTenants].
func (s Scope) TenantID() string { return s.tenant }

// String names the scope, as error texts do. It quotes a tenant id that does not print,
// so that no two scopes have the same name.
func (s Scope) String() string {
	switch s.kind {
	case scopeTenant:
		if strings.HasPrefix(s.tenant, `"`) || !isPrintable(s.tenant) {
			return "tenant " + strconv.Quote(s.tenant)
		}
		return "tenant " + s.tenant
	case scopeNoTenant:
		return "no tenant"
	case scopeAllTenants:
		return "all tenants"
	default:
		return "no scope"
	}
}
