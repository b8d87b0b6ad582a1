package auditmigrate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// readVersions returns the versions that the version table records as applied, and
// when. The newest row of a version decides, because tools similar to goose add a row
// with is_applied = false when they revert.
//
// It reads times as numbers, because their text depends on the session's DateStyle,
// which a pooler may share.
func readVersions(ctx context.Context, conn *pgx.Conn, table string) (map[int64]time.Time, error) {
	rows, err := conn.Query(ctx, `
		SELECT DISTINCT ON (v.version_id)
			v.version_id::bigint,
			v.is_applied,
			CASE WHEN pg_catalog.isfinite(v.tstamp) THEN (extract(epoch FROM v.tstamp) * 1000000)::bigint ELSE 0 END
		FROM `+table+` AS v
		WHERE v.version_id > 0
		ORDER BY v.version_id, v.id DESC`, pgx.QueryExecModeExec)
	if err != nil {
		return nil, err
	}
	applied := map[int64]time.Time{}
	var version, micros int64
	var isApplied bool
	_, err = pgx.ForEachRow(rows, []any{&version, &isApplied, &micros}, func() error {
		if isApplied {
			applied[version] = time.UnixMicro(micros).UTC()
		}
		return nil
	})
	return applied, err
}

// closeGap treats the versions after a missing one as pending, so that migrating up
// runs them again. Each migration adopts what it finds. closeGap returns the missing
// version, 0 with none. It ignores versions that only a newer program knows.
func (s schema) closeGap() int64 {
	for _, source := range s.sources {
		if _, ok := s.applied[source.version]; ok {
			continue
		}
		newest := int64(0)
		for version := range s.applied {
			newest = max(newest, version)
		}
		if newest < source.version {
			return 0
		}
		if s.knows(newest) {
			maps.DeleteFunc(s.applied, func(version int64, _ time.Time) bool { return version > source.version })
		}
		return source.version
	}
	return 0
}

// newer is the newest applied version that this program does not know, 0 with none.
func (s schema) newer() int64 {
	if current := s.current(); current > 0 && !s.knows(current) {
		return current
	}
	return 0
}

// checkTables finds a version table that does not belong to the tables next to it.
func (s schema) checkTables() error {
	at := s.at
	switch {
	case at.adrift != "":
		return splitError(at.adrift, at.schema)
	case at.records || len(s.applied) == 0:
		return nil
	case len(at.others) > 0:
		return splitError(at.schema, at.others[0])
	default:
		return &locationError{
			text: fmt.Sprintf("the version table in schema %q says version %d, and there is no table %s next to it", at.schema, s.current(), recordsTable),
			next: fmt.Sprintf("restore it from a backup; or, to begin with an empty trail, DROP TABLE %s; and migrate up", at.name(VersionTable)),
		}
	}
}

func splitError(versions, records string) error {
	return &locationError{
		text: fmt.Sprintf("the records are in schema %q and their version table is in schema %q", records, versions),
		next: fmt.Sprintf("move the version table: ALTER TABLE %s.%s SET SCHEMA %s;", quote(versions), VersionTable, quote(records)),
	}
}

// checkGap refuses a run that a missing version makes unsafe.
func (s schema) checkGap(direction Direction) error {
	switch {
	case s.gap == 0:
		return nil
	case s.newer() > 0:
		return fmt.Errorf("the version table lacks version %d although version %d is applied, which this program does not know: migrate up with the newer program", s.gap, s.newer())
	case direction == DirectionDown:
		return fmt.Errorf("the version table lacks version %d although later ones are applied: close the gap first (migrate up), which applies the migrations from %d on again", s.gap, s.gap)
	default:
		return nil
	}
}

// sorted returns the applied versions in ascending order.
func (s schema) sorted() []int64 { return slices.Sorted(maps.Keys(s.applied)) }
