package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/baseline"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
)

// importing measures the import of a JSON Lines file into an empty table with all its
// indexes. Each turn has a database of its own.
type importing struct {
	lines  int
	rounds int

	file    string // the JSON Lines
	copied  string // the same records, in the server's binary COPY format
	program string // the coordaudit program
}

// importer loads the file into a database.
type importer struct {
	name string
	open opening // nil if the importer needs no contender
	load func(ctx context.Context, c *contender, url string) error
}

func (im *importing) importers() []importer {
	inBatches := func(ctx context.Context, c *contender, _ string) error { return im.inBatches(ctx, c.insertMany) }
	return []importer{
		{bare, nil, func(ctx context.Context, _ *contender, url string) error { return im.copyIn(ctx, url) }},
		{"database/sql", openSQL, inBatches},
		{"GORM", openGORM, inBatches},
		{"GORM, tuned", openTunedGORM, inBatches},
		{ours, nil, func(ctx context.Context, _ *contender, url string) error { return im.run(ctx, url) }},
	}
}

func (im *importing) name() string { return "import of " + thousands(int64(im.lines)) + " lines" }

// measure gives each importer its turns, without a warm-up.
func (im *importing) measure(ctx context.Context, server *pglocal.Server, root string, log io.Writer) (_ []result, err error) {
	dir, err := os.MkdirTemp("", "coordaudit-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the input: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintf(log, "bench: writing %d lines\n", im.lines)
	if err := im.prepare(ctx, server, dir, root); err != nil {
		return nil, err
	}
	all := im.importers()
	results := make([]result, len(all))
	for i := range all {
		results[i] = result{Work: im.name(), Contender: all[i].name, Callers: 1, RecordsPerCall: im.lines}
	}
	err = inTurns(0, im.rounds, len(all), func(_, i int) error {
		fmt.Fprintf(log, "bench: %s, %s\n", im.name(), all[i].name)
		took, err := im.take(ctx, server, all[i], func(s *site) error { return im.complete(ctx, s) })
		if err != nil {
			return fmt.Errorf("%s, %s: %w", im.name(), all[i].name, err)
		}
		results[i].Turns = append(results[i].Turns, turnOf([]time.Duration{took}, took))
		return nil
	})
	return results, err
}

// take runs one turn, on a database that is dropped afterwards.
func (im *importing) take(ctx context.Context, server *pglocal.Server, by importer, check func(*site) error) (took time.Duration, err error) {
	err = withSite(ctx, server, 0, 1, nil, func(s *site) (err error) {
		var c *contender
		url := s.admin.Config().ConnString()
		if by.open != nil {
			if c, err = by.open(ctx, dsn{url: url, connections: 1}); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.close(context.WithoutCancel(ctx))) }()
		}
		start := time.Now()
		if err := by.load(ctx, c, url); err != nil {
			return err
		}
		took = time.Since(start)
		return check(s)
	})
	return took, err
}

func (im *importing) complete(ctx context.Context, s *site) error {
	rows, err := s.rows(ctx)
	if err == nil && rows != int64(im.lines) {
		err = fmt.Errorf("%d of %d lines were stored", rows, im.lines)
	}
	return err
}

