package auditmigrate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pressly/goose/v3/database"
)

// versionStore keeps goose's versions in the trail's own schema. goose's own store
// uses the table that current_schema() leads to, and creates one even if it only
// reads.
type versionStore struct {
	schema schema
	table  string // qualified

	// applied is called in the transaction of each migration that is applied.
	applied func(ctx context.Context, db database.DBTxConn) error
}

var _ database.StoreExtender = (*versionStore)(nil)

// Tablename returns the qualified name.
func (s *versionStore) Tablename() string { return s.table }

// TableExists always returns true, because goose would create the table without our
// lock. [versionStore.CreateVersionTable] creates it instead.
func (s *versionStore) TableExists(context.Context, database.DBTxConn) (bool, error) {
	return true, nil
}

// CreateVersionTable creates the table and goose's mark in it, if they are missing.
func (s *versionStore) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	exists, err := s.exists(ctx, db)
	if err != nil {
		return err
	}
	if !exists {
		if _, err := db.ExecContext(ctx, createVersionTable(s.table)); err != nil {
			return fmt.Errorf("creating the version table: %w", err)
		}
	}
	var marked bool
	if err := db.QueryRowContext(ctx, "SELECT count(*) > 0 FROM "+s.table+" WHERE version_id = 0").Scan(&marked); err != nil {
		return fmt.Errorf("reading the version table: %w", err)
	}
	if marked {
		return nil
	}
	return s.Insert(ctx, db, database.InsertRequest{Version: 0})
}

func (s *versionStore) exists(ctx context.Context, db database.DBTxConn) (bool, error) {
	var exists bool
	if err := db.QueryRowContext(ctx, "SELECT pg_catalog.to_regclass($1) IS NOT NULL", s.table).Scan(&exists); err != nil {
		return false, fmt.Errorf("looking for the version table: %w", err)
	}
	return exists, nil
}

// Insert records a version, in the migration's transaction if it has one.
func (s *versionStore) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	if req.Version > 0 {
		if err := s.applied(ctx, db); err != nil {
			return err
		}
	}
	// Remove rows of an earlier run, and rows that say that it is not applied.
	if err := s.Delete(ctx, db, req.Version); err != nil {
		return err
	}
	// A restored table's sequence may be behind its ids.
	_, err := db.ExecContext(ctx, `
		INSERT INTO `+s.table+` (id, version_id, is_applied, tstamp)
		SELECT
			greatest(pg_catalog.nextval(pg_catalog.pg_get_serial_sequence($1, 'id')), (SELECT coalesce(max(id), 0) + 1 FROM `+s.table+`)),
			$2, true, pg_catalog.timezone('UTC', pg_catalog.now())`, s.table, req.Version)
	if err != nil {
		return fmt.Errorf("recording version %d: %w", req.Version, err)
	}
	return nil
}

// Delete removes a version.
func (s *versionStore) Delete(ctx context.Context, db database.DBTxConn, version int64) error {
	if _, err := db.ExecContext(ctx, "DELETE FROM "+s.table+" WHERE version_id = $1", version); err != nil {
		return fmt.Errorf("forgetting version %d: %w", version, err)
	}
	return nil
}

// GetMigration is never called by the parts of goose that we use.
func (s *versionStore) GetMigration(context.Context, database.DBTxConn, int64) (*database.GetMigrationResult, error) {
	return nil, database.ErrNotImplemented
}

// GetLatestVersion returns the newest applied version.
func (s *versionStore) GetLatestVersion(ctx context.Context, db database.DBTxConn) (int64, error) {
	list, err := s.ListMigrations(ctx, db)
	if err != nil {
		return 0, err
	}
	return list[0].Version, nil
}

// ListMigrations returns the applied versions, newest first, with the mark last.
func (s *versionStore) ListMigrations(ctx context.Context, db database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	now := schema{sources: s.schema.sources, applied: map[int64]time.Time{}}
	exists, err := s.exists(ctx, db)
	if err == nil && exists {
		err = s.readInto(ctx, db, now.applied)
	}
	if err != nil {
		return nil, err
	}
	now.closeGap()
	versions := slices.Sorted(maps.Keys(now.applied))
	list := make([]*database.ListMigrationsResult, 0, len(versions)+1)
	for _, version := range slices.Backward(versions) {
		list = append(list, &database.ListMigrationsResult{Version: version, IsApplied: true})
	}
	return append(list, &database.ListMigrationsResult{IsApplied: true}), nil
}

// forgetAboveGap removes from the table the versions that closeGap treats as pending.
func (s *versionStore) forgetAboveGap(ctx context.Context, db database.DBTxConn) error {
	now := schema{sources: s.schema.sources, applied: map[int64]time.Time{}}
	if err := s.readInto(ctx, db, now.applied); err != nil {
		return err
	}
	gap := now.closeGap()
	if gap == 0 || now.newer() > 0 {
		return nil
	}
	if _, err := db.ExecContext(ctx, "DELETE FROM "+s.table+" WHERE version_id > $1", gap); err != nil {
		return fmt.Errorf("forgetting the versions above %d, which is missing: %w", gap, err)
	}
	return nil
}

func (s *versionStore) readInto(ctx context.Context, db database.DBTxConn, applied map[int64]time.Time) error {
	rows, err := db.QueryContext(ctx, "SELECT DISTINCT ON (version_id) version_id, is_applied FROM "+s.table+" WHERE version_id > 0 ORDER BY version_id, id DESC")
	if err != nil {
		return fmt.Errorf("reading the version table: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var version int64
		var isApplied bool
		if err := rows.Scan(&version, &isApplied); err != nil {
			return fmt.Errorf("reading the version table: %w", err)
		}
		if isApplied {
			applied[version] = time.Time{}
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the version table: %w", err)
	}
	return nil
}
