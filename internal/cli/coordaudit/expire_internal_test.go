package coordaudit

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/sealing"
)

// keeping is a sealed trail whose records may expire.
type keeping struct {
	sealedTrail
	log []string // the flags that name the log
}

func newKeeping(t *testing.T, records int) keeping {
	t.Helper()
	k := keeping{sealedTrail: newSealing(t, records)}
	k.once(t).mustExit(t, cli.ExitDone)
	role := "coordaudit_test_" + strings.ToLower(rand.Text()[:10])
	execSQL(t, k.db, "CREATE ROLE "+role)
	t.Cleanup(func() {
		if _, err := k.db.Pool.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			t.Errorf("dropping role %s: %v", role, err)
		}
	})
	migrator := auditmigrate.New(k.db.Pool.Config().ConnConfig, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	roles := []string{role}
	if _, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{Expirers: roles, Erasers: roles, Holders: roles}); err != nil {
		t.Fatal(err)
	}
	k.log = []string{"--checkpoint", k.exported, "--key", k.public}
	return k
}

func (k keeping) run(t *testing.T, args ...string) ran {
	t.Helper()
	return run(t, k.db.URL, "", args...)
}

// with appends the flags that name the log.
func (k keeping) with(args ...string) []string { return append(args, k.log...) }

// The usual way: plan, archive, check, apply, seal, verify; each step with its exit status.
func TestExpireOnTheCommandLine(t *testing.T) {
	t.Parallel()
	k := newKeeping(t, 600)
	dir := filepath.Join(t.TempDir(), "archive")
	plan := k.with("expire", "plan", "--tenant", "acme", "--older-than", "0s")
	got := k.run(t, plan...)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "365 days")
	k.run(t, "expire", "minimum", "--set", "0", "--why", "a test").mustExit(t, cli.ExitDone)
	got = k.run(t, "expire", "minimum")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "0 days old")
	got = k.run(t, append(plan, "--json")...)
	got.mustExit(t, cli.ExitDone)
	if object := result[sealing.PlanJSON](t, got); object.Records != 600 || object.Held != 0 || object.Unsealed < 88 {
		t.Errorf("%+v", object)
	}
	got = k.run(t, plan...)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "records   600 for tenant")

	archive := k.with("expire", "archive", "--tenant", "acme", "--older-than", "0s", "--out", dir, "--batch", "100")
	got = k.run(t, archive...)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "archived ", "\narchive ")
	got = k.run(t, archive...)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "is there already")
	got = run(t, "", "", "expire", "check", "--archive", dir, "--key", k.public)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "as they were sealed")
	got = run(t, "", "", "verify", "bundle", filepath.Join(dir, expiry.ProofsFile), "--key", k.public)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "prove ID --archive DIR")

	apply := k.with("expire", "apply", "--archive", dir)
	got = k.run(t, append(apply, "--json")...)
	got.mustExit(t, cli.ExitDone)
	applied := result[sealing.AppliedJSON](t, got)
	if applied.Expired != applied.Records || applied.Before != 0 || stored(t, k.db.Pool) != 600-int(applied.Records) {
		t.Errorf("%+v, %d rows", applied, stored(t, k.db.Pool))
	}
	got = k.run(t, apply...)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "expired 0 records, and ")
	got = k.run(t, "expire", "check", "--archive", dir, "--key", k.public, "--trail", "--json")
	got.mustExit(t, cli.ExitDone)
	if object := result[sealing.CheckedJSON](t, got); object.OnRecord == nil || *object.OnRecord != applied.Records || object.Archive != applied.Archive {
		t.Errorf("%+v", object)
	}
	k.once(t).mustExit(t, cli.ExitDone)
	got = k.verify(t)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "archive     "+applied.Archive, "or on record as expired")
	got = k.run(t, "completeness", "--all")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, " expired")
	k.run(t, "get", k.ids[0].String(), "--all-tenants").mustExit(t, cli.ExitFailed)
	k.proveFromArchive(t, dir)
}

