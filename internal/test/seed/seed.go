// Package seed makes trails of any length for tests, benchmarks and experiments. They hold the decisions
// of a coordinator with many tenants. The same seed makes the same records.
//
//	DATABASE_URL=… go run ./internal/test/seed/cmd --records 1000000
package seed

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// RareTenant has one record in [RareEvery]. A plan that looks for them among the records of all tenants
// is slow.
const (
	RareTenant = "tenant-rare"
	RareEvery  = 50_000
)

// Config describes the trail to make. The zero value makes an empty one.
type Config struct {
	// Records is the number of records. Defaults to 0.
	Records int

	// Seed makes different trails. Defaults to 0.
	Seed uint64

	// Start is the first decision's time. Defaults to 2026-01-01 UTC.
	Start time.Time

	// Span is the time from the first decision to the last. Defaults to 30 days.
	Span time.Duration

	// Envelopes is how many envelopes each tenant has. Defaults to 48.
	Envelopes int
}

// Records returns the records of the trail in the order of their decisions.
func Records(config Config) iter.Seq[audit.Record] {
	if config.Start.IsZero() {
		config.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if config.Span <= 0 {
		config.Span = 30 * 24 * time.Hour
	}
	if config.Envelopes <= 0 {
		config.Envelopes = 48
	}
	return func(yield func(audit.Record) bool) {
		f := &fleet{
			config: config,
			random: rand.New(rand.NewPCG(config.Seed, 0)), //nolint:gosec // it must repeat, and nothing is secret
			held:   make(map[parameter]envelope),
		}
		for f.made < config.Records {
			for _, rec := range f.decide() {
				if f.made == config.Records {
					return
				}
				f.made++
				if !yield(rec) {
					return
				}
			}
		}
	}
}

// fleet is the state of the coordinator: which envelope holds which target.
type fleet struct {
	config Config
	random *rand.Rand
	held   map[parameter]envelope
	made   int
}

type parameter struct{ tenant, subsystem, name string }

type envelope struct {
	id        string
	class     audit.EnvelopeClass
	wants     parameter
	appliedBy uuid.UUID // the record by which it holds what it wants
}

// decide decides one request and returns its records. Half of the records state their target and half of
// these also their reason code, links and origin, as in a trail that is older than the migrations for these.
func (f *fleet) decide() []audit.Record {
	env := f.envelope()
	holder := f.held[env.wants]
	recs := f.records(env)
	for i := range recs {
		recs[i].AuditID = f.id()
	}
	own := &recs[len(recs)-1]
	if own.Decision == audit.Applied {
		env.appliedBy = own.AuditID
		f.held[env.wants] = env
	}
	if own.TargetParameter != "" && f.made%2 == 0 {
		f.explain(recs, env, holder)
	}
	return recs
}

func (f *fleet) records(env envelope) []audit.Record {
	rec := audit.Record{
		EnvelopeID:           env.id,
		EnvelopeClass:        env.class,
		DecisionTimestamp:    f.now(),
		ActiveEnvelopesCount: int32(len(f.held)),
		TenantID:             env.wants.tenant,
	}
	withContext := f.random.IntN(2) == 0
	if withContext {
		rec.TargetSubsystem, rec.TargetParameter = env.wants.subsystem, env.wants.name
	}
	holder, taken := f.held[env.wants]
	switch {
	case env.class == audit.Unknown:
		rec.Decision, rec.Reason = audit.Rejected, "No envelope class declared"
	case !taken:
		rec.Decision, rec.Reason = audit.Applied, "Applied successfully, preempted 0 envelope(s)"
	case rank(env.class) < rank(holder.class):
		return preempt(rec, env, holder, withContext)
	default: // also an envelope that conflicts with itself
		rec.Decision, rec.ConflictingEnvelopeID = audit.Rejected, holder.id
		rec.Reason = fmt.Sprintf("Same-parameter conflict: %s.%s is held by %s", env.wants.subsystem, env.wants.name, holder.id)
		if withContext {
			rec.CounterpartClass = holder.class
		}
		if f.random.IntN(2) == 0 { // it expires
			delete(f.held, env.wants)
		}
	}
	return []audit.Record{rec}
}

// preempt gives both records the same time, as coordinators do.
func preempt(rec audit.Record, env, holder envelope, withContext bool) []audit.Record {
	end := rec
	end.EnvelopeID, end.EnvelopeClass = holder.id, holder.class
	end.Decision, end.PreemptingEnvelopeID, end.Reason = audit.Preempted, env.id, "Preempted by higher priority"
	if withContext {
		end.CounterpartClass = env.class
	}
	rec.Decision, rec.Reason = audit.Applied, "Applied successfully, preempted 1 envelope(s)"
	return []audit.Record{end, rec}
}

// explain adds what the records of one decision state besides their target. It takes no random number, so
// the rest of the trail does not depend on it.
func (f *fleet) explain(recs []audit.Record, env, holder envelope) {
	own := &recs[len(recs)-1]
	for i := range recs {
		rec := &recs[i]
		rec.PolicyVersion = fmt.Sprintf("policy-%d", 1+2*f.made/max(f.config.Records, 1))
		rec.Actor = fmt.Sprintf("coordinator-%d", f.made%3)
		rec.Links.CorrelationID = fmt.Sprintf("action-%d", f.made)
		if holder.id != "" && rec.EnvelopeClass != audit.Unknown {
			rec.Details = audit.Details(fmt.Sprintf(`{"rank": %d, "holder_rank": %d}`, rank(env.class), rank(holder.class)))
		}
		if f.made%4 == 0 {
			binary.BigEndian.PutUint64(rec.Origin.TraceID[8:], uint64(f.made)+1)
			binary.BigEndian.PutUint64(rec.Origin.SpanID[:], uint64(f.made)+1)
		}
	}
	switch {
	case env.class == audit.Unknown:
		own.ReasonCode = "NO_CLASS_DECLARED"
	case own.Decision == audit.Rejected:
		own.ReasonCode, own.Links.CausedBy = "SAME_PARAMETER", holder.appliedBy
	case len(recs) == 1:
		own.ReasonCode = "PARAMETER_FREE"
	default:
		own.ReasonCode = "OUTRANKS_HOLDER"
		recs[0].ReasonCode, recs[0].Links.CausedBy = "OUTRANKED", own.AuditID
	}
}

// rank is lower for classes that preempt others.
func rank(class audit.EnvelopeClass) int { return slices.Index(audit.EnvelopeClasses(), class) }

// envelope chooses the envelope of the next request. Tenants differ in size and share envelope ids.
func (f *fleet) envelope() envelope {
	tenant := ""
	switch share := f.random.IntN(100); {
	case f.made%RareEvery == RareEvery/2:
		tenant = RareTenant
	case share < 35:
		tenant = "tenant-acme"
	case share < 57:
		tenant = "tenant-borealis"
	case share < 74:
		tenant = "tenant-cobalt"
	case share < 85:
		tenant = "tenant-dune"
	case share < 93:
		tenant = "tenant-emu"
	}
	n := f.random.IntN(f.config.Envelopes)
	class := audit.EnvelopeClasses()[n%4]
	if f.random.IntN(100) == 0 {
		class = audit.Unknown
	}
	return envelope{
		id:    fmt.Sprintf("envelope-%03d", n),
		class: class,
		wants: parameter{tenant: tenant, subsystem: fmt.Sprintf("subsystem-%d", n%3), name: fmt.Sprintf("parameter-%d", n/4%4)},
	}
}

// now moves evenly through the span. Every tenth decision has the same time as the one before it.
func (f *fleet) now() time.Time {
	at := f.made
	if f.random.IntN(10) == 0 {
		at = max(at-1, 0)
	}
	step := float64(f.config.Span) / float64(max(f.config.Records, 1))
	return f.config.Start.Add(time.Duration(float64(at) * step)).Truncate(time.Microsecond)
}

// id returns a version 4 id, which is as random as a record's place in the index should be.
func (f *fleet) id() (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], f.random.Uint64())
	binary.BigEndian.PutUint64(id[8:], f.random.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}
