package day_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// The roles of the day. Each may do its own work and nothing else.
const (
	super   = "postgres"
	owner   = "day_owner"
	service = "day_service"
	reader  = "day_reader"
	sealing = "day_sealer"
	keeper  = "day_keeper"
	eraser  = "day_eraser"
	counsel = "day_counsel"
)

func TestDayInTheLife(t *testing.T) {
	t.Parallel()
	d := newDay(t)

	d.morning()
	erased := d.write()

	t.Log("seal and verify")
	mustContain(t, d.mustExit(1, sealing, "coordaudit", "seal", "--once", "--key", d.key, "--checkpoints", d.checkpoints), "--new-checkpoints")
	d.must(sealing, "coordaudit", "seal", "--once", "--key", d.key, "--checkpoints", d.checkpoints, "--new-checkpoints")
	d.must(reader, "coordaudit", "verify", "--checkpoint", d.checkpoints, "--key", d.key+".pub")
	d.must(owner, "migrate", "validate")

	d.restore()
	d.expire()
	d.erase(erased)

	t.Log("the end of the day")
	d.must(sealing, "coordaudit", "seal", "--once", "--key", d.key, "--checkpoints", d.checkpoints)
	text := d.must(reader, "coordaudit", "verify", "--checkpoint", d.checkpoints, "--key", d.key+".pub")
	mustContain(t, text, "expired", "erased")
	d.must(reader, "coordaudit", "completeness")
	d.must(owner, "migrate", "validate")
}

// day is a trail on a server of its own, with the programs that work on it.
type day struct {
	t                 *testing.T
	server            *pglocal.Server
	key, checkpoints  string
	archive, programs string
}

