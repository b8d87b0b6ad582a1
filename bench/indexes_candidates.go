package main

import (
	"cmp"
	"slices"
	"strings"
)

// candidate is an index that the trail's table could have.
type candidate struct {
	name       string
	definition string // what follows the table's name in CREATE INDEX
	everySize  bool   // else on the smallest table only: it takes long to say no
}

// The indexes that a migrated table has, by the names that they have here.
const (
	timeIndex        = "time"
	scopeIndex       = "scope, time"
	envelopeIndex    = "envelope, scope, time"
	conflictingIndex = "conflicting, scope, time"
	preemptingIndex  = "preempting, scope, time"

	coveringIndex = "scope, time, INCLUDE tenant, class and decision"
)

const (
	scopeKey  = `(coalesce(tenant_id, ''))`
	scopeHash = `hashtext(coalesce(tenant_id, ''))`
)

// candidates are those that were tried, the migrated ones among them.
func candidates() []candidate {
	partial := func(column string) string { return " WHERE " + column + " IS NOT NULL" }
	return []candidate{
		{timeIndex, `(decision_timestamp, seq)`, true},
		{"time, without seq", `(decision_timestamp)`, true},
		{"time, BRIN", `USING brin (decision_timestamp) WITH (pages_per_range = 16)`, true},
		{"seq, BRIN", `USING brin (seq) WITH (pages_per_range = 16)`, false},

		{scopeIndex, `(` + scopeKey + `, decision_timestamp, seq)`, true},
		{"scope, time, without seq", `(` + scopeKey + `, decision_timestamp)`, false},
		{"scope, seq instead of time", `(` + scopeKey + `, seq)`, false},
		{"scope, time, COLLATE C", `(` + scopeKey + ` COLLATE "C", decision_timestamp, seq)`, false},
		{"scope hashed, time", `(` + scopeHash + `, decision_timestamp, seq)`, true},
		{"scope hashed, time, without seq", `(` + scopeHash + `, decision_timestamp)`, true},
		// An index-only scan wants the column of the expression, too.
		{coveringIndex, `(` + scopeKey + `, decision_timestamp, seq) INCLUDE (tenant_id, envelope_class, decision)`, false},
		{"scope, time, fillfactor 100", `(` + scopeKey + `, decision_timestamp, seq) WITH (fillfactor = 100)`, false},
		{"scope alone", `(` + scopeKey + `)`, true},
		{"scope alone, not deduplicated", `(` + scopeKey + `) WITH (deduplicate_items = off)`, false},

		{envelopeIndex, `(envelope_id, ` + scopeKey + `, decision_timestamp, seq)`, true},
		{"envelope, time", `(envelope_id, decision_timestamp, seq)`, true},
		{"envelope, time, without seq", `(envelope_id, decision_timestamp)`, false},
		{"envelope, time, COLLATE C", `(envelope_id COLLATE "C", decision_timestamp, seq)`, false},
		{"envelope hashed, time, without seq", `(hashtext(envelope_id), decision_timestamp)`, true},
		{"envelope alone", `(envelope_id)`, true},
		{"envelope, hash", `USING hash (envelope_id)`, false},

		{conflictingIndex, `(conflicting_envelope_id, ` + scopeKey + `, decision_timestamp, seq)` + partial("conflicting_envelope_id"), true},
		{"conflicting, time", `(conflicting_envelope_id, decision_timestamp, seq)` + partial("conflicting_envelope_id"), true},
		{"conflicting, time, COLLATE C", `(conflicting_envelope_id COLLATE "C", decision_timestamp, seq)` + partial("conflicting_envelope_id"), false},
		{"conflicting hashed, time, without seq", `(hashtext(conflicting_envelope_id), decision_timestamp)` + partial("conflicting_envelope_id"), true},
		{"conflicting alone", `(conflicting_envelope_id)` + partial("conflicting_envelope_id"), true},
		{"conflicting, time, not partial", `(conflicting_envelope_id, decision_timestamp, seq)`, false},
		{preemptingIndex, `(preempting_envelope_id, ` + scopeKey + `, decision_timestamp, seq)` + partial("preempting_envelope_id"), true},
		{"preempting, time", `(preempting_envelope_id, decision_timestamp, seq)` + partial("preempting_envelope_id"), true},
		{"preempting, time, COLLATE C", `(preempting_envelope_id COLLATE "C", decision_timestamp, seq)` + partial("preempting_envelope_id"), false},
		{"preempting hashed, time, without seq", `(hashtext(preempting_envelope_id), decision_timestamp)` + partial("preempting_envelope_id"), true},
		{"preempting alone", `(preempting_envelope_id)` + partial("preempting_envelope_id"), true},
		{"preempting, time, not partial", `(preempting_envelope_id, decision_timestamp, seq)`, false},
	}
}

