package coordaudit_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// A cursor works only with its query, as it was returned.
func TestFollowCursorFitsOneQuery(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.persist(t, 3)
	r := tr.reader(impatient())
	r.read(t)
	cursor := r.page.Cursor
	list, err := tr.store.List(t.Context(), audit.Query{Scope: audit.AllTenants(), Order: audit.OldestFirst, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := base64.RawURLEncoding.DecodeString(string(cursor))
	if err != nil {
		t.Fatal(err)
	}
	bytes[0]++
	otherScope, otherFilter, otherWindow := impatient(), impatient(), impatient()
	otherScope.Scope = audit.Tenant("acme")
	otherFilter.Actor = "someone"
	otherWindow.Window.Since = fixture.NewRecord().DecisionTimestamp
	for name, c := range map[string]struct {
		query  audit.FollowQuery
		cursor audit.Cursor
		want   string
	}{
		"Cut":          {impatient(), cursor[:len(cursor)-1], "damaged"},
		"CutShort":     {impatient(), cursor[:3], "damaged"},
		"Damaged":      {impatient(), cursor[:20] + "A" + cursor[21:] + "A", "damaged"},
		"NoCursor":     {impatient(), "?", "damaged"},
		"LineBreak":    {impatient(), cursor[:20] + "\n" + cursor[20:], "damaged"},
		"Flipped":      {impatient(), audit.Cursor(base64.RawURLEncoding.EncodeToString(bytes)), "damaged"},
		"OtherScope":   {otherScope, cursor, "another query"},
		"OtherFilter":  {otherFilter, cursor, "another query"},
		"OtherWindow":  {otherWindow, cursor, "another query"},
		"OfAListing":   {impatient(), list.Next, "another version"},
		"OtherVersion": {impatient(), reVersioned(t, cursor), "another version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.query.From = audit.FromCursor(c.cursor)
			_, err := tr.store.FollowPage(t.Context(), c.query)
			if !errors.Is(err, audit.ErrInvalidQuery) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want ErrInvalidQuery that says %q", err, c.want)
			}
			for _, err := range tr.store.Follow(t.Context(), c.query) {
				if !errors.Is(err, audit.ErrInvalidQuery) {
					t.Errorf("Follow: %v", err)
				}
			}
		})
	}
	if _, err := tr.store.List(t.Context(), audit.Query{Scope: audit.AllTenants(), Order: audit.OldestFirst, After: cursor}); !errors.Is(err, audit.ErrInvalidQuery) {
		t.Errorf("a listing takes the cursor of a follower: %v", err)
	}
	more := impatient()
	more.Limit, more.From, more.Patience, more.PollInterval = 7, audit.FromCursor(cursor), 1, 1
	if _, err := tr.store.FollowPage(t.Context(), more); err != nil {
		t.Errorf("with another limit, patience and interval: %v", err)
	}
}

// A query that is at fault in several ways is refused with all of them.
func TestFollowRefusesBadQueries(t *testing.T) {
	t.Parallel()
	store := coordaudit.New(nil, fixture.Quiet())
	_, err := store.FollowPage(t.Context(), audit.FollowQuery{
		Scope: audit.AllTenants(), Limit: 1001, PollInterval: -1, Actor: "\x00", From: audit.FromTime(fixture.NewRecord().DecisionTimestamp.AddDate(-9999, 0, 0)),
	})
	invalid, ok := errors.AsType[*audit.InvalidQueryError](err)
	if !ok {
		t.Fatal(err)
	}
	var fields []string
	for _, fault := range invalid.Faults {
		fields = append(fields, fault.Field)
	}
	slices.Sort(fields)
	if want := []string{"actor", "from", "limit", "poll_interval"}; !slices.Equal(fields, want) {
		t.Errorf("faults in %v, want %v", fields, want)
	}
	if _, err := store.FollowPage(t.Context(), audit.FollowQuery{}); !errors.Is(err, audit.ErrNoScope) {
		t.Errorf("without a scope: %v", err)
	}
	if _, err := store.FollowPage(t.Context(), impatient()); !errors.Is(err, audit.ErrNoPool) {
		t.Errorf("without a pool: %v", err)
	}
	store.Close()
	if _, err := store.FollowPage(t.Context(), impatient()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// What would let records appear below the fence is refused, with the command that repairs it.
func TestFollowRefusesWhereItCannot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, want string }{
		"CachedSequence": {"ALTER SEQUENCE coordination_audit_records_seq_seq CACHE 20", "CACHE 1"},
		"SequenceBehind": {"SELECT setval('coordination_audit_records_seq_seq', 2)", "migrate repair"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := newTrail(t)
			tr.persist(t, 5)
			fixture.MustExec(t, tr.pool, c.sql)
			if _, err := tr.store.FollowPage(t.Context(), impatient()); !errors.Is(err, audit.ErrCannotFollow) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want ErrCannotFollow that says %q", err, c.want)
			}
		})
	}
}

// More holes than fit into a stored cursor make it fall back. What comes again is marked. The
// exact cursor does not fall back, so that pages come to their end.
func TestFollowFallsBack(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	// Every second seq is a hole: it was rolled back, and a transaction is open that might
	// still have it.
	const rows = 80_000
	first := tr.persist(t, 3)
	tx := tr.begin(t)
	late := tr.persistTx(t, tx, fixture.NewRecord())
	fixture.MustExec(t, tr.pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, active_envelopes_count)
		SELECT gen_random_uuid(), 'many', 'COST', 'APPLIED', 'x', now(), 1 FROM generate_series(1, $1) AS n
		WHERE n % 2 = 0 OR nextval('coordination_audit_records_seq_seq') < 0`, rows)
	query := impatient()
	query.Limit = 1000
	r := tr.reader(query)
	fellBack := false
	for more := true; more; more = r.page.More {
		r.one(t)
		fellBack = fellBack || r.page.Cursor != r.page.Next
		if len(r.page.Cursor) > 90_000 {
			t.Fatalf("the stored cursor has %d bytes", len(r.page.Cursor))
		}
	}
	if len(r.got) != 3+rows/2 || !fellBack {
		t.Fatalf("%d records, fell back: %t", len(r.got), fellBack)
	}
	wantLate(t, r.got, false, false)

	restarted := tr.reader(query)
	restarted.query.From = audit.FromCursor(r.page.Cursor)
	restarted.read(t)
	if len(restarted.got) != rows/2 {
		t.Errorf("%d records come again, want those above the oldest open transaction", len(restarted.got))
	}
	wantLate(t, restarted.got, false, true)
	next := tr.persist(t, 1)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, reading := range []*reader{r, restarted} {
		got := reading.read(t)
		wantIDs(t, got, append([]audit.Record{late}, next...)...)
		wantLate(t, got[:1], true, false)
		wantLate(t, got[1:], false, false)
		if len(reading.page.Next) > 1000 || reading.page.Cursor != reading.page.Next {
			t.Errorf("the cursor has %d bytes when nothing is open", len(reading.page.Next))
		}
	}
	if again := tr.reader(query).read(t); again[3].AuditID != late.AuditID || again[0].AuditID != first[0].AuditID {
		t.Error("a new follower does not see the order of seq")
	}
}

// reVersioned is a cursor as another version would make it: whole, with another number.
func reVersioned(t *testing.T, cursor audit.Cursor) audit.Cursor {
	t.Helper()
	bytes, err := base64.RawURLEncoding.DecodeString(string(cursor))
	if err != nil {
		t.Fatal(err)
	}
	bytes[0]++
	bytes = bytes[:len(bytes)-4]
	return audit.Cursor(base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(bytes, crc32.ChecksumIEEE(bytes))))
}
