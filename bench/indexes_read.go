package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/seed"
)

// readResult is what a reader did. Its turns' times are of one call.
type readResult struct {
	Question string   `json:"question"`
	Indexes  []string `json:"indexes"`
	Rows     int      `json:"rows"`
	Turns    []turn   `json:"turns"`
}

// readLimit ends a turn whose calls are slow.
const readLimit = 300 * time.Millisecond

// read gives each reader its turns, question by question.
func (t *dietTables) read(ctx context.Context, rounds, calls int, log io.Writer) ([]readResult, error) {
	args, err := t.readArguments(ctx)
	if err != nil {
		return nil, err
	}
	var all []reader
	for _, r := range readers() {
		if _, err := t.identifiers(r.indexes); err == nil && args[r.question] != nil {
			all = append(all, r)
		}
	}
	results := make([]readResult, len(all))
	for i, r := range all {
		results[i].Question, results[i].Indexes = r.question, r.indexes
	}
	for round := range rounds {
		fmt.Fprintf(log, "bench: reading, round %d of %d\n", round+1, rounds)
		for i, r := range all {
			rows, turn, err := t.readTurn(ctx, r, args[r.question], calls)
			if err != nil {
				return nil, fmt.Errorf("reading, %s by %s: %w", r.question, r.indexes, err)
			}
			results[i].Rows, results[i].Turns = rows, append(results[i].Turns, turn)
		}
	}
	return results, nil
}

// readTurn plans each call for its values, as the library does where a plan depends on them.
func (t *dietTables) readTurn(ctx context.Context, r reader, args pgx.NamedArgs, calls int) (rows int, result turn, err error) {
	if err := t.use(ctx, r.indexes); err != nil {
		return 0, result, err
	}
	conn, err := pgx.Connect(ctx, t.url)
	if err != nil {
		return 0, result, fmt.Errorf("connecting: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, "SET plan_cache_mode = force_custom_plan; SET jit = off"); err != nil {
		return 0, result, fmt.Errorf("preparing to read: %w", err)
	}
	var times []time.Duration
	began := time.Now()
	for len(times) <= calls && (len(times) < 2 || time.Since(began) < readLimit) {
		start := time.Now()
		if rows, err = countRows(ctx, conn, r.sql(), args); err != nil {
			return 0, result, err
		}
		times = append(times, time.Since(start))
	}
	times = times[1:] // the first one warmed up
	return rows, turnOf(times, time.Since(began)), nil
}

func countRows(ctx context.Context, conn *pgx.Conn, sql string, args pgx.NamedArgs) (rows int, err error) {
	found, err := conn.Query(ctx, sql, args)
	if err != nil {
		return 0, err
	}
	defer found.Close()
	for found.Next() {
		rows++
	}
	return rows, found.Err()
}

// readArguments are what the questions ask for, by question.
func (t *dietTables) readArguments(ctx context.Context) (map[string]pgx.NamedArgs, error) {
	if err := t.use(ctx, []string{scopeIndex}); err != nil {
		return nil, err
	}
	here := pgx.NamedArgs{"tenant": tenant, "envelope": envelope, "since": t.written.Add(-24 * time.Hour), "until": t.written}
	args := map[string]pgx.NamedArgs{firstPageOfRare: {"tenant": seed.RareTenant}, recordsOfSmall: {"tenant": "tenant-emu", "envelope": envelope}}
	for _, question := range []string{
		firstPageOfTenant, firstPageOfAll, recordsOfTenant, recordsOfAll, namedConflicting, namedPreempting, countOfDay,
	} {
		args[question] = here
	}
	var rares *string // an envelope that it has, if there are records enough for it to have any
	err := t.admin.QueryRow(ctx, "SELECT min(envelope_id) FROM "+oursTable+" WHERE coalesce(tenant_id, '') = $1", seed.RareTenant).Scan(&rares)
	if err != nil {
		return nil, fmt.Errorf("looking for a rare tenant's envelope: %w", err)
	}
	if rares != nil {
		args[recordsOfRare] = pgx.NamedArgs{"tenant": seed.RareTenant, "envelope": *rares}
	}
	for question, deep := range map[string]struct {
		tenant string
		skip   int
	}{
		deepPageOfTenant: {tenant, 9_999 * 100},
		pageOfOneMoment:  {oneMoment, 49 * 100},
	} {
		var p position
		err := t.admin.QueryRow(ctx, `SELECT decision_timestamp, seq FROM `+oursTable+` WHERE coalesce(tenant_id, '') = $1
			ORDER BY decision_timestamp DESC, seq DESC OFFSET $2 LIMIT 1`, deep.tenant, deep.skip).Scan(&p.decisionTimestamp, &p.seq)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for %s: %w", question, err)
		}
		args[question] = pgx.NamedArgs{"tenant": deep.tenant, "at": p.decisionTimestamp, "seq": p.seq}
	}
	return args, nil
}
