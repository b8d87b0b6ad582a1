package expiry_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

// Who calls the function by hand can say of any record that it went into an archive which exists. The
// archive does not hold it, so it was removed, and a comparison of both finds that, also where the
// numbers are the same.
func TestEventsNameNoRecordsThatTheArchiveLacks(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	dir, _ := tr.archive(t, cost())
	m, err := expiry.CheckArchive(t.Context(), dir, tr.verifier, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := seqOf(t, tr, recs[1].AuditID) // of class SAFETY, like the others at that distance
	ranges := make([]string, m.Batches[0])
	for i := range ranges {
		ranges[i] = fmt.Sprintf("[%d,%d)", first+4*int64(i), first+4*int64(i)+1)
	}
	execute(t, tr.keeper, fmt.Sprintf(`
		SELECT coordination_audit_expire('%s', 1, %d, %s, true, NULL, '{}', clock_timestamp(), '{%s}', %d)
		FROM (SELECT * FROM coordination_audit_seal_checkpoints ORDER BY epoch DESC, size DESC LIMIT 1) AS c`,
		m.Digest(), len(m.Batches), lastCheckpoint, strings.Join(ranges, ","), m.Batches[0]))
	if recorded, err := expiry.OnRecord(t.Context(), tr.config(t), m); !errors.Is(err, expiry.ErrArchive) {
		t.Errorf("compared: %+v, %v", recorded, err)
	}
	before := tr.count(t)
	if applied, err := tr.apply(t, dir); !errors.Is(err, expiry.ErrArchive) || applied.Expired != 0 {
		t.Errorf("applied: %+v, %v", applied, err)
	}
	if after := tr.count(t); after != before {
		t.Errorf("%d of %d rows are left", after, before)
	}
}

// Two that apply an archive at once share its batches. Neither takes what the other one has done for a
// difference between the table and the archive.
func TestTwoApplyAtOnce(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 3000)
	tr.seal(t)
	dir := filepath.Join(tr.dir, "archive")
	m, err := expiry.Archive(t.Context(), tr.config(t), expiry.ArchiveConfig{Filter: all(), Dir: dir, Batch: 5})
	if err != nil {
		t.Fatal(err)
	}
	done, begin := make(chan error, 4), sync.Once{}
	apply := func(progress func(int64, int64)) {
		_, err := expiry.Apply(t.Context(), tr.config(t), expiry.ApplyConfig{Dir: dir, Progress: progress})
		done <- err
	}
	go apply(func(int64, int64) { // the others find the first one at work
		begin.Do(func() {
			for range cap(done) - 1 {
				go apply(nil)
			}
		})
	})
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := tr.count(t); n != 3000-m.Records {
		t.Errorf("%d rows", n)
	}
	tr.seal(t)
	tr.mustVerify(t)
}

// A sealer may store a hold by itself, which no one can remove. Each that the CHECK takes stops an
// expiry, so each is listed.
func TestEveryStoredHoldIsListed(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	role := newRole(t, tr.db)
	tr.grant(t, auditmigrate.GrantConfig{Sealers: []string{role}})
	pool := tr.as(t, role)
	place := func(ctx context.Context, tx pgx.Tx, kind, body string) error {
		_, err := tx.Exec(ctx, "INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES (gen_random_uuid(), $1, 1, $2)", kind, body)
		return err
	}
	bodies := []string{
		`{"tenant_id": 5, "why": ["x"]}`, `{"tenant_id": "acme", "since": "2025-01-01"}`, `{"envelope_id": "e", "until": "2025-01-01 00:00:00+02"}`,
		`{"envelope_class": true, "by": {}}`, `{}`,
	}
	for _, body := range bodies {
		if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return place(t.Context(), tx, "hold placed", body) }); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
	}
	holds, err := expiry.Holds(t.Context(), tr.keeper, "")
	if err != nil || len(holds) != len(bodies) {
		t.Fatalf("%+v, %v", holds, err)
	}
	if holds[0].TenantID != "5" || holds[1].Since.IsZero() || holds[2].Until.IsZero() || holds[3].Class != "true" {
		t.Errorf("%+v", holds)
	}
	release := fmt.Sprintf(`{"hold_id": "%s", "why": 1, "by": []}`, holds[0].ID)
	for range 2 {
		if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return place(t.Context(), tx, "hold released", release) }); err != nil {
			t.Fatal(err)
		}
	}
	holds, err = expiry.Holds(t.Context(), tr.keeper, "")
	if err != nil || len(holds) != len(bodies) || holds[0].ReleasedAt.IsZero() {
		t.Errorf("%+v, %v", holds, err)
	}
}