// writer is what a batch is written into: a table, and those of its indexes that are kept.
type writer struct {
	name        string
	predecessor bool     // the predecessor's table with all that it has
	random      bool     // ids of version 4, as the predecessor's are
	indexes     []string // of candidates, beside the primary key
	everySize   bool
}

func (w writer) table() string {
	if w.predecessor {
		return predecessorTable
	}
	return oursTable
}

const (
	predecessorWriter = "the predecessor's table"
	keptWriter        = "00004: five, kept"
)

// wholeSets are those that could be a table's.
func wholeSets() []writer {
	return []writer{
		{name: predecessorWriter, predecessor: true, random: true, everySize: true},
		{name: keptWriter, indexes: []string{timeIndex, scopeIndex, envelopeIndex, conflictingIndex, preemptingIndex}, everySize: true},
		{name: "five, kept, but ids of version 4", random: true, indexes: []string{timeIndex, scopeIndex, envelopeIndex, conflictingIndex, preemptingIndex}, everySize: true},
		{name: "five, envelopes without scope", indexes: []string{timeIndex, scopeIndex, "envelope, time", "conflicting, time", "preempting, time"}, everySize: true},
		{name: "five, COLLATE C", indexes: []string{
			timeIndex, "scope, time, COLLATE C", "envelope, time, COLLATE C", "conflicting, time, COLLATE C", "preempting, time, COLLATE C",
		}},
		{name: "five, envelopes hashed", indexes: []string{
			timeIndex, scopeIndex, "envelope hashed, time, without seq", "conflicting hashed, time, without seq", "preempting hashed, time, without seq",
		}, everySize: true},
		{name: "five, all hashed, none with seq", indexes: []string{
			"time, without seq", "scope hashed, time, without seq", "envelope hashed, time, without seq",
			"conflicting hashed, time, without seq", "preempting hashed, time, without seq",
		}, everySize: true},
		{name: "five of one column each", indexes: []string{
			"time, without seq", "scope alone", "envelope alone", "conflicting alone", "preempting alone",
		}, everySize: true},
	}
}

const keyAlone = "primary key alone"

// writers are the whole sets, and then the primary key and each candidate beside it.
func writers() []writer {
	all := append(wholeSets(), writer{name: keyAlone, everySize: true})
	for _, c := range candidates() {
		all = append(all, writer{name: "+ " + c.name, indexes: []string{c.name}, everySize: c.everySize})
	}
	return all
}

// reader is a way to answer a question.
type reader struct {
	question string
	indexes  []string // those that the planner may use beside the primary key
	where    string   // what comes between the columns and the LIMIT
}

const (
	firstPageOfTenant = "first page by tenant"
	deepPageOfTenant  = "page 10,000 by tenant"
	pageOfOneMoment   = "page 50 of 10,000 records of one moment"
	firstPageOfRare   = "first page of a rare tenant"
	firstPageOfAll    = "first page of all tenants"
	recordsOfTenant   = "an envelope's own records, of a tenant, first page"
	recordsOfSmall    = "an envelope's own records, of a small tenant, first page"
	recordsOfRare     = "an envelope's own records, of a rare tenant"
	recordsOfAll      = "an envelope's own records, all tenants, first page"
	namedConflicting  = "records that name it as conflicting, of a tenant, first page"
	namedPreempting   = "records that name it as preempting, of a tenant, first page"
	countOfDay        = "counts of a day of a tenant"
)

