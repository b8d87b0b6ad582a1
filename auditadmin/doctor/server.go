package doctor

import (
	"context"
	"fmt"
	"time"
)

const (
	oldestMajor = 14 // that has int8multirange
	newestMajor = 19 // that docs/compatibility.md names
)

// fixesUntil returns when the PostgreSQL project ends its fixes for a major version, as its
// versioning policy says. It is zero where that is not known.
func fixesUntil(major int) time.Time {
	switch major {
	case 14:
		return time.Date(2026, time.November, 12, 0, 0, 0, 0, time.UTC)
	case 15:
		return time.Date(2027, time.November, 11, 0, 0, 0, 0, time.UTC)
	case 16:
		return time.Date(2028, time.November, 9, 0, 0, 0, 0, time.UTC)
	case 17:
		return time.Date(2029, time.November, 8, 0, 0, 0, 0, time.UTC)
	case 18:
		return time.Date(2030, time.November, 14, 0, 0, 0, 0, time.UTC)
	default:
		return time.Time{}
	}
}

func checkVersion(_ context.Context, x *examination) ([]Finding, error) {
	major := x.server.Version / 10_000
	f := Finding{Object: fmt.Sprintf("PostgreSQL %d.%d", major, x.server.Version%10_000)}
	until := fixesUntil(major)
	switch {
	case major < oldestMajor:
		f.Severity, f.Evidence = Error, fmt.Sprintf("older than %d, which the trail needs", oldestMajor)
		f.Repair = "move to a newer major version (pg_upgrade, or pg_dump and pg_restore)"
	case major > newestMajor:
		f.Severity, f.Evidence = Notice, fmt.Sprintf("newer than %d, up to which this release was tested", newestMajor)
		f.Repair = "update this program when a release names it (docs/compatibility.md)"
	case !until.IsZero() && x.now().After(until):
		f.Severity, f.Evidence = Warning, "it gets no fixes since "+until.Format(time.DateOnly)
		f.Repair = "move to a newer major version (pg_upgrade, or pg_dump and pg_restore)"
	default:
		return nil, nil
	}
	return []Finding{f}, nil
}

func checkEncoding(ctx context.Context, x *examination) ([]Finding, error) {
	return x.differences(ctx, false, "database")
}

// checkCollation compares what the operating system sorts by with what it sorted by when
// the database was created. PostgreSQL 14 does not record that.
func checkCollation(ctx context.Context, x *examination) ([]Finding, error) {
	if x.server.Version < 150_000 {
		return nil, nil
	}
	var found struct {
		Database string  `json:"database"`
		Recorded *string `json:"recorded"`
		Actual   *string `json:"actual"`
	}
	err := x.ask(ctx, &found, `
		SELECT pg_catalog.jsonb_build_object(
			'database', pg_catalog.quote_ident(d.datname),
			'recorded', d.datcollversion,
			'actual', pg_catalog.pg_database_collation_actual_version(d.oid)
		)::text
		FROM pg_catalog.pg_database AS d
		WHERE d.datname = pg_catalog.current_database()`)
	if err != nil || found.Recorded == nil || (found.Actual != nil && *found.Actual == *found.Recorded) {
		return nil, err
	}
	actual := "of no version"
	if found.Actual != nil {
		actual = *found.Actual
	}
	return []Finding{{
		Severity: Warning, Object: "database " + found.Database,
		Evidence: fmt.Sprintf("its collation was %s when the indexes on texts were built and is %s now: they may not find rows that are there", *found.Recorded, actual),
		Repair:   fmt.Sprintf("REINDEX DATABASE CONCURRENTLY %s; ALTER DATABASE %s REFRESH COLLATION VERSION;", found.Database, found.Database),
	}}, nil
}

func checkFsync(ctx context.Context, x *examination) ([]Finding, error) {
	return x.settingOff(ctx, "fsync", "a crash of the operating system may lose acknowledged records or damage the database")
}

func checkFullPageWrites(ctx context.Context, x *examination) ([]Finding, error) {
	return x.settingOff(ctx, "full_page_writes", "a crash of the operating system may damage the database, unless the file system writes pages as a whole")
}

