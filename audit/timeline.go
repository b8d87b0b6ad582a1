package audit

// Role is the part that an envelope plays in a record.
type Role string

// The roles. If a record names an envelope in several places, the first of these that
// fits is its role.
const (
	// Subject: the record is a decision about the envelope.
	Subject Role = "subject"

	// Conflicting: another envelope was rejected because it conflicts with this one.
	Conflicting Role = "conflicting"

	// Preempting: the envelope preempted another one.
	Preempting Role = "preempting"
)

// RoleOf returns the part that an envelope plays in the record, or "" if it plays none.
func (r Record) RoleOf(envelopeID string) Role {
	switch envelopeID {
	case "":
		return ""
	case r.EnvelopeID:
		return Subject
	case r.ConflictingEnvelopeID:
		return Conflicting
	case r.PreemptingEnvelopeID:
		return Preempting
	default:
		return ""
	}
}

// TimelineQuery selects a page of one envelope's timeline.
type TimelineQuery struct {
	// Scope says whose records the query sees. Required. An envelope id belongs to a
	// tenant: [AllTenants] mixes the envelopes of all tenants that have this id.
	Scope Scope

	// EnvelopeID is the envelope. Required.
	EnvelopeID string

	// Window bounds the decision time. Defaults to all of time.
	Window Window

	// Limit is the maximum number of entries on a page, 1 to [MaxPageSize]. Defaults to
	// [DefaultPageSize].
	Limit int

	// After is [Timeline.Next] of the page before. It is empty for the first page.
	After Cursor
}

// Timeline is a page of an envelope's history, oldest first: its own records, and those
// that name it as the conflicting envelope or as the preemptor.
type Timeline struct {
	Entries []TimelineEntry

	// Next is the [TimelineQuery.After] of the page that follows. It is empty on the
	// last page.
	Next Cursor
}

// TimelineEntry is one record of a timeline.
type TimelineEntry struct {
	Record

	// Role is the part that the timeline's envelope plays in the record.
	Role Role
}

// Validate is [Query.Validate] for a timeline.
func (q TimelineQuery) Validate() error {
	if err := q.Scope.Validate(); err != nil {
		return err
	}
	var faults faultList
	faults.requiredID(fieldEnvelopeID, q.EnvelopeID)
	faults.window(q.Window)
	faults.limit(q.Limit)
	return faults.queryErr()
}
