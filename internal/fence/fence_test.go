package fence_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/fence"
)

// script is a source that shows one list after another, and the last one from then on.
type script struct {
	lists    []map[string]int32
	prepared map[string]string
	looks    int
	fault    error
}

func (s *script) Inserting(context.Context) (map[string]int32, error) {
	at := min(s.looks, len(s.lists)-1)
	s.looks++
	return maps.Clone(s.lists[at]), s.fault
}

func (s *script) Prepared(context.Context) (map[string]string, error) {
	if s.prepared == nil {
		return nil, errors.New("the view cannot be read")
	}
	return s.prepared, nil
}

type open = map[string]int32

func mustWait(t *testing.T, f *fence.Fence) open {
	t.Helper()
	left, err := f.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func TestWaitEndsWhenThoseOpenAtItsStartHaveEnded(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lists []open
		looks int
	}{
		"none is open":                   {[]open{{}}, 1},
		"one ends":                       {[]open{{"3/1": 7}, {"3/1": 7}, {}}, 3},
		"others keep coming":             {[]open{{"3/1": 7}, {"3/1": 7, "4/1": 8}, {"4/1": 8, "5/1": 9}, {"5/1": 9}}, 3},
		"one is prepared before it ends": {[]open{{"3/1": 7}, {"3/1": 0}, {}}, 3},
		"a backend takes the next one":   {[]open{{"3/1": 7}, {"3/2": 7}}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{lists: test.lists}
			if left := mustWait(t, &fence.Fence{Source: s, Patience: time.Minute}); len(left) > 0 {
				t.Errorf("%v are left", left)
			}
			if s.looks != test.looks {
				t.Errorf("it looked %d times, want %d", s.looks, test.looks)
			}
		})
	}
}

func TestWaitGivesUpAfterItsPatience(t *testing.T) {
	t.Parallel()
	s := &script{lists: []open{{"3/1": 7, "4/1": 8}, {"3/1": 7, "5/1": 9}}}
	left := mustWait(t, &fence.Fence{Source: s, Patience: 5 * time.Millisecond})
	if diff := cmp.Diff(open{"3/1": 7}, left); diff != "" {
		t.Errorf("what is left differs (-want +got):\n%s", diff)
	}
}

func TestWaitDoesNotWaitTwiceForOneTransaction(t *testing.T) {
	t.Parallel()
	s := &script{lists: []open{{"3/1": 7}}}
	f := &fence.Fence{Source: s, Patience: time.Minute}
	f.GoAround(100, open{"3/1": 7})
	left := mustWait(t, f)
	if s.looks != 1 || len(left) != 1 {
		t.Errorf("it looked %d times and left %v, want one look and the transaction", s.looks, left)
	}
}

func TestWaitEndsWithItsContextAndItsSource(t *testing.T) {
	t.Parallel()
	broken := errors.New("the connection is gone")
	f := &fence.Fence{Source: &script{lists: []open{{}}, fault: broken}, Patience: time.Minute}
	if _, err := f.Wait(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Wait = %v, want the error of its source", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f = &fence.Fence{Source: &script{lists: []open{{"3/1": 7}}}, Patience: time.Minute}
	if _, err := f.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v, want the context's error", err)
	}
}

// The older set only shrinks, so it ends although others keep coming. What it awaited is final
// then, and what the newer one awaits is not.
func TestOlderSetEndsAlthoughOthersKeepComing(t *testing.T) {
	t.Parallel()
	f := &fence.Fence{}
	f.GoAround(100, open{"1/1": 1})
	f.GoAround(200, open{"2/1": 2})
	f.GoAround(300, open{"3/1": 3})
	if len(f.Around) != 2 {
		t.Fatalf("%d sets, want 2", len(f.Around))
	}
	if f.Saw(open{"1/1": 1, "2/1": 2, "3/1": 3}) {
		t.Error("none has ended, and Saw says so")
	}
	if through := f.Finished(); through != 0 {
		t.Errorf("everything up to %d is final, want nothing", through)
	}
	if !f.Saw(open{"2/1": 2, "3/1": 3}) {
		t.Error("one has ended, and Saw does not say so")
	}
	if through := f.Finished(); through != 100 {
		t.Errorf("everything up to %d is final, want 100", through)
	}
	f.GoAround(400, open{"4/1": 4})
	f.Saw(open{"2/1": 2, "4/1": 4})
	if through := f.Finished(); through != 0 {
		t.Errorf("everything up to %d is final, want nothing while the oldest set is open", through)
	}
	f.Saw(open{})
	if through := f.Finished(); through != 400 || len(f.Around) > 0 {
		t.Errorf("everything up to %d is final with %d sets, want 400 and none", through, len(f.Around))
	}
}

// Sets that are gone around are the fence's own: a caller may use its map for another thing.
func TestGoAroundKeepsItsOwnSets(t *testing.T) {
	t.Parallel()
	by := open{"1/1": 1}
	f := &fence.Fence{}
	f.GoAround(100, by)
	delete(by, "1/1")
	if len(f.Around[0].By) != 1 {
		t.Error("the set changed with the caller's map")
	}
}

// A prepared transaction gets another id when the server starts again.
func TestPreparedTransactionIsAwaitedOverRestart(t *testing.T) {
	t.Parallel()
	f := &fence.Fence{}
	f.GoAround(100, open{"3/77": 0})
	f.Saw(open{"-1/512": 0})
	if through := f.Finished(); through != 0 {
		t.Errorf("everything up to %d is final, and the prepared transaction may commit yet", through)
	}
	f.Saw(open{})
	if through := f.Finished(); through != 100 {
		t.Errorf("everything up to %d is final, want 100", through)
	}
}

func TestNamesAreWhatAnOperatorCanFind(t *testing.T) {
	t.Parallel()
	transactions := open{"3/1": 4711, "4/1": 0, "5/1": 0}
	f := &fence.Fence{Source: &script{prepared: map[string]string{"4/1": `it's "one"`}}}
	want := []string{`prepared transaction "it's \"one\""`, "process 4711", "transaction 5/1"}
	if diff := cmp.Diff(want, f.Names(t.Context(), transactions)); diff != "" {
		t.Errorf("the names differ (-want +got):\n%s", diff)
	}
	f = &fence.Fence{Source: &script{}}
	want = []string{"process 4711", "transaction 4/1", "transaction 5/1"}
	if diff := cmp.Diff(want, f.Names(t.Context(), transactions)); diff != "" {
		t.Errorf("the names differ (-want +got):\n%s", diff)
	}
}

// Report says since when the oldest is waited for, over several waits.
func TestReportSaysSinceWhen(t *testing.T) {
	t.Parallel()
	s := &script{lists: []open{{"3/1": 7}}}
	var names []string
	var since time.Time
	f := &fence.Fence{Source: s, Report: func(_ context.Context, by []string, at time.Time) error {
		names, since = by, at
		return nil
	}}
	mustWait(t, f)
	first := since
	if diff := cmp.Diff([]string{"process 7"}, names); diff != "" || first.IsZero() {
		t.Errorf("reported since %s (-want +got):\n%s", first, diff)
	}
	time.Sleep(2 * time.Millisecond)
	mustWait(t, f)
	if !since.Equal(first) {
		t.Errorf("it waits since %s, and began at %s", since, first)
	}
	s.lists = []open{{}}
	mustWait(t, f)
	if names != nil {
		t.Errorf("%v are reported, and none is open", names)
	}
	broken := errors.New("the log cannot be written")
	f.Report = func(context.Context, []string, time.Time) error { return broken }
	if _, err := f.Wait(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Wait = %v, want the error of Report", err)
	}
}
