package audit

// Role is the part that an envelope plays in a record.
type Role string

// The roles. A record that names its envelope in several places comes once in a
// timeline, under the first of these that fits.
const (
	// Subject: the record is a decision about the envelope.
	Subject Role = "subject"

	// Conflicting: the envelope stood in another one's way.
	Conflicting Role = "conflicting"

	// Preempting: the envelope took another one's place.
	Preempting Role = "preempting"
)

// RoleOf returns the part that an envelope plays in the record; empty if it
// plays none.
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

// TimelineQuery says whose timeline to read.
type TimelineQuery struct {
	// Scope says whose records are seen. Required. Envelope ids belong to a tenant:
	// under [AllTenants] the envelopes of all tenants with that id come together.
	Scope Scope

	// EnvelopeID is the envelope. Required.
	EnvelopeID string

	// Window bounds the decisions' time. Defaults to all of it.
	Window Window

	// Limit is the most entries on a page, 1 to [MaxPageSize]. Defaults to
	// [DefaultPageSize].
	Limit int

	// After is [Timeline.Next] of the page before; empty for the first page.
	After Cursor
}

// Timeline is a page of what happened to an envelope and because of it, oldest
// first.
type Timeline struct {
	Entries []TimelineEntry

	// Next is what to pass as [TimelineQuery.After] for the page that follows; empty
	// if there was none.
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
