// Package seed makes trails of any length for tests, benchmarks and trying things
// out: what a coordinator with a fleet of tenants would have decided. The same
// seed makes the same records.
//
//	DATABASE_URL=… go run ./internal/seed/cmd --records 1000000
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

// RareTenant has one record in [RareEvery]: what a plan that seeks its records
// among everyone's is found out by.
const (
	RareTenant = "tenant-rare"
	RareEvery  = 50_000
)

// Config says which trail to make. The zero value makes an empty one.
type Config struct {
	// Records is how many.
	Records int

	// Seed tells trails apart.
	Seed uint64

	// Start is the first decision's time. Defaults to 2026-01-01 UTC.
	Start time.Time

	// Span is the time from the first decision to the last. Defaults to 30 days.
	Span time.Duration

	// Envelopes is how many envelopes each tenant has. Defaults to 48.
	Envelopes int
}

// Records makes the trail, in the order of its decisions.
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
			random: rand.New(rand.NewPCG(config.Seed, 0)), //nolint:gosec // repeatable, and nothing is secret
			held:   make(map[parameter]envelope),
		}
		for f.made < config.Records {
			for _, rec := range f.decide() {
				if f.made == config.Records {
					return
				}
				rec.AuditID = f.id()
				f.made++
				if !yield(rec) {
					return
				}
			}
		}
	}
}

// fleet is the coordinator's state: who holds what.
type fleet struct {
	config Config
	random *rand.Rand
	held   map[parameter]envelope
	made   int
}

type parameter struct{ tenant, subsystem, name string }

type envelope struct {
	id    string
	class audit.EnvelopeClass
	wants parameter
}

// decide is one request and its records. Half of the records state their context,
// as in a trail that has lived through the migration that brought it.
func (f *fleet) decide() []audit.Record {
	env := f.envelope()
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
		f.held[env.wants] = env
		rec.Decision, rec.Reason = audit.Applied, "Applied successfully, preempted 0 envelope(s)"
	case rank(env.class) < rank(holder.class):
		return f.preempt(rec, env, holder, withContext)
	default: // also an envelope that meets itself
		rec.Decision, rec.ConflictingEnvelopeID = audit.Rejected, holder.id
		rec.Reason = fmt.Sprintf("Same-parameter conflict: %s.%s is held by %s", env.wants.subsystem, env.wants.name, holder.id)
		if withContext {
			rec.CounterpartClass = holder.class
		}
		if f.random.IntN(2) == 0 { // its time is up
			delete(f.held, env.wants)
		}
	}
	return []audit.Record{rec}
}

// preempt has both records at one time, as coordinators write them.
func (f *fleet) preempt(rec audit.Record, env, holder envelope, withContext bool) []audit.Record {
	f.held[env.wants] = env
	end := rec
	end.EnvelopeID, end.EnvelopeClass = holder.id, holder.class
	end.Decision, end.PreemptingEnvelopeID, end.Reason = audit.Preempted, env.id, "Preempted by higher priority"
	if withContext {
		end.CounterpartClass = env.class
	}
	rec.Decision, rec.Reason = audit.Applied, "Applied successfully, preempted 1 envelope(s)"
	return []audit.Record{end, rec}
}

// rank is lower for those that others give way to.
func rank(class audit.EnvelopeClass) int { return slices.Index(audit.EnvelopeClasses(), class) }

// envelope chooses who asks. Tenants differ in size, and share envelope ids.
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

// now moves evenly through the span; every tenth decision shares its time with
// the one before it.
func (f *fleet) now() time.Time {
	at := f.made
	if f.random.IntN(10) == 0 {
		at = max(at-1, 0)
	}
	step := float64(f.config.Span) / float64(max(f.config.Records, 1))
	return f.config.Start.Add(time.Duration(float64(at) * step)).Truncate(time.Microsecond)
}

// id is of version 4: as random as a record's place in the index will be.
func (f *fleet) id() (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], f.random.Uint64())
	binary.BigEndian.PutUint64(id[8:], f.random.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}
