package browsertest_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

// envelope is an envelope that the coordinator of the sample decides on.
type envelope struct {
	id, tenant, subsystem, parameter string

	class  audit.EnvelopeClass
	weight int // how often it asks

	active bool
}

func sampleEnvelopes() []*envelope {
	return []*envelope{
		{id: "retry-backoff-guard", tenant: "acme", class: audit.Safety, subsystem: "gateway", parameter: "retry_backoff_ms", weight: 5},
		{id: "circuit-breaker-7", tenant: "borealis", class: audit.Safety, subsystem: "gateway", parameter: "open_after", weight: 4},
		{id: "replica-floor", tenant: "acme", class: audit.Reliability, subsystem: "scheduler", parameter: "min_replicas", weight: 6},
		{id: "steady-queue-depth", tenant: "borealis", class: audit.Reliability, subsystem: "queue", parameter: "max_depth", weight: 6},
		{id: "spot-saver", tenant: "acme", class: audit.Cost, subsystem: "scheduler", parameter: "min_replicas", weight: 11},
		{id: "night-shift-saver", tenant: "borealis", class: audit.Cost, subsystem: "queue", parameter: "max_depth", weight: 8},
		{id: "llm-router-saver", tenant: "", class: audit.Cost, subsystem: "llm-router", parameter: "model_tier", weight: 9},
		{id: "llm-router-boost", tenant: "", class: audit.Performance, subsystem: "llm-router", parameter: "model_tier", weight: 7},
		{id: "cache-warmer", tenant: "acme", class: audit.Performance, subsystem: "cache", parameter: "prefetch", weight: 6},
		{id: "undeclared-tuner", tenant: "borealis", class: audit.Unknown, subsystem: "cache", parameter: "prefetch", weight: 1},
	}
}

const sampleDays = 14

func sampleStart() time.Time { return time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) }

// sampleRecords are the decisions of an invented coordinator in two weeks.
func sampleRecords() []audit.Record {
	random := rand.New(rand.NewPCG(7, 11))
	envelopes := sampleEnvelopes()
	var asking []*envelope
	for _, e := range envelopes {
		for range e.weight {
			asking = append(asking, e)
		}
	}
	var recs []audit.Record
	end := sampleStart().AddDate(0, 0, sampleDays)
	for now := sampleStart(); ; {
		pause := 14 + random.IntN(60)
		if now.Weekday() == time.Saturday || now.Weekday() == time.Sunday {
			pause *= 2
		}
		if hour := now.Hour(); hour < 6 {
			pause *= 2
		}
		now = now.Add(time.Duration(pause) * time.Minute / 3)
		if !now.Before(end) {
			return recs
		}
		e := asking[random.IntN(len(asking))]
		recs = append(recs, decide(random, e, envelopes, now, len(recs)))
	}
}