// proveFromArchive takes the bundle of a record out of an archive, without a database.
func (k keeping) proveFromArchive(t *testing.T, dir string) {
	t.Helper()
	id, bundle := k.ids[0].String(), filepath.Join(t.TempDir(), "bundle")
	run(t, "", "", "prove", id, "--archive", dir, "--out", bundle).mustExit(t, cli.ExitDone)
	got := run(t, "", "", "verify", "bundle", bundle, "--key", k.public)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "record "+id)
	got = run(t, "", "", "prove", id, "--archive", dir)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "c2sp.org/tlog-proof@v1\n")
	got = run(t, "", "", "prove", uuid.NewString(), "--archive", dir)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "look in another archive")
	got = run(t, "", "", "prove", id, "--archive", filepath.Join(dir, "missing"))
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "reading the manifest")
	run(t, "", "", "prove", id, "--archive", dir, "--checkpoint", dir, "--key", k.public).mustExit(t, cli.ExitUsage)
	if err := os.Truncate(filepath.Join(dir, expiry.ProofsFile), 20); err != nil {
		t.Fatal(err)
	}
	got = run(t, "", "", "prove", id, "--archive", dir)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "take an intact copy, or archive again")
}

// A hold is placed, stops an expiry, is listed and released.
func TestHoldsOnTheCommandLine(t *testing.T) {
	t.Parallel()
	k := newKeeping(t, 300)
	k.run(t, "expire", "minimum", "--set", "0", "--why", "a test").mustExit(t, cli.ExitDone)
	got := k.run(t, "expire", "holds")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "no hold was ever placed")
	got = k.run(t, "expire", "holds", "add", "--tenant", "acme", "--why", "case 4711")
	got.mustExit(t, cli.ExitDone)
	id, err := uuid.Parse(strings.TrimSpace(got.stdout))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "archive")
	got = k.run(t, k.with("expire", "archive", "--all-tenants", "--before", "2999-01-01", "--out", dir)...)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "in the future")
	got = k.run(t, k.with("expire", "archive", "--all-tenants", "--older-than", "0s", "--out", dir)...)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "records are held")
	if _, err := os.Stat(dir); err == nil {
		t.Error("a refused archive has left a directory")
	}
	got = k.run(t, "expire", "holds", "list", "--json")
	got.mustExit(t, cli.ExitDone)
	if object := result[sealing.HoldJSON](t, got); object.ID != id || object.TenantID == nil || *object.TenantID != "acme" || object.ReleasedAt != nil {
		t.Errorf("%+v", object)
	}
	k.run(t, "expire", "holds", "release", id.String(), "--why", "closed").mustExit(t, cli.ExitDone)
	got = k.run(t, "expire", "holds")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, id.String(), "tenant acme: case 4711", "released ", ": closed")
	k.run(t, k.with("expire", "archive", "--all-tenants", "--older-than", "0s", "--out", dir)...).mustExit(t, cli.ExitDone)
	for args, want := range map[string]string{
		"expire holds add --why x":                                           "the hold names nothing",
		"expire holds add --tenant acme":                                     "--why",
		"expire holds release nonsense --why x":                              "no UUID",
		"expire minimum --set 3":                                             "--set and --why together",
		"expire plan --all-tenants --key x --checkpoint y --older-than soon": "--older-than must be an age",
	} {
		got := k.run(t, strings.Fields(args)...)
		if got.code != cli.ExitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
}

// A text is erased, and every reading shows that.
func TestEraseOnTheCommandLine(t *testing.T) {
	t.Parallel()
	k := newKeeping(t, 300)
	id := k.ids[5].String()
	erase := k.with("erase", id, "--text", "reason", "--why", "request 17")
	got := k.run(t, erase...)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "erased, on record as event ")
	again := k.run(t, erase...)
	if again.mustExit(t, cli.ExitDone); again.stdout != got.stdout {
		t.Errorf("again: %q, first %q", again.stdout, got.stdout)
	}
	for _, reading := range [][]string{
		{"get", id, "--all-tenants"}, {"export", "--all-tenants"}, {"list", "--all-tenants", "--limit", "300"},
	} {
		got := k.run(t, reading...)
		got.mustExit(t, cli.ExitDone)
		mustContain(t, got.stdout, "[erased sha256:")
	}
	got = k.verify(t)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "erased      a text of 1 record, on record")
	got = k.run(t, k.with("erase", id, "--text", "details", "--why", "request 17")...)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "there is no such text")
	bundle := filepath.Join(t.TempDir(), "bundle")
	k.run(t, "prove", id, "--out", bundle).mustExit(t, cli.ExitDone)
	run(t, "", "", "verify", "bundle", bundle, "--key", k.public).mustExit(t, cli.ExitDone)
	k.run(t, k.with("erase", id, "--text", "tenant", "--why", "x")...).mustExit(t, cli.ExitUsage)
}
