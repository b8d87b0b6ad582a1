package auditadmin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

const doingRepair = "repairing the schema and its guards"

// ErrNoTrail means that there is no trail to work on, or that it lacks migrations.
// Migrate up.
var ErrNoTrail = errors.New("there is no complete trail")

// RepairConfig sets how Repair works. The zero value is ready for use.
type RepairConfig struct {
	// LockTimeout bounds the wait for a migrating process, and each wait for a table
	// that others use. Defaults to 1 minute.
	LockTimeout time.Duration

	// DryRun makes Repair list its actions without running them. Defaults to false.
	DryRun bool

	// Report, if set, is called for each action after it has run, or would have run.
	Report func(Action)
}

// Action is an action that Repair has run, has tried, or would run.
type Action struct {
	// Object is the object of the difference.
	Object string

	// SQL is the SQL of the action.
	SQL string

	// Err is the reason for a failure. Repair tries the other actions nevertheless.
	Err error
}

// Repair restores what can be restored without changing a row: functions, triggers,
// CHECKs (added NOT VALID and then validated, but left NOT VALID if rows violate
// them), defaults, indexes (concurrently), the tables of gaps and of statements, the
// positions of sequences (forward only), and the version table of a trail that was restored without
// it. It drops nothing that is not ours, and revokes nothing.
//
// It returns the remaining differences. Their [Errors] are empty if everything was
// repaired. Repair reports an action that fails and tries the others nevertheless. An
// interrupted repair leaves only whole actions, or an invalid index that the next
// repair rebuilds.
//
// The connection should be for this call alone, because Repair leaves its own settings
// on it. Repair takes the migration lock of package auditmigrate, so it waits while a
// migration runs.
func Repair(ctx context.Context, conn *pgx.Conn, config RepairConfig) ([]Difference, error) {
	differences, err := repair(ctx, conn, config)
	if err != nil {
		return differences, fmt.Errorf("%s: %w", doingRepair, err)
	}
	return differences, nil
}

