package auditdriver_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

const seqIndex = "coordination_audit_seq_idx"

// A look of a follower costs the page that it delivers, wherever the follower stands in the trail.
func TestFollowingUsesIndexes(t *testing.T) {
	t.Parallel()
	bench := seeded(t)
	middle, rest := auditdriver.SeqID{Seq: million / 2}, int64(million)
	unfiltered := audit.Query{Scope: audit.AllTenants()}
	filtered := audit.Query{Scope: audit.Tenant("tenant-acme"), EnvelopeClasses: []audit.EnvelopeClass{audit.Safety}}
	for name, test := range map[string]struct {
		look    func(context.Context, *auditdriver.Follower) error
		maxRows int
	}{
		"what there is": {func(ctx context.Context, f *auditdriver.Follower) error {
			_, err := f.Facts(ctx, middle, middle.Seq)
			return err
		}, 20}, // most of them of the catalogs
		"a page": {func(ctx context.Context, f *auditdriver.Follower) error {
			_, err := f.Records(ctx, &unfiltered, middle, rest, page)
			return err
		}, page + 1},
		"the end of a long trail": {func(ctx context.Context, f *auditdriver.Follower) error {
			_, err := f.Records(ctx, &unfiltered, auditdriver.SeqID{Seq: million - 10}, rest, page)
			return err
		}, 11},
		"a filtered page, up to a fence": {func(ctx context.Context, f *auditdriver.Follower) error {
			_, err := f.Records(ctx, &filtered, middle, middle.Seq+1000, page)
			return err
		}, 1001},
		"late ones": {func(ctx context.Context, f *auditdriver.Follower) error {
			_, err := f.Late(ctx, &unfiltered, []int64{17, 4711, million - 1})
			return err
		}, 3},
		"which holes are filled": {func(ctx context.Context, f *auditdriver.Follower) error {
			_, err := f.Stored(ctx, completeness.SetOf(17, 18, 19, 4711, million-1))
			return err
		}, 6},
		"the last of a range": {func(ctx context.Context, f *auditdriver.Follower) error {
			_, _, err := f.LastThrough(ctx, 1, rest)
			return err
		}, 2},
		"whether the trail is still the same": {func(ctx context.Context, f *auditdriver.Follower) error {
			_, err := f.Anchors(ctx, []int64{1, 1000, 100_000, million})
			return err
		}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := bench.statementsOf(t, func(ctx context.Context, d *auditdriver.Driver) error {
				return d.Following(ctx, func(f *auditdriver.Follower) error { return test.look(ctx, f) })
			})
			last := bench.explain(t, sent[len(sent)-1])
			if diff := cmp.Diff([]string{seqIndex}, last.indexes); diff != "" || last.seqScans > 0 || last.rowsRead > test.maxRows {
				t.Errorf("%d rows read, want at most %d; %d sequential scans, indexes (-want +got):\n%s\n%s", last.rowsRead, test.maxRows, last.seqScans, diff, last.text)
			}
		})
	}
}