// decide makes a plausible decision.
func decide(random *rand.Rand, e *envelope, all []*envelope, now time.Time, n int) audit.Record {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], random.Uint64())
	binary.BigEndian.PutUint64(id[8:], random.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	rec := audit.Record{
		AuditID: id, EnvelopeID: e.id, EnvelopeClass: e.class, TenantID: e.tenant,
		TargetSubsystem: e.subsystem, TargetParameter: e.parameter,
		DecisionTimestamp: now, Seq: int64(n + 1), CreatedAt: now.Add(3 * time.Millisecond),
		Decision: audit.Applied, Reason: "applied, nothing stood in its way",
		ReasonCode: "NOTHING_IN_THE_WAY", PolicyVersion: "2026-03", Actor: fmt.Sprintf("coordinator-%d", n%2+1),
	}
	var rivals []*envelope
	for _, other := range all {
		if other != e && (other.parameter == e.parameter || other.tenant == e.tenant && random.IntN(5) == 0) {
			rivals = append(rivals, other)
		}
	}
	if len(rivals) > 0 {
		rival := rivals[random.IntN(len(rivals))]
		rec.CounterpartClass = rival.class
		switch chance := random.IntN(100); {
		case e.class == audit.Unknown:
			rec.Decision, rec.Reason, rec.ConflictingEnvelopeID = audit.Rejected, "no class declared", rival.id
			rec.ReasonCode = "NO_CLASS"
		case e.active && chance < 32:
			rec.Decision, rec.PreemptingEnvelopeID = audit.Preempted, rival.id
			rec.ReasonCode, rec.Links.CausedBy, rec.Details = "OUTRANKED", uuid.NewSHA1(id, nil), `{"own_rank": 3, "rank_of_the_other": 1}`
			rec.Reason = fmt.Sprintf("preempted: %s holds %s of the %s", rival.id, e.parameter, e.subsystem)
		case chance < 46:
			rec.Decision, rec.ConflictingEnvelopeID = audit.Rejected, rival.id
			rec.ReasonCode = "SAME_PARAMETER"
			rec.Reason = fmt.Sprintf("%s goes first on %s", rival.id, e.parameter)
		default:
			rec.CounterpartClass = ""
		}
	}
	if rec.Decision != audit.Rejected {
		e.active = rec.Decision == audit.Applied
	}
	for _, other := range all {
		if other.active {
			rec.ActiveEnvelopesCount++
		}
	}
	return rec
}

// sample is a report on two weeks.
func sample() report.Data {
	start := sampleStart()
	recs := sampleRecords()
	data := report.Data{
		Query: audit.SignalQuery{
			Scope: audit.AllTenants(), MinRecords: 1, MinConflicts: 1,
			Window: audit.Window{Since: start, Until: start.AddDate(0, 0, sampleDays)},
		},
		Made:      start.AddDate(0, 0, sampleDays).Add(6 * time.Hour),
		Guards:    report.Guards{Checked: true},
		Breakdown: breakdownOf(recs),
	}
	data.Signals, data.Lanes = signalsOf(recs)
	data.Breakdown.ByReasonCode = codesOf(recs)
	data.Completeness = sampleAccount(int64(len(recs)), start)
	const root = "qzVsQ8bXH0WfkbRk0zSm1m0u2b3Jw1mO2l2p7T0yV0c="
	data.Sealing = &report.Sealing{
		Size: int64(len(recs)) + 40, Origin: "audit.example.com/plant-7", Epoch: 1, Root: root, MadeAt: data.Made.Add(-2 * time.Second), Unsealed: 3,
		Compared: &report.SealComparison{Origin: "audit.example.com/plant-7", Size: int64(len(recs)), Root: root},
	}
	latest := slices.Clone(recs[len(recs)-200:])
	slices.Reverse(latest)
	data.Latest = latest
	return data
}

// hostile is the sample with texts that would be elements and scripts.
func hostile() report.Data {
	data := sample()
	const script = `<script>window.hacked = true</script>`
	long := "envelope-with-a-very-long-name-" + longWord(69)
	data.Latest[0].Reason, data.Latest[0].ReasonCode = script, ""
	data.Latest[1].Reason = `"><img src=x onerror="window.hacked = true">`
	data.Latest[2].EnvelopeID, data.Latest[2].TenantID = long, longWord(100)
	data.Latest[3].TargetParameter = script
	data.Latest[4].Reason = longWord(3000)
	data.Latest[5].ReasonCode, data.Latest[5].Actor, data.Latest[5].Links.CorrelationID = longWord(100), script, longWord(100)
	data.Latest[5].Details = audit.Details(`{"` + longWord(3000) + `": "` + script + `"}`)
	data.Breakdown.ByReasonCode[longWord(100)] = map[audit.Decision]int64{audit.Applied: 1, "EXPIRED": 1}
	data.Breakdown.ByReasonCode[script] = map[audit.Decision]int64{audit.Rejected: 2}
	data.Completeness.Sources[4].Label, data.Completeness.Sources[12].Label = script, longWord(200)
	data.Completeness.Sources[13].ReservedThrough, data.Completeness.Sources[13].LastBlock = math.MaxInt64, math.MaxInt64/2
	data.Sealing.Origin, data.Sealing.Root, data.Sealing.Size, data.Sealing.Unsealed = script, longWord(256), math.MaxInt64, math.MaxInt64
	data.Sealing.Compared.Origin, data.Sealing.Compared.Root = longWord(256), longWord(256)
	data.Sealing.Compared.Differences = []string{script, longWord(300)}
	data.Lanes[0].Oscillation.EnvelopeID = script
	data.Lanes[0].Oscillation.PreemptingEnvelopes = map[string]int64{script: 3, long: 2}
	data.Lanes[1].Oscillation.EnvelopeID, data.Lanes[1].Oscillation.TenantID = long, longWord(100)
	data.Signals.RepeatedRejections[0].EnvelopeID = `</script>` + script
	data.Signals.RepeatedRejections[1].EnvelopeID = long
	data.Signals.RepeatedParameterRejections[0].TargetSubsystem = longWord(100)
	return data
}