// readers are the questions and the ways to answer each, in the candidates' order. What
// is found by a hash is held against the text inside a CASE: the planner would take
// the two for independent of each other, and expect far too few records.
func readers() []reader {
	const (
		byTime   = ` ORDER BY decision_timestamp DESC, seq DESC`
		tenantIs = ` WHERE coalesce(tenant_id, '') = @tenant`
		hashIs   = ` WHERE ` + scopeHash + ` = hashtext(@tenant) AND CASE WHEN coalesce(tenant_id, '') = @tenant THEN true END`
		cIs      = ` WHERE coalesce(tenant_id, '') COLLATE "C" = @tenant`
		below    = ` AND (decision_timestamp, seq) < (@at, @seq)`

		oldest       = ` ORDER BY decision_timestamp, seq`
		envelopeIs   = ` WHERE envelope_id = @envelope`
		itsTenants   = ` AND coalesce(tenant_id, '') = @tenant`
		envelopeHash = ` WHERE hashtext(envelope_id) = hashtext(@envelope) AND CASE WHEN envelope_id = @envelope THEN true END`
	)
	var all []reader
	for _, question := range []string{firstPageOfTenant, firstPageOfRare, deepPageOfTenant, pageOfOneMoment} {
		position := ""
		if question == deepPageOfTenant || question == pageOfOneMoment {
			position = below
		}
		for index, where := range map[string]string{
			scopeIndex: tenantIs, "scope, time, without seq": tenantIs, "scope, time, COLLATE C": cIs,
			"scope hashed, time": hashIs, "scope hashed, time, without seq": hashIs, "scope alone": tenantIs, timeIndex: tenantIs,
		} {
			all = append(all, reader{question, []string{index}, where + position + byTime})
		}
	}
	for _, index := range []string{timeIndex, "time, without seq", "time, BRIN"} {
		all = append(all, reader{firstPageOfAll, []string{index}, byTime})
	}
	for index, is := range map[string][2]string{
		envelopeIndex: {envelopeIs, itsTenants}, "envelope, time": {envelopeIs, itsTenants},
		"envelope, time, without seq":        {envelopeIs, itsTenants},
		"envelope hashed, time, without seq": {envelopeHash, itsTenants},
		"envelope alone":                     {envelopeIs, itsTenants}, "envelope, hash": {envelopeIs, itsTenants},
	} {
		// The other two stand beside it, as in every table: the planner may prefer one of them.
		beside := []string{index, scopeIndex, timeIndex}
		for _, question := range []string{recordsOfTenant, recordsOfSmall, recordsOfRare} {
			all = append(all, reader{question, beside, is[0] + is[1] + oldest})
		}
		all = append(all, reader{recordsOfAll, beside, is[0] + oldest})
	}
	for _, index := range []string{conflictingIndex, "conflicting, time", "conflicting alone"} {
		all = append(all, reader{namedConflicting, []string{index, scopeIndex, timeIndex}, ` WHERE conflicting_envelope_id = @envelope` + itsTenants + oldest})
	}
	for _, index := range []string{preemptingIndex, "preempting, time", "preempting alone"} {
		all = append(all, reader{namedPreempting, []string{index, scopeIndex, timeIndex}, ` WHERE preempting_envelope_id = @envelope` + itsTenants + oldest})
	}
	for _, index := range []string{scopeIndex, coveringIndex, timeIndex, "time, BRIN"} {
		all = append(all, reader{countOfDay, []string{index}, tenantIs + inDay})
	}
	slices.SortStableFunc(all, func(a, b reader) int {
		return cmp.Or(strings.Compare(a.question, b.question), place(a)-place(b))
	})
	return all
}

// place is where a reader's index stands among the candidates.
func place(r reader) int {
	return slices.IndexFunc(candidates(), func(c candidate) bool { return c.name == r.indexes[0] })
}

const inDay = ` AND decision_timestamp >= @since AND decision_timestamp < @until`

// sql is the statement: a page, or the counts of a window.
func (r reader) sql() string {
	if r.question == countOfDay {
		return `SELECT envelope_class, decision, count(*) FROM coordination_audit_records` + r.where + ` GROUP BY envelope_class, decision`
	}
	return selected + r.where + ` LIMIT 100`
}

// builtOn are the candidates that tables of that size are measured with.
func builtOn(smallest bool) []candidate {
	return slices.DeleteFunc(candidates(), func(c candidate) bool { return !smallest && !c.everySize })
}
