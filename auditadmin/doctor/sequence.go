package doctor

import (
	"context"
	"fmt"
)

type usedSequence struct {
	Name  string `json:"name"`
	Table string `json:"table"`
	Last  *int64 `json:"last"` // nil: this role may not see it, or it has given no number
	Max   int64  `json:"max"`
	Cycle bool   `json:"cycle"`
}

const usedQuery = `
	SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.name), '[]')::text
	FROM (
		SELECT
			pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
			d.refobjid::regclass::text AS "table",
			CASE WHEN pg_catalog.has_sequence_privilege(c.oid, 'USAGE, SELECT') THEN pg_catalog.pg_sequence_last_value(c.oid) END AS last,
			q.seqmax AS max,
			q.seqcycle AS cycle
		FROM pg_catalog.pg_sequence AS q
		JOIN pg_catalog.pg_class AS c ON c.oid = q.seqrelid
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_depend AS d ON d.objid = c.oid AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'i'
		WHERE d.refobjid = ANY ($1::text[]::regclass[]) AND q.seqincrement > 0
	) AS x`

// checkSequences adds to the guards how much of a sequence is used: someone may have moved it.
func checkSequences(ctx context.Context, x *examination) ([]Finding, error) {
	list, err := x.differences(ctx, false, "sequence")
	if err != nil {
		return list, err
	}
	var found []usedSequence
	if err := x.ask(ctx, &found, usedQuery, x.tables()); err != nil {
		return list, err
	}
	for _, s := range found {
		if s.Last == nil || s.Cycle || *s.Last >= s.Max { // the guards report the end
			continue
		}
		used := float64(*s.Last) / float64(s.Max)
		f := Finding{
			Severity: Warning, Object: "sequence " + s.Name,
			Evidence: fmt.Sprintf("at %d of %d: %.0f %% are used, which no trail reaches by its rows: someone has moved it", *s.Last, s.Max, used*100),
			Repair:   fmt.Sprintf("if no row has a seq that high (SELECT max(seq) FROM %s), move it back to that: SELECT setval('%s', …);", s.Table, s.Name),
		}
		switch {
		case used > x.limits.failSequence:
			f.Severity = Error
		case used <= x.limits.usedSequence:
			continue
		}
		list = append(list, f)
	}
	return list, nil
}