func longWord(length int) string {
	word := make([]byte, length)
	for i := range word {
		word[i] = 'w'
	}
	return string(word)
}

// hourly is the first two days of the sample.
func hourly() report.Data {
	data := sample()
	start := sampleStart()
	data.Query.Window.Until = start.AddDate(0, 0, 2)
	for _, rec := range sampleRecords() {
		hour := rec.DecisionTimestamp.Truncate(time.Hour)
		if n := len(data.Hours); n == 0 || !data.Hours[n-1].Hour.Equal(hour) {
			data.Hours = append(data.Hours, report.HourCount{Hour: hour, ByClass: make(map[audit.EnvelopeClass]int64)})
		}
		data.Hours[len(data.Hours)-1].ByClass[rec.EnvelopeClass]++
		if hour.Sub(start) >= 47*time.Hour {
			return data
		}
	}
	return data
}

// centuries is a trail as long and as large as one can be.
func centuries() report.Data {
	const huge = math.MaxInt64 / 8
	data := sample()
	first, last := time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	data.Query.Window = audit.Window{}
	b := &data.Breakdown
	b.FirstSeen, b.LastSeen, b.Total = first, last, math.MaxInt64
	b.ByTenant = map[string]int64{"": huge, "acme": huge}
	b.MaxActiveEnvelopes = math.MaxInt32
	b.ByDay = []audit.DayCount{
		{Day: first.Truncate(24 * time.Hour), ByClass: map[audit.EnvelopeClass]int64{audit.Cost: huge, audit.Safety: huge}},
		{Day: last.Truncate(24 * time.Hour), ByClass: map[audit.EnvelopeClass]int64{audit.Unknown: huge}},
	}
	for class := range b.ByClassDecision {
		b.ByClassDecision[class] = map[audit.Decision]int64{audit.Applied: huge, audit.Rejected: 1}
	}
	for i := range data.Signals.Friction {
		data.Signals.Friction[i].Conflicts = math.MaxInt64
	}
	for i := range data.Signals.RejectionRates {
		data.Signals.RejectionRates[i].Total = math.MaxInt64
	}
	data.Signals.RepeatedRejections[0].Rejections = math.MaxInt64
	return data
}

// years is a window of two years of which half has records.
func years() report.Data {
	data := sample()
	start := sampleStart()
	data.Query.Window.Until = start.AddDate(2, 0, 0)
	data.Breakdown.LastSeen = start.AddDate(1, 6, 0)
	for day := range 365 {
		data.Breakdown.ByDay = append(data.Breakdown.ByDay, audit.DayCount{
			Day: start.AddDate(0, 0, day+180), ByClass: map[audit.EnvelopeClass]int64{audit.Cost: int64(day * day)},
		})
	}
	return data
}