func (x *examination) settingOff(ctx context.Context, name, meaning string) ([]Finding, error) {
	var value string
	if err := x.ask(ctx, &value, "SELECT pg_catalog.to_jsonb(pg_catalog.current_setting($1::text))::text", name); err != nil || value != "off" {
		return nil, err
	}
	return []Finding{{
		Severity: Error, Object: "setting " + name, Evidence: "off: " + meaning,
		Repair: "ALTER SYSTEM SET " + name + " = 'on'; SELECT pg_reload_conf();",
	}}, nil
}

// commitSettings are what the server and its overrides say about synchronous_commit.
type commitSettings struct {
	Setting   string     `json:"setting"`
	Source    string     `json:"source"`
	Standbys  bool       `json:"standbys"`
	Overrides []override `json:"overrides"`
}

// override is what ALTER ROLE or ALTER DATABASE has set.
type override struct {
	Role     *string `json:"role"` // quoted, nil is every role
	Database *string `json:"database"`
	Value    string  `json:"value"`
}

const commitQuery = `
	SELECT pg_catalog.jsonb_build_object(
		'setting', s.setting,
		'source', s.source,
		'standbys', pg_catalog.current_setting('synchronous_standby_names') <> '',
		'overrides', (
			SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(o)), '[]')
			FROM (
				SELECT
					pg_catalog.quote_ident(r.rolname) AS role,
					pg_catalog.quote_ident(d.datname) AS database,
					pg_catalog.split_part(c.setting, '=', 2) AS value
				FROM pg_catalog.pg_db_role_setting AS v
				CROSS JOIN LATERAL pg_catalog.unnest(v.setconfig) AS c (setting)
				LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = v.setrole
				LEFT JOIN pg_catalog.pg_database AS d ON d.oid = v.setdatabase
				WHERE c.setting LIKE 'synchronous!_commit=%' ESCAPE '!'
					AND (v.setdatabase = 0 OR d.datname = pg_catalog.current_database())
					AND (
						v.setrole = 0
						OR $1::text IS NULL
						OR pg_catalog.has_any_column_privilege(v.setrole, $1::text, 'INSERT')
					)
				ORDER BY 1 NULLS FIRST, 2 NULLS FIRST
			) AS o
		)
	)::text
	FROM pg_catalog.pg_settings AS s
	WHERE s.name = 'synchronous_commit'`

// checkSynchronousCommit looks at what the server sets, and at the overrides for roles that
// may store records.
func checkSynchronousCommit(ctx context.Context, x *examination) ([]Finding, error) {
	var records *string
	if x.trail != nil {
		name := x.table(recordsTable)
		records = &name
	}
	var found commitSettings
	if err := x.ask(ctx, &found, commitQuery, records); err != nil {
		return nil, err
	}
	var list []Finding
	add := func(object, value, repair string) {
		if severity, meaning := weakCommit(value, found.Standbys); meaning != "" {
			list = append(list, Finding{Severity: severity, Object: object, Evidence: "synchronous_commit is " + value + ": " + meaning, Repair: repair})
		}
	}
	switch found.Source {
	case "database", "user", "database user": // it is among the overrides
	case "client":
		add("this database URL", found.Setting, "take synchronous_commit out of the URL, and out of those of services")
	default:
		add("the server", found.Setting, "ALTER SYSTEM SET synchronous_commit = 'on'; SELECT pg_reload_conf();")
	}
	for _, o := range found.Overrides {
		object, repair := "every role", "ALTER ROLE ALL"
		switch {
		case o.Role != nil:
			object, repair = "role "+*o.Role, "ALTER ROLE "+*o.Role
			if o.Database != nil {
				object, repair = object+" in database "+*o.Database, repair+" IN DATABASE "+*o.Database
			}
		case o.Database != nil:
			object, repair = "database "+*o.Database, "ALTER DATABASE "+*o.Database
		}
		add(object, o.Value, repair+" RESET synchronous_commit;")
	}
	return list, nil
}

// weakCommit says what a value of synchronous_commit can lose. Without standbys that commits
// wait for, all values but off are the same.
func weakCommit(value string, standbys bool) (severity Severity, meaning string) {
	switch {
	case value == "off":
		return Error, "a crash of the server loses what it acknowledged in its last moments"
	case value == "local" && standbys:
		return Warning, "a commit does not wait for any standby, so a failover may lose acknowledged records"
	case value == "remote_write" && standbys:
		return Warning, "a standby may lose acknowledged records when its operating system crashes, and a failover to it then loses them"
	default:
		return "", ""
	}
}