func newDay(t *testing.T) *day {
	t.Helper()
	server, err := pglocal.Start(t.Context(), pglocal.Config{Durable: true, Settings: pglocal.Replicating()})
	if errors.Is(err, pglocal.ErrNoPrograms) {
		t.Skip("needs installed PostgreSQL programs: a server of its own")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	dir := t.TempDir()
	return &day{
		t: t, server: server, programs: os.Getenv(programsVariable),
		key: filepath.Join(dir, "seal.key"), checkpoints: filepath.Join(dir, "checkpoints"), archive: filepath.Join(dir, "archive"),
	}
}

func (d *day) url(role string) string {
	return strings.Replace(d.server.DatabaseURL("audit"), "user="+super, "user="+role, 1)
}

// run runs a program as a role, and returns its exit code and what it wrote.
func (d *day) run(role, program string, args ...string) (code int, text string) {
	d.t.Helper()
	return d.exec(role, exec.CommandContext(d.t.Context(), filepath.Join(d.programs, program), args...))
}

func (d *day) exec(role string, cmd *exec.Cmd) (code int, text string) {
	d.t.Helper()
	cmd.Env = append(os.Environ(), "DATABASE_URL="+d.url(role))
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		d.t.Fatalf("%v: %v", cmd.Args, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (d *day) must(role, program string, args ...string) string {
	d.t.Helper()
	return d.mustExit(0, role, program, args...)
}

func (d *day) mustExit(want int, role, program string, args ...string) string {
	d.t.Helper()
	code, text := d.run(role, program, args...)
	if code != want {
		d.t.Fatalf("%s %s as %s: exit %d, want %d\n%s", program, strings.Join(args, " "), role, code, want, text)
	}
	return text
}

func mustContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

// morning deploys the trail with its roles.
func (d *day) morning() {
	d.t.Helper()
	d.t.Log("deploy")
	maintenance := fixture.OpenPool(d.t, d.server.URL(), nil)
	for _, role := range []string{owner, service, reader, sealing, keeper, eraser, counsel} {
		fixture.MustExec(d.t, maintenance, "CREATE ROLE "+role+" LOGIN")
	}
	fixture.MustExec(d.t, maintenance, "CREATE DATABASE audit OWNER "+owner)
	d.must(owner, "migrate", "up")
	d.must(super, "migrate", "grants", "--writer", service, "--reader", reader, "--sealer", sealing,
		"--expirer", keeper, "--eraser", eraser, "--holder", counsel, "--apply")
	d.must(owner, "migrate", "validate")
	d.must(owner, "coordaudit", "seal", "keygen", d.key, "--name", "audit.example/day")
}

// write stores old records and new ones, and returns the id of one.
func (d *day) write() uuid.UUID {
	d.t.Helper()
	d.t.Log("write")
	pool := fixture.OpenPool(d.t, d.url(super), nil)
	// Only the database sets created_at, so the superuser makes the records that are old.
	fixture.MustExec(d.t, pool, `
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, tenant_id, created_at)
		SELECT gen_random_uuid(), 'envelope-' || i, 'COST', 'APPLIED', 'nothing stood in its way', now() - interval '500 days', 'acme', now() - interval '500 days'
		FROM generate_series(1, 600) AS i`)
	store := fixture.OpenStore(d.t, d.url(service), coordaudit.Config{})
	defer store.Close()
	recs := fixture.NewRecords(600)
	if _, err := store.PersistMany(d.t.Context(), recs); err != nil {
		d.t.Fatal(err)
	}
	return recs[0].AuditID
}

// restore kills the server and goes back to a copy that lacks what was sealed last.
func (d *day) restore() {
	d.t.Helper()
	d.t.Log("kill, and restore to a point in time")
	copied, err := d.server.StartStandby(d.t.Context(), pglocal.Config{Durable: true})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = copied.Stop() })
	if err := copied.Reconfigure("primary_conninfo", ""); err != nil {
		d.t.Fatal(err)
	}
	receiving := fixture.OpenPool(d.t, copied.URL(), nil)
	fixture.EventuallyTrue(d.t, receiving, time.Minute, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")
	store := fixture.OpenStore(d.t, d.url(service), coordaudit.Config{})
	for _, rec := range fixture.NewRecords(5) {
		fixture.MustPersist(d.t, store, rec)
	}
	store.Close()
	d.must(sealing, "coordaudit", "seal", "--once", "--key", d.key, "--checkpoints", d.checkpoints)
	if err := errors.Join(d.server.Kill(), copied.Promote(d.t.Context())); err != nil {
		d.t.Fatal(err)
	}
	d.server = copied

	d.t.Log("the doctor and verify find what is lost")
	text := d.mustExit(1, reader, "coordaudit", "verify", "--checkpoint", d.checkpoints, "--key", d.key+".pub")
	mustContain(d.t, strings.ToLower(text), "cut off")
	text = d.mustExit(1, super, "migrate", "doctor", "--checkpoints", d.checkpoints, "--key", d.key+".pub")
	mustContain(d.t, text, "new-epoch")
	d.mustExit(1, sealing, "coordaudit", "seal", "--once", "--key", d.key, "--checkpoints", d.checkpoints)
	d.must(sealing, "coordaudit", "seal", "--new-epoch", "restored after a crash", "--key", d.key, "--checkpoints", d.checkpoints)
	d.must(sealing, "coordaudit", "seal", "--once", "--key", d.key, "--checkpoints", d.checkpoints)
	d.must(reader, "coordaudit", "verify", "--checkpoint", d.checkpoints, "--key", d.key+".pub")
	d.must(owner, "migrate", "validate")
}

// expire takes a class out of the trail, and proves what it took from the archive alone.
func (d *day) expire() {
	d.t.Helper()
	d.t.Log("expire a class")
	filter := []string{"--class", "COST", "--all-tenants", "--older-than", "400d", "--checkpoint", d.checkpoints, "--key", d.key + ".pub"}
	pool := fixture.OpenPool(d.t, d.url(reader), nil)
	var expiring uuid.UUID
	if err := pool.QueryRow(d.t.Context(), "SELECT audit_id FROM coordination_audit_records WHERE created_at < now() - interval '400 days' LIMIT 1").Scan(&expiring); err != nil {
		d.t.Fatal(err)
	}
	d.must(keeper, "coordaudit", append([]string{"expire", "plan"}, filter...)...)
	d.must(keeper, "coordaudit", append([]string{"expire", "archive", "--out", d.archive}, filter...)...)
	apply := []string{"expire", "apply", "--archive", d.archive, "--checkpoint", d.checkpoints, "--key", d.key + ".pub"}
	d.mustExit(1, reader, "coordaudit", apply...)
	d.must(keeper, "coordaudit", apply...)
	d.must(keeper, "coordaudit", apply...) // once more changes nothing
	if left := fixture.QueryInt(d.t, pool, "SELECT count(*)::int FROM coordination_audit_records WHERE created_at < now() - interval '400 days'"); left > 0 {
		d.t.Errorf("%d records of 600 are left", left)
	}
	d.must(reader, "coordaudit", "expire", "check", "--archive", d.archive, "--key", d.key+".pub")
	bundle := filepath.Join(d.t.TempDir(), "bundle")
	d.must(reader, "coordaudit", "prove", expiring.String(), "--archive", d.archive, "--out", bundle)
	d.must(reader, "coordaudit", "verify", "bundle", bundle, "--key", d.key+".pub")
}

// erase erases a text. A retry of the record is still no conflict.
func (d *day) erase(id uuid.UUID) {
	d.t.Helper()
	d.t.Log("erase a text")
	args := []string{"erase", id.String(), "--text", "reason", "--why", "asked for by the person", "--checkpoint", d.checkpoints, "--key", d.key + ".pub"}
	d.mustExit(1, service, "coordaudit", args...)
	d.must(eraser, "coordaudit", args...)
	store := fixture.OpenStore(d.t, d.url(reader), coordaudit.Config{})
	defer store.Close()
	rec, err := store.Get(d.t.Context(), audit.AllTenants(), id)
	if err != nil || !strings.Contains(rec.Reason, "erased") {
		d.t.Errorf("the reason is %q, %v", rec.Reason, err)
	}
}