func repair(ctx context.Context, conn *pgx.Conn, config RepairConfig) ([]Difference, error) {
	if config.Report == nil {
		config.Report = func(Action) {}
	}
	if config.LockTimeout <= 0 {
		config.LockTimeout = time.Minute
	}
	if !config.DryRun {
		unlock, err := auditmigrate.Lock(ctx, conn, config.LockTimeout)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	r := &repairer{conn: conn, config: config, tried: map[string]error{}}
	// Some differences of a table show only once it exists, so one round may not be
	// enough. No step is tried twice, so the loop ends.
	for {
		found, err := inspect(ctx, conn)
		if err != nil {
			return nil, err
		}
		if !found.stands || found.versions == behind || (found.versions == unversioned && !found.ours) {
			return found.differences, ErrNoTrail
		}
		todo := r.plan(found)
		if len(todo) == 0 {
			return r.left(found.differences), nil
		}
		if err := r.setUp(ctx); err != nil {
			return found.differences, err
		}
		for _, job := range todo {
			if err := r.do(ctx, job); err != nil {
				return found.differences, err
			}
		}
		if err := r.reset(ctx); err != nil {
			return found.differences, err
		}
		if config.DryRun {
			return found.differences, nil
		}
	}
}

// repairer keeps track of the steps of one call.
type repairer struct {
	conn   *pgx.Conn
	config RepairConfig
	tried  map[string]error // by SQL, with the reason of a failure
	path   string           // the session's search_path
}

// job is a step and the object it repairs.
type job struct {
	object string
	step   step
}

// plan lists the steps that have not been tried yet, guards first.
func (r *repairer) plan(found *inspection) []job {
	var todo []job
	for _, d := range found.differences {
		for _, s := range d.steps {
			if _, tried := r.tried[s.sql()]; !tried {
				todo = append(todo, job{object: d.Object, step: s})
			}
		}
	}
	if len(todo) == 0 {
		todo = r.recordVersions(found)
	}
	slices.SortStableFunc(todo, func(a, b job) int { return cmp.Compare(a.step.order, b.step.order) })
	return todo
}

// left says of what could not be repaired why not: the same command would fail again.
func (r *repairer) left(differences []Difference) []Difference {
	for i, d := range differences {
		for _, s := range d.steps {
			if err := r.tried[s.sql()]; err != nil {
				differences[i].Automatic, differences[i].steps = false, nil
				differences[i].Repair = printable("fix the cause, then migrate repair: it failed with " + strings.ReplaceAll(err.Error(), "\n", "; "))
				break
			}
		}
	}
	return differences
}

// recordVersions completes a trail that was restored without its version table. It
// runs once nothing else differs, because the schema is then what these migrations
// create.
func (r *repairer) recordVersions(found *inspection) []job {
	errs := Errors(found.differences)
	if found.versions != unversioned || slices.ContainsFunc(errs, func(d Difference) bool { return !strings.HasSuffix(d.Object, "."+auditmigrate.VersionTable) }) {
		return nil
	}
	if len(errs) != 1 || found.schema == "" {
		return nil
	}
	s := step{order: orderVersions, statements: versionStatements(found.schema, found.described)}
	if _, tried := r.tried[s.sql()]; tried {
		return nil
	}
	return []job{{object: errs[0].Object, step: s}}
}

func versionStatements(schema string, versions []int64) []string {
	table := schema + "." + auditmigrate.VersionTable
	rows := []string{"(0)"} // goose's mark that the table is ready
	for _, version := range versions {
		rows = append(rows, fmt.Sprintf("(%d)", version))
	}
	return []string{
		"CREATE TABLE IF NOT EXISTS " + table + " (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now())",
		"INSERT INTO " + table + " (version_id, is_applied, tstamp) SELECT v.id, true, pg_catalog.timezone('UTC', now()) FROM (VALUES " + strings.Join(rows, ", ") + ") AS v (id) " +
			"WHERE NOT EXISTS (SELECT 1 FROM " + table + " AS t WHERE t.version_id = v.id) ORDER BY v.id",
	}
}

// setUp overrides what the role may have set for a service's short statements. Every
// name in a step has its schema. The search_path keeps foreign objects from shadowing
// PostgreSQL's. A distributed table takes our triggers only under the last setting, which
// is a name without an effect where there is no Citus.
func (r *repairer) setUp(ctx context.Context) error {
	if r.config.DryRun {
		return nil
	}
	if err := r.conn.QueryRow(ctx, "SELECT pg_catalog.current_setting('search_path')", pgx.QueryExecModeExec).Scan(&r.path); err != nil {
		return fmt.Errorf("setting up the session: %w", err)
	}
	_, err := r.conn.Exec(ctx, fmt.Sprintf(`
		SET search_path = pg_catalog, pg_temp;
		SET lock_timeout = %d;
		SET statement_timeout = 0;
		SET client_encoding = 'UTF8';
		SET standard_conforming_strings = on;
		SET check_function_bodies = on;
		SET TimeZone = 'UTC';
		SET citus.enable_unsafe_triggers = on`, max(r.config.LockTimeout.Milliseconds(), 1)))
	if err != nil {
		return fmt.Errorf("setting up the session: %w", err)
	}
	return nil
}

// reset restores the search_path, so that the next inspection finds the same trail.
func (r *repairer) reset(ctx context.Context) error {
	if r.config.DryRun {
		return nil
	}
	if _, err := r.conn.Exec(ctx, "SELECT pg_catalog.set_config('search_path', $1::text, false)", pgx.QueryExecModeExec, r.path); err != nil {
		return fmt.Errorf("resetting the session: %w", err)
	}
	return nil
}

// do runs a step. It returns an error only if the session or the context has ended.
func (r *repairer) do(ctx context.Context, j job) error {
	sql := j.step.sql()
	if _, tried := r.tried[sql]; tried {
		return nil
	}
	action := Action{Object: printable(j.object), SQL: sql}
	if !r.config.DryRun {
		action.Err = explain(j.step, r.run(ctx, j.step))
	}
	r.tried[sql] = action.Err
	r.config.Report(action)
	if action.Err != nil && (ctx.Err() != nil || r.conn.IsClosed()) {
		return action.Err
	}
	return nil
}
