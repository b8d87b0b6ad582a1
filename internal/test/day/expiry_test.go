package day_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
)

// scaleVariable is the number of records of TestExpiryBesideWriters, such as 20000000. The rates
// and the ratio are judged from a million on: a smaller run measures how long programs start.
const scaleVariable = "COORDAUDIT_TEST_EXPIRY_SCALE"

// A quarter of the trail expires by programs of their own next to writers at 1,000 records/s,
// whose slowest calls are compared with those before. The programs run at a low priority, as
// docs/expiry.md says.
func TestExpiryBesideWriters(t *testing.T) {
	t.Parallel()
	records := fixture.Size(t, scaleVariable, 20_000)
	d := newDay(t)
	d.morning()
	d.must(owner, "coordaudit", "expire", "minimum", "--set", "0", "--why", "the records of this test are young")
	if _, err := seed.Copy(t.Context(), fixture.OpenPool(t, d.url(super), nil), seed.Records(seed.Config{Records: records})); err != nil {
		t.Fatal(err)
	}
	d.must(sealing, "coordaudit", "seal", "--once", "--key", d.key, "--checkpoints", d.checkpoints, "--new-checkpoints")

	sealed := []string{"--checkpoint", d.checkpoints, "--key", d.key + ".pub"}
	before := d.writeDuring(func() { time.Sleep(3 * time.Second) })
	archiving := d.writeDuring(func() {
		filter := []string{"--out", d.archive, "--class", "COST", "--all-tenants", "--older-than", "0d"}
		d.behind("coordaudit", slices.Concat([]string{"expire", "archive"}, filter, sealed)...)
	})
	applying := d.writeDuring(func() {
		d.behind("coordaudit", slices.Concat([]string{"expire", "apply", "--archive", d.archive}, sealed)...)
	})
	m := d.manifest()
	t.Logf("%d of %d records; archived %.0f/s and applied %.0f/s; p99 of the writers %v before, %v while they are archived, %v while they expire",
		m.Records, records, rate(m, archiving), rate(m, applying), before.p99, archiving.p99, applying.p99)

	d.must(sealing, "coordaudit", "seal", "--once", "--key", d.key, "--checkpoints", d.checkpoints)
	mustContain(t, d.must(reader, "coordaudit", append([]string{"verify"}, sealed...)...), "expired")
	if os.Getenv(scaleVariable) == "" || records < 1_000_000 {
		return
	}
	if rate(m, archiving) < 50_000 || rate(m, applying) < 50_000 {
		t.Error("want 50,000 records/s each")
	}
	if most := 2 * before.p99; archiving.p99 > most || applying.p99 > most {
		t.Error("want a p99 of twice that of before, at most")
	}
}

func rate(m expiry.Manifest, of timed) float64 { return float64(m.Records) / of.took.Seconds() }

// behind runs a program of the keeper's at a low priority.
func (d *day) behind(program string, args ...string) {
	d.t.Helper()
	args = append([]string{"-n", "19", filepath.Join(d.programs, program)}, args...)
	if code, text := d.exec(keeper, exec.CommandContext(d.t.Context(), "nice", args...)); code != 0 {
		d.t.Fatalf("nice %v: exit %d\n%s", args, code, text)
	}
}

func (d *day) manifest() (m expiry.Manifest) {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.archive, expiry.ManifestFile))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

// timed is how work went next to writers.
type timed struct{ took, p99 time.Duration }

// writeDuring stores records at 1,000/s while work runs.
func (d *day) writeDuring(work func()) (of timed) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	defer cancel()
	store := fixture.OpenStore(d.t, d.url(service), coordaudit.Config{})
	defer store.Close()
	const writers, each = 8, 8 * time.Millisecond
	took := make([][]time.Duration, writers)
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() { took[w] = d.writeEach(ctx, store, each) })
	}
	started := time.Now()
	work()
	of.took = time.Since(started)
	cancel()
	writing.Wait()
	all := slices.Concat(took...)
	slices.Sort(all)
	if len(all) > 0 {
		of.p99 = all[len(all)*99/100]
	}
	return of
}

// writeEach stores a record at each tick until ctx ends, and returns how long the calls took.
func (d *day) writeEach(ctx context.Context, store *coordaudit.Store, each time.Duration) (took []time.Duration) {
	ticks := time.NewTicker(each)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return took
		case <-ticks.C:
		}
		started := time.Now()
		if _, err := store.Persist(context.WithoutCancel(ctx), fixture.NewRecord()); err != nil {
			d.t.Errorf("a writer: %v", err)
			return took
		}
		took = append(took, time.Since(started))
	}
}
