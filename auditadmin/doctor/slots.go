package doctor

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

type slot struct {
	Name    string `json:"name"` // quoted
	Active  bool   `json:"active"`
	Lost    bool   `json:"lost"`
	Kept    int64  `json:"kept"`    // bytes of WAL
	Bounded bool   `json:"bounded"` // by max_slot_wal_keep_size
}

const slotsQuery = `
	SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.name), '[]')::text
	FROM (
		SELECT
			pg_catalog.quote_literal(s.slot_name) AS name,
			s.active,
			coalesce(s.wal_status = 'lost', false) AS lost,
			coalesce(pg_catalog.pg_wal_lsn_diff(
				CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END,
				s.restart_lsn
			), 0)::bigint AS kept,
			pg_catalog.current_setting('max_slot_wal_keep_size') <> '-1' AS bounded
		FROM pg_catalog.pg_replication_slots AS s
		WHERE NOT s.temporary
	) AS x`

// checkSlots names the replication slots that keep WAL for a standby or a subscriber that does
// not take it. Writers stop once the disk is full.
func checkSlots(ctx context.Context, x *examination) ([]Finding, error) {
	var found []slot
	if err := x.ask(ctx, &found, slotsQuery); err != nil {
		return nil, err
	}
	var list []Finding
	for _, of := range found {
		f := Finding{Severity: Warning, Object: "replication slot " + of.Name}
		switch {
		case of.Lost:
			f.Evidence = "its WAL is gone: the standby or subscriber behind it cannot go on"
			f.Repair = "set that one up again, and SELECT pg_drop_replication_slot(" + of.Name + ");"
		case of.Kept < x.limits.slotBytes:
			continue
		default:
			f.Evidence = fmt.Sprintf("it keeps %s of WAL for a standby or subscriber that %s", format.Bytes(of.Kept), takes(of.Active))
			f.Repair = "start that one again, or SELECT pg_drop_replication_slot(" + of.Name + ");"
			if !of.Bounded {
				f.Evidence += ", without a bound: the disk fills up, and then writers stop"
				f.Repair += " and bound it: ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf();"
			}
			if !of.Active && !of.Bounded {
				f.Severity = Error
			}
		}
		list = append(list, f)
	}
	return list, nil
}

func takes(active bool) string {
	if active {
		return "is behind"
	}
	return "is not connected"
}