// prepare writes both files and builds the program.
func (im *importing) prepare(ctx context.Context, server *pglocal.Server, dir, root string) error {
	im.file, im.copied, im.program = filepath.Join(dir, "trail.jsonl"), filepath.Join(dir, "trail.copy"), filepath.Join(dir, "coordaudit")
	build := exec.CommandContext(ctx, "go", "build", "-o", im.program, "./cmd/coordaudit")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building coordaudit: %w\n%s", err, out)
	}
	if err := writeFile(im.file, func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		for rec := range seed.Records(seed.Config{Records: im.lines, Seed: 1}) {
			if err := encoder.Encode(rec); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return withSite(ctx, server, 0, 1, nil, func(s *site) error {
		if err := im.run(ctx, s.admin.Config().ConnString()); err != nil {
			return err
		}
		return writeFile(im.copied, func(w io.Writer) error {
			_, err := s.admin.PgConn().CopyTo(ctx, w, "COPY (SELECT "+baseline.Columns+" FROM coordination_audit_records ORDER BY seq) TO STDOUT (FORMAT binary)")
			return err
		})
	})
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("making a file: %w", err)
	}
	out := bufio.NewWriterSize(file, 1<<20)
	if err := errors.Join(write(out), out.Flush(), file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// copyIn shows the least that the server needs: one COPY of rows that are ready to send.
func (im *importing) copyIn(ctx context.Context, url string) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	file, err := os.Open(im.copied)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	_, err = conn.PgConn().CopyFrom(ctx, file, "COPY coordination_audit_records ("+baseline.Columns+") FROM STDIN (FORMAT binary)")
	return err
}

// run runs the program in a process of its own.
func (im *importing) run(ctx context.Context, url string) error {
	command := exec.CommandContext(ctx, im.program, "import", im.file)
	command.Env = append(os.Environ(), "DATABASE_URL="+url)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("importing: %w\n%s", err, out)
	}
	return nil
}

const importBatch = 1000

// inBatches is the obvious import: it decodes each line with encoding/json and inserts a
// thousand at a time.
func (im *importing) inBatches(ctx context.Context, insertMany func(context.Context, []audit.Record) error) error {
	file, err := os.Open(im.file)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	var batch []audit.Record
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return err
		}
		batch = append(batch, l.record())
		if len(batch) == importBatch {
			if err := insertMany(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := lines.Err(); err != nil || len(batch) == 0 {
		return err
	}
	return insertMany(ctx, batch)
}

// line is a record for encoding/json, without audit.Record's own decoder.
type line struct {
	AuditID               uuid.UUID `json:"audit_id"`
	EnvelopeID            string    `json:"envelope_id"`
	EnvelopeClass         string    `json:"envelope_class"`
	Decision              string    `json:"decision"`
	Reason                string    `json:"reason"`
	DecisionTimestamp     time.Time `json:"decision_timestamp"`
	ConflictingEnvelopeID string    `json:"conflicting_envelope_id"`
	PreemptingEnvelopeID  string    `json:"preempting_envelope_id"`
	ActiveEnvelopesCount  int32     `json:"active_envelopes_count"`
	TenantID              string    `json:"tenant_id"`
	TargetSubsystem       string    `json:"target_subsystem"`
	TargetParameter       string    `json:"target_parameter"`
	CounterpartClass      string    `json:"counterpart_class"`

	ReasonCode    string          `json:"reason_code"`
	PolicyVersion string          `json:"policy_version"`
	Actor         string          `json:"actor"`
	CausedBy      uuid.UUID       `json:"caused_by"`
	Corrects      uuid.UUID       `json:"corrects"`
	CorrelationID string          `json:"correlation_id"`
	TraceID       audit.TraceID   `json:"trace_id"`
	SpanID        audit.SpanID    `json:"span_id"`
	Details       json.RawMessage `json:"details"`
}

func (l *line) record() audit.Record {
	return audit.Record{
		AuditID: l.AuditID, EnvelopeID: l.EnvelopeID, EnvelopeClass: audit.EnvelopeClass(strings.ToUpper(l.EnvelopeClass)),
		Decision: audit.Decision(strings.ToUpper(l.Decision)), Reason: l.Reason, DecisionTimestamp: l.DecisionTimestamp,
		ConflictingEnvelopeID: l.ConflictingEnvelopeID, PreemptingEnvelopeID: l.PreemptingEnvelopeID,
		ActiveEnvelopesCount: l.ActiveEnvelopesCount, TenantID: l.TenantID, TargetSubsystem: l.TargetSubsystem,
		TargetParameter: l.TargetParameter, CounterpartClass: audit.EnvelopeClass(strings.ToUpper(l.CounterpartClass)),
		ReasonCode: l.ReasonCode, PolicyVersion: l.PolicyVersion, Actor: l.Actor,
		Links:   audit.Links{CausedBy: l.CausedBy, Corrects: l.Corrects, CorrelationID: l.CorrelationID},
		Details: audit.Details(l.Details),
		Origin:  audit.Origin{TraceID: l.TraceID, SpanID: l.SpanID},
	}
}
